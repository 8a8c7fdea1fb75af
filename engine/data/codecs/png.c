/*
 * PNG by libpng, always decoded whole: its compression has no door in the middle, and what is kept as PNG is small.
 * libpng reports errors by a jump, so what must be freed stands in a struct that outlives it.
 */
#include "engine/data/codecs/codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHUNK = 16 << 20 }; /* bytes: more is an attack */

typedef struct png_reader {
    const uint8_t *data;
    size_t size;
    jmp_buf jump;
    error *err;
    png_structp png;
    png_infop info;
    png_bytepp rows;
    codec_header header;
    bool done;
} png_reader;

static void png_failed(png_structp png, png_const_charp text) {
    png_reader *r = png_get_error_ptr(png);
    error_set(r->err, ERROR_RUN, "%s", text);
    longjmp(r->jump, 1);
}

static void png_ignored(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void png_take(png_structp png, png_bytep target, size_t bytes) {
    png_reader *r = png_get_io_ptr(png);
    if (bytes > r->size) png_error(png, "the file breaks off");
    memcpy(target, r->data, bytes);
    r->data += bytes, r->size -= bytes;
}

static bool read_header(png_reader *r) {
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, png_failed, png_ignored);
    if (!r->png || !(r->info = png_create_info_struct(r->png))) return error_memory(r->err, 1 << 16, "a PNG reader");
    png_set_chunk_malloc_max(r->png, MAX_CHUNK);
    png_set_user_limits(r->png, IMAGE_MAX_PIXELS, IMAGE_MAX_PIXELS);
    png_set_read_fn(r->png, r, png_take);
    png_read_info(r->png, r->info);
    png_uint_32 width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info), bytes = 0;
    png_bytep exif = NULL;
    if (!codec_check_size(width, height, r->err)) return false;
    png_get_eXIf_1(r->png, r->info, &bytes, &exif);
    r->header = (codec_header){.width = (int)width, .height = (int)height};
    r->header.orientation = exif ? codec_orientation(exif, bytes) : 1;
    r->header.deep = png_get_bit_depth(r->png, r->info) == 16;
    return true;
}

static bool read_pixels(png_reader *r, codec_pixels *out) {
    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    size_t height = (size_t)r->header.height;
    out->stride = (size_t)r->header.width * 3;
    if (png_get_rowbytes(r->png, r->info) != out->stride) png_error(r->png, "an unknown kind of PNG");
    if (!codec_reserve(out, out->stride * height, r->err)) return false;
    if (!(r->rows = malloc(height * sizeof *r->rows)))
        return error_memory(r->err, height * sizeof *r->rows, "a PNG's rows");
    for (size_t y = 0; y < height; y++) r->rows[y] = out->memory + y * out->stride;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

static bool finish(png_reader *r) {
    if (r->png) png_destroy_read_struct(&r->png, r->info ? &r->info : NULL, NULL);
    free(r->rows);
    return r->done;
}

static bool png_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    png_reader r = {.data = data, .size = size, .err = err};
    if (setjmp(r.jump) == 0) r.done = read_header(&r);
    if (r.done) *out = r.header;
    return finish(&r);
}

static bool png_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    (void)shrink;
    png_reader r = {.data = data, .size = size, .err = err};
    if (setjmp(r.jump) == 0) r.done = read_header(&r) && read_pixels(&r, out);
    r.done = r.done && codec_cut(out, &r.header, box, err);
    return finish(&r);
}

static bool png_knows(const uint8_t *data, size_t size) {
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0;
}

const codec codec_png = {"PNG", 1, png_knows, png_measure, png_decode};

/*
 * libjpeg and libpng report errors by a jump, so each decoder keeps what must be freed in a struct that outlives the
 * jump and has its setjmp in one place. libjpeg calls damaged data a mere warning and fills the hole with grey; here a
 * file that breaks off or whose entropy code makes no sense is an error, while oddities between its markers, which real
 * collections are full of, pass.
 */
#include "engine/data/images.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum { MAX_SCANS = 200, MAX_CHUNK = 16 << 20 }; /* progressive scans, bytes of a PNG chunk: more is an attack */

void image_free(image *i) {
    free(i->pixels);
    *i = (image){0};
}

static bool allocate(image *out, uint64_t width, uint64_t height, error *err) {
    if (width == 0 || height == 0 || width > IMAGE_MAX_PIXELS || height > IMAGE_MAX_PIXELS / width)
        return error_set(err, ERROR_RUN, "an image of %llu×%llu pixels; at most %d megapixels are taken",
                         (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_PIXELS >> 20);
    out->width = (int)width, out->height = (int)height;
    out->pixels = malloc((size_t)(width * height * 3));
    return out->pixels || error_memory(err, (size_t)(width * height * 3), "an image");
}

/* ---- JPEG ---- */

typedef struct jpeg_reader {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    error *err;
    uint8_t *line; /* a row of CMYK */
} jpeg_reader;

static void jpeg_failed(j_common_ptr info) {
    jpeg_reader *r = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    error_set(r->err, ERROR_RUN, "%s", text);
    longjmp(r->jump, 1);
}

static void jpeg_message(j_common_ptr info, int level) {
    int code = info->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
        jpeg_failed(info);
}

static void jpeg_count_scans(j_common_ptr info) {
    jpeg_reader *r = info->client_data;
    if (r->info.input_scan_number <= MAX_SCANS) return;
    error_set(r->err, ERROR_RUN, "more than %d scans", MAX_SCANS);
    longjmp(r->jump, 1);
}

/* Adobe's files, which is all CMYK there is, hold the inks inverted; the rest is Pillow's conversion. */
static void cmyk_to_rgb(const uint8_t *in, uint8_t *out, int width) {
    for (int x = 0; x < width; x++, in += 4, out += 3)
        for (int k = 0; k < 3; k++) {
            int ink = 255 - in[k], light = in[3], product = ink * light + 128;
            out[k] = (uint8_t)(light - ((product >> 8) + product) / 256);
        }
}

static bool jpeg_decode(const uint8_t *data, size_t size, image *out, error *err) {
    jpeg_reader r = {.err = err};
    r.info.err = jpeg_std_error(&r.errors);
    r.info.client_data = &r;
    r.errors.error_exit = jpeg_failed;
    r.errors.emit_message = jpeg_message;
    r.progress.progress_monitor = jpeg_count_scans;
    if (setjmp(r.jump)) {
        jpeg_destroy_decompress(&r.info);
        free(r.line);
        return false;
    }
    jpeg_create_decompress(&r.info);
    r.info.progress = &r.progress;
    jpeg_mem_src(&r.info, data, size);
    jpeg_read_header(&r.info, TRUE);
    bool inks = r.info.jpeg_color_space == JCS_CMYK || r.info.jpeg_color_space == JCS_YCCK;
    r.info.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    if (!allocate(out, r.info.image_width, r.info.image_height, err)) longjmp(r.jump, 1);
    if (inks && !(r.line = malloc((size_t)out->width * 4))) {
        error_memory(err, (size_t)out->width * 4, "a row of an image");
        longjmp(r.jump, 1);
    }
    jpeg_start_decompress(&r.info);
    while (r.info.output_scanline < r.info.output_height) {
        uint8_t *row = out->pixels + (size_t)r.info.output_scanline * (size_t)out->width * 3;
        JSAMPROW target = inks ? r.line : row;
        jpeg_read_scanlines(&r.info, &target, 1);
        if (inks) cmyk_to_rgb(r.line, row, out->width);
    }
    jpeg_finish_decompress(&r.info);
    jpeg_destroy_decompress(&r.info);
    free(r.line);
    return true;
}

/* ---- PNG ---- */

typedef struct png_reader {
    const uint8_t *data;
    size_t size;
    jmp_buf jump;
    error *err;
    png_structp png;
    png_infop info;
    png_bytepp rows;
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

static bool png_read(png_reader *r, image *out) {
    error *err = r->err;
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, png_failed, png_ignored);
    if (!r->png || !(r->info = png_create_info_struct(r->png))) return error_memory(err, 1 << 16, "a PNG reader");
    png_set_chunk_malloc_max(r->png, MAX_CHUNK);
    png_set_user_limits(r->png, IMAGE_MAX_PIXELS, IMAGE_MAX_PIXELS);
    png_set_read_fn(r->png, r, png_take);
    png_read_info(r->png, r->info);
    if (!allocate(out, png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info), err)) return false;
    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    size_t stride = (size_t)out->width * 3;
    if (png_get_rowbytes(r->png, r->info) != stride) png_error(r->png, "an unknown kind of PNG");
    r->rows = malloc((size_t)out->height * sizeof *r->rows);
    if (!r->rows) return error_memory(err, (size_t)out->height * sizeof *r->rows, "a PNG's rows");
    for (int y = 0; y < out->height; y++) r->rows[y] = out->pixels + (size_t)y * stride;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

static bool png_decode(const uint8_t *data, size_t size, image *out, error *err) {
    png_reader r = {.data = data, .size = size, .err = err};
    if (setjmp(r.jump) == 0) r.done = png_read(&r, out);
    if (r.png) png_destroy_read_struct(&r.png, r.info ? &r.info : NULL, NULL);
    free(r.rows);
    return r.done;
}

/* ---- Either ---- */

bool image_decode(const uint8_t *data, size_t size, image *out, error *err) {
    bool done = false;
    *out = (image){0};
    if (size >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0)
        done = jpeg_decode(data, size, out, err);
    else if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0)
        done = png_decode(data, size, out, err);
    else
        error_set(err, ERROR_RUN, size ? "neither JPEG nor PNG" : "empty");
    if (!done) image_free(out);
    return done;
}

bool image_fit(resizer *r, const image *from, int side, uint8_t *target, error *err) {
    int w = from->width, h = from->height, shortest = w < h ? w : h, longest = w < h ? h : w;
    if (longest / shortest > IMAGE_MAX_ELONGATION)
        return error_set(err, ERROR_RUN, "an image of %d×%d pixels is too long to cut a square from", w, h);
    int length = (int)((int64_t)side * longest / shortest); /* the long side's share, cut as torchvision does */
    int width = w <= h ? side : length, height = w <= h ? length : side;
    resize_box whole = {0, 0, w, h};
    if (width == height) return resize_bicubic(r, from->pixels, (size_t)w * 3, whole, false, target, side, side, err);
    uint8_t *resized = malloc((size_t)width * (size_t)height * 3);
    if (!resized) return error_memory(err, (size_t)width * (size_t)height * 3, "a resized image");
    bool done = resize_bicubic(r, from->pixels, (size_t)w * 3, whole, false, resized, width, height, err);
    /* Halves go to the even neighbour, as Python rounds. */
    int left = (int)nearbyint((width - side) / 2.0), top = (int)nearbyint((height - side) / 2.0);
    for (int y = 0; done && y < side; y++)
        memcpy(target + (size_t)y * (size_t)side * 3, resized + ((size_t)(top + y) * (size_t)width + (size_t)left) * 3,
               (size_t)side * 3);
    free(resized);
    return done;
}

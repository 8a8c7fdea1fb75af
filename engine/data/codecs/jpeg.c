/*
 * JPEG by libjpeg-turbo, whole or by the part. A part costs the entropy decoding of the rows down to its lower edge,
 * but inverse transform, upsampling and colour only where it lies. Two things near its edges would not be what they are
 * in the whole image: smooth chroma upsampling takes a cut for the image's border, so a few more pixels are decoded
 * around the part; and the smoothing between blocks of a progressive file with scans missing looks further than that,
 * so such a file is decoded whole.
 *
 * libjpeg reports errors by a jump, so what must be freed stands in a struct that outlives it and there is one setjmp a
 * call. libjpeg calls damaged data a mere warning and fills the hole with grey; here a file that breaks off or whose
 * entropy code makes no sense is an error, while oddities between its markers, which real collections are full of,
 * pass.
 */
#include "engine/data/codecs/codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
    MAX_SCANS = 200, /* of a progressive file: more is an attack */
    MARGIN = 2,      /* pixels around a part, in reach of the chroma's upsampling filter */
    ROWS = 16,       /* lines asked for at a time */
};

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

/* Everything before setjmp, after which the header is read. */
static void prepare(jpeg_reader *r) {
    r->info.err = jpeg_std_error(&r->errors);
    r->info.client_data = r;
    r->errors.error_exit = jpeg_failed;
    r->errors.emit_message = jpeg_message;
    r->progress.progress_monitor = jpeg_count_scans;
}

static void read_header(jpeg_reader *r, const uint8_t *data, size_t size, bool exif) {
    jpeg_create_decompress(&r->info);
    r->info.progress = &r->progress;
    jpeg_mem_src(&r->info, data, size);
    if (exif) jpeg_save_markers(&r->info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&r->info, TRUE);
}

static bool finish(jpeg_reader *r, bool done) {
    jpeg_destroy_decompress(&r->info);
    free(r->line);
    return done;
}

static bool jpeg_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    jpeg_reader r = {.err = err};
    prepare(&r);
    if (setjmp(r.jump)) return finish(&r, false);
    read_header(&r, data, size, true);
    if (!codec_check_size(r.info.image_width, r.info.image_height, err)) return finish(&r, false);
    *out = (codec_header){.width = (int)r.info.image_width, .height = (int)r.info.image_height, .orientation = 1};
    for (jpeg_saved_marker_ptr m = r.info.marker_list; m; m = m->next) {
        if (m->data_length < 6 || memcmp(m->data, "Exif\0", 6) != 0) continue;
        out->orientation = codec_orientation(m->data + 6, m->data_length - 6);
        break;
    }
    return finish(&r, true);
}

/* Adobe's files, which is all CMYK there is, hold the inks inverted; the rest is Pillow's conversion. */
static void cmyk_to_rgb(const uint8_t *in, uint8_t *out, size_t width) {
    for (size_t x = 0; x < width; x++, in += 4, out += 3)
        for (int k = 0; k < 3; k++) {
            int ink = 255 - in[k], light = in[3], product = ink * light + 128;
            out[k] = (uint8_t)(light - ((product >> 8) + product) / 256);
        }
}

/* A progressive file that has not told every coefficient to its last bit is smoothed between its blocks. */
static bool smooths_blocks(const struct jpeg_decompress_struct *info) {
    if (!info->progressive_mode || !info->coef_bits) return false;
    for (int c = 0; c < info->num_components; c++)
        for (int k = 0; k < DCTSIZE2; k++)
            if (info->coef_bits[c][k] != 0) return true;
    return false;
}

/* Parts that are not the whole's: smoothed ones, and libjpeg-turbo 2.1 shifts shrunken chroma of a quarter's width. */
static bool has_no_parts(const struct jpeg_decompress_struct *info) {
    return smooths_blocks(info) || (info->max_h_samp_factor > 2 && info->scale_denom > 1);
}

/* Rows from the current line on to `end`; those before `top` are written where the first of the others will be. */
static void read_rows(jpeg_reader *r, int top, int end, codec_pixels *out) {
    JDIMENSION width = r->info.output_width;
    while ((int)r->info.output_scanline < end) {
        int line = (int)r->info.output_scanline, from = line < top ? top : line, most = line < top ? 1 : end - line;
        uint8_t *row = out->memory + (size_t)(from - top) * out->stride;
        JSAMPROW rows[ROWS];
        most = most < ROWS ? most : ROWS;
        for (int i = 0; i < most; i++) rows[i] = row + (size_t)i * out->stride;
        if (r->line) rows[0] = r->line, most = 1;
        jpeg_read_scanlines(&r->info, rows, (JDIMENSION)most);
        if (r->line) cmyk_to_rgb(r->line, row, width);
    }
}

static bool jpeg_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    jpeg_reader r = {.err = err};
    prepare(&r);
    if (setjmp(r.jump)) return finish(&r, false);
    read_header(&r, data, size, false);
    bool inks = r.info.jpeg_color_space == JCS_CMYK || r.info.jpeg_color_space == JCS_YCCK;
    r.info.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    r.info.scale_num = 1, r.info.scale_denom = (unsigned)shrink;
    jpeg_start_decompress(&r.info);
    int width = (int)r.info.output_width, height = (int)r.info.output_height;
    int right = box.left + box.width, bottom = box.top + box.height;
    if (box.left < 0 || box.top < 0 || right > width || bottom > height) {
        error_set(err, ERROR_RUN, "an image of %d×%d pixels that was larger when its header was read", width, height);
        return finish(&r, false);
    }
    bool whole = box.width == width && box.height == height, entire = has_no_parts(&r.info);
    JDIMENSION first = 0, columns = (JDIMENSION)width;
    if (box.width < width && !entire) {
        int end = right + MARGIN < width ? right + MARGIN : width;
        first = (JDIMENSION)(box.left > MARGIN ? box.left - MARGIN : 0), columns = (JDIMENSION)end - first;
        jpeg_crop_scanline(&r.info, &first, &columns);
    }
    out->stride = (size_t)columns * 3;
    if (!codec_reserve(out, out->stride * (size_t)box.height, err)) return finish(&r, false);
    if (inks && !(r.line = malloc((size_t)columns * 4))) {
        error_memory(err, (size_t)columns * 4, "a row of an image");
        return finish(&r, false);
    }
    if (box.top > MARGIN && !entire) jpeg_skip_scanlines(&r.info, (JDIMENSION)(box.top - MARGIN));
    read_rows(&r, box.top, bottom, out);
    if (whole) jpeg_finish_decompress(&r.info);
    out->corner = out->memory + (size_t)(box.left - (int)first) * 3;
    return finish(&r, true);
}

static bool jpeg_knows(const uint8_t *data, size_t size) { return size >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0; }

const codec codec_jpeg = {"JPEG", 8, jpeg_knows, jpeg_measure, jpeg_decode};

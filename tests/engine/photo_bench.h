/*
 * Photographs to test with: a scene of smooth ground, texture and hard rims, written as JPEG in every way that decoders
 * treat differently.
 */
#ifndef MEWS_TESTS_PHOTO_BENCH_H
#define MEWS_TESTS_PHOTO_BENCH_H

#include "engine/rng.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct jpeg_kind {
    const char *name;
    int components;   /* 1 grey, 3 YCbCr, 4 Adobe's inverted CMYK */
    int across, down; /* sampling factors of the first component; the others have 1×1 */
    int scans;        /* 0: baseline; 1: progressive; 2: progressive, the last bits of its coefficients never sent */
    int restart;      /* rows of blocks between restart markers; 0: none */
    int orientation;  /* EXIF's; 0: none written */
    int quality;
} jpeg_kind;

static const jpeg_kind jpeg_kinds[] = {
    {"4:4:4", 3, 1, 1, 0, 0, 0, 90},
    {"4:2:2", 3, 2, 1, 0, 0, 0, 85},
    {"4:2:0", 3, 2, 2, 0, 0, 0, 85},
    {"4:4:0", 3, 1, 2, 0, 0, 0, 85},
    {"4:1:1", 3, 4, 1, 0, 0, 0, 85},
    {"4:1:0", 3, 4, 2, 0, 0, 0, 70},
    {"grey", 1, 1, 1, 0, 0, 0, 85},
    {"CMYK", 4, 1, 1, 0, 0, 0, 90},
    {"CMYK 4:2:0", 4, 2, 2, 0, 0, 0, 90},
    {"4:2:0, restarts", 3, 2, 2, 0, 1, 0, 85},
    {"4:2:0, progressive", 3, 2, 2, 1, 0, 0, 85},
    {"4:4:4, progressive", 3, 1, 1, 1, 0, 0, 85},
    {"grey, progressive", 1, 1, 1, 1, 0, 0, 85},
    {"4:2:0, bits missing", 3, 2, 2, 2, 0, 0, 30},
};
enum { JPEG_KINDS = sizeof jpeg_kinds / sizeof *jpeg_kinds };

static inline void photo_scene(uint32_t key, int width, int height, uint8_t *rgb) {
    rng r = rng_stream(1, RNG_TEST, 1, key, 0);
    double wave[6];
    for (int i = 0; i < 6; i++) wave[i] = rng_between(&r, 0.02, 0.5);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                bool disc = hypot(x - 0.6 * width, y - 0.4 * height) < 0.2 * height;
                double v = 128 + 70 * sin(wave[c] * x + key) + 40 * cos(wave[c + 3] * y) + rng_between(&r, -12, 12);
                rgb[3 * (y * width + x) + c] = (uint8_t)(disc ? 40 + 90 * c : v < 0 ? 0 : v > 255 ? 255 : v);
            }
}

static inline void photo_write_exif(struct jpeg_compress_struct *c, int orientation) {
    uint8_t exif[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42,
                      0,   0,    0,   8,   0, 1, /* one entry: */
                      1,   0x12, 0,   3,   0, 0, 0,   1,   0, (uint8_t)orientation,
                      0,   0,    0,   0,   0, 0};
    jpeg_write_marker(c, JPEG_APP0 + 1, exif, sizeof exif);
}

/* Scene `key` as a JPEG file; free() it. */
static inline uint8_t *photo_jpeg(const jpeg_kind *kind, uint32_t key, int width, int height, size_t *size) {
    static const jpeg_scan_info coarse[] = {
        {3, {0, 1, 2}, 0, 0, 0, 1}, {1, {0}, 1, 5, 0, 2}, {1, {1}, 1, 63, 0, 1}, {1, {2}, 1, 63, 0, 1}};
    struct jpeg_compress_struct c = {0};
    struct jpeg_error_mgr errors;
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3), *line = malloc((size_t)width * 4), *file = NULL;
    unsigned long bytes = 0;
    photo_scene(key, width, height, rgb);
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &file, &bytes);
    c.image_width = (JDIMENSION)width, c.image_height = (JDIMENSION)height;
    c.input_components = kind->components;
    c.in_color_space = kind->components == 1 ? JCS_GRAYSCALE : kind->components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&c);
    if (kind->components == 4) jpeg_set_colorspace(&c, JCS_YCCK);
    jpeg_set_quality(&c, kind->quality, TRUE);
    c.comp_info[0].h_samp_factor = kind->across, c.comp_info[0].v_samp_factor = kind->down;
    if (kind->components == 4) c.comp_info[3].h_samp_factor = kind->across, c.comp_info[3].v_samp_factor = kind->down;
    if (kind->scans == 1) jpeg_simple_progression(&c);
    if (kind->scans == 2) c.scan_info = coarse, c.num_scans = 4;
    c.restart_in_rows = kind->restart;
    jpeg_start_compress(&c, TRUE);
    if (kind->orientation) photo_write_exif(&c, kind->orientation);
    for (int y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * (size_t)width * 3;
        for (int x = 0; x < width; x++)
            for (int k = 0; k < kind->components; k++)
                line[x * kind->components + k] = k < 3 ? row[3 * x + k] : (uint8_t)(200 - x % 64);
        jpeg_write_scanlines(&c, &line, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(rgb);
    free(line);
    *size = bytes;
    return file;
}

#endif

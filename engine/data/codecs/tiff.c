/*
 * TIFF by libtiff, its first image, through the interface that turns every photometric interpretation into RGB. Alpha
 * is dropped, not multiplied in; samples of 16 bits are rounded to their upper 8; floating-point samples are refused
 * (what their white is, only their writer knows).
 */
#include "engine/data/codecs/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

enum { MOST_BYTES = 1 << 29 }; /* that libtiff may ask for at once */

/* A file in memory, as libtiff reads it. */
typedef struct tiff_memory {
    const uint8_t *data;
    uint64_t size, at;
    error *err;
} tiff_memory;

static tmsize_t take(thandle_t handle, void *out, tmsize_t bytes) {
    tiff_memory *m = handle;
    uint64_t left = m->at < m->size ? m->size - m->at : 0, n = (uint64_t)bytes < left ? (uint64_t)bytes : left;
    if (n) memcpy(out, m->data + m->at, n);
    m->at += n;
    return (tmsize_t)n;
}

static tmsize_t refuse_write(thandle_t handle, void *data, tmsize_t bytes) {
    (void)handle, (void)data, (void)bytes;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    tiff_memory *m = handle;
    m->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? m->at + offset : m->size + offset;
    return m->at;
}

static int close_memory(thandle_t handle) { return (void)handle, 0; }
static toff_t size_of(thandle_t handle) { return ((tiff_memory *)handle)->size; }

static int on_error(TIFF *tiff, void *context, const char *module, const char *format, va_list args) {
    char text[192];
    tiff_memory *m = context;
    (void)tiff, (void)module;
    vsnprintf(text, sizeof text, format, args);
    error_set(m->err, ERROR_RUN, "%s", text);
    return 1;
}

static int on_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list args) {
    (void)tiff, (void)context, (void)module, (void)format, (void)args;
    return 1;
}

static TIFF *open_tiff(tiff_memory *m) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return error_memory(m->err, 1 << 12, "a TIFF reader"), NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, MOST_BYTES);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, m);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, NULL);
    TIFF *tiff =
        TIFFClientOpenExt("image", "rm", m, take, refuse_write, seek, close_memory, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (!tiff) error_set(m->err, ERROR_RUN, "no TIFF that can be read");
    return tiff;
}

static bool read_header(TIFF *tiff, codec_header *out, error *err) {
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1, bits = 1;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    if (!codec_check_size(width, height, err)) return false;
    if (!TIFFGetField(tiff, TIFFTAG_ORIENTATION, &orientation) || orientation < 1 || orientation > 8) orientation = 1;
    *out = (codec_header){.width = (int)width, .height = (int)height, .orientation = orientation, .deep = bits > 8};
    return true;
}

static bool tiff_knows(const uint8_t *data, size_t size) {
    return size >= 4 && (memcmp(data, "II*\0", 4) == 0 || memcmp(data, "MM\0*", 4) == 0 ||
                         memcmp(data, "II+\0", 4) == 0 || memcmp(data, "MM\0+", 4) == 0);
}

static bool tiff_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    tiff_memory m = {.data = data, .size = size, .err = err};
    TIFF *tiff = open_tiff(&m);
    if (!tiff) return false;
    bool done = read_header(tiff, out, err);
    TIFFClose(tiff);
    return done;
}

/* The image as it is stored: with the orientation gone nothing is turned, and associated alpha is left as it is. */
static bool read_pixels(TIFF *tiff, const codec_header *h, uint32_t *raster, error *err) {
    uint16_t extra = 0, *kinds = NULL, associated[8];
    if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds) && extra >= 1 && extra <= 8) {
        for (int i = 0; i < extra; i++) associated[i] = EXTRASAMPLE_ASSOCALPHA;
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, extra, associated);
    }
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (TIFFReadRGBAImageOriented(tiff, (uint32_t)h->width, (uint32_t)h->height, raster, ORIENTATION_TOPLEFT, 1) &&
        !err->code)
        return true;
    return error_set(err, ERROR_RUN, "a TIFF of a kind that is not read, or damaged");
}

static bool tiff_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    codec_header h;
    uint32_t *raster = NULL;
    tiff_memory m = {.data = data, .size = size, .err = err};
    (void)shrink;
    TIFF *tiff = open_tiff(&m);
    bool done = tiff && read_header(tiff, &h, err);
    size_t pixels = done ? (size_t)h.width * (size_t)h.height : 0;
    if (done && !(raster = calloc(pixels, sizeof *raster)))
        done = error_memory(err, pixels * sizeof *raster, "a TIFF's pixels");
    done = done && read_pixels(tiff, &h, raster, err);
    if (tiff) TIFFClose(tiff);
    out->stride = done ? (size_t)h.width * 3 : 0;
    done = done && codec_reserve(out, pixels * 3, err);
    for (size_t i = 0; done && i < pixels; i++) {
        uint8_t *rgb = out->memory + 3 * i;
        rgb[0] = TIFFGetR(raster[i]), rgb[1] = TIFFGetG(raster[i]), rgb[2] = TIFFGetB(raster[i]);
    }
    free(raster);
    return done && codec_cut(out, &h, box, err);
}

const codec codec_tiff = {"TIFF", 1, tiff_knows, tiff_measure, tiff_decode};

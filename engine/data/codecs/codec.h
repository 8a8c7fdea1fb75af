/*
 * What photo.c asks of the decoders (jpeg.c, png.c, webp.c, tiff.c, bmp.c, pnm.c), each a row of the table `codec`: an
 * image's size and EXIF orientation from its header, and the pixels of a box. Everything in a file is taken for
 * hostile: sizes are checked before memory is asked for, and a decoder's jump on an error never leaves its file.
 */
#ifndef MEWS_CODEC_H
#define MEWS_CODEC_H

#include "engine/data/images.h"

typedef struct codec_header {
    int width, height;
    int orientation; /* 1 … 8 as EXIF counts them; 1 = as it lies, also where nothing is said */
    bool deep;       /* samples of more than 8 bits, of which the upper 8 are taken */
} codec_header;

/* Decoded pixels in memory that is used again from call to call; free(memory). Zero to begin with. */
typedef struct codec_pixels {
    uint8_t *memory;
    size_t capacity;
    const uint8_t *corner; /* pixel (left, top) of the box that was asked for, RGB */
    size_t stride;         /* bytes from row to row */
} codec_pixels;

bool codec_reserve(codec_pixels *p, size_t bytes, error *err);

/* An error for 0 and for more than IMAGE_MAX_PIXELS. */
bool codec_check_size(uint64_t width, uint64_t height, error *err);

/* What `bytes` of EXIF (from its TIFF header on) say of the orientation. */
int codec_orientation(const uint8_t *exif, size_t bytes);

/* Sets the corner to the box's, of pixels that were decoded whole. */
bool codec_cut(codec_pixels *p, const codec_header *h, resize_box box, error *err);

typedef struct codec {
    const char *name;
    int most_shrink;                                 /* it can decode 1, 2, 4, … so many times smaller */
    bool (*knows)(const uint8_t *data, size_t size); /* by the first bytes */
    bool (*measure)(const uint8_t *data, size_t size, codec_header *out, error *err);
    /*
     * The pixels of `box` of the image shrunk 1, 2, 4 or 8 times (sides rounded up), in stored orientation. At 1 they
     * are those of the whole image, bit for bit. A box that is the whole image is read to the file's end.
     */
    bool (*decode)(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err);
} codec;

extern const codec codec_jpeg, codec_png, codec_webp, codec_tiff, codec_bmp, codec_pnm;

#endif

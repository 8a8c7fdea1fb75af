/*
 * Images as pixels: JPEG and PNG files in memory to 8-bit RGB (photo.h says which bytes), and the fit of any image into
 * a square, as torchvision's Resize and CenterCrop do it. What is in a file is taken for hostile.
 */
#ifndef MEWS_IMAGES_H
#define MEWS_IMAGES_H

#include "engine/data/views/resize.h"
#include "engine/error.h"

#include <stdint.h>

enum { IMAGE_MAX_PIXELS = 64 << 20, IMAGE_MAX_ELONGATION = 100 };

typedef struct image {
    int width, height;
    uint8_t *pixels; /* height×width×3, row-major RGB; free with image_free */
} image;

/*
 * A whole file. One that breaks off, is corrupt or holds more than IMAGE_MAX_PIXELS is an error; the size is checked
 * before anything is decoded.
 */
bool image_decode(const uint8_t *data, size_t size, image *out, error *err);
void image_free(image *i);

/*
 * The image with its short side brought to `shortest` ≥ side by bicubic resize and the middle square cut out, into
 * side×side×3 bytes. An image of just that size is copied. image_fits: can it be done, or is the image too long?
 */
bool image_fit(resizer *r, const image *from, int shortest, int side, uint8_t *target, error *err);
bool image_fits(int width, int height, error *err);

#endif

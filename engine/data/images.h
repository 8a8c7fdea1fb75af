/*
 * JPEG and PNG files in memory to 8-bit RGB, with the bytes that Pillow's open(...).convert('RGB') gives; and the fit
 * of any image into a square, as torchvision's Resize and CenterCrop do it. What is in a file is taken for hostile.
 */
#ifndef MEWS_IMAGES_H
#define MEWS_IMAGES_H

#include "engine/data/resize.h"
#include "engine/error.h"

#include <stdint.h>

enum { IMAGE_MAX_PIXELS = 64 << 20, IMAGE_MAX_ELONGATION = 100 };

typedef struct image {
    int width, height;
    uint8_t *pixels; /* height×width×3, row-major RGB; free with image_free */
} image;

/*
 * Which of the two it is, its first bytes tell. Greyscale is spread over the channels, CMYK converted, palettes looked
 * up, 16 bits cut to their upper 8, alpha dropped. A file that breaks off, is corrupt or holds more than
 * IMAGE_MAX_PIXELS is an error; the size is checked before anything is decoded.
 */
bool image_decode(const uint8_t *data, size_t size, image *out, error *err);
void image_free(image *i);

/*
 * The image with its short side brought to `side` by bicubic resize and the middle square cut out, into
 * side×side×3 bytes. An image of just that size is copied.
 */
bool image_fit(resizer *r, const image *from, int side, uint8_t *target, error *err);

#endif

/*
 * Antialiased resize of 8-bit RGB images, bit for bit what Pillow's Image.crop(box).resize(size, BICUBIC or BILINEAR)
 * gives: two passes, horizontal first, in fixed point with 22 fractional bits, the result of the first rounded to 8
 * bits. When shrinking, the kernel widens with the scale, which is what makes it antialiased.
 */
#ifndef MEWS_RESIZE_H
#define MEWS_RESIZE_H

#include "engine/error.h"

#include <stdint.h>

enum { RESIZE_MAX_RESERVED = 512 }; /* sides whose tables a resizer keeps apart */

/* Pixels of the source that are looked at; nothing outside the box has any influence. */
typedef struct resize_box {
    int left, top, width, height;
} resize_box;

/* Scratch memory and coefficient tables of one thread. */
typedef struct resizer resizer;

typedef enum resize_kernel { RESIZE_BICUBIC, RESIZE_BILINEAR } resize_kernel;

resizer *resizer_create(resize_kernel kernel, error *err);
void resizer_destroy(resizer *r);

/*
 * Makes ready for every box of sides 1 … source (≤ RESIZE_MAX_RESERVED) and targets of side `target`: from then on
 * such a resize allocates nothing and cannot fail.
 */
bool resizer_reserve(resizer *r, int source, int target, error *err);

/*
 * source: RGB rows `stride` bytes apart; box: inside it, not empty; target: height×width×3 bytes, apart from source.
 * `flip` mirrors the result left to right. Fails only for want of memory.
 */
bool resize_image(resizer *r, const uint8_t *source, size_t stride, resize_box box, bool flip, uint8_t *target,
                  int width, int height, error *err);

#endif

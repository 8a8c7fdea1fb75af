/*
 * Gaussian blur as Pillow's ImageFilter.GaussianBlur: three passes of an extended box filter each way (Gwosdek et al.,
 * SSVM 2011), every pass rounded to bytes. Byte for byte the same for the same sigma.
 */
#ifndef MEWS_BLUR_H
#define MEWS_BLUR_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of scratch memory that blurring square planes of this side takes. */
size_t blur_scratch(int side);

/* planes: (3, side, side), blurred in place; sigma > 0 in pixels; scratch: as above. */
void blur_gaussian(uint8_t *planes, int side, double sigma, uint8_t *scratch);

#endif

/*
 * 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct sum's products. Images are in blocks
 * of channels, weights as PyTorch writes them (out, in, 3, 3). The bits depend on the shape alone, not on the number
 * of threads. Where both sides are stored in bfloat16 and the processor multiplies it (AVX512-BF16), so do these.
 */
#ifndef MEWS_WINOGRAD_H
#define MEWS_WINOGRAD_H

#include "engine/cpu/convolution.h"

/* Whether these kernels take the shape: images in blocks of channels. */
bool winograd_takes(const conv_shape *s);

/* y = x * weights + bias (may be NULL). */
bool winograd_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y);
/* The gradients with respect to x and weights; added to what is there when `add`. */
bool winograd_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add);
bool winograd_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add);

#endif

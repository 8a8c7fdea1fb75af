/*
 * 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct sum's products. Images are in blocks
 * of 16 channels, weights as PyTorch writes them (out, in, 3, 3). The bits depend on the shape alone, not on the number
 * of threads.
 */
#ifndef MEWS_WINOGRAD_H
#define MEWS_WINOGRAD_H

#include "engine/cpu/cpu.h"

typedef struct winograd_shape {
    int64_t n, h, w, in, out, padding;
} winograd_shape;

/* Whether these kernels take the shape: 512-bit registers, channels in blocks of 16. */
bool winograd_takes(const winograd_shape *s, int in_lanes, int out_lanes, int64_t window, int64_t stride);

/* y (n, h', w', out) = x * weights + bias (may be NULL), h' = h + 2·padding − 2. */
bool winograd_forward(backend *b, const winograd_shape *s, const real *x, const real *weights, const real *bias,
                      real *y);
/* dx (n, h, w, in) from dy (n, h', w', out); added to dx when `add`. */
bool winograd_data(backend *b, const winograd_shape *s, const real *dy, const real *weights, real *dx, bool add);
/* dw (out, in, 3, 3), added when `add`. */
bool winograd_weights(backend *b, const winograd_shape *s, const real *x, const real *dy, real *dw, bool add);

#endif

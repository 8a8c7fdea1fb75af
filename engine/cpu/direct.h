/*
 * Convolutions of any window, stride and padding over images in blocks of channels, as direct sums; the bits do not
 * depend on the number of threads.
 */
#ifndef MEWS_DIRECT_H
#define MEWS_DIRECT_H

#include "engine/cpu/convolution.h"

bool direct_takes(const conv_shape *s);

/* y = x * weights (out, in, window, window) + bias (may be NULL). */
bool direct_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y);
/* The gradients with respect to x and weights; added to what is there when `add`. */
bool direct_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add);
bool direct_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add);

#endif

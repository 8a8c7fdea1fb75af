/* 1×1 convolutions over images in blocks of 16 channels; the bits do not depend on the number of threads. */
#ifndef MEWS_POINTWISE_H
#define MEWS_POINTWISE_H

#include "engine/cpu/convolution.h"

bool pointwise_takes(const conv_shape *s);

/* y = x · weights (out, in) + bias (may be NULL). */
bool pointwise_forward(backend *b, const conv_shape *s, const real *x, const real *weights, const real *bias, real *y);
/* The gradients with respect to x and weights; added to what is there when `add`. */
bool pointwise_data(backend *b, const conv_shape *s, const real *dy, const real *weights, real *dx, bool add);
bool pointwise_weights(backend *b, const conv_shape *s, const real *x, const real *dy, real *dw, bool add);

#endif

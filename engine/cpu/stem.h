/*
 * A network's first convolution: pixels of few channels, plane by plane, into images in blocks of channels. Pixels take
 * no gradient while a network trains, so there is none with respect to x. The bits do not depend on the number of
 * threads.
 */
#ifndef MEWS_STEM_H
#define MEWS_STEM_H

#include "engine/cpu/convolution.h"

bool stem_takes(const conv_shape *s);

/* y = x * weights (out, in, window, window) + bias (may be NULL). */
bool stem_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y);
/* The gradient with respect to the weights; added to what is there when `add`. */
bool stem_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add);

#endif

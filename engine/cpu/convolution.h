/*
 * What the convolution kernel (convolution.c) chooses from: oneDNN's direct sums for any shape, and Winograd's
 * algorithm (winograd.h) for the shapes where it needs a quarter of the products.
 */
#ifndef MEWS_CONVOLUTION_H
#define MEWS_CONVOLUTION_H

#include "engine/cpu/cpu.h"

/* Compared bytewise: clear it before filling it in. */
typedef struct conv_shape {
    int64_t n, h, w, in, out, window, stride, padding, out_h, out_w;
    int in_lanes, out_lanes, bias; /* lanes of the images; whether there is a bias */
} conv_shape;

/* Images in the layout of cpu.h, weights (out, in, window, window), bias (out) or NULL; results are written, not added.
 */
bool onednn_forward(backend *b, const conv_shape *s, real *x, real *weights, real *bias, real *y);
bool onednn_data(backend *b, const conv_shape *s, real *dy, real *weights, real *dx);
bool onednn_weights(backend *b, const conv_shape *s, real *x, real *dy, real *dw, real *dbias);

#endif

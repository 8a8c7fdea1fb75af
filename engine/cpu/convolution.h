/*
 * What the convolution kernel (convolution.c) chooses from beside Winograd's algorithm (winograd.h), direct sums over
 * blocks of channels (direct.h), those by the processor's tiles (tiles.h) and the first layer's (stem.h): oneDNN, for
 * any shape. And the notes of what was chosen.
 */
#ifndef MEWS_CONVOLUTION_H
#define MEWS_CONVOLUTION_H

#include "engine/cpu/cpu.h"

/* Compared bytewise: clear it before filling it in. */
typedef struct conv_shape {
    int64_t n, h, w, in, out, window, stride, padding, out_h, out_w;
    int in_lanes, out_lanes, bias; /* lanes of the images; whether there is a bias */
    int in_brief, out_brief;       /* whether images are stored in bfloat16, values and gradients alike */
} conv_shape;

/* Images of reals in the layout of cpu.h, weights (out, in, window, window), bias (out) or NULL; results are written,
 * not added. */
bool onednn_forward(backend *b, const conv_shape *s, real *x, real *weights, real *bias, real *y);
bool onednn_data(backend *b, const conv_shape *s, real *dy, real *weights, real *dx);
bool onednn_weights(backend *b, const conv_shape *s, real *x, real *dy, real *dw, real *dbias);

/* conv_notes.c: the kernel that computed a pass of a convolution; its name must outlive the backend. */
typedef enum conv_pass { CONV_FORWARD, CONV_DATA, CONV_WEIGHTS, CONV_PASSES } conv_pass;
void conv_note(backend *b, const conv_shape *s, conv_pass pass, const char *kernel);

#endif

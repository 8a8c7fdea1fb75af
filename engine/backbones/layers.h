/*
 * What the networks here are made of: a convolution with the BatchNorm behind it, or a bias instead, and two of them
 * beside a shortcut. Parameters have torchvision's names, so that weights can be told apart and compared.
 */
#ifndef MEWS_BACKBONE_LAYERS_H
#define MEWS_BACKBONE_LAYERS_H

#include "engine/backbones/kind.h"

/* `norm` is used where the layer was made with one, `bias` otherwise. */
typedef struct layer {
    tensor *weight, *bias;
    batchnorm norm;
    int stride, padding;
} layer;

typedef struct residual {
    layer conv1, conv2, conv3, shortcut; /* conv3: of a bottleneck */
    bool projects;                       /* shortcut is a layer rather than the identity */
} residual;

/* The convolution "<conv>.weight" (out, in, window, window) and the BatchNorm "<norm>.…", or, `norm` NULL,
 * "<conv>.bias". `he`: torchvision's start for ResNets, normal over fan-out; else PyTorch's for a plain layer, uniform
 * ±1/√fan-in. */
bool layer_add(parameters *p, const char *conv, const char *norm, bool he, int64_t in, int64_t out, int window,
               int stride, layer *l, error *err);

/* The convolution alone. */
tensor *layer_conv(tape *t, const layer *l, tensor *x);

/* Convolution, BatchNorm over each of `groups` runs of samples, plus `shortcut` (or NULL), ReLU if asked for. */
tensor *layer_forward(tape *t, const layer *l, tensor *x, tensor *shortcut, bool relu, int groups, bool training);

#endif

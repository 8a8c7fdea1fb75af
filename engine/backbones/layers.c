#include "engine/backbones/layers.h"

#include <math.h>
#include <stdio.h>

bool layer_add(parameters *p, const char *conv, const char *norm, bool he, int64_t in, int64_t out, int window,
               int stride, layer *l, error *err) {
    char name[96];
    double fan_in = (double)(in * window * window), fan_out = (double)(out * window * window);
    l->stride = stride;
    l->padding = window / 2;
    snprintf(name, sizeof name, "%s.weight", conv);
    l->weight = parameters_add(p, name, ROLE_WEIGHT, 4, (int64_t[]){out, in, window, window},
                               he ? INIT_NORMAL : INIT_UNIFORM, he ? sqrt(2 / fan_out) : 1 / sqrt(fan_in), err);
    if (!l->weight) return false;
    if (norm) return parameters_batchnorm(p, norm, out, true, &l->norm, err);
    snprintf(name, sizeof name, "%s.bias", conv);
    l->bias = parameters_add(p, name, ROLE_BIAS, 2, (int64_t[]){1, out}, INIT_UNIFORM, 1 / sqrt(fan_in), err);
    return l->bias != NULL;
}

tensor *layer_conv(tape *t, const layer *l, tensor *x) {
    return op_conv2d(t, x, l->weight, l->bias, l->stride, l->padding);
}

tensor *layer_forward(tape *t, const layer *l, tensor *x, tensor *shortcut, bool relu, int groups, bool training) {
    return op_batchnorm(t, layer_conv(t, l, x), &l->norm, shortcut, relu, groups, training);
}

/*
 * The preprint's ResNet-8, after the GEDI paper: four residual blocks of width F with biases and LeakyReLU 0.2, without
 * BatchNorm; the first two halve the image; d = F.
 */
#include "engine/backbones/layers.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 4, LAST_POOL = 1 };

typedef struct falcon8 {
    residual block[BLOCKS];
} falcon8;

static bool build_blocks(falcon8 *net, parameters *p, const char *prefix, int64_t width, error *err) {
    for (int i = 0; i < BLOCKS; i++) {
        residual *b = &net->block[i];
        char name[80];
        int64_t in = i ? width : 3;
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "%s.%d.c%d", prefix, i, k + 1);
            if (!layer_add(p, name, NULL, false, k ? width : in, width, 3, 1, k ? &b->conv2 : &b->conv1, err))
                return false;
        }
        b->projects = in != width;
        snprintf(name, sizeof name, "%s.%d.sc", prefix, i);
        if (b->projects && !layer_add(p, name, NULL, false, in, width, 1, 1, &b->shortcut, err)) return false;
    }
    return true;
}

static void *build(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                   error *err) {
    if (o->stem == STEM_IMAGENET) {
        error_set(err, ERROR_USAGE, "backbone.stem imagenet is for the ResNets; falcon8 begins with a block");
        return NULL;
    }
    falcon8 *net = calloc(1, sizeof *net);
    if (!net) return error_memory(err, sizeof *net, "the backbone"), NULL;
    *features = (int)width;
    if (build_blocks(net, p, prefix, width, err)) return net;
    free(net);
    return NULL;
}

/* Blocks after the first start with the activation; the first two halve the image, shortcut and all. */
static tensor *block(tape *t, const residual *b, tensor *x, int index) {
    tensor *active = index ? op_leaky_relu(t, x, 0.2) : x;
    tensor *h = layer_conv(t, &b->conv1, active);
    if (index) tape_forget(t, active);
    active = op_leaky_relu(t, h, 0.2);
    h = layer_conv(t, &b->conv2, active);
    tape_forget(t, active);
    if (index > LAST_POOL) return op_add(t, h, x);
    tensor *pooled = op_avg_pool(t, x, 2);
    return op_add(t, op_avg_pool(t, h, 2), b->projects ? layer_conv(t, &b->shortcut, pooled) : pooled);
}

static tensor *forward(const void *network, tape *t, tensor *images, int groups, bool training) {
    const falcon8 *net = network;
    tensor *x = images;
    (void)groups, (void)training; /* no BatchNorm */
    for (int i = 0; i < BLOCKS; i++) {
        x = block(t, &net->block[i], x, i);
        tape_tell(t, (tape_layer){.value = x}, "block%d", i);
    }
    return op_global_pool(t, op_leaky_relu(t, x, 0.2));
}

const backbone_kind backbone_falcon8 = {
    .summary = "four residual blocks without BatchNorm, LeakyReLU 0.2: the preprint's ResNet-8, after the GEDI paper",
    .width = 128,
    .build = build,
    .forward = forward,
};

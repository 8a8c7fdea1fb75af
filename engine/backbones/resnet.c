/*
 * ResNets of basic blocks, under torchvision's names.
 *   resnet8   3×3 conv W, then a block each of width W, 2W (stride 2), 4W (stride 2); d = 4W
 *   resnet18  3×3 conv W, then two blocks each of W, 2W, 4W, 8W; d = 8W
 * The first convolution is the CIFAR stem, which keeps the image's size; the ImageNet stem, 7×7 of stride 2 and a 3×3
 * max pool of stride 2, leaves a sixteenth of the pixels. A resnet18 with that is torchvision's.
 */
#include "engine/backbones/layers.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BLOCKS = 8 };

typedef struct resnet {
    int blocks;
    bool pools; /* behind the stem */
    layer stem;
    residual block[MAX_BLOCKS];
} resnet;

/* Building -------------------------------------------------------------------------------------------------------- */

static bool add_basic_block(parameters *p, const char *name, int64_t in, int64_t out, int stride, residual *b,
                            error *err) {
    char conv[80], norm[80];
    for (int i = 0; i < 2; i++) {
        snprintf(conv, sizeof conv, "%s.conv%d", name, i + 1);
        snprintf(norm, sizeof norm, "%s.bn%d", name, i + 1);
        if (!layer_add(p, conv, norm, true, i ? out : in, out, 3, i ? 1 : stride, i ? &b->conv2 : &b->conv1, err))
            return false;
    }
    b->projects = stride != 1 || in != out;
    if (!b->projects) return true;
    snprintf(conv, sizeof conv, "%s.downsample.0", name);
    snprintf(norm, sizeof norm, "%s.downsample.1", name);
    return layer_add(p, conv, norm, true, in, out, 1, stride, &b->shortcut, err);
}

/* `stages` of `depth` blocks each, every one twice as wide as the one before. */
static bool build_stages(resnet *net, parameters *p, const char *prefix, int64_t width, int stages, int depth,
                         const backbone_options *options, int *features, error *err) {
    char name[64], norm[64];
    snprintf(name, sizeof name, "%s.conv1", prefix);
    snprintf(norm, sizeof norm, "%s.bn1", prefix);
    net->pools = options->stem == STEM_IMAGENET;
    bool he = options->stem_init == STEM_TORCHVISION;
    if (!layer_add(p, name, norm, he, 3, width, net->pools ? 7 : 3, net->pools ? 2 : 1, &net->stem, err)) return false;
    if (!net->pools && depth == 2) net->stem.padding = (int)options->stem_padding;
    int64_t in = width;
    for (int s = 0; s < stages; s++)
        for (int i = 0; i < depth; i++) {
            int64_t out = width << s;
            snprintf(name, sizeof name, "%s.layer%d.%d", prefix, s + 1, i);
            if (!add_basic_block(p, name, in, out, s > 0 && i == 0 ? 2 : 1, &net->block[net->blocks++], err))
                return false;
            in = out;
        }
    *features = (int)in;
    return true;
}

static void *build(const backbone_options *o, int64_t width, int stages, int depth, parameters *p, const char *prefix,
                   int *features, error *err) {
    resnet *net = calloc(1, sizeof *net);
    if (!net) return error_memory(err, sizeof *net, "the backbone"), NULL;
    if (build_stages(net, p, prefix, width, stages, depth, o, features, err)) return net;
    free(net);
    return NULL;
}

static void *build8(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                    error *err) {
    return build(o, width, 3, 1, p, prefix, features, err);
}

static void *build18(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                     error *err) {
    return build(o, width, 4, 2, p, prefix, features, err);
}

/* Forward --------------------------------------------------------------------------------------------------------- */

/*
 * What BatchNorm and activations write is forgotten once the last layer has read it: backward makes it again from the
 * convolutions' outputs, which halves the activations' memory for a few percent of a step.
 */
static tensor *basic_block(tape *t, const residual *b, tensor *x, int groups, bool training) {
    tensor *shortcut = x;
    if (b->projects) shortcut = layer_forward(t, &b->shortcut, x, NULL, false, groups, training);
    tensor *h = layer_forward(t, &b->conv1, x, NULL, true, groups, training);
    tensor *g = layer_conv(t, &b->conv2, h);
    tape_forget(t, h);
    tensor *y = op_batchnorm(t, g, &b->conv2.norm, shortcut, true, groups, training);
    tape_forget(t, shortcut);
    tape_forget(t, x);
    return y;
}

static tensor *forward(const void *network, tape *t, tensor *images, int groups, bool training) {
    const resnet *net = network;
    tensor *x = layer_forward(t, &net->stem, images, NULL, true, groups, training);
    if (net->pools) {
        tensor *whole = x;
        x = op_max_pool(t, whole, 3, 2, 1);
        tape_forget(t, whole);
    }
    for (int i = 0; i < net->blocks; i++) x = basic_block(t, &net->block[i], x, groups, training);
    return op_global_pool(t, x);
}

const backbone_kind backbone_resnet8 = {
    .summary = "3x3 conv and one basic block each of width W, 2W, 4W; BatchNorm and ReLU",
    .width = 16,
    .build = build8,
    .forward = forward,
};

const backbone_kind backbone_resnet18 = {
    .summary = "ResNet-18; the CIFAR stem (3x3 conv, no max pool), or backbone.stem imagenet",
    .width = 64,
    .build = build18,
    .forward = forward,
};

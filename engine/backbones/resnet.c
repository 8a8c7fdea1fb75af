/*
 * ResNets under torchvision's names.
 *   resnet8   3×3 conv W, then a basic block each of width W, 2W (stride 2), 4W (stride 2); d = 4W
 *   resnet18  3×3 conv W, then two basic blocks each of W, 2W, 4W, 8W; d = 8W
 *   resnet50  3×3 conv W, then 3, 4, 6 and 3 bottlenecks of W, 2W, 4W, 8W, four times as wide at their ends; d = 32W.
 *             The stride is the 3×3 convolution's, as torchvision and NVIDIA have it (v1.5)
 * The first convolution is the CIFAR stem, which keeps the image's size; the ImageNet stem, 7×7 of stride 2 and a 3×3
 * max pool of stride 2, leaves a sixteenth of the pixels. resnet18 and resnet50 with that are torchvision's.
 */
#include "engine/backbones/layers.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BLOCKS = 16, MAX_STAGES = 4, WIDER = 4 };

typedef struct plan {
    int depth[MAX_STAGES]; /* blocks of each stage; 0: there are no more */
    bool bottleneck;
} plan;

typedef struct block {
    residual layers;
    int stage, index; /* of its name, from 1 and from 0 */
} block;

typedef struct resnet {
    plan plan;
    int blocks;
    bool pools; /* behind the stem */
    layer stem;
    block block[MAX_BLOCKS];
} resnet;

/* Building -------------------------------------------------------------------------------------------------------- */

typedef struct builder {
    parameters *parameters;
    const backbone_options *options;
    error *err;
} builder;

/* "<name>.conv<number>" and the BatchNorm behind it. */
static bool add_layer(const builder *to, const char *name, int number, int64_t in, int64_t out, int window, int stride,
                      layer *l) {
    char conv[80], norm[80];
    snprintf(conv, sizeof conv, "%s.conv%d", name, number);
    snprintf(norm, sizeof norm, "%s.bn%d", name, number);
    return layer_add(to->parameters, conv, norm, true, in, out, window, stride, l, to->err);
}

/* A block begins as the identity where its last BatchNorm's weights are 0 (Goyal et al. 2017). */
static void start_at_identity(const builder *to, layer *last) {
    backend *b = to->parameters->backend;
    tensor *weight = last->norm.gamma;
    if (to->options->zero_init_residual) b->fill(b, weight->data, 0, tensor_count(weight));
}

/* in → out channels; `width` those between. */
static bool add_block(const builder *to, const char *name, bool bottleneck, int64_t in, int64_t width, int64_t out,
                      int stride, residual *b) {
    char conv[80], norm[80];
    bool ok = bottleneck ? add_layer(to, name, 1, in, width, 1, 1, &b->conv1) &&
                               add_layer(to, name, 2, width, width, 3, stride, &b->conv2) &&
                               add_layer(to, name, 3, width, out, 1, 1, &b->conv3)
                         : add_layer(to, name, 1, in, width, 3, stride, &b->conv1) &&
                               add_layer(to, name, 2, width, out, 3, 1, &b->conv2);
    if (!ok) return false;
    start_at_identity(to, bottleneck ? &b->conv3 : &b->conv2);
    b->projects = stride != 1 || in != out;
    if (!b->projects) return true;
    snprintf(conv, sizeof conv, "%s.downsample.0", name);
    snprintf(norm, sizeof norm, "%s.downsample.1", name);
    return layer_add(to->parameters, conv, norm, true, in, out, 1, stride, &b->shortcut, to->err);
}

static bool add_stem(const builder *to, const char *prefix, int64_t width, resnet *net) {
    const backbone_options *o = to->options;
    char conv[80], norm[80];
    snprintf(conv, sizeof conv, "%s.conv1", prefix);
    snprintf(norm, sizeof norm, "%s.bn1", prefix);
    net->pools = o->stem == STEM_IMAGENET;
    bool he = o->stem_init == STEM_TORCHVISION, whole = net->plan.depth[0] > 1;
    if (!layer_add(to->parameters, conv, norm, he, 3, width, net->pools ? 7 : 3, net->pools ? 2 : 1, &net->stem,
                   to->err))
        return false;
    if (!net->pools && whole) net->stem.padding = (int)o->stem_padding;
    return true;
}

/* Stages of blocks, every one twice as wide as the one before. */
static bool add_stages(const builder *to, const char *prefix, int64_t width, resnet *net, int *features) {
    const plan *with = &net->plan;
    int64_t in = width;
    for (int s = 0; s < MAX_STAGES && with->depth[s]; s++)
        for (int i = 0; i < with->depth[s]; i++) {
            char name[64];
            block *b = &net->block[net->blocks++];
            int64_t own = width << s, out = own * (with->bottleneck ? WIDER : 1);
            b->stage = s + 1, b->index = i;
            snprintf(name, sizeof name, "%s.layer%d.%d", prefix, b->stage, b->index);
            if (!add_block(to, name, with->bottleneck, in, own, out, s > 0 && i == 0 ? 2 : 1, &b->layers)) return false;
            in = out;
        }
    *features = (int)in;
    return true;
}

static void *build(const backbone_options *o, int64_t width, plan with, parameters *p, const char *prefix,
                   int *features, error *err) {
    resnet *net = calloc(1, sizeof *net);
    if (!net) return error_memory(err, sizeof *net, "the backbone"), NULL;
    builder to = {p, o, err};
    net->plan = with;
    if (add_stem(&to, prefix, width, net) && add_stages(&to, prefix, width, net, features)) return net;
    free(net);
    return NULL;
}

static void *build8(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                    error *err) {
    return build(o, width, (plan){.depth = {1, 1, 1}}, p, prefix, features, err);
}

static void *build18(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                     error *err) {
    return build(o, width, (plan){.depth = {2, 2, 2, 2}}, p, prefix, features, err);
}

static void *build50(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                     error *err) {
    return build(o, width, (plan){.depth = {3, 4, 6, 3}, .bottleneck = true}, p, prefix, features, err);
}

/* Forward --------------------------------------------------------------------------------------------------------- */

/*
 * What BatchNorm and activations write is forgotten once the last layer has read it: backward makes it again from the
 * convolutions' outputs, which halves the activations' memory for a few percent of a step.
 */
static tensor *run_block(tape *t, const residual *b, bool bottleneck, tensor *x, int groups, bool training) {
    tensor *shortcut = x;
    if (b->projects) shortcut = layer_forward(t, &b->shortcut, x, NULL, false, groups, training);
    tensor *h = layer_forward(t, &b->conv1, x, NULL, true, groups, training);
    if (bottleneck) {
        tensor *narrow = h;
        h = layer_forward(t, &b->conv2, narrow, NULL, true, groups, training);
        tape_forget(t, narrow);
    }
    const layer *last = bottleneck ? &b->conv3 : &b->conv2;
    tensor *g = layer_conv(t, last, h);
    tape_forget(t, h);
    tensor *y = op_batchnorm(t, g, &last->norm, shortcut, true, groups, training);
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
    tape_tell(t, (tape_layer){.value = x}, "stem");
    for (int i = 0; i < net->blocks; i++) {
        const block *b = &net->block[i];
        x = run_block(t, &b->layers, net->plan.bottleneck, x, groups, training);
        tape_tell(t, (tape_layer){.value = x}, "layer%d.%d", b->stage, b->index);
    }
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

const backbone_kind backbone_resnet50 = {
    .summary = "ResNet-50; the CIFAR stem, or backbone.stem imagenet, which is torchvision's",
    .width = 64,
    .build = build50,
    .forward = forward,
};

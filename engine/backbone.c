/*
 * The networks, layer by layer in the order in which an image passes them: first what they are made of (parameters,
 * with torchvision's names for the ResNets, so that weights can be told apart and compared), then the forward passes,
 * which are meant to be read as the architecture. A layer is a convolution and, but for falcon8, the BatchNorm behind
 * it, whose kernel also adds the shortcut and applies the ReLU.
 */
#include "engine/backbone.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESNET8, RESNET18, FALCON8 };
enum { STEM_CIFAR, STEM_IMAGENET };
enum { STEM_TORCHVISION, STEM_PYTORCH };
const char *const backbone_names[] = {"resnet8", "resnet18", "falcon8", NULL};
const char *const backbone_summaries[] = {
    "3x3 conv and one basic block each of width W, 2W, 4W; BatchNorm and ReLU",
    "ResNet-18; the CIFAR stem (3x3 conv, no max pool), or backbone.stem imagenet",
    "four residual blocks without BatchNorm, LeakyReLU 0.2: the preprint's ResNet-8, after the GEDI paper", NULL};

static const char *const stems[] = {"cifar", "imagenet", NULL};
static const char *const stem_inits[] = {"torchvision", "pytorch", NULL};

#define OFFSET(member) offsetof(backbone_options, member)
static const field rows[] = {
    {"name", FIELD_CHOICE, OFFSET(name), "resnet8", 0, 0, backbone_names, true, "the network that is trained"},
    {"width", FIELD_INT, OFFSET(width), "0", 0, 4096, NULL, true,
     "channels of the first stage; 0 = the backbone's own (resnet8 16, resnet18 64, falcon8 128)"},
    {"stem_padding", FIELD_INT, OFFSET(stem_padding), "1", 1, 2, NULL, true,
     "padding of resnet18's first convolution: 1, or 2 as solo-learn has it; cifar stem only"},
    {"stem", FIELD_CHOICE, OFFSET(stem), "cifar", 0, 0, stems, IDENTITY_IF_SET,
     "how the ResNets begin: cifar, 3x3 conv; imagenet, 7x7 conv of stride 2 and max pool, for images from 64 pixels "
     "on"},
    {"stem_init", FIELD_CHOICE, OFFSET(stem_init), "torchvision", 0, 0, stem_inits, IDENTITY_IF_SET,
     "how the ResNets' first convolution starts: as the others (He normal), or as PyTorch's own, since solo-learn "
     "replaces "
     "it after the others have started"},
};
const field_condition backbone_conditions[] = {
    {"stem_padding", "name=resnet18"}, {"stem", "name=resnet8|resnet18"}, {"stem_init", "name=resnet8|resnet18"}, {0}};
const field_table backbone_fields = {"backbone", rows, sizeof rows / sizeof *rows, sizeof(backbone_options)};

/* A convolution and, in the ResNets, the BatchNorm behind it; in falcon8 a bias instead. */
typedef struct layer {
    tensor *weight, *bias;
    batchnorm norm;
    int stride, padding;
} layer;

typedef struct residual {
    layer conv1, conv2, shortcut;
    bool projects; /* shortcut is a layer rather than the identity */
} residual;

enum { MAX_BLOCKS = 8, LAST_FALCON8_POOL = 1 };

struct backbone {
    int kind, features, blocks;
    bool pools; /* behind the stem */
    layer stem;
    residual block[MAX_BLOCKS];
};

/* Building -------------------------------------------------------------------------------------------------------- */

/* torchvision's start for ResNets (`he`): normal over fan-out. PyTorch's own for a plain layer: uniform ±1/√fan-in. */
static bool add_layer(parameters *p, const char *conv, const char *norm, bool he, int64_t in, int64_t out, int window,
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

static bool add_basic_block(parameters *p, const char *name, int64_t in, int64_t out, int stride, residual *b,
                            error *err) {
    char conv[80], norm[80];
    for (int i = 0; i < 2; i++) {
        snprintf(conv, sizeof conv, "%s.conv%d", name, i + 1);
        snprintf(norm, sizeof norm, "%s.bn%d", name, i + 1);
        if (!add_layer(p, conv, norm, true, i ? out : in, out, 3, i ? 1 : stride, i ? &b->conv2 : &b->conv1, err))
            return false;
    }
    b->projects = stride != 1 || in != out;
    if (!b->projects) return true;
    snprintf(conv, sizeof conv, "%s.downsample.0", name);
    snprintf(norm, sizeof norm, "%s.downsample.1", name);
    return add_layer(p, conv, norm, true, in, out, 1, stride, &b->shortcut, err);
}

static bool build_resnet(backbone *net, parameters *p, const char *prefix, int64_t width, int stages, int depth,
                         const backbone_options *options, error *err) {
    char name[64], norm[64];
    snprintf(name, sizeof name, "%s.conv1", prefix);
    snprintf(norm, sizeof norm, "%s.bn1", prefix);
    net->pools = options->stem == STEM_IMAGENET;
    bool he = options->stem_init == STEM_TORCHVISION;
    if (!add_layer(p, name, norm, he, 3, width, net->pools ? 7 : 3, net->pools ? 2 : 1, &net->stem, err)) return false;
    if (!net->pools && net->kind == RESNET18) net->stem.padding = (int)options->stem_padding;
    int64_t in = width;
    for (int s = 0; s < stages; s++)
        for (int i = 0; i < depth; i++) {
            int64_t out = width << s;
            snprintf(name, sizeof name, "%s.layer%d.%d", prefix, s + 1, i);
            if (!add_basic_block(p, name, in, out, s > 0 && i == 0 ? 2 : 1, &net->block[net->blocks++], err))
                return false;
            in = out;
        }
    net->features = (int)in;
    return true;
}

static bool build_falcon8(backbone *net, parameters *p, const char *prefix, int64_t width, error *err) {
    for (int i = 0; i < 4; i++) {
        residual *b = &net->block[net->blocks++];
        char name[80];
        int64_t in = i ? width : 3;
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "%s.%d.c%d", prefix, i, k + 1);
            if (!add_layer(p, name, NULL, false, k ? width : in, width, 3, 1, k ? &b->conv2 : &b->conv1, err))
                return false;
        }
        b->projects = in != width;
        snprintf(name, sizeof name, "%s.%d.sc", prefix, i);
        if (b->projects && !add_layer(p, name, NULL, false, in, width, 1, 1, &b->shortcut, err)) return false;
    }
    net->features = (int)width;
    return true;
}

backbone *backbone_create(const backbone_options *options, parameters *p, const char *prefix, error *err) {
    backbone *net = calloc(1, sizeof *net);
    if (!net) {
        error_memory(err, sizeof *net, "the backbone");
        return NULL;
    }
    if (options->name == FALCON8 && options->stem == STEM_IMAGENET) {
        error_set(err, ERROR_USAGE, "backbone.stem imagenet is for resnet8 and resnet18; falcon8 begins with a block");
        free(net);
        return NULL;
    }
    static const int64_t own_width[] = {16, 64, 128};
    int64_t width = options->width ? options->width : own_width[options->name];
    net->kind = options->name;
    bool ok = net->kind == RESNET8    ? build_resnet(net, p, prefix, width, 3, 1, options, err)
              : net->kind == RESNET18 ? build_resnet(net, p, prefix, width, 4, 2, options, err)
                                      : build_falcon8(net, p, prefix, width, err);
    if (ok) return net;
    free(net);
    return NULL;
}

void backbone_destroy(backbone *net) { free(net); }

int backbone_features(const backbone *net) { return net->features; }

/* Forward --------------------------------------------------------------------------------------------------------- */

/*
 * What BatchNorm and activations write is forgotten once the last layer has read it: backward makes it again from the
 * convolutions' outputs, which halves the activations' memory for a few percent of a step.
 */

static tensor *conv(tape *t, const layer *l, tensor *x) {
    return op_conv2d(t, x, l->weight, l->bias, l->stride, l->padding);
}

static tensor *basic_block(tape *t, const residual *b, tensor *x, int groups, bool training) {
    tensor *shortcut = x;
    if (b->projects)
        shortcut = op_batchnorm(t, conv(t, &b->shortcut, x), &b->shortcut.norm, NULL, false, groups, training);
    tensor *h = op_batchnorm(t, conv(t, &b->conv1, x), &b->conv1.norm, NULL, true, groups, training);
    tensor *g = conv(t, &b->conv2, h);
    tape_forget(t, h);
    tensor *y = op_batchnorm(t, g, &b->conv2.norm, shortcut, true, groups, training);
    tape_forget(t, shortcut);
    tape_forget(t, x);
    return y;
}

/* Blocks after the first start with the activation; the first two halve the image, shortcut and all. */
static tensor *falcon8_block(tape *t, const residual *b, tensor *x, int index) {
    tensor *active = index ? op_leaky_relu(t, x, 0.2) : x;
    tensor *h = conv(t, &b->conv1, active);
    if (index) tape_forget(t, active);
    active = op_leaky_relu(t, h, 0.2);
    h = conv(t, &b->conv2, active);
    tape_forget(t, active);
    if (index > LAST_FALCON8_POOL) return op_add(t, h, x);
    tensor *pooled = op_avg_pool(t, x, 2);
    return op_add(t, op_avg_pool(t, h, 2), b->projects ? conv(t, &b->shortcut, pooled) : pooled);
}

tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training) {
    tensor *x = images;
    if (net->kind != FALCON8)
        x = op_batchnorm(t, conv(t, &net->stem, x), &net->stem.norm, NULL, true, groups, training);
    if (net->pools) {
        tensor *whole = x;
        x = op_max_pool(t, whole, 3, 2, 1);
        tape_forget(t, whole);
    }
    for (int i = 0; i < net->blocks; i++)
        x = net->kind == FALCON8 ? falcon8_block(t, &net->block[i], x, i)
                                 : basic_block(t, &net->block[i], x, groups, training);
    if (net->kind == FALCON8) x = op_leaky_relu(t, x, 0.2);
    return op_global_pool(t, x);
}

/*
 * The list of backbones, their options, and the way from a name to a network. A new one is a file in backbones/ and a
 * line here.
 */
#include "engine/backbones/kind.h"

#include <stdlib.h>

#define BACKBONES(X)                                                                                                   \
    X(resnet8)                                                                                                         \
    X(resnet18)                                                                                                        \
    X(falcon8)

#define X(name) extern const backbone_kind backbone_##name;
BACKBONES(X)
#undef X

static const backbone_kind *const all[] = {
#define X(name) &backbone_##name,
    BACKBONES(X)
#undef X
};

const char *const backbone_names[] = {
#define X(name) #name,
    BACKBONES(X)
#undef X
        NULL};

const char *backbone_summary(int index) { return all[index]->summary; }

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

struct backbone {
    const backbone_kind *kind;
    void *network;
    int features;
};

backbone *backbone_create(const backbone_options *options, parameters *p, const char *prefix, error *err) {
    backbone *net = calloc(1, sizeof *net);
    if (!net) {
        error_memory(err, sizeof *net, "the backbone");
        return NULL;
    }
    net->kind = all[options->name];
    int64_t width = options->width ? options->width : net->kind->width;
    net->network = net->kind->build(options, width, p, prefix, &net->features, err);
    if (net->network) return net;
    free(net);
    return NULL;
}

void backbone_destroy(backbone *net) {
    if (net) free(net->network);
    free(net);
}

int backbone_features(const backbone *net) { return net->features; }

tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training) {
    return net->kind->forward(net->network, t, images, groups, training);
}

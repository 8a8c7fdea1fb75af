/*
 * The list of backbones, their options, and the way from a name to a network. A new one is a file in backbones/ and a
 * line here.
 */
#include "engine/backbones/kind.h"

#include <stdio.h>
#include <stdlib.h>

#define BACKBONES(X)                                                                                                   \
    X(resnet8)                                                                                                         \
    X(resnet18)                                                                                                        \
    X(falcon8)                                                                                                         \
    X(vit_tiny)                                                                                                        \
    X(vit_small)                                                                                                       \
    X(vit_base)                                                                                                        \
    X(resnet50)

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
static const char *const pools[] = {"class", "mean", NULL};
static const char *const positions[] = {"learned", "sincos", NULL};
static const char *const interpolations[] = {"dino", "timm", NULL};
static const char *const stem_inits[] = {"torchvision", "pytorch", NULL};

#define OFFSET(member) offsetof(backbone_options, member)
static const field rows[] = {
    {"name", FIELD_CHOICE, OFFSET(name), "resnet8", 0, 0, backbone_names, true, "the network that is trained"},
    {"width", FIELD_INT, OFFSET(width), "0", 0, 4096, NULL, true,
     "channels of the first stage, or of a transformer's tokens; 0 = the backbone's own (resnet8 16, resnet18 and "
     "resnet50 64, falcon8 128, vit_tiny 192, vit_small 384, vit_base 768)"},
    {"stem_padding", FIELD_INT, OFFSET(stem_padding), "1", 1, 2, NULL, true,
     "padding of resnet18's and resnet50's first convolution: 1, or 2 as solo-learn has it; cifar stem only"},
    {"stem", FIELD_CHOICE, OFFSET(stem), "cifar", 0, 0, stems, IDENTITY_IF_SET,
     "how the ResNets begin: cifar, 3x3 conv; imagenet, 7x7 conv of stride 2 and max pool, for images from 64 pixels "
     "on"},
    {"stem_init", FIELD_CHOICE, OFFSET(stem_init), "torchvision", 0, 0, stem_inits, IDENTITY_IF_SET,
     "how the ResNets' first convolution starts: as the others (He normal), or as PyTorch's own, since solo-learn "
     "replaces "
     "it after the others have started"},
    {"zero_init_residual", FIELD_BOOL, OFFSET(zero_init_residual), "false", 0, 0, NULL, IDENTITY_IF_SET,
     "true: the weight of the ResNets' last BatchNorm of every block starts at 0, as timm's does; torchvision's starts "
     "at 1"},
    {"patch", FIELD_INT, OFFSET(patch), "16", 1, 64, NULL, IDENTITY_IF_SET,
     "side of a transformer's patches, pixels: 16 or 8 at 224 pixels, 14 as DINOv2, 4 at 32"},
    {"registers", FIELD_INT, OFFSET(registers), "0", 0, 64, NULL, IDENTITY_IF_SET,
     "tokens beside the class token that stand for no patch (Darcet et al. 2024)"},
    {"depth", FIELD_INT, OFFSET(depth), "0", 0, 64, NULL, IDENTITY_IF_SET, "a transformer's blocks; 0 = 12"},
    {"pool", FIELD_CHOICE, OFFSET(pool), "class", 0, 0, pools, IDENTITY_IF_SET,
     "what represents an image: the class token, or the mean of its patches (then there is no class token)"},
    {"positions", FIELD_CHOICE, OFFSET(positions), "learned", 0, 0, positions, IDENTITY_IF_SET,
     "of patches: a learned table, or sines and cosines (MoCo v3, MAE)"},
    {"interpolation", FIELD_CHOICE, OFFSET(interpolation), "dino", 0, 0, interpolations, IDENTITY_IF_SET,
     "how learned positions come to views of another size: bicubic as DINO's code, or as timm's, antialiased"},
    {"layer_scale", FIELD_REAL, OFFSET(layer_scale), "0.0", 0, 10, NULL, IDENTITY_IF_SET,
     "start of LayerScale's factors on a transformer's branches (DINOv2 1e-5); 0 = none"},
    {"drop_path", FIELD_REAL, OFFSET(drop_path), "0.0", 0, 0.95, NULL, IDENTITY_IF_SET,
     "stochastic depth: how often a sample skips the last block's branches; earlier blocks' in proportion (DINO 0.1)"},
    {"patch_drop", FIELD_REAL, OFFSET(patch_drop), "0.0", 0, 0.95, NULL, IDENTITY_IF_SET,
     "share of its patches that each of the student's global views loses in training (MSN 0.15), drawn by sample"},
    {"recompute", FIELD_BOOL, OFFSET(recompute), "false", 0, 0, NULL, false,
     "true: a transformer's blocks keep a third of the memory and compute again what backward needs"},
};
const field_condition backbone_conditions[] = {{"stem_padding", "name=resnet18|resnet50"},
#define RESNETS "name=resnet8|resnet18|resnet50"
                                               {"stem", RESNETS},
                                               {"stem_init", RESNETS},
                                               {"zero_init_residual", RESNETS},
#define TRANSFORMERS "name=vit_tiny|vit_small|vit_base"
                                               {"patch", TRANSFORMERS},
                                               {"registers", TRANSFORMERS},
                                               {"depth", TRANSFORMERS},
                                               {"pool", TRANSFORMERS},
                                               {"positions", TRANSFORMERS},
                                               {"interpolation", TRANSFORMERS},
                                               {"layer_scale", TRANSFORMERS},
                                               {"drop_path", TRANSFORMERS},
                                               {"patch_drop", TRANSFORMERS},
                                               {"recompute", TRANSFORMERS},
                                               {0}};
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

bool backbone_is_transformer(const backbone_options *options) { return all[options->name]->run != NULL; }

bool backbone_check_side(const backbone_options *options, int64_t side, const char *key, error *err) {
    int64_t patch = options->patch;
    if (!backbone_is_transformer(options) || (side >= patch && side % patch == 0)) return true;
    int64_t below = side / patch * patch, above = below + patch;
    char nearest[64];
    if (below)
        snprintf(nearest, sizeof nearest, "%lld or %lld", (long long)below, (long long)above);
    else
        snprintf(nearest, sizeof nearest, "%lld", (long long)above);
    return error_set(err, ERROR_USAGE,
                     "%s %lld: %s cuts images into patches of %lld pixels (backbone.patch), which do "
                     "not divide that; %s would do",
                     key, (long long)side, backbone_names[options->name], (long long)patch, nearest);
}

int backbone_features(const backbone *net) { return net->features; }

tensor *backbone_run(const backbone *net, tape *t, tensor *images, const backbone_pass *pass) {
    tensor *z = net->kind->run ? net->kind->run(net->network, t, images, pass)
                               : net->kind->forward(net->network, t, images, pass->groups, pass->training);
    tape_tell(t, (tape_layer){.value = z}, "representation");
    return z;
}

tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training) {
    backbone_pass pass = {.groups = groups, .training = training};
    return backbone_run(net, t, images, &pass);
}

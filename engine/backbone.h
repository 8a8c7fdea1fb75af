/*
 * Backbones: from images to representations, one row a sample. What there is stands in backbones/, a file each.
 */
#ifndef MEWS_BACKBONE_H
#define MEWS_BACKBONE_H

#include "engine/fields.h"
#include "engine/parameters.h"

typedef enum backbone_stem { STEM_CIFAR, STEM_IMAGENET } backbone_stem;
typedef enum backbone_stem_init { STEM_TORCHVISION, STEM_PYTORCH } backbone_stem_init;

typedef enum backbone_pool { POOL_CLASS, POOL_MEAN } backbone_pool;
typedef enum backbone_positions { POSITIONS_LEARNED, POSITIONS_SINCOS } backbone_positions;

typedef struct backbone_options {
    int name;             /* choice: backbone_names */
    int64_t width;        /* of the first stage; 0 = the backbone's own */
    int64_t stem_padding; /* of resnet18's and resnet50's first convolution: 1, or 2 as solo-learn has it */
    int stem;             /* choice: backbone_stem */
    int stem_init;        /* choice: backbone_stem_init */
    bool zero_init_residual;
    /* transformers */
    int64_t patch, registers, depth; /* depth: blocks; 0 = 12 */
    int pool;                        /* choice: backbone_pool */
    int positions;                   /* choice: backbone_positions */
    int interpolation;               /* choice: dino, timm; engine/positions.h */
    double layer_scale, drop_path, patch_drop;
    bool recompute;
    int64_t side; /* no key: of the images that learned positions are for, set by who creates the backbone */
} backbone_options;

extern const field_table backbone_fields;
extern const field_condition backbone_conditions[]; /* of keys that only some of them use */
extern const char *const backbone_names[];          /* NULL-terminated, in the order of the choice */
const char *backbone_summary(int index);

typedef struct backbone backbone;

/* Adds its parameters, called "<prefix>.…". */
backbone *backbone_create(const backbone_options *options, parameters *p, const char *prefix, error *err);
void backbone_destroy(backbone *net);
int backbone_features(const backbone *net); /* d */

bool backbone_is_transformer(const backbone_options *options);

/* Does a transformer's patch divide images of `side` pixels? ERROR_USAGE names `key`, where the side comes from. Of
   other backbones nothing is asked. */
bool backbone_check_side(const backbone_options *options, int64_t side, const char *key, error *err);

/* images (N,H,W,3) → representations (N,d). BatchNorm's statistics are taken over each of `groups` runs of samples. */
tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training);

/* The same, with what else a pass through a transformer may want to know. */
typedef struct backbone_pass {
    int groups;
    bool training;
    /* Whose images these are, view by view from first_view on, `pairs` each: stochastic depth and lost patches draw by
       them. NULL: nothing is dropped (evaluation, a teacher). */
    const uint32_t *samples;
    int pairs, first_view;
    uint64_t seed;
    uint32_t epoch;
} backbone_pass;
tensor *backbone_run(const backbone *net, tape *t, tensor *images, const backbone_pass *pass);

#endif

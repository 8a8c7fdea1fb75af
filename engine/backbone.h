/*
 * Backbones: from images to representations, one row a sample. What there is stands in backbones/, a file each.
 */
#ifndef MEWS_BACKBONE_H
#define MEWS_BACKBONE_H

#include "engine/fields.h"
#include "engine/parameters.h"

typedef enum backbone_stem { STEM_CIFAR, STEM_IMAGENET } backbone_stem;
typedef enum backbone_stem_init { STEM_TORCHVISION, STEM_PYTORCH } backbone_stem_init;

typedef struct backbone_options {
    int name;             /* choice: backbone_names */
    int64_t width;        /* of the first stage; 0 = the backbone's own */
    int64_t stem_padding; /* of resnet18's first convolution: 1, or 2 as solo-learn has it */
    int stem;             /* choice: backbone_stem */
    int stem_init;        /* choice: backbone_stem_init */
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

/* images (N,H,W,3) → representations (N,d). BatchNorm's statistics are taken over each of `groups` runs of samples. */
tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training);

#endif

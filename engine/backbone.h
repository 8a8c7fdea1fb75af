/*
 * Backbones: from images to representations, one row a sample.
 *   resnet8   3×3 conv W, then a basic block each of width W, 2W (stride 2), 4W (stride 2); d = 4W
 *   resnet18  3×3 conv 64, then two basic blocks each of 64, 128, 256, 512; d = 512
 *   falcon8   four residual blocks of width F with biases and LeakyReLU 0.2, without BatchNorm; d = F
 * The ResNets' first convolution is the CIFAR stem, which keeps the image's size; the ImageNet stem, 7×7 of stride 2
 * and a 3×3 max pool of stride 2, leaves a sixteenth of the pixels. A resnet18 with that is torchvision's.
 */
#ifndef MEWS_BACKBONE_H
#define MEWS_BACKBONE_H

#include "engine/fields.h"
#include "engine/parameters.h"

typedef struct backbone_options {
    int name;             /* choice: resnet8, resnet18, falcon8 */
    int64_t width;        /* W or F; 0 = the backbone's own (resnet8 16, resnet18 64, falcon8 128) */
    int64_t stem_padding; /* of resnet18's first convolution: 1, or 2 as solo-learn has it */
    int stem;             /* choice: cifar, imagenet */
    int stem_init;        /* choice: torchvision, pytorch */
} backbone_options;

extern const field_table backbone_fields;
extern const field_condition backbone_conditions[]; /* of keys that only some of them use */
extern const char *const backbone_names[];          /* NULL-terminated, in the order of the choice */
extern const char *const backbone_summaries[];

typedef struct backbone backbone;

/* Adds its parameters, called "<prefix>.…". */
backbone *backbone_create(const backbone_options *options, parameters *p, const char *prefix, error *err);
void backbone_destroy(backbone *net);
int backbone_features(const backbone *net); /* d */

/* images (N,H,W,3) → representations (N,d). BatchNorm's statistics are taken over each of `groups` runs of samples. */
tensor *backbone_forward(const backbone *net, tape *t, tensor *images, int groups, bool training);

#endif

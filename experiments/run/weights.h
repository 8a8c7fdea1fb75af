/*
 * Weights from somewhere else: `train.init`. A checkpoint of mews gives every parameter that the model has by its name;
 * anybody else's (PyTorch's .pt and .pth with `state_dict` inside, safetensors, whatever `mews diagnose` reads) gives
 * the backbone, whose parameters have torchvision's names behind a prefix of the framework's own (`module.encoder.`,
 * `backbone.`, …), which is found by looking.
 */
#ifndef MEWS_WEIGHTS_H
#define MEWS_WEIGHTS_H

#include "engine/parameters.h"
#include "engine/positions.h"

typedef struct weights_found {
    char prefix[128];     /* "" for torchvision's own names, or mews' */
    size_t taken, unused; /* tensors of the file */
    char first_unused[160];
    bool heads;         /* more than the backbone: a checkpoint of mews */
    int grid, own_grid; /* patches along a side that positions were learned for there and are for here; 0: alike */
} weights_found;

/*
 * Fills parameters from `path`; a transformer's positions for another grid of patches come resampled as `how` says; a
 * teacher's backbone starts as the student's. `prefix`: where several networks are in the file, the one meant; "" finds
 * it. ERROR_USAGE when no network in the file is this backbone (the nearest one is named with the first tensor that is
 * missing or of another shape) or several are; ERROR_RUN when the file cannot be read. All or nothing: after an error
 * the parameters are as they were.
 */
bool weights_load(parameters *p, const char *path, const char *prefix, resampling how, weights_found *found,
                  error *err);

#endif

/*
 * Checkpoints: parameters, buffers and optimiser state in one safetensors file, under PyTorch's names (the optimiser's
 * under "optimizer.first." and "optimizer.second."), with where training stood in the metadata. Constants are drawn
 * again from the seed and are not in it. Loading gives back the same bits.
 */
#ifndef MEWS_CHECKPOINT_H
#define MEWS_CHECKPOINT_H

#include "engine/optimizer.h"

typedef struct checkpoint_position {
    uint64_t step;           /* optimiser steps taken */
    uint64_t metrics_offset; /* bytes of metrics.jsonl that belong to them */
    double seconds;          /* spent training so far */
} checkpoint_position;

/* Writes "<folder>/checkpoint-<step>.safetensors" whole, then removes all but the last two. */
bool checkpoint_save(const char *folder, const parameters *p, const optimizer *o, const checkpoint_position *at,
                     error *err);

/*
 * Loads the newest checkpoint of the folder that is sound; one that is not is passed over with a line to `warn`.
 * *found false, and nothing changed, when there is none. `o` may be NULL: parameters only. ERROR_RUN when a sound one
 * does not fit the parameters.
 */
bool checkpoint_load(const char *folder, parameters *p, optimizer *o, checkpoint_position *at, bool *found,
                     void (*warn)(void *, const char *), void *context, error *err);

#endif

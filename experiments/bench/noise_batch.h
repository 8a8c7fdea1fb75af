/* A batch of noise with as many views as the loader would make, for steps that are only timed. */
#ifndef MEWS_NOISE_BATCH_H
#define MEWS_NOISE_BATCH_H

#include "experiments/run/model.h"

typedef struct noise_batch {
    loader_batch batch;
    float *pixels, *local;
    int *labels;
} noise_batch;

/* `pairs` samples of `size` pixels a side, labelled 0 … classes − 1 in turn. noise_free whatever it returns. */
bool noise_make(noise_batch *b, const model *m, int pairs, int size, int classes, error *err);
void noise_free(noise_batch *b);

#endif

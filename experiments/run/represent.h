/*
 * Images of a split through the network, in evaluation, batch by batch. Where processes share a run, each takes a batch
 * in turn and rank 0 gets the rows. Batches stay whole and the same, so that what comes out has the bits of one
 * process: kernels are chosen by a batch's size, and where BatchNorm normalises by the batch its statistics are the
 * batch's own.
 */
#ifndef MEWS_REPRESENT_H
#define MEWS_REPRESENT_H

#include "experiments/run/words.h"

typedef struct represented {
    uint32_t n;             /* rows: as many as asked */
    float *representations; /* (n, d) */
    float *embeddings;      /* (n, width); NULL unless they are asked for */
    int32_t *labels;        /* (n) */
} represented;

/* Told after each round how many rows are done; false stops, which is no failure. */
typedef bool represent_go_on(void *context, uint32_t done);

/* As rank 0, or alone. *out is made here, and represented_free's also after an error. go_on may be NULL. */
bool represent(model *m, const dataset *data, const images_asked *which, represented *out, represent_go_on *go_on,
               void *context, error *err);
void represented_free(represented *r);

/* As another rank, for each ORDER_REPRESENT. */
bool represent_round(model *m, const dataset *data, const word *w, error *err);

#endif

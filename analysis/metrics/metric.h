/*
 * A figure of a finished run, measured on the held-out images by a word in `eval:`: one function, one number. What the
 * program measures beside these (probes, clusters, codes, collapse) stands in experiments/run/evaluate.c, since it
 * needs more than the matrices or gives more than one number.
 */
#ifndef MEWS_METRIC_H
#define MEWS_METRIC_H

#include "analysis/matrix.h"

typedef struct metric_input {
    matrix embeddings;      /* (n, width): what the method's `embed` gives */
    matrix representations; /* (n, d): the backbone's output */
    const int32_t *labels;  /* (n), NULL where the images have none */
    int classes;
    uint64_t seed; /* of the run, for what is drawn */
} metric_input;

typedef struct metric {
    const char *name, *title; /* the word in `eval:` and in run.json; what a page calls it */
    bool labels;              /* nothing is measured without them */
    bool (*measure)(const metric_input *in, double *value, error *err);
} metric;

const metric *metric_at(int index);          /* in the order of the list; NULL behind its end */
const metric *metric_find(const char *name); /* NULL when there is none */

#endif

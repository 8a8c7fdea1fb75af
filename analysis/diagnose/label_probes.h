/*
 * What labels say of a file's embeddings: weighted nearest neighbours and a linear probe, fitted on half of the
 * labelled rows and scored on the other, and k-means against the labels; each beside what chance scores. Halves are
 * drawn by the seed, rows of one group on one side. Of more than PROBES_ROWS rows as many are drawn: a figure for
 * orientation, not the probe on a training set that `mews eval` takes of a run.
 */
#ifndef MEWS_ANALYSIS_LABEL_PROBES_H
#define MEWS_ANALYSIS_LABEL_PROBES_H

#include "analysis/clusters/agreement.h"
#include "analysis/matrix.h"

enum { PROBES_ROWS = 4000 };

typedef struct label_probes {
    double knn, linear; /* shares right on the held-out half; NaN with too few rows */
    double chance;      /* of the most frequent class there */
    agreement kmeans;   /* as many clusters as classes, of unit rows; NaN likewise */
    size_t fitted, scored;
} label_probes;

/* labels (m.rows) in [0, classes); groups (m.rows) or NULL. */
bool label_probes_compute(matrix m, const int32_t *labels, int classes, const int64_t *groups, uint64_t seed,
                          label_probes *out, error *err);

#endif

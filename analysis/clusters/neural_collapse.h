/*
 * Neural collapse's first figure, NC1 (Papyan, Han & Donoho 2020): tr(Σ_W Σ_B⁺) / K, the variation left inside labelled
 * classes measured along the directions that tell the classes apart. It falls to 0 as classes shrink to points; what
 * the same embeddings score under permuted labels stands beside it.
 */
#ifndef MEWS_ANALYSIS_NEURAL_COLLAPSE_H
#define MEWS_ANALYSIS_NEURAL_COLLAPSE_H

#include "analysis/matrix.h"

enum { NEURAL_COLLAPSE_CLASSES = 2048 }; /* beyond, the means' singular values take longer than they tell */

typedef struct neural_collapse {
    double nc1;     /* NaN for one class, for more than NEURAL_COLLAPSE_CLASSES, for fewer than 2 rows a class, and when
                       all class means are one point */
    double chance;  /* NC1 of labels permuted by seed */
    size_t classes; /* K, those in use */
} neural_collapse;

/* labels (m.rows) in [0, classes). Σ_W is divided by n, Σ_B by K, both about the mean of all rows. */
bool neural_collapse_compute(matrix m, const int32_t *labels, int classes, uint64_t seed, neural_collapse *out,
                             error *err);

#endif

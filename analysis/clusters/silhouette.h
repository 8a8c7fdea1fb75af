/*
 * Silhouette (Rousseeuw 1987), Euclidean: how much nearer a row is to its own cluster than to the next one, 1 to −1, 0
 * for a cloud that was cut at random. Definition and results are scikit-learn's.
 */
#ifndef MEWS_ANALYSIS_SILHOUETTE_H
#define MEWS_ANALYSIS_SILHOUETTE_H

#include "analysis/matrix.h"

enum { SILHOUETTE_ROWS = 2048 }; /* all pairs are looked at: more rows are sampled by seed, with their clusters */

typedef struct silhouette {
    double value; /* NaN for fewer than 2 clusters, or as many as rows */
    size_t rows, clusters;
} silhouette;

/* assignment (m.rows): any numbers from 0. */
bool silhouette_compute(matrix m, const int32_t *assignment, uint64_t seed, silhouette *out, error *err);

#endif

/*
 * The spectrum inside each cluster, about the cluster's own mean: what is left to tell its members apart. The largest
 * clusters are kept for drawing; the mean effective rank is over all.
 */
#ifndef MEWS_ANALYSIS_CLUSTERS_H
#define MEWS_ANALYSIS_CLUSTERS_H

#include "analysis/matrix.h"

/* A cluster of more rows is seen on CLUSTERS_ROWS of them. */
enum { CLUSTERS_SHOWN = 32, CLUSTERS_VALUES = 64, CLUSTERS_ROWS = 384 };

typedef struct cluster_spectrum {
    int32_t cluster;
    size_t rows;
    double effective_rank, share;            /* share: of min(rows − 1, d), of the rows seen */
    double variance;                         /* mean squared distance from the cluster's mean */
    size_t count;                            /* singular values kept, the largest of them */
    double singular_values[CLUSTERS_VALUES]; /* of the cluster's centred rows, descending */
} cluster_spectrum;

typedef struct cluster_spectra {
    double effective_rank, share; /* means over clusters of at least 3 rows, weighted by rows; NaN without any */
    size_t count;
    cluster_spectrum *list; /* (count) clusters of at least 3 rows, the largest CLUSTERS_SHOWN, largest first */
} cluster_spectra;

/* assignment (m.rows): any numbers from 0. */
bool cluster_spectra_compute(matrix m, const int32_t *assignment, cluster_spectra *out, error *err);
void cluster_spectra_free(cluster_spectra *c);

#endif

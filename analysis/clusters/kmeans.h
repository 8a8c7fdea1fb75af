/*
 * k-means: k-means++ seeding (Arthur & Vassilvitskii 2007, greedy as in scikit-learn), Lloyd's iterations with the
 * distances as a matrix product, the best of several restarts. Rows may be put on the unit sphere first. Clusters that
 * run empty are seeded again at the points farthest from their centres. The same seed gives the same bits.
 */
#ifndef MEWS_ANALYSIS_KMEANS_H
#define MEWS_ANALYSIS_KMEANS_H

#include "analysis/matrix.h"

typedef struct kmeans_options {
    size_t clusters;  /* 1 … n */
    int restarts;     /* 0: 10 */
    int iterations;   /* at most this many a restart; 0: 300 */
    double tolerance; /* stop when Σ of squared moves of the centres < tolerance × mean column variance; 0: 1e-4 */
    bool normalise;   /* each row to unit length first; a zero row stays zero */
    uint64_t seed;
} kmeans_options;

typedef struct kmeans {
    size_t clusters, dims;
    double inertia;      /* Σ of squared distances to the nearest centre */
    int iterations;      /* of the best restart */
    int32_t *assignment; /* (n) */
    float *centres;      /* (clusters, dims) */
} kmeans;

bool kmeans_compute(matrix m, const kmeans_options *options, kmeans *out, error *err);
void kmeans_free(kmeans *k);

#endif

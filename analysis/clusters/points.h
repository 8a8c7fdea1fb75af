/*
 * Clusters that are points, found without a number of clusters: a row is in a point when some rows lie close around it,
 * next to none between them and three times as far, and others beyond. A cloud, a line or a curved sheet fills that
 * shell in any dimension; only rows that have fallen together leave it empty. So one diffuse cluster hides no others,
 * and a hundred points are not taken for a cloud.
 */
#ifndef MEWS_ANALYSIS_POINTS_H
#define MEWS_ANALYSIS_POINTS_H

#include "analysis/matrix.h"

enum { POINTS_QUERIES = 256, POINTS_BLOCKS = 10 };

typedef struct points {
    double share;                  /* of the rows looked at that are in a point; NaN for fewer than POINTS_LEAST rows */
    double without[POINTS_BLOCKS]; /* the same without each tenth of them, for an interval */
    double size;                   /* rows of a point: harmonic mean over the points; NaN without any */
    double clusters;               /* points in all, estimated from their sizes */
    size_t queries;
} points;

enum { POINTS_LEAST = 20 };

/* skip (m.cols) or NULL: columns left out, such as one of huge variance in which every cluster is spread;
 * `without_first` leaves out the first principal direction, the same once the axes are turned. */
bool points_find(matrix m, const bool *skip, bool without_first, uint64_t seed, points *out, error *err);

#endif

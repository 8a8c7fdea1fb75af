/*
 * Lloyd's iterations of k-means, and what they keep between two of them. Most rows cannot have changed their cluster
 * once the centres move little: bounds on two distances of each row tell so without a look at it (Hamerly, SDM 2010).
 * What is left out would have been found the same, to the last bit of every assignment.
 */
#ifndef MEWS_ANALYSIS_LLOYD_H
#define MEWS_ANALYSIS_LLOYD_H

#include "analysis/clusters/kmeans.h"

enum { LLOYD_BLOCK_ROWS = 256 };

/*
 * Points and centres live about the mean of all points: a product of two small vectors keeps the digits that a product
 * of two nearly equal large ones loses in float32. ‖x − c‖² = ‖x‖² + offset_c − 2 s x·c, with x as it is stored, s its
 * scale to unit length (or 1) and offset_c = ‖c‖² + 2 μ·c.
 */
typedef struct lloyd {
    matrix m;
    size_t k;
    float *scale;        /* (n) */
    double *mean;        /* (d) of the scaled rows */
    double *square;      /* (n) ‖s x − μ‖² */
    float *centres;      /* (k, d) minus μ */
    float *offset;       /* (k), with infinities up to its stride */
    float *packed;       /* few centres, as few.h has them */
    double *sums;        /* (k, d) of the rows as `summed` has them */
    size_t *counts;      /* (k) */
    int32_t *assignment; /* (n) */
    int32_t *summed;     /* (n) the assignment that sums are of; −1: not yet in any */
    double *distance;    /* (n) squared, to the nearest centre, as the row was last looked at */
    double *upper;       /* (n) at least the distance to its centre, */
    double *lower;       /* (n) and at most that to any other */
    double *move;        /* (k) how far each centre has moved since bounds were kept */
    bool bounded;        /* there are bounds */
} lloyd;

/* Room for `m` and k clusters; mean, scale and squares are worked out. lloyd_free after a failure, too. */
bool lloyd_make(lloyd *l, matrix m, const kmeans_options *options, error *err);
void lloyd_free(lloyd *l);

/* From the centres as they stand until no row changes its cluster, the centres' squared moves add up to no more than
 * `tolerance`, or `iterations` are over. *done: how many there were. */
bool lloyd_descend(lloyd *l, int iterations, double tolerance, int *done, error *err);

/* Σ of squared distances of the assignment as it stands, from the differences themselves. */
double lloyd_inertia(lloyd *l);

#endif

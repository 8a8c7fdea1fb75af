/*
 * What two views of the same inputs say (Wang & Isola 2020): alignment, how near the embeddings of one input's views
 * are; uniformity, how evenly all embeddings spread over the sphere. Every row is put to unit length first; a zero row
 * stays zero. A collapse makes alignment perfect, so it stands beside what unrelated rows score.
 */
#ifndef MEWS_ANALYSIS_VIEWS_H
#define MEWS_ANALYSIS_VIEWS_H

#include "analysis/matrix.h"

/* Rows that uniformity looks at; more are drawn without repetition, by seed. */
enum { UNIFORMITY_ROWS = 2048 };

typedef struct uniformity {
    double value; /* log of the mean over pairs of exp(−2 ‖u_i − u_j‖²): 0 in one point; NaN for fewer than 2 rows */
    double expected; /* of points spread evenly over the sphere: what d dimensions allow */
    size_t rows;     /* looked at */
} uniformity;

bool uniformity_compute(matrix m, uint64_t seed, uniformity *out, error *err);

typedef struct alignment {
    double value;      /* mean ‖u_i − v_i‖² (their α = 2) */
    double chance;     /* mean ‖u_i − v_j‖², i ≠ j; NaN for fewer than 2 rows */
    double invariance; /* 1 − value / chance: 1 when views agree, 0 when they agree no more than two inputs; NaN when
                          all rows are one point */
} alignment;

/* Two matrices of one shape, row i of both from input i. */
bool alignment_compute(matrix first, matrix second, alignment *out, error *err);

#endif

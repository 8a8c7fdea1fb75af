/*
 * LiDAR (Thilak et al. 2024): the effective rank of what tells inputs apart beside what changes between views of one
 * input. With Σ_b the covariance of the inputs' means and Σ_w that inside inputs, λ are the eigenvalues of
 * Σ_w^(−1/2) Σ_b Σ_w^(−1/2), Σ_w taken with δI, and LiDAR is exp(−Σ p log p), p = λ/Σλ + ε. Directions that carry only
 * the views' noise do not count, as they do in RankMe. Classes may stand for inputs, their rows for views.
 */
#ifndef MEWS_ANALYSIS_LIDAR_H
#define MEWS_ANALYSIS_LIDAR_H

#include "analysis/matrix.h"

enum { LIDAR_COLUMNS = 4096 }; /* beyond, a generalised eigenproblem takes longer than it tells */

typedef struct lidar {
    double value;    /* the paper's: Σ_w over its rows. 0 when all means are one point; NaN for one group, or beyond
                        LIDAR_COLUMNS */
    double unbiased; /* the same with Σ_w over its rows less the groups (q − 1 for q views), as stable-pretraining has
                        it; the two differ by what δ weighs beside Σ_w */
    double share;    /* value, of the most possible: min(d, groups − 1) */
    size_t groups;   /* inputs, or classes in use */
} lidar;

/* Two matrices of one shape, row i of both from input i. */
bool lidar_of_views(matrix first, matrix second, lidar *out, error *err);
/* labels (m.rows) in [0, classes). */
bool lidar_of_classes(matrix m, const int32_t *labels, int classes, lidar *out, error *err);

#endif

/*
 * The spectrum across two views of each input. What a view adds of its own (augmentation, dropout, a noise floor) is in
 * the covariance of the embeddings but not in the covariance of one view with the other: a direction that is shared
 * tells inputs apart, one that is not is noise, however much variance it has.
 */
#ifndef MEWS_ANALYSIS_ACROSS_H
#define MEWS_ANALYSIS_ACROSS_H

#include "analysis/spectrum/spectrum.h"

enum { ACROSS_COLUMNS = 4096, ACROSS_ROWS = 10 }; /* at most, at least */

typedef struct across {
    size_t possible;       /* min(n − 1, attainable) */
    double effective_rank; /* of the roots of the cross-covariance's eigenvalues above chance; NaN: not taken */
    double directions;     /* how many those are */
    double chance;         /* the largest such root where the views are of different inputs, over the largest here */
    double drop;           /* the last such root over chance's */
    double behind;         /* Σ of the eigenvalues behind them: the variance that views share there */
} across;

/* Views (n, d) each, row i of both from input i; attainable: the narrowest layer's width. */
bool across_views(matrix first, matrix second, double attainable, uint64_t seed, across *out, error *err);

#endif

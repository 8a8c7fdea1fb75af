/*
 * The first and second moments of a matrix, which its spectra are taken from. Private to spectrum/.
 */
#ifndef MEWS_ANALYSIS_MOMENTS_H
#define MEWS_ANALYSIS_MOMENTS_H

#include "analysis/spectrum/spectrum.h"

/* The matrix with its first and second moments: all that both spectra need while they are flat. */
typedef struct moments {
    row_source m;
    bool tall;         /* rows ≥ cols */
    size_t side;       /* min(rows, cols) */
    double *means;     /* (cols) */
    double *variances; /* (cols), divided by n; 0 for a constant column */
    size_t constant;
    double *gram;     /* (side, side): XᵀX when tall, XXᵀ when wide, of the centred matrix */
    double *shift;    /* (rows) of a wide matrix: c_i·μ, c_i its centred row */
    double doubt;     /* what gram's eigenvalues may be off by for being taken in single precision; 0: in double */
    double *triangle; /* (cols, cols) R of the centred tall matrix, column by column; NULL until it is needed */
} moments;

/* The spectrum once more without the outlier columns, where there are any: fills s->outliers, outlier_ratio, trimmed.
 */
bool spectrum_outliers(const moments *mo, spectrum *s, error *err);

#endif

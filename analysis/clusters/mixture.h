/*
 * Gaussian mixtures with diagonal covariances, fitted by expectation-maximisation as scikit-learn does (its variance
 * floor, its stopping rule), and how their entropy changes with the number of components: embeddings that have shrunk
 * to points inside clusters lose entropy as soon as there is a component for each cluster.
 */
#ifndef MEWS_ANALYSIS_MIXTURE_H
#define MEWS_ANALYSIS_MIXTURE_H

#include "analysis/matrix.h"

typedef struct mixture_options {
    size_t components;     /* 1 … n */
    const int32_t *start;  /* (n) in [0, components): the assignment to start from; NULL: k-means by `seed` */
    double shift, scale;   /* fits (x − shift) · scale; scale 0: 1 */
    double regularisation; /* added to every variance; 0: 1e-6 */
    double tolerance;      /* stop when the mean log-likelihood moves by less; 0: 1e-3 */
    int iterations;        /* 0: 100 */
    uint64_t seed;
} mixture_options;

typedef struct mixture {
    size_t components, dims;
    double log_likelihood; /* mean over rows, nats */
    double entropy;        /* of the fitted density, nats: see mixture_entropy */
    int iterations;
    double *weights;           /* (components) */
    double *means, *variances; /* (components, dims) of the scaled rows */
} mixture;

bool mixture_fit(matrix m, const mixture_options *options, mixture *out, error *err);
void mixture_free(mixture *x);

/*
 * Upper bound of the density's entropy from the divergences between its components (Kolchinsky & Tracey 2017, eq. 10):
 * Σ w_i H_i − Σ w_i log Σ_j w_j exp(−KL(i‖j)). Exact when components coincide or stand apart, and free of draws.
 */
bool mixture_entropy(const mixture *x, double *entropy, error *err);

/* Rows a fit looks at (another sample a seed; fewer of wide matrices, at least four a component), seeds, rounds at
 * most, and the width that the FALCON paper pads embeddings to. */
enum { MIXTURE_POINTS = 5, MIXTURE_SEEDS = 3, MIXTURE_ROWS = 4096, MIXTURE_PADDED = 2048 };
enum { MIXTURE_VALUES = 1 << 18, MIXTURE_ROWS_LEAST = 800, MIXTURE_ITERATIONS = 5 };

typedef struct mixture_point {
    size_t components;
    double log_likelihood, log_likelihood_sd; /* mean and standard deviation over the seeds */
    double entropy, entropy_sd;               /* of all columns */
    double entropy_per_dimension;             /* of the columns that vary, over their number */
    double entropy_padded; /* with columns of zeros up to MIXTURE_PADDED, each at the variance floor, as in the paper */
} mixture_point;

/* Of the matrix brought to [0, 1] by its least and largest entry, as in the paper. */
typedef struct mixture_curve {
    size_t rows, varying, count;          /* varying: columns; count: points with at least 4 rows a component */
    double low, high;                     /* the entries that went to 0 and 1 */
    mixture_point points[MIXTURE_POINTS]; /* 10, 20, 50, 100, 200 components */
} mixture_curve;

/* A constant matrix has no scale: count is 0. */
bool mixture_curve_compute(matrix m, uint64_t seed, mixture_curve *out, error *err);

#endif

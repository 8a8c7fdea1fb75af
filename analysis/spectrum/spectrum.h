/*
 * The singular values of a matrix of embeddings, as it is and centred, and what is read off them: RankMe, effective
 * rank, participation ratio, numerical rank, condition number, power-law exponent. Every rank stands beside what the
 * size of the sample allows: with n rows at most n − 1 centred directions exist, and even noise scores below d.
 */
#ifndef MEWS_ANALYSIS_SPECTRUM_H
#define MEWS_ANALYSIS_SPECTRUM_H

#include "analysis/matrix.h"

/* A rank, as a share of the most that n and d allow, and as a share of what isotropic Gaussian noise scores. */
typedef struct rank_figure {
    double value, share, noise, noise_share; /* noise: the null's own value */
} rank_figure;

/* λ_i ∝ i^−α over ranks first … last, from 1; NaN unless three points. */
typedef struct power_law {
    double alpha, r2;
    size_t first, last;
} power_law;

typedef struct spectrum {
    size_t n, d, count;              /* count = min(n, d) */
    double *singular_values;         /* (count), descending, of the matrix as it is */
    double *singular_values_centred; /* (count), descending, of the matrix minus its column means */
    rank_figure rankme;              /* Garrido et al. 2023: uncentred; share of min(n, d) */
    double rankme_without_epsilon;   /* the same of p = σ/Σσ alone */
    rank_figure effective_rank;      /* Roy & Vetterli 2007: centred; this and below: share of min(n − 1, d) */
    rank_figure participation_ratio; /* centred, (Σλ)² / Σλ² with λ = σ² */
    rank_figure numerical_rank; /* centred, σ > σ₁ max(64, min(n, d)) ε, ε of float32, what the matrix is stored in */
    double condition_number; /* centred: σ₁ over the smallest of the min(n − 1, d); infinity when that is 0 */
    double alpha; /* α-ReQ (Agrawal et al. 2022): λ_i ∝ i^−α by least squares in logs; NaN unless 3 points */
    size_t alpha_first, alpha_last; /* ranks fitted, from 1, both included; 0 when there is no fit */
    double alpha_r2;                /* of that fit */
    double alpha_authors; /* α as its authors' code fits it: ranks 11 to 100, weights 1/rank (after Stringer et al.
                             2019) */
    size_t alpha_authors_first, alpha_authors_last; /* no further than the numerical rank; 0 without three ranks */
    double correlation_off_diagonal;                /* mean |correlation| of two different columns */
    size_t constant_columns;
    double mean_squared_norm;                /* of the rows */
    double total_variance;                   /* trace of the covariance, divided by n; at most mean_squared_norm */
    double *column_means, *column_variances; /* (d); 0 variance for a constant column */
    size_t outliers;                         /* columns that stand far out of the others, see spectrum_outliers.c */
    double outlier_ratio;    /* the largest standard deviation of a column over the median of those that vary */
    double outlier_variance; /* of the least of them */
    double *trimmed;         /* (trimmed_count) as singular_values_centred, without the outlier columns; NULL: none */
    size_t trimmed_count;
    double *noise; /* (count) singular values that noise of this total variance has; NULL when it was not asked for */
    bool by_qr;    /* the steep spectrum asked for QR instead of a Gram matrix */
} spectrum;

/* All of the above. `noise` asks for the null (the noise fields are NaN without it). ERROR_RUN on NaN, or no memory. */
bool spectrum_compute(matrix m, bool noise, spectrum *out, error *err);
/* The same in as many passes over the rows as that takes. A reader has at least as many rows as columns. */
bool spectrum_compute_rows(const row_source *rows, bool noise, spectrum *out, error *err);
void spectrum_free(spectrum *s);

/*
 * Singular values alone: sigma (min(rows, cols)), descending, of the matrix minus its column means when `centred`. A
 * column whose spread is float32 rounding of its mean is constant: centred, it is exactly zero. *by_qr (or NULL) says
 * which road was taken: a Gram matrix in double squares the condition number and leaves 8 of 16 digits, so a spectrum
 * that spans more than 5 decades is taken again by QR of row blocks (TSQR).
 */
bool spectrum_singular_values(matrix m, bool centred, double *sigma, bool *by_qr, error *err);

/* Same from a Gram matrix (d, d), which is destroyed: sigma (d), descending. */
bool spectrum_of_gram(double *gram, size_t d, double *sigma, error *err);

/* exp of the entropy of p = σ/Σσ + 1e-7, as in RankMe's equation 2; 0 when all σ are 0. */
double spectrum_rankme(const double *sigma, size_t count);
/* exp of the entropy of σ/Σσ, 0 log 0 = 0; 0 when all σ are 0. */
double spectrum_effective_rank(const double *sigma, size_t count);
double spectrum_participation_ratio(const double *sigma, size_t count);

/* Least squares of log λ = 2 log σ on log rank, over the first `rank` of sigma but for the ends. */
power_law spectrum_fit_power_law(const double *sigma, size_t rank);
/* The same as α-ReQ's authors have it: ranks 11 to 100, weights 1/rank. */
power_law spectrum_fit_power_law_as_authors(const double *sigma, size_t rank);

/* How many of the first directions carry this share of the variance. */
size_t spectrum_directions(const double *sigma, size_t count, double share);
/* Columns that are dead to values of this precision: their deviation is no more than what rounding a typical entry, or
 * their own mean, leaves. The first `most` of them into out; returns how many there are. */
size_t spectrum_dead_columns(const spectrum *s, double precision, uint32_t *out, size_t most);
/* Mean of the cumulative explained variance (Li et al., arXiv 2209.15007): 1 for one direction, near 0.5 for noise. */
double spectrum_explained_area(const double *sigma, size_t count);

/* The first clear drop between two neighbours, or else the largest; values below `floor` count as that. At least three
 * values, and a fifth of all, stand behind it; factor 0: there is none. cols: the columns that there are. */
typedef struct spectrum_gap {
    size_t place; /* values before it */
    double factor, variance;
} spectrum_gap;
spectrum_gap spectrum_find_gap(const double *sigma, size_t count, double cols, double floor);
bool spectrum_clear_gap(double place, double cols, double factor, double variance);

/* What isotropic Gaussian noise of n rows and d columns scores; see spectrum_noise.c for how it is got. */
typedef struct noise_ranks {
    double rankme, effective_rank, participation_ratio, numerical_rank;
} noise_ranks;
/* mean (min(n, d)): its expected singular values, descending, at unit variance, to be drawn beside a spectrum. */
bool spectrum_noise(size_t n, size_t d, noise_ranks *out, double *mean, error *err);

#endif

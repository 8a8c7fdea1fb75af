/*
 * A row-major float32 matrix that the analysis reads and never owns, and the second moments taken from it. Everything
 * is computed in double, a tile at a time, so that a memory-mapped matrix larger than memory needs no copy of itself.
 * What can do with one pass over rows that are not in memory takes a row_source (rows.h) instead.
 */
#ifndef MEWS_ANALYSIS_MATRIX_H
#define MEWS_ANALYSIS_MATRIX_H

#include "analysis/diagnose/rows.h"

#include <stdint.h>

typedef struct matrix {
    const float *data;
    size_t rows, cols;
} matrix;

/* A column whose standard deviation is below this share of its mean was constant before float32 rounded it. */
#define MATRIX_CONSTANT 0x1p-22

/* As rows.h has them. */
static inline row_source rows_of(matrix m) { return (row_source){.rows = m.rows, .cols = m.cols, .floats = m.data}; }

/* rows_tile and rows_block of a matrix. */
void matrix_tile(matrix m, size_t first_row, size_t rows, size_t first_col, size_t cols, const double *means,
                 double *out, size_t stride);
void matrix_block(matrix m, size_t first_row, size_t rows, const double *means, double *out);

/* An empty matrix, or a NaN or infinity, is an error that names the row and column of the first one. */
bool matrix_check(matrix m, const char *name, error *err);

/* Labels (count) have to be in [0, classes); the first that is not is named by its row. */
bool labels_check(const int32_t *labels, size_t count, int classes, const char *name, error *err);

/* Column means (cols). Sums of fewer than 2^29 equal floats are exact in double: a constant column centres to zero. */
bool matrix_means(matrix m, double *means, error *err);

/* Euclidean norm of each row (rows). */
void matrix_row_norms(matrix m, double *norms);

/* Σ over rows [first, first + count) of xᵀx, x centred by `means` when given: out (cols, cols), full and symmetric. */
bool matrix_gram(matrix m, size_t first, size_t count, const double *means, double *out, error *err);

/* X Xᵀ of the rows, centred by `means` when given: out (rows, rows), full and symmetric. */
bool matrix_gram_rows(matrix m, const double *means, double *out, error *err);

/* Covariance (cols, cols), divided by n. */
bool matrix_covariance(matrix m, double *out, error *err);

/* Turns a covariance (d, d) into correlations in place; a constant column's are 0, its diagonal too. Returns the mean
 * absolute value off the diagonal among the columns that vary (0 with fewer than two). */
double matrix_correlation(double *covariance, size_t d);

typedef enum matrix_pooling {
    MATRIX_MEAN,    /* signed mean of a block */
    MATRIX_MAX_ABS, /* the entry of largest magnitude, with its sign: thin lines stay visible */
} matrix_pooling;

/* Pools square (n, n) into out (k, k), k = min(n, limit), for a heat map. Returns k. */
size_t matrix_pool(const double *square, size_t n, size_t limit, matrix_pooling pooling, double *out);

/*
 * Heat map of the adjacency matrix of cosines between rows, taken in the order `order` (rows entries, or NULL for their
 * own), without ever holding (rows, rows): out (k, k), k = min(rows, limit), returned in *k.
 */
bool matrix_adjacency(matrix m, const uint32_t *order, size_t limit, matrix_pooling pooling, double *out, size_t *k,
                      error *err);

/* `wanted` of `rows` row numbers, ascending, drawn without repetition by (seed, draw) (selection sampling, Knuth 3.4.2
 * S); all of them when wanted = rows. out (wanted). matrix_sample copies such rows: out (wanted, cols). */
void matrix_choose(size_t rows, size_t wanted, uint64_t seed, uint32_t draw, uint32_t *out);
bool matrix_sample(matrix m, size_t wanted, uint64_t seed, uint32_t draw, float *out, error *err);

/* Row numbers sorted by key, stable: the order that shows blocks. keys ≥ 0, or anything. order (count). */
bool matrix_order(const int32_t *keys, size_t count, uint32_t *order, error *err);

#endif

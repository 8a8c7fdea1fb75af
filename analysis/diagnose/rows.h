/*
 * Rows from wherever they are: floats or doubles in memory, or a reader that hands out blocks of them, so that what
 * needs one pass over all rows (means, Gram matrices, spectra) takes bounded memory at any number of rows and keeps the
 * precision that a file has. A block is read whole before it is used; readers may let go of it afterwards.
 */
#ifndef MEWS_ANALYSIS_ROWS_H
#define MEWS_ANALYSIS_ROWS_H

#include "engine/error.h"

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

typedef struct row_source {
    size_t rows, cols;
    const float *floats;   /* (rows, cols), or NULL */
    const double *doubles; /* (rows, cols), or NULL */
    /* Without either: rows [first, first + count) into out (count, cols). Never called from two threads at once. */
    void (*read)(void *context, size_t first, size_t count, double *out);
    void *context;
} row_source;

/*
 * Rows [first_row, first_row + rows) and columns [first_col, first_col + cols) as doubles, minus `means` (of all
 * columns) when given: out (rows, cols) row by row, a new row every `stride` doubles. Of a reader: all columns, packed.
 * rows_block is the same for whole rows, packed.
 */
void rows_tile(const row_source *s, size_t first_row, size_t rows, size_t first_col, size_t cols, const double *means,
               double *out, size_t stride);
void rows_block(const row_source *s, size_t first_row, size_t rows, const double *means, double *out);

/* Rows of a tile for one pass over this many columns: small enough to stay in the cache until it is used. */
size_t rows_tile_height(size_t cols);

/* A matrix without rows or columns is an error; rows_check: so is a NaN or infinity, named by row and column. */
bool rows_shape_check(const row_source *s, const char *name, error *err);
bool rows_check(const row_source *s, const char *name, error *err);

/* Column means (cols). Sums of fewer than 2^29 equal floats are exact in double: a constant column centres to zero. */
bool rows_means(const row_source *s, double *means, error *err);

/* Σ over rows [first, first + count) of xᵀx, x centred by `means` when given: out (cols, cols), full and symmetric. */
bool rows_gram(const row_source *s, size_t first, size_t count, const double *means, double *out, error *err);

/*
 * The same of all rows, in single precision a block of rows at a time, the blocks added in double: twice as fast.
 * *doubt takes what the difference's largest eigenvalue may be, measured on some blocks, where the same products are
 * taken in double beside it.
 */
bool rows_gram_fast(const row_source *s, const double *means, double *out, double *doubt, error *err);

/* X Xᵀ of the rows, centred by `means` when given: out (rows, rows), full and symmetric. Not of a reader. */
bool rows_gram_wide(const row_source *s, const double *means, double *out, error *err);

#endif

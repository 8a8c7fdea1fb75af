/*
 * Products of many rows with a few vectors. A matrix product this thin spends BLAS's time on packing the rows; here the
 * vectors are packed instead, once, and the rows are read as they stand.
 */
#ifndef MEWS_ANALYSIS_FEW_H
#define MEWS_ANALYSIS_FEW_H

#include <stddef.h>

enum { FEW_TILE = 16 };

/* Vectors come in tiles: `count` of them take the room of this many. */
static inline size_t few_stride(size_t count) { return (count + FEW_TILE - 1) / FEW_TILE * FEW_TILE; }

/* Vector `index` (d) into its place in packed (few_stride(count), d), whose other places are to be zero. */
void few_pack(const float *vector, size_t index, size_t d, float *packed);

/* dots (rows, few_stride(count)) of x (rows, d). */
void few_multiply(const float *x, size_t rows, size_t d, const float *packed, size_t count, float *dots);

#endif

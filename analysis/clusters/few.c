#include "analysis/clusters/few.h"
#include "analysis/clones.h"

#include <string.h>

/* Rows met at once: their sums with one tile of vectors leave room in sixteen registers of eight. */
enum { ROWS = 6 };

void few_pack(const float *vector, size_t index, size_t d, float *packed) {
    float *tile = packed + index / FEW_TILE * FEW_TILE * d;
    for (size_t j = 0; j < d; j++) tile[j * FEW_TILE + index % FEW_TILE] = vector[j];
}

/* ROWS rows with one tile (d, FEW_TILE): out (ROWS, stride). */
CLONED static void multiply_tile(const float *x, size_t d, const float *tile, float *out, size_t stride) {
    float sum[ROWS][FEW_TILE] = {{0}};
    for (size_t j = 0; j < d; j++)
        for (size_t r = 0; r < ROWS; r++)
#pragma omp simd
            for (size_t c = 0; c < FEW_TILE; c++) sum[r][c] += x[r * d + j] * tile[j * FEW_TILE + c];
    for (size_t r = 0; r < ROWS; r++) memcpy(out + r * stride, sum[r], sizeof sum[r]);
}

void few_multiply(const float *x, size_t rows, size_t d, const float *packed, size_t count, float *dots) {
    size_t stride = few_stride(count), i = 0;
    for (; i + ROWS <= rows; i += ROWS)
        for (size_t c = 0; c < count; c += FEW_TILE)
            multiply_tile(x + i * d, d, packed + c * d, dots + i * stride + c, stride);
    if (i < rows && rows >= ROWS) /* the last ones, some of them again */
        for (size_t c = 0; c < count; c += FEW_TILE)
            multiply_tile(x + (rows - ROWS) * d, d, packed + c * d, dots + (rows - ROWS) * stride + c, stride);
    for (i = rows >= ROWS ? rows : 0; i < rows; i++)
        for (size_t c = 0; c < count; c += FEW_TILE) {
            float *sum = dots + i * stride + c;
            for (size_t t = 0; t < FEW_TILE; t++) sum[t] = 0;
            for (size_t j = 0; j < d; j++)
                for (size_t t = 0; t < FEW_TILE; t++) sum[t] += x[i * d + j] * packed[c * d + j * FEW_TILE + t];
        }
}

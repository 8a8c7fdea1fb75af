/*
 * Big square matrices made small enough to look at: pooling to k×k, and the adjacency matrix of cosines between all
 * rows, which at n = 10,000 would be 800 MB and is pooled as it is made. The mean over a block of cosines is the inner
 * product of two mean directions, so the signed mean costs O(n d); the largest magnitude has to look at every pair.
 */
#include "analysis/matrix.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

static size_t edge(size_t n, size_t k, size_t bin) { return bin * n / k; }

size_t matrix_pool(const double *square, size_t n, size_t limit, matrix_pooling pooling, double *out) {
    size_t k = n < limit ? n : limit;
    for (size_t a = 0; a < k; a++)
        for (size_t b = 0; b < k; b++) {
            size_t top = edge(n, k, a), bottom = edge(n, k, a + 1), left = edge(n, k, b), right = edge(n, k, b + 1);
            double sum = 0, largest = 0;
            for (size_t i = top; i < bottom; i++)
                for (size_t j = left; j < right; j++) {
                    double x = square[i * n + j];
                    sum += x;
                    if (fabs(x) > fabs(largest)) largest = x;
                }
            out[a * k + b] = pooling == MATRIX_MEAN ? sum / (double)((bottom - top) * (right - left)) : largest;
        }
    return k;
}

/* Unit rows in their new order: out (rows, cols). A zero row stays zero: it has no direction. */
static void unit_rows(matrix m, const uint32_t *order, const double *norms, float *out) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m.rows; i++) {
        size_t row = order ? order[i] : i;
        float scale = norms[row] > 0 ? (float)(1 / norms[row]) : 0;
        for (size_t j = 0; j < m.cols; j++) out[i * m.cols + j] = scale * m.data[row * m.cols + j];
    }
}

static void pool_means(matrix unit, size_t k, double *means, double *out) {
    for (size_t bin = 0; bin < k; bin++) {
        size_t top = edge(unit.rows, k, bin), bottom = edge(unit.rows, k, bin + 1);
        double *mean = means + bin * unit.cols;
        for (size_t j = 0; j < unit.cols; j++) mean[j] = 0;
        for (size_t i = top; i < bottom; i++)
            for (size_t j = 0; j < unit.cols; j++) mean[j] += unit.data[i * unit.cols + j] / (double)(bottom - top);
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)k, (int)k, (int)unit.cols, 1, means, (int)unit.cols,
                means, (int)unit.cols, 0, out, (int)k);
}

/* cosines: scratch, (rows of the tallest bin, rows). */
static void pool_largest(matrix unit, size_t k, float *cosines, double *out) {
    for (size_t a = 0; a < k; a++) {
        size_t top = edge(unit.rows, k, a), height = edge(unit.rows, k, a + 1) - top, width = unit.rows - top;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)height, (int)width, (int)unit.cols, 1,
                    unit.data + top * unit.cols, (int)unit.cols, unit.data + top * unit.cols, (int)unit.cols, 0,
                    cosines, (int)width);
#pragma omp parallel for schedule(static)
        for (size_t b = a; b < k; b++) {
            float largest = 0;
            for (size_t i = 0; i < height; i++)
                for (size_t j = edge(unit.rows, k, b) - top; j < edge(unit.rows, k, b + 1) - top; j++)
                    if (fabsf(cosines[i * width + j]) > fabsf(largest)) largest = cosines[i * width + j];
            out[a * k + b] = out[b * k + a] = largest;
        }
    }
}

bool matrix_adjacency(matrix m, const uint32_t *order, size_t limit, matrix_pooling pooling, double *out, size_t *k,
                      error *err) {
    *k = m.rows < limit ? m.rows : limit;
    size_t tallest = m.rows / *k + 1,
           scratch_bytes = pooling == MATRIX_MEAN ? *k * m.cols * sizeof(double) : tallest * m.rows * sizeof(float);
    double *norms = malloc(m.rows * sizeof *norms);
    float *rows = malloc(m.rows * m.cols * sizeof *rows);
    void *scratch = malloc(scratch_bytes);
    bool ok = norms && rows && scratch;
    if (!ok) {
        error_memory(err, m.rows * m.cols * sizeof *rows + scratch_bytes, "an adjacency matrix");
        goto done;
    }
    matrix_row_norms(m, norms);
    unit_rows(m, order, norms, rows);
    matrix unit = {rows, m.rows, m.cols};
    if (pooling == MATRIX_MEAN)
        pool_means(unit, *k, scratch, out);
    else
        pool_largest(unit, *k, scratch, out);
done:
    free(norms);
    free(rows);
    free(scratch);
    return ok;
}

/* Merge sort from the bottom up: stable, and its order does not depend on a library's qsort. */
bool matrix_order(const int32_t *keys, size_t count, uint32_t *order, error *err) {
    uint32_t *spare = malloc((count + 1) * sizeof *spare), *from = order, *to = spare;
    if (!spare) return error_memory(err, count * sizeof *spare, "an order of rows");
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count, a = start, b = middle;
            for (size_t i = start; i < end; i++)
                to[i] = b == end || (a < middle && keys[from[a]] <= keys[from[b]]) ? from[a++] : from[b++];
        }
        uint32_t *swap = from;
        from = to, to = swap;
    }
    for (size_t i = 0; from != order && i < count; i++) order[i] = from[i];
    free(spare);
    return true;
}

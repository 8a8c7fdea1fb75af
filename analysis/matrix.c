#include "analysis/matrix.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void matrix_tile(matrix m, size_t first_row, size_t rows, size_t first_col, size_t cols, const double *means,
                 double *out, size_t stride) {
    row_source s = rows_of(m);
    rows_tile(&s, first_row, rows, first_col, cols, means, out, stride);
}

void matrix_block(matrix m, size_t first_row, size_t rows, const double *means, double *out) {
    matrix_tile(m, first_row, rows, 0, m.cols, means, out, m.cols);
}

bool matrix_check(matrix m, const char *name, error *err) {
    row_source s = rows_of(m);
    return rows_check(&s, name, err);
}

bool labels_check(const int32_t *labels, size_t count, int classes, const char *name, error *err) {
    for (size_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return error_set(err, ERROR_RUN, "%s: row %zu has label %d; labels are 0 to %d", name, i, labels[i],
                             classes - 1);
    return true;
}

bool matrix_means(matrix m, double *means, error *err) {
    row_source s = rows_of(m);
    return rows_means(&s, means, err);
}

void matrix_row_norms(matrix m, double *norms) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m.rows; i++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < m.cols; j++) sum += (double)m.data[i * m.cols + j] * m.data[i * m.cols + j];
        norms[i] = sqrt(sum);
    }
}

bool matrix_gram(matrix m, size_t first, size_t count, const double *means, double *out, error *err) {
    row_source s = rows_of(m);
    return rows_gram(&s, first, count, means, out, err);
}

bool matrix_gram_rows(matrix m, const double *means, double *out, error *err) {
    row_source s = rows_of(m);
    return rows_gram_wide(&s, means, out, err);
}

bool matrix_covariance(matrix m, double *out, error *err) {
    double *means = malloc(m.cols * sizeof *means);
    if (!means) return error_memory(err, m.cols * sizeof *means, "column means");
    bool ok = matrix_means(m, means, err) && matrix_gram(m, 0, m.rows, means, out, err);
    if (ok) cblas_dscal((int)(m.cols * m.cols), 1 / (double)m.rows, out, 1);
    free(means);
    return ok;
}

double matrix_correlation(double *covariance, size_t d) {
    double sum = 0;
    size_t varying = 0;
    for (size_t i = 0; i < d; i++) varying += covariance[i * d + i] > 0;
    for (size_t i = 0; i < d; i++) {
        double si = covariance[i * d + i];
        for (size_t j = i + 1; j < d; j++) {
            double product = sqrt(si) * sqrt(covariance[j * d + j]);
            double r = product > 0 ? covariance[i * d + j] / product : 0;
            covariance[i * d + j] = covariance[j * d + i] = r;
            sum += fabs(r);
        }
    }
    for (size_t i = 0; i < d; i++) covariance[i * d + i] = covariance[i * d + i] > 0;
    return varying > 1 ? sum / (0.5 * (double)varying * (double)(varying - 1)) : 0;
}

void matrix_choose(size_t rows, size_t wanted, uint64_t seed, uint32_t draw, uint32_t *out) {
    rng r = rng_stream(seed, RNG_SUBSET, 1, 0, draw);
    size_t taken = 0;
    for (size_t i = 0; taken < wanted; i++)
        if (wanted == rows || rng_uniform(&r) * (double)(rows - i) < (double)(wanted - taken))
            out[taken++] = (uint32_t)i;
}

bool matrix_sample(matrix m, size_t wanted, uint64_t seed, uint32_t draw, float *out, error *err) {
    uint32_t *rows = malloc(wanted * sizeof *rows);
    if (!rows) return error_memory(err, wanted * sizeof *rows, "row numbers");
    matrix_choose(m.rows, wanted, seed, draw, rows);
    for (size_t i = 0; i < wanted; i++) memcpy(out + i * m.cols, m.data + rows[i] * m.cols, m.cols * sizeof *out);
    free(rows);
    return true;
}

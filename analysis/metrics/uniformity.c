/*
 * Uniformity on the sphere: log of the mean over pairs i ≠ j of exp(−2·‖z_i − z_j‖²), z the embeddings' rows at
 * length 1. Wang & Isola, ICML 2020. 0 where all are one point; the less, the more evenly they are spread. Of a row of
 * zeros, which has no direction, the distance to all others is 1.
 */
#include "analysis/metrics/metric.h"

#include <math.h>
#include <stdlib.h>

/* Rows of length 1 in double, (n, d). */
static double *directions(matrix m) {
    double *z = malloc(m.rows * m.cols * sizeof *z);
    for (size_t i = 0; z && i < m.rows; i++) {
        double sum = 0, *row = z + i * m.cols;
        for (size_t k = 0; k < m.cols; k++) row[k] = m.data[i * m.cols + k], sum += row[k] * row[k];
        for (size_t k = 0; k < m.cols && sum > 0; k++) row[k] /= sqrt(sum);
    }
    return z;
}

static bool measure(const metric_input *in, double *value, error *err) {
    size_t n = in->embeddings.rows, d = in->embeddings.cols;
    double *z = directions(in->embeddings), *sums = calloc(n + 1, sizeof *sums), sum = 0;
    bool ok = (z && sums) || error_memory(err, n * d * sizeof *z, "uniformity");
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < (ok ? n : 0); i++)
        for (size_t j = 0; j < i; j++) {
            double square = 0;
#pragma omp simd reduction(+ : square)
            for (size_t k = 0; k < d; k++) {
                double apart = z[i * d + k] - z[j * d + k];
                square += apart * apart;
            }
            sums[i] += exp(-2 * square);
        }
    for (size_t i = 0; ok && i < n; i++) sum += sums[i];
    if (ok) *value = n > 1 ? log(2 * sum / ((double)n * (double)(n - 1))) : (double)NAN;
    free(z);
    free(sums);
    return ok;
}

const metric metric_uniformity = {.name = "uniformity", .title = "uniformity", .measure = measure};

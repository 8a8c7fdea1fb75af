#include "analysis/clusters/silhouette.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 256 };

/* Cluster of each sampled row as 0 … K − 1, and each cluster's rows: counts (rows). Returns K. */
static bool number_clusters(const int32_t *assignment, const uint32_t *rows, size_t n, int32_t *number, double *counts,
                            size_t *clusters, error *err) {
    int32_t *keys = malloc(n * sizeof *keys);
    uint32_t *order = malloc(n * sizeof *order);
    bool ok = (keys && order) || error_memory(err, 8 * n, "clusters");
    *clusters = 0;
    for (size_t i = 0; ok && i < n; i++) keys[i] = assignment[rows[i]];
    ok = ok && matrix_order(keys, n, order, err);
    for (size_t i = 0; ok && i < n; i++) {
        *clusters += i == 0 || keys[order[i]] != keys[order[i - 1]];
        number[order[i]] = (int32_t)(*clusters - 1);
        counts[*clusters - 1]++;
    }
    free(keys);
    free(order);
    return ok;
}

/* Of one row, from its distances to all: sums (K) is scratch. */
static double width(const double *dots, const double *squares, const int32_t *number, const double *counts, size_t row,
                    size_t n, size_t clusters, double *sums) {
    size_t own = (size_t)number[row];
    double other = INFINITY;
    if (counts[own] < 2) return 0;
    for (size_t k = 0; k < clusters; k++) sums[k] = 0;
    for (size_t i = 0; i < n; i++)
        if (i != row) sums[number[i]] += sqrt(fmax(squares[row] + squares[i] - 2 * dots[i], 0));
    for (size_t k = 0; k < clusters; k++)
        if (k != own) other = fmin(other, sums[k] / counts[k]);
    double inner = sums[own] / (counts[own] - 1), larger = fmax(inner, other);
    return larger > 0 ? (other - inner) / larger : 0;
}

bool silhouette_compute(matrix m, const int32_t *assignment, uint64_t seed, silhouette *out, error *err) {
    size_t n = smaller(m.rows, SILHOUETTE_ROWS), d = m.cols;
    *out = (silhouette){.value = NAN, .rows = n};
    uint32_t *rows = malloc(n * sizeof *rows);
    int32_t *number = malloc(n * sizeof *number);
    double *x = malloc(n * d * sizeof *x), *squares = malloc(n * sizeof *squares), *counts = calloc(n, sizeof *counts);
    double *means = malloc(d * sizeof *means), *dots = malloc(BLOCK * n * sizeof *dots);
    double *sums = malloc(BLOCK * n * sizeof *sums), widths[BLOCK], total = 0;
    bool ok = rows && number && x && squares && counts && means && dots && sums;
    if (!ok) error_memory(err, (n * d + 2 * BLOCK * n) * sizeof *x, "silhouettes");
    ok = ok && matrix_means(m, means, err);
    if (ok) matrix_choose(m.rows, n, seed, 2, rows);
    ok = ok && number_clusters(assignment, rows, n, number, counts, &out->clusters, err);
    if (!ok || out->clusters < 2 || out->clusters >= n) goto done;
    for (size_t i = 0; i < n; i++) matrix_block(m, rows[i], 1, means, x + i * d);
    for (size_t i = 0; i < n; i++) squares[i] = cblas_ddot((int)d, x + i * d, 1, x + i * d, 1);
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t height = smaller(BLOCK, n - start);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)height, (int)n, (int)d, 1, x + start * d, (int)d, x,
                    (int)d, 0, dots, (int)n);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < height; i++)
            widths[i] = width(dots + i * n, squares, number, counts, start + i, n, out->clusters, sums + i * n);
        for (size_t i = 0; i < height; i++) total += widths[i];
    }
    out->value = total / (double)n;
done:
    free(rows);
    free(number);
    free(x);
    free(squares);
    free(counts);
    free(means);
    free(dots);
    free(sums);
    return ok;
}

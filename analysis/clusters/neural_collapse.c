/*
 * Σ_B = AᵀA with A the K centred class means over √K, so with A = U S Vᵀ the pseudo-inverse is V S⁻² Vᵀ and the trace a
 * sum over at most K − 1 directions: the d×d covariances are never formed.
 */
#include "analysis/clusters/neural_collapse.h"
#include "engine/rng.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

/* Rows of each class: counts (classes). Returns how many classes have any. */
static size_t count_classes(const int32_t *labels, size_t n, int classes, double *counts) {
    size_t used = 0;
    memset(counts, 0, (size_t)classes * sizeof *counts);
    for (size_t i = 0; i < n; i++) used += counts[labels[i]]++ == 0;
    return used;
}

/* Class means about `means`: centres (classes, cols). */
static void class_means(matrix m, const int32_t *labels, int classes, const double *means, const double *counts,
                        double *centres) {
    size_t d = m.cols;
    memset(centres, 0, (size_t)classes * d * sizeof *centres);
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < d; j++) centres[(size_t)labels[i] * d + j] += m.data[i * d + j] - means[j];
    for (size_t k = 0; k < (size_t)classes; k++)
        for (size_t j = 0; counts[k] > 0 && j < d; j++) centres[k * d + j] /= counts[k];
}

/* Memory of one trace: all of it is one piece, cut below. */
typedef struct workspace {
    double *centres, *copy, *left, *right, *sigma, *rows, *along;
} workspace;

static double *carve(workspace *w, size_t classes, size_t d) {
    size_t side = smaller(classes, d), mean = classes * d;
    double *all = malloc((2 * mean + classes * side + side * d + side + BLOCK * (d + side)) * sizeof *all);
    if (!all) return NULL;
    w->centres = all, w->copy = w->centres + mean, w->left = w->copy + mean;
    w->right = w->left + classes * side, w->sigma = w->right + side * d;
    w->rows = w->sigma + side, w->along = w->rows + BLOCK * d;
    return all;
}

/* tr(Σ_W Σ_B⁺) / K: what is left of each row about its class mean, along each direction of A, over its variance. */
static bool trace(matrix m, const int32_t *labels, int classes, double used, const double *means, const double *counts,
                  workspace *w, double *out, error *err) {
    size_t n = m.rows, d = m.cols, k = (size_t)classes, side = smaller(k, d), rank = 0;
    double sum = 0;
    class_means(m, labels, classes, means, counts, w->centres);
    for (size_t i = 0; i < k * d; i++) w->copy[i] = w->centres[i] / sqrt(used);
    if (LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', (lapack_int)k, (lapack_int)d, w->copy, (lapack_int)d, w->sigma, w->left,
                       (lapack_int)side, w->right, (lapack_int)d))
        return error_set(err, ERROR_RUN, "singular values of %zu class means did not converge", k);
    /* Weighted by their rows the centred means add up to zero: one direction fewer than classes, and what stands in its
     * place is rounding, which no threshold tells from means that lie close together. */
    size_t most = smaller(side, (size_t)used - 1);
    while (rank < most && w->sigma[rank] > (double)(k > d ? k : d) * DBL_EPSILON * w->sigma[0]) rank++;
    *out = NAN;
    if (rank == 0) return true;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t rows = smaller(BLOCK, n - start);
        matrix_block(m, start, rows, means, w->rows);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < d; j++) w->rows[i * d + j] -= w->centres[(size_t)labels[start + i] * d + j];
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)rank, (int)d, 1, w->rows, (int)d, w->right,
                    (int)d, 0, w->along, (int)rank);
        for (size_t i = 0; i < rows; i++)
            for (size_t r = 0; r < rank; r++) {
                double x = w->along[i * rank + r] / w->sigma[r];
                sum += x * x;
            }
    }
    *out = sum / (double)n / used;
    return true;
}

bool neural_collapse_compute(matrix m, const int32_t *labels, int classes, uint64_t seed, neural_collapse *out,
                             error *err) {
    size_t n = m.rows, d = m.cols;
    *out = (neural_collapse){.nc1 = NAN, .chance = NAN};
    if (!matrix_check(m, "embeddings", err) || !labels_check(labels, n, classes, "labels", err)) return false;
    double *counts = malloc((size_t)classes * sizeof *counts), *means = malloc(d * sizeof *means), *all = NULL;
    uint32_t *order = malloc(n * sizeof *order);
    int32_t *permuted = malloc(n * sizeof *permuted);
    workspace w = {0};
    bool ok = (counts && means && order && permuted) || error_memory(err, n * 8, "labels");
    if (!ok) goto done;
    out->classes = count_classes(labels, n, classes, counts);
    if (out->classes < 2 || n < 2 * out->classes || classes > NEURAL_COLLAPSE_CLASSES) goto done;
    all = carve(&w, (size_t)classes, d);
    ok = all || error_memory(err, 3 * (size_t)classes * d * sizeof *all, "class means");
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    rng r = rng_stream(seed, RNG_PERMUTATION, 0, 0, 1);
    rng_shuffle(&r, order, n);
    for (size_t i = 0; i < n; i++) permuted[i] = labels[order[i]];
    double used = (double)out->classes;
    ok = ok && matrix_means(m, means, err) && trace(m, labels, classes, used, means, counts, &w, &out->nc1, err) &&
         trace(m, permuted, classes, used, means, counts, &w, &out->chance, err);
done:
    free(counts);
    free(means);
    free(order);
    free(permuted);
    free(all);
    return ok;
}

#include "analysis/spectrum/eigenvalues.h"
#include "analysis/spectrum/across.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 1024 };

/* Memory in one piece: means of both views, two blocks of rows, the cross-covariance. */
typedef struct work {
    double *first_means, *second_means, *first, *second, *cross; /* (d), (d), (BLOCK, d), (BLOCK, d), (d, d) */
    uint32_t *order;                                             /* (n) */
} work;

/* Eigenvalues of (C + Cᵀ)/2, C the cross-covariance with the second view's rows in this order: descending. */
static bool cross_values(matrix a, matrix b, const work *w, double *values, error *err) {
    size_t n = a.rows, d = a.cols;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t rows = smaller(BLOCK, n - start);
        matrix_block(a, start, rows, w->first_means, w->first);
        for (size_t i = 0; i < rows; i++) matrix_block(b, w->order[start + i], 1, w->second_means, w->second + i * d);
        cblas_dsyr2k(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)rows, 0.5 / (double)n, w->first, (int)d,
                     w->second, (int)d, start ? 1 : 0, w->cross, (int)d);
    }
    /* Row by row its upper half is, column by column, its lower one. */
    if (!eigenvalues(w->cross, 'L', d, values))
        return error_set(err, ERROR_RUN, "eigenvalues of a %zu×%zu cross-covariance did not converge", d, d);
    for (size_t i = 0; i < d / 2; i++) {
        double swap = values[i];
        values[i] = values[d - 1 - i], values[d - 1 - i] = swap;
    }
    return true;
}

static void describe(double *values, double chance, size_t cols, across *out) {
    size_t count = out->possible, shared = 0;
    double trace = 0, before = 0, floor = sqrt(fmax(chance, 0)), first = values[0];
    if (!(first > 0)) {
        out->effective_rank = out->directions = 0;
        return;
    }
    for (size_t i = 0; i < cols; i++) trace += values[i];
    for (size_t i = 0; i < count; i++) {
        shared += values[i] > chance;
        values[i] = values[i] > 0 ? sqrt(values[i]) : 0;
    }
    out->effective_rank = spectrum_effective_rank(values, shared), out->directions = (double)shared;
    for (size_t i = 0; i < shared; i++) before += values[i] * values[i];
    out->chance = floor / values[0], out->behind = trace - before;
    out->drop = shared ? values[shared - 1] / fmax(floor, 1e-7 * values[0]) : 0;
}

bool across_views(matrix a, matrix b, double attainable, uint64_t seed, across *out, error *err) {
    size_t n = a.rows, d = a.cols;
    *out = (across){.effective_rank = NAN, .directions = NAN, .chance = NAN};
    if (n != b.rows || d != b.cols)
        return error_set(err, ERROR_RUN, "two views of %zu×%zu and %zu×%zu; they have one shape", n, d, b.rows, b.cols);
    if (n < ACROSS_ROWS || d > ACROSS_COLUMNS) return true;
    out->possible = smaller(n - 1, attainable > 0 && attainable < (double)d ? (size_t)attainable : d);
    double *memory = malloc((4 * d + 2 * BLOCK * d + d * d) * sizeof *memory);
    work w = {.first_means = memory, .order = malloc(n * sizeof *w.order)};
    bool ok = (memory && w.order) || error_memory(err, (2 * BLOCK + d) * d * sizeof *memory, "a cross-covariance");
    if (ok) {
        double *values = memory + 2 * d, *strangers = values + d;
        w.second_means = memory + d, w.first = strangers + d, w.second = w.first + BLOCK * d;
        w.cross = w.second + BLOCK * d;
        for (size_t i = 0; i < n; i++) w.order[i] = (uint32_t)i;
        ok = matrix_means(a, w.first_means, err) && matrix_means(b, w.second_means, err) &&
             cross_values(a, b, &w, values, err);
        rng r = rng_stream(seed, RNG_PERMUTATION, 0, 0, 3);
        rng_shuffle(&r, w.order, n);
        ok = ok && cross_values(a, b, &w, strangers, err);
        if (ok) describe(values, fmax(strangers[0], -strangers[d - 1]), d, out);
    }
    free(memory);
    free(w.order);
    return ok;
}

/*
 * Pairs of rows are looked at in square blocks, distances by a matrix product in double. A block's sums have one owner
 * a row and are added in order, so the thread count decides no bit. Alignment's chance level needs no pairs at all: it
 * follows from the sums of both views.
 */
#include "analysis/diagnose/views.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 512 }; /* rows of a block of the pairs' matrix */

/* Below this, two unit vectors differ by the rounding of float32 alone: squared, and a few bits of room. */
static const double SAME_POINT = 0x1p-42;

/* ---- uniformity -------------------------------------------------------------------------------------------------- */

/*
 * The mean of exp(−2 (2 − 2t)) over t, the cosine of two independent points of the sphere in d dimensions: e⁻⁴ times
 * the Bessel series ₀F₁(; d/2; 4) = Σ 4^k / (k! (d/2)(d/2 + 1)…(d/2 + k − 1)).
 */
static double uniformity_expected(size_t d) {
    double term = 1, sum = 1;
    for (int k = 0; k < 60; k++) {
        term *= 4 / ((k + 1) * ((double)d / 2 + k));
        sum += term;
    }
    return log(sum) - 4;
}

/* `count` of the rows in their order (selection sampling, Knuth 3.4.2 S), each at unit length: out (count, cols). */
static void take_unit_rows(matrix m, size_t count, uint64_t seed, double *out) {
    rng r = rng_stream(seed, RNG_SUBSET, 0, 0, 1);
    size_t taken = 0;
    for (size_t i = 0; taken < count; i++) {
        if (count < m.rows && rng_uniform(&r) * (double)(m.rows - i) >= (double)(count - taken)) continue;
        double *u = out + taken++ * m.cols, norm = 0;
        for (size_t j = 0; j < m.cols; j++) {
            u[j] = m.data[i * m.cols + j];
            norm += u[j] * u[j];
        }
        norm = sqrt(norm);
        for (size_t j = 0; norm > 0 && j < m.cols; j++) u[j] /= norm;
    }
}

/* Σ exp(−2 ‖u_i − u_j‖²) over the pairs i < j of rows [a, a + rows) and [b, b + cols); squares (n) are ‖u‖². */
static double sum_block(const double *gram, const double *squares, size_t a, size_t rows, size_t b, size_t cols) {
    double sums[SIDE], total = 0;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        sums[i] = 0;
        for (size_t j = a == b ? i + 1 : 0; j < cols; j++)
            sums[i] += exp(-2 * fmax(squares[a + i] + squares[b + j] - 2 * gram[i * SIDE + j], 0));
    }
    for (size_t i = 0; i < rows; i++) total += sums[i];
    return total;
}

bool uniformity_compute(matrix m, uint64_t seed, uniformity *out, error *err) {
    size_t n = smaller(m.rows, UNIFORMITY_ROWS), d = m.cols;
    *out = (uniformity){.value = NAN, .expected = uniformity_expected(d), .rows = n};
    if (n < 2) return true;
    double *u = malloc(n * d * sizeof *u), *squares = malloc(n * sizeof *squares), sum = 0;
    double *gram = malloc((size_t)SIDE * SIDE * sizeof *gram);
    bool ok = (u && squares && gram) || error_memory(err, n * d * sizeof *u, "rows at unit length");
    if (ok) {
        take_unit_rows(m, n, seed, u);
        for (size_t i = 0; i < n; i++) squares[i] = cblas_ddot((int)d, u + i * d, 1, u + i * d, 1);
    }
    for (size_t a = 0; ok && a < n; a += SIDE)
        for (size_t b = a; b < n; b += SIDE) {
            size_t rows = smaller(SIDE, n - a), cols = smaller(SIDE, n - b);
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)d, 1, u + a * d, (int)d,
                        u + b * d, (int)d, 0, gram, SIDE);
            sum += sum_block(gram, squares, a, rows, b, cols);
        }
    if (ok) out->value = log(sum / ((double)n * (double)(n - 1) / 2));
    free(u);
    free(squares);
    free(gram);
    return ok;
}

/* ---- alignment --------------------------------------------------------------------------------------------------- */

bool alignment_compute(matrix first, matrix second, alignment *out, error *err) {
    size_t n = first.rows, d = first.cols;
    *out = (alignment){NAN, NAN, NAN};
    if (n != second.rows || d != second.cols)
        return error_set(err, ERROR_RUN, "the second view is %zu × %zu, the first %zu × %zu", second.rows, second.cols,
                         n, d);
    double *norms = malloc(2 * n * sizeof *norms), *sums = calloc(2 * d, sizeof *sums);
    double apart = 0, squares = 0, products = 0;
    bool ok = (norms && sums) || error_memory(err, 2 * (n + d) * sizeof *norms, "norms of rows");
    if (!ok) goto done;
    matrix_row_norms(first, norms);
    matrix_row_norms(second, norms + n);
    for (size_t i = 0; i < n; i++) {
        double p = norms[i] > 0 ? 1 / norms[i] : 0, q = norms[n + i] > 0 ? 1 / norms[n + i] : 0, difference = 0,
               dot = 0;
        const float *x = first.data + i * d, *y = second.data + i * d;
        for (size_t j = 0; j < d; j++) {
            double a = p * x[j], b = q * y[j];
            difference += (a - b) * (a - b), dot += a * b;
            sums[j] += a, sums[d + j] += b;
        }
        apart += difference, products += dot;
        squares += (p > 0) + (q > 0);
    }
    out->value = apart / (double)n;
    if (n > 1) {
        /* Σ_{i≠j} ‖u_i − v_j‖² = (n − 1) Σ (‖u_i‖² + ‖v_i‖²) − 2 (Σu · Σv − Σ u_i · v_i) */
        double pairs = (double)n * (double)(n - 1), all = cblas_ddot((int)d, sums, 1, sums + d, 1);
        out->chance = fmax(((double)(n - 1) * squares - 2 * (all - products)) / pairs, 0);
        if (out->chance > SAME_POINT) out->invariance = 1 - out->value / out->chance;
    }
done:
    free(norms);
    free(sums);
    return ok;
}

/*
 * LayerNorm: y = γ·x̂ + β with x̂ = (x − μ)/√(σ² + ε) over each row, σ² biased. For a gradient g, with u = γ ⊙ g:
 *   dx = (u − mean(u) − x̂·mean(u ⊙ x̂))/√(σ² + ε);  dγ = Σ g ⊙ x̂;  dβ = Σ g
 * Saved: μ and 1/√(σ² + ε). The sums over rows are taken by chunks of a fixed size and added in order. x is the stream
 * of tokens, which is never stored in bfloat16; y may be.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/gemm.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 128, PARALLEL_FROM = 1 << 15 };

/* Mean, then the mean square about it: one pass of squares would lose digits where the mean is large. */
static void row_statistics(const real *x, int64_t cols, double eps, real *mean, real *inverse) {
    double sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < cols; c++) sum += (double)x[c];
    const real middle = (real)(sum / (double)cols);
#pragma omp simd reduction(+ : square)
    for (int64_t c = 0; c < cols; c++) square += (double)((x[c] - middle) * (x[c] - middle));
    *mean = middle;
    *inverse = (real)(1 / sqrt(square / (double)cols + eps));
}

static inline __attribute__((always_inline)) void row_forward(const node *n, int64_t r, real mean, real inverse,
                                                              bool brief) {
    const int64_t cols = n->out->shape[1];
    const real *x = n->in[0]->data + r * cols, *gamma = n->in[1]->data, *beta = n->in[2]->data;
    void *y = value_at(n->out->data, r * cols, brief);
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) value_put(y, c, (x[c] - mean) * inverse * gamma[c] + beta[c], brief);
}

static bool layernorm_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *x = n->in[0]->data + r * cols;
        real mean, inverse;
        row_statistics(x, cols, n->with.tokens.eps, &mean, &inverse);
        if (n->out->bfloat16)
            row_forward(n, r, mean, inverse, true);
        else
            row_forward(n, r, mean, inverse, false);
        n->saved[0][r] = mean, n->saved[1][r] = inverse;
    }
    return true;
}

/* dx of one row; sums[2][cols] takes its part of dγ and dβ. */
static inline __attribute__((always_inline)) void row_backward(const node *n, int64_t r, bool to_x, bool add,
                                                               double *sums, bool brief) {
    const int64_t cols = n->out->shape[1];
    const real *x = n->in[0]->data + r * cols, *gamma = n->in[1]->data;
    const void *gradient = value_at(n->out->grad, r * cols, brief);
    const real mean = n->saved[0][r], inverse = n->saved[1][r];
    double *along = sums, *shift = sums + cols, sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t c = 0; c < cols; c++) {
        const real hat = (x[c] - mean) * inverse, g = value_get(gradient, c, brief), u = g * gamma[c];
        along[c] += (double)(g * hat);
        shift[c] += (double)g;
        sum += (double)u;
        dot += (double)(u * hat);
    }
    if (!to_x) return;
    const real level = (real)(sum / (double)cols), slant = (real)(dot / (double)cols);
    real *to = n->in[0]->grad + r * cols;
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) {
        const real hat = (x[c] - mean) * inverse, g = value_get(gradient, c, brief);
        to[c] = (add ? to[c] : 0) + (g * gamma[c] - level - hat * slant) * inverse;
    }
}

static bool layernorm_backward(backend *b, node *n) {
    tensor *x = n->in[0], *gamma = n->in[1], *beta = n->in[2];
    const int64_t rows = n->out->shape[0], cols = n->out->shape[1], chunks = (rows + CHUNK - 1) / CHUNK;
    const bool to_x = wants_grad(x), add = x->grad_ready;
    double *sums = b->allocate(b, (size_t)(2 * cols * chunks) * sizeof *sums);
    if (!sums) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t end = (k + 1) * CHUNK < rows ? (k + 1) * CHUNK : rows;
        memset(sums + 2 * cols * k, 0, (size_t)(2 * cols) * sizeof *sums);
        for (int64_t r = k * CHUNK; r < end; r++) {
            if (n->out->bfloat16)
                row_backward(n, r, to_x, add, sums + 2 * cols * k, true);
            else
                row_backward(n, r, to_x, add, sums + 2 * cols * k, false);
        }
    }
    if (to_x) grad_done(x);
    tensor *scales[] = {gamma, beta};
    for (int i = 0; i < 2; i++)
        if (wants_grad(scales[i])) {
            cpu_sum_partial_double(sums + i * cols, chunks, 2 * cols, cols, scales[i]->grad_ready, scales[i]->grad);
            grad_done(scales[i]);
        }
    b->release(b, sums);
    return true;
}
const kernel cpu_kernel_layernorm = {layernorm_forward, layernorm_backward};
const kernel cpu_kernel_branch_norm = {layernorm_forward, layernorm_backward};

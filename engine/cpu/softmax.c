/*
 * Softmax and its relatives, over rows of logits that may be 16,384 codes wide: each row is read as few times as
 * possible while it lies in the cache. Sums of exponentials are taken in double, relative to the row's maximum.
 */
#include "engine/cpu/cpu.h"
#include "engine/cpu/vector_math.h"

#include <math.h>

enum { PARALLEL_FROM = 1 << 14, LANES = 16 };

static real row_max(const real *x, int64_t n) {
    real most = -INFINITY;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* Σ exp(x − most), in lanes of single precision that are short enough not to lose digits, then in double. */
static double row_sum_exp(const real *x, int64_t n, real most) {
    enum { STRETCH = 1024 };
    double total = 0;
    for (int64_t first = 0; first < n; first += STRETCH) {
        int64_t last = first + STRETCH < n ? first + STRETCH : n;
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = first; i < last; i++) sum += fast_exp(x[i] - most);
        total += (double)sum;
    }
    return total;
}

static real row_logsumexp(const real *x, int64_t n) {
    real most = row_max(x, n);
    return (real)((double)most + log(row_sum_exp(x, n, most)));
}

/* log p = x − log Σ exp x; dx = g − p·Σg. */
static bool log_softmax_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *x = n->in[0]->data + r * cols;
        real *y = n->out->data + r * cols;
        const real shift = row_logsumexp(x, cols);
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) y[c] = x[c] - shift;
    }
    return true;
}

static double row_sum(const real *x, int64_t n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static bool log_softmax_backward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *y = n->out->data + r * cols, *g = n->out->grad + r * cols;
        real *to = n->in[0]->grad + r * cols;
        const real sum = (real)row_sum(g, cols);
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) to[c] = (add ? to[c] : 0) + g[c] - fast_exp(y[c]) * sum;
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_log_softmax = {log_softmax_forward, log_softmax_backward};

/* p = exp(x)/Σ exp x; dx = p·(g − ⟨g, p⟩). */
static bool softmax_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *x = n->in[0]->data + r * cols;
        real *y = n->out->data + r * cols, most = row_max(x, cols);
        const real scale = (real)(1 / row_sum_exp(x, cols, most));
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) y[c] = fast_exp(x[c] - most) * scale;
    }
    return true;
}

static bool softmax_backward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *y = n->out->data + r * cols, *g = n->out->grad + r * cols;
        real *to = n->in[0]->grad + r * cols;
        double dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < cols; c++) dot += (double)g[c] * (double)y[c];
        const real along = (real)dot;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) to[c] = (add ? to[c] : 0) + y[c] * (g[c] - along);
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_softmax = {softmax_forward, softmax_backward};

/* Log-sum-exp over rows or columns --------------------------------------------------------------------------------- */

/* y_c = log Σ_r exp x_rc: threads share out the columns in stretches of LANES, so a maximum and a sum stay in
 * registers. */
static void logsumexp_columns(const real *x, int64_t rows, int64_t cols, real *y) {
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t first = 0; first < cols; first += LANES) {
        int64_t width = first + LANES < cols ? LANES : cols - first;
        real most[LANES], sum[LANES];
        for (int64_t l = 0; l < LANES; l++) most[l] = -INFINITY, sum[l] = 0;
        for (int64_t r = 0; r < rows; r++)
#pragma omp simd
            for (int64_t l = 0; l < width; l++)
                most[l] = x[r * cols + first + l] > most[l] ? x[r * cols + first + l] : most[l];
        for (int64_t r = 0; r < rows; r++)
#pragma omp simd
            for (int64_t l = 0; l < width; l++) sum[l] += fast_exp(x[r * cols + first + l] - most[l]);
        for (int64_t l = 0; l < width; l++) y[first + l] = (real)((double)most[l] + log((double)sum[l]));
    }
}

static bool logsumexp_forward(backend *b, node *n) {
    (void)b;
    const tensor *x = n->in[0];
    int64_t rows = x->shape[0], cols = x->shape[1];
    if (n->with.reduce.axis == AXIS_ROWS) {
        logsumexp_columns(x->data, rows, cols, n->out->data);
        return true;
    }
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) n->out->data[r] = row_logsumexp(x->data + r * cols, cols);
    return true;
}

/* dx = g·exp(x − y). */
static bool logsumexp_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t rows = x->shape[0], cols = x->shape[1];
    const bool add = x->grad_ready, over_rows = n->with.reduce.axis == AXIS_ROWS;
    const real *y = n->out->data, *g = n->out->grad;
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *from = x->data + r * cols;
        real *to = x->grad + r * cols;
        if (over_rows) {
#pragma omp simd
            for (int64_t c = 0; c < cols; c++) to[c] = (add ? to[c] : 0) + g[c] * fast_exp(from[c] - y[c]);
        } else {
            const real row_y = y[r], row_g = g[r];
#pragma omp simd
            for (int64_t c = 0; c < cols; c++) to[c] = (add ? to[c] : 0) + row_g * fast_exp(from[c] - row_y);
        }
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_logsumexp = {logsumexp_forward, logsumexp_backward};

/* L = −(1/n) Σ exp(a)·b; dL/da = −exp(a)·b/n, dL/db = −exp(a)/n. --------------------------------------------------- */

static bool soft_cross_entropy_forward(backend *back, node *n) {
    const tensor *a = n->in[0];
    int64_t rows = a->shape[0], cols = a->shape[1];
    double *partial = back->allocate(back, (size_t)rows * sizeof *partial);
    if (!partial) return cpu_fail(back, "out of memory");
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *log_p = a->data + r * cols, *log_q = n->in[1]->data + r * cols;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < cols; c++) sum += (double)(fast_exp(log_p[c]) * log_q[c]);
        partial[r] = sum;
    }
    double total = 0;
    for (int64_t r = 0; r < rows; r++) total += partial[r];
    n->out->data[0] = (real)(-total / (double)rows);
    back->release(back, partial);
    return true;
}

static bool soft_cross_entropy_backward(backend *back, node *n) {
    (void)back;
    tensor *a = n->in[0], *b = n->in[1];
    int64_t rows = a->shape[0], cols = a->shape[1];
    const real scale = -n->out->grad[0] / (real)rows;
    const bool to_a = wants_grad(a), to_b = wants_grad(b), add_a = a->grad_ready;
    const bool add_b = b->grad_ready || (to_a && a == b);
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real *log_p = a->data + r * cols, *log_q = b->data + r * cols;
        if (to_a) {
            real *to = a->grad + r * cols;
#pragma omp simd
            for (int64_t c = 0; c < cols; c++) to[c] = (add_a ? to[c] : 0) + scale * fast_exp(log_p[c]) * log_q[c];
        }
        if (to_b) {
            real *to = b->grad + r * cols;
#pragma omp simd
            for (int64_t c = 0; c < cols; c++) to[c] = (add_b ? to[c] : 0) + scale * fast_exp(log_p[c]);
        }
    }
    if (to_a) grad_done(a);
    if (to_b) grad_done(b);
    return true;
}
const kernel cpu_kernel_soft_cross_entropy = {soft_cross_entropy_forward, soft_cross_entropy_backward};

/*
 * A linear layer. Of few rows it is one product with all threads; many rows go in runs (gemm.h), whose bias is in the
 * cache when the product is added to it, and whose parts of the weights' gradient each thread sums up for itself.
 */
#include "engine/cpu/gemm.h"
#include "engine/cpu/gemm_brief.h"

#include <string.h>

enum { RUN = 512, TALL = 2048, SUM_RUN = 1 << 15, ROW_CHUNK = 64 };

void cpu_sum_partial(const real *partial, int64_t threads, int64_t stride, int64_t count, bool add, real *to) {
#pragma omp parallel for simd schedule(static) if (count > SUM_RUN)
    for (int64_t i = 0; i < count; i++) {
        real sum = partial[i];
        for (int64_t t = 1; t < threads; t++) sum += partial[t * stride + i];
        to[i] = (add ? to[i] : 0) + sum;
    }
}

void cpu_sum_partial_double(const double *partial, int64_t threads, int64_t stride, int64_t count, bool add, real *to) {
    for (int64_t i = 0; i < count; i++) {
        double sum = partial[i];
        for (int64_t t = 1; t < threads; t++) sum += partial[t * stride + i];
        to[i] = (add ? to[i] : 0) + (real)sum;
    }
}

static void add_brief_columns(const bfloat *x, int64_t rows, int64_t cols, double *sums) {
    for (int64_t r = 0; r < rows; r++)
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) sums[c] += (double)bfloat_value(x[r * cols + c]);
}

/* to[c] (+)= Σ_rows x[r][c]: partial sums of ROW_CHUNK rows in double, then the chunks in order. */
bool cpu_sum_rows(backend *b, const void *x, bool brief, int64_t rows, int64_t cols, bool add, real *to) {
    int64_t chunks = (rows + ROW_CHUNK - 1) / ROW_CHUNK;
    double *partial = b->allocate(b, (size_t)(chunks * cols) * sizeof *partial);
    if (!partial) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) if (rows * cols > SUM_RUN)
    for (int64_t k = 0; k < chunks; k++) {
        double *sum = partial + k * cols;
        memset(sum, 0, (size_t)cols * sizeof *sum);
        int64_t end = (k + 1) * ROW_CHUNK < rows ? (k + 1) * ROW_CHUNK : rows;
        if (brief)
            add_brief_columns((const bfloat *)x + k * ROW_CHUNK * cols, end - k * ROW_CHUNK, cols, sum);
        else
            add_columns((const real *)x + k * ROW_CHUNK * cols, end - k * ROW_CHUNK, cols, sum);
    }
    cpu_sum_partial_double(partial, chunks, cols, cols, add, to);
    b->release(b, partial);
    return true;
}

static void set_rows(real *to, int64_t rows, int64_t cols, const real *row) {
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * cols, row, (size_t)cols * sizeof *to);
}

/* Tokens in bfloat16: y = x·Wᵀ + bias, dx = g·W, dW = gᵀ·x, the bias' gradient the sum of g's rows. */
static bool brief_forward(backend *b, node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    const int64_t in = x->shape[1], out = w->shape[0];
    return gemm_brief(b, &(brief_product){.m = x->shape[0],
                                          .n = out,
                                          .k = in,
                                          .a = rows_of(x->data, in, true),
                                          .b = turned(rows_of(w->data, in, false)),
                                          .alpha = 1,
                                          .c = rows_of(n->out->data, out, true),
                                          .bias = bias ? bias->data : NULL});
}

static bool brief_backward(backend *b, node *n) {
    tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    const int64_t rows = x->shape[0], in = x->shape[1], out = w->shape[0];
    const operand g = rows_of(n->out->grad, out, true);
    if (wants_grad(x)) {
        const operand weights = rows_of(w->data, in, false), dx = rows_of(x->grad, in, true);
        if (!gemm_brief(b, &(brief_product){rows, in, out, g, weights, 1, x->grad_ready, dx, NULL})) return false;
        grad_done(x);
    }
    if (wants_grad(w)) {
        const operand from = rows_of(x->data, in, true), dw = rows_of(w->grad, in, false);
        if (!gemm_brief(b, &(brief_product){out, in, rows, turned(g), from, 1, w->grad_ready, dw, NULL})) return false;
        grad_done(w);
    }
    if (!wants_grad(bias)) return true;
    if (!cpu_sum_rows(b, g.data, true, rows, out, bias->grad_ready, bias->grad)) return false;
    grad_done(bias);
    return true;
}

static bool linear_forward(backend *b, node *n) {
    if (n->in[0]->bfloat16) return brief_forward(b, n);
    const tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    int64_t rows = x->shape[0], in = x->shape[1], out = w->shape[0];
    runs r = runs_of(rows, rows < TALL ? rows : RUN, rows < TALL ? 1 : b->threads);
#pragma omp parallel for schedule(static) if (r.count > 1)
    for (int64_t k = 0; k < r.count; k++) {
        real *y = n->out->data + run_first(r, k) * out;
        if (bias) set_rows(y, run_rows(r, k), out, bias->data);
        gemm(false, true, run_rows(r, k), out, in, 1, x->data + run_first(r, k) * in, in, w->data, in, bias != NULL, y);
    }
    return true;
}

static bool backward_at_once(backend *b, node *n) {
    tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    int64_t rows = x->shape[0], in = x->shape[1], out = w->shape[0];
    const real *g = n->out->grad;
    if (wants_grad(x)) {
        gemm(false, false, rows, in, out, 1, g, out, w->data, in, x->grad_ready, x->grad);
        grad_done(x);
    }
    if (wants_grad(w)) {
        gemm(true, false, out, in, rows, 1, g, out, x->data, in, w->grad_ready, w->grad);
        grad_done(w);
    }
    if (wants_grad(bias)) {
        if (!cpu_sum_rows(b, g, false, rows, out, bias->grad_ready, bias->grad)) return false;
        grad_done(bias);
    }
    return true;
}

/* One read of the gradient serves all three. Threads sum up dW (out, in) and db (out) apart. */
static bool backward_in_runs(backend *b, node *n) {
    tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    const int64_t in = x->shape[1], out = w->shape[0], weights = in * out, threads = b->threads;
    const bool to_x = wants_grad(x), to_w = wants_grad(w), to_bias = wants_grad(bias), add = x->grad_ready;
    const runs r = runs_of(x->shape[0], RUN, (int)threads);
    real *dw = to_w ? b->allocate(b, (size_t)(threads * weights) * sizeof *dw) : NULL;
    double *db = b->allocate(b, (size_t)(threads * out) * sizeof *db);
    bool ok = db && (dw || !to_w);
    int64_t team = threads;
    if (ok) {
#pragma omp parallel num_threads((int)threads)
        {
            int64_t first, last, me = omp_get_thread_num();
            runs_share(r, &first, &last);
            if (me == 0) team = omp_get_num_threads();
            if (first == last && to_w) memset(dw + me * weights, 0, (size_t)weights * sizeof *dw);
            memset(db + me * out, 0, (size_t)out * sizeof *db);
            for (int64_t k = first; k < last; k++) {
                int64_t row = run_first(r, k), rows = run_rows(r, k);
                const real *g = n->out->grad + row * out;
                if (to_bias) add_columns(g, rows, out, db + me * out);
                if (to_w)
                    gemm(true, false, out, in, rows, 1, g, out, x->data + row * in, in, k > first, dw + me * weights);
                if (to_x) gemm(false, false, rows, in, out, 1, g, out, w->data, in, add, x->grad + row * in);
            }
        }
        if (to_x) grad_done(x);
        if (to_w) cpu_sum_partial(dw, team, weights, weights, w->grad_ready, w->grad), grad_done(w);
        if (to_bias) cpu_sum_partial_double(db, team, out, out, bias->grad_ready, bias->grad), grad_done(bias);
    }
    b->release(b, dw);
    b->release(b, db);
    return ok || cpu_fail(b, "out of memory");
}

static bool goes_in_runs(const node *n) {
    const tensor *x = n->in[0];
    return !x->bfloat16 && x->shape[0] >= TALL && x != n->in[1];
}

bool cpu_linear_sums_apart(const node *n) { return !goes_in_runs(n); }

static bool linear_backward(backend *b, node *n) {
    if (n->in[0]->bfloat16) return brief_backward(b, n);
    return goes_in_runs(n) ? backward_in_runs(b, n) : backward_at_once(b, n);
}
const kernel cpu_kernel_linear = {linear_forward, linear_backward};

/*
 * A transformer block's feed-forward layers, GELU(x·W1ᵀ + b1)·W2ᵀ + b2, in runs of rows whose hidden values stay in
 * the second-level cache between the two products. With h = x·W1ᵀ + b1 and a = GELU(h), for a gradient g:
 *   da = g·W2;  dh = da ⊙ GELU'(h);  dW2 = gᵀ·a;  db2 = Σ g;  dW1 = dhᵀ·x;  db1 = Σ dh;  dx = dh·W1
 * a is always made again, h too where it was not kept.
 */
#include "engine/cpu/gemm.h"
#include "engine/cpu/gemm_brief.h"
#include "engine/cpu/vector_math.h"

#include <string.h>

enum { RUN_MOST = 512, RUN_LEAST = 256, RUN_VALUES = 1 << 19 };

typedef struct layers {
    const real *w1, *b1, *w2, *b2;
    int64_t d, hidden;
    runs runs;
} layers;

static layers layers_of(const backend *b, const node *n) {
    layers l = {
        n->in[1]->data, n->in[2]->data, n->in[3]->data, n->in[4]->data, n->in[0]->shape[1], n->in[1]->shape[0], {0}};
    int64_t rows = n->in[0]->shape[0], most = RUN_VALUES / l.hidden;
    most = most > RUN_MOST ? RUN_MOST : most < RUN_LEAST ? RUN_LEAST : most;
    l.runs = runs_of(rows, most, rows < RUN_LEAST * b->threads ? 1 : b->threads);
    return l;
}

/* h = x·W1ᵀ + b1 */
static void hidden_layer(const layers *l, const real *x, int64_t rows, real *h) {
    for (int64_t r = 0; r < rows; r++) memcpy(h + r * l->hidden, l->b1, (size_t)l->hidden * sizeof *h);
    gemm(false, true, rows, l->hidden, l->d, 1, x, l->d, l->w1, l->d, true, h);
}

static void activate(const real *h, int64_t count, real *a) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real slope;
        a[i] = fast_gelu(h[i], &slope);
    }
}

/* Tokens in bfloat16: the same by whole products, a stretch of rows at a time; h and a are stored in bfloat16. */
enum { STRETCH = 4096 };

typedef struct brief_layers {
    int64_t rows, d, hidden;
    operand w1, w2;
    bfloat *h, *a, *da; /* of a stretch; h where it was not kept, da for backward */
} brief_layers;

static bool brief_begin(backend *b, const node *n, bool backward, brief_layers *l) {
    *l = (brief_layers){n->in[0]->shape[0], n->in[0]->shape[1], n->in[1]->shape[0], {0}, {0}, NULL, NULL, NULL};
    l->w1 = rows_of(n->in[1]->data, l->d, false), l->w2 = rows_of(n->in[3]->data, l->hidden, false);
    const int64_t values = (l->rows < STRETCH ? l->rows : STRETCH) * l->hidden, parts = 2 + backward;
    l->h = b->allocate(b, (size_t)(values * parts) * sizeof *l->h);
    l->a = l->h + values, l->da = l->a + values;
    return l->h || cpu_fail(b, "out of memory");
}

/* The stretch's h, made if it was not kept. */
static bfloat *brief_hidden(backend *b, const node *n, const brief_layers *l, int64_t first, int64_t rows, bool make) {
    bfloat *h = n->saved[0] ? (bfloat *)n->saved[0] + first * l->hidden : l->h;
    const operand x = rows_of((const bfloat *)n->in[0]->data + first * l->d, l->d, true);
    const brief_product product = {
        rows, l->hidden, l->d, x, turned(l->w1), 1, false, rows_of(h, l->hidden, true), n->in[2]->data};
    return !make && n->saved[0] ? h : gemm_brief(b, &product) ? h : NULL;
}

static bool brief_forward(backend *b, node *n) {
    brief_layers l;
    bool ok = brief_begin(b, n, false, &l);
    for (int64_t first = 0; ok && first < l.rows; first += STRETCH) {
        const int64_t rows = l.rows - first < STRETCH ? l.rows - first : STRETCH, values = rows * l.hidden;
        const bfloat *h = brief_hidden(b, n, &l, first, rows, true);
        if (!(ok = h != NULL)) break;
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < values; i++) {
            real slope;
            l.a[i] = bfloat_round(fast_gelu(bfloat_value(h[i]), &slope));
        }
        const operand a = rows_of(l.a, l.hidden, true);
        const operand y = rows_of((bfloat *)n->out->data + first * l.d, l.d, true);
        ok = gemm_brief(b, &(brief_product){rows, l.d, l.hidden, a, turned(l.w2), 1, false, y, n->in[4]->data});
    }
    b->release(b, l.h);
    return ok;
}

/* to (out, in) (+)= gᵀ·x, and the rows of g summed up. */
static bool brief_weights(backend *b, int64_t rows, operand g, operand x, bool again, tensor *w, tensor *bias) {
    const int64_t out = w->shape[0], in = w->shape[1];
    const brief_product product = {out, in, rows, turned(g), x, 1, again || w->grad_ready, rows_of(w->grad, in, false),
                                   NULL};
    if (wants_grad(w) && !gemm_brief(b, &product)) return false;
    return !wants_grad(bias) || cpu_sum_rows(b, g.data, true, rows, out, again || bias->grad_ready, bias->grad);
}

static bool brief_stretch_backward(backend *b, node *n, const brief_layers *l, int64_t first, int64_t rows) {
    const int64_t values = rows * l->hidden;
    const bfloat *h = brief_hidden(b, n, l, first, rows, false);
    const operand g = rows_of((const bfloat *)n->out->grad + first * l->d, l->d, true);
    const operand x = rows_of((const bfloat *)n->in[0]->data + first * l->d, l->d, true);
    const operand a = rows_of(l->a, l->hidden, true), da = rows_of(l->da, l->hidden, true);
    if (!h || !gemm_brief(b, &(brief_product){rows, l->hidden, l->d, g, l->w2, 1, false, da, NULL})) return false;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < values; i++) {
        real slope;
        l->a[i] = bfloat_round(fast_gelu(bfloat_value(h[i]), &slope));
        l->da[i] = bfloat_round(bfloat_value(l->da[i]) * slope);
    }
    if (!brief_weights(b, rows, g, a, first > 0, n->in[3], n->in[4])) return false;
    if (!brief_weights(b, rows, da, x, first > 0, n->in[1], n->in[2])) return false;
    if (!wants_grad(n->in[0])) return true;
    const operand dx = rows_of((bfloat *)n->in[0]->grad + first * l->d, l->d, true);
    return gemm_brief(b, &(brief_product){rows, l->d, l->hidden, da, l->w1, 1, n->in[0]->grad_ready, dx, NULL});
}

static bool brief_backward(backend *b, node *n) {
    brief_layers l;
    bool ok = brief_begin(b, n, true, &l);
    for (int64_t first = 0; ok && first < l.rows; first += STRETCH)
        ok = brief_stretch_backward(b, n, &l, first, l.rows - first < STRETCH ? l.rows - first : STRETCH);
    for (int i = 0; ok && i < 5; i++)
        if (wants_grad(n->in[i])) grad_done(n->in[i]);
    b->release(b, l.h);
    return ok;
}

static bool feed_forward_forward(backend *b, node *n) {
    if (n->in[0]->bfloat16) return brief_forward(b, n);
    const layers l = layers_of(b, n);
    const int64_t size = l.runs.step * l.hidden;
    real *scratch = b->allocate(b, (size_t)(2 * size * b->threads) * sizeof *scratch);
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel num_threads(b->threads) if (l.runs.count > 1)
    {
        int64_t first, last;
        runs_share(l.runs, &first, &last);
        real *a = scratch + omp_get_thread_num() * 2 * size, *own = a + size;
        for (int64_t k = first; k < last; k++) {
            int64_t row = run_first(l.runs, k), rows = run_rows(l.runs, k);
            real *h = n->saved[0] ? n->saved[0] + row * l.hidden : own, *y = n->out->data + row * l.d;
            hidden_layer(&l, n->in[0]->data + row * l.d, rows, h);
            activate(h, rows * l.hidden, a);
            for (int64_t r = 0; r < rows; r++) memcpy(y + r * l.d, l.b2, (size_t)l.d * sizeof *y);
            gemm(false, true, rows, l.d, l.hidden, 1, a, l.hidden, l.w2, l.hidden, true, y);
        }
    }
    b->release(b, scratch);
    return true;
}

/* a ← GELU(h), da ← da ⊙ GELU'(h) */
static void activate_back(const real *h, int64_t count, real *a, real *da) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real slope;
        a[i] = fast_gelu(h[i], &slope);
        da[i] *= slope;
    }
}

/* One thread's scratch and sums. */
typedef struct share {
    real *a, *da, *h, *dw1, *dw2;
    double *db1, *db2;
} share;

static void run_backward(const node *n, const layers *l, const share *s, int64_t k, bool again) {
    int64_t row = run_first(l->runs, k), rows = run_rows(l->runs, k), d = l->d, hidden = l->hidden;
    const real *g = n->out->grad + row * d, *x = n->in[0]->data + row * d,
               *h = n->saved[0] ? n->saved[0] + row * hidden : NULL;
    if (!n->saved[0]) hidden_layer(l, x, rows, s->h), h = s->h;
    gemm(false, false, rows, hidden, d, 1, g, d, l->w2, hidden, false, s->da);
    activate_back(h, rows * hidden, s->a, s->da);
    gemm(true, false, d, hidden, rows, 1, g, d, s->a, hidden, again, s->dw2);
    gemm(true, false, hidden, d, rows, 1, s->da, hidden, x, d, again, s->dw1);
    add_columns(g, rows, d, s->db2);
    add_columns(s->da, rows, hidden, s->db1);
    if (wants_grad(n->in[0]))
        gemm(false, false, rows, d, hidden, 1, s->da, hidden, l->w1, d, n->in[0]->grad_ready, n->in[0]->grad + row * d);
}

static bool feed_forward_backward(backend *b, node *n) {
    if (n->in[0]->bfloat16) return brief_backward(b, n);
    const layers l = layers_of(b, n);
    const int64_t size = l.runs.step * l.hidden, weights = l.hidden * l.d, threads = b->threads;
    const int64_t reals = 3 * size + 2 * weights, doubles = l.hidden + l.d;
    real *scratch = b->allocate(b, (size_t)(reals * threads) * sizeof *scratch);
    double *sums = b->allocate(b, (size_t)(doubles * threads) * sizeof *sums);
    int64_t team = 1;
    bool ok = scratch && sums;
    if (ok) {
#pragma omp parallel num_threads(b->threads) if (l.runs.count > 1)
        {
            int64_t first, last, me = omp_get_thread_num();
            runs_share(l.runs, &first, &last);
            if (me == 0) team = omp_get_num_threads();
            real *own = scratch + me * reals;
            double *sum = sums + me * doubles;
            share s = {own, own + size, own + 2 * size, own + 3 * size, own + 3 * size + weights, sum, sum + l.hidden};
            memset(sum, 0, (size_t)doubles * sizeof *sum);
            if (first == last) memset(s.dw1, 0, (size_t)(2 * weights) * sizeof *s.dw1);
            for (int64_t k = first; k < last; k++) run_backward(n, &l, &s, k, k > first);
        }
        if (wants_grad(n->in[0])) grad_done(n->in[0]);
        for (int i = 0; i < 2; i++) {
            tensor *w = n->in[1 + 2 * i], *bias = n->in[2 + 2 * i];
            if (wants_grad(w)) {
                cpu_sum_partial(scratch + 3 * size + i * weights, team, reals, weights, w->grad_ready, w->grad);
                grad_done(w);
            }
            if (wants_grad(bias)) {
                cpu_sum_partial_double(sums + i * l.hidden, team, doubles, tensor_count(bias), bias->grad_ready,
                                       bias->grad);
                grad_done(bias);
            }
        }
    }
    b->release(b, scratch);
    b->release(b, sums);
    return ok || cpu_fail(b, "out of memory");
}
const kernel cpu_kernel_feed_forward = {feed_forward_forward, feed_forward_backward};

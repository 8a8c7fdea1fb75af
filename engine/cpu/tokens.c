/*
 * Between images and tokens, and along the residual stream: patch embedding, the class token, registers and positions,
 * means over tokens, residual connections. Sums over samples go in order, each element on one thread.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/gemm.h"

#include <string.h>

enum { PARALLEL_FROM = 1 << 15 };

/* Patch embedding ------------------------------------------------------------------------------------------------- */

typedef struct patches {
    planes image;
    int64_t rows, cols, side, channels, width; /* of patches down and across; of a patch; D */
} patches;

static patches patches_of(const node *n) {
    const tensor *x = n->in[0], *w = n->in[1];
    int64_t p = w->shape[2];
    return (patches){planes_of(x), x->shape[1] / p, x->shape[2] / p, p, x->shape[3], w->shape[0]};
}

/* An image's patches as rows, or rows added back to the image: (rows·cols, channels·side·side). */
static void cut(const patches *s, real *image, real *rows, bool back) {
    int64_t p = s->side, across = s->cols * p, lanes = s->image.lanes, length = s->channels * p * p;
    for (int64_t t = 0; t < s->rows * s->cols; t++)
        for (int64_t c = 0; c < s->channels; c++)
            for (int64_t y = 0; y < p; y++) {
                int64_t pixel = (t / s->cols * p + y) * across + t % s->cols * p;
                real *from = image + (c / lanes * s->image.pixels + pixel) * lanes + c % lanes;
                real *to = rows + t * length + (c * p + y) * p;
                for (int64_t x = 0; x < p; x++)
                    if (back)
                        from[x * lanes] += to[x];
                    else
                        to[x] = from[x * lanes];
            }
}

static bool patch_embed_forward(backend *b, node *n) {
    const patches s = patches_of(n);
    const int64_t per = s.rows * s.cols, length = s.channels * s.side * s.side, image = s.image.pixels * s.channels;
    real *scratch = b->allocate(b, (size_t)(per * length * b->threads) * sizeof *scratch);
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t i = 0; i < s.image.n; i++) {
        real *rows = scratch + omp_get_thread_num() * per * length, *y = n->out->data + i * per * s.width;
        cut(&s, n->in[0]->data + i * image, rows, false);
        for (int64_t t = 0; t < per; t++) memcpy(y + t * s.width, n->in[2]->data, (size_t)s.width * sizeof *y);
        gemm(false, true, per, s.width, length, 1, rows, length, n->in[1]->data, length, true, y);
    }
    b->release(b, scratch);
    return true;
}

static bool patch_embed_backward(backend *b, node *n) {
    const patches s = patches_of(n);
    tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    const int64_t per = s.rows * s.cols, length = s.channels * s.side * s.side, image = s.image.pixels * s.channels;
    const int64_t weights = s.width * length, each = per * length + weights, threads = b->threads;
    const bool to_x = wants_grad(x), add = x->grad_ready;
    real *scratch = b->allocate(b, (size_t)(each * threads) * sizeof *scratch);
    if (!scratch) return cpu_fail(b, "out of memory");
    int64_t team = 1;
#pragma omp parallel num_threads(b->threads)
    {
        int64_t first, last, me = omp_get_thread_num();
        runs_share((runs){s.image.n, 1, s.image.n}, &first, &last);
        if (me == 0) team = omp_get_num_threads();
        real *dw = scratch + me * each, *rows = dw + weights;
        if (first == last) memset(dw, 0, (size_t)weights * sizeof *dw);
        for (int64_t i = first; i < last; i++) {
            const real *g = n->out->grad + i * per * s.width;
            cut(&s, x->data + i * image, rows, false);
            gemm(true, false, s.width, length, per, 1, g, s.width, rows, length, i > first, dw);
            if (!to_x) continue;
            gemm(false, false, per, length, s.width, 1, g, s.width, w->data, length, false, rows);
            if (!add) memset(x->grad + i * image, 0, (size_t)image * sizeof *x->grad);
            cut(&s, x->grad + i * image, rows, true);
        }
    }
    if (to_x) grad_done(x);
    if (wants_grad(w)) cpu_sum_partial(scratch, team, each, weights, w->grad_ready, w->grad), grad_done(w);
    b->release(b, scratch);
    if (!wants_grad(bias)) return true;
    if (!cpu_sum_rows(b, n->out->grad, false, s.image.n * per, s.width, bias->grad_ready, bias->grad)) return false;
    grad_done(bias);
    return true;
}
const kernel cpu_kernel_patch_embed = {patch_embed_forward, patch_embed_backward};

/* The first tokens ------------------------------------------------------------------------------------------------ */

typedef struct sequence {
    int64_t samples, patches, before, tokens, d; /* before: class token and registers */
    bool class_position;                         /* the first position is the class token's */
} sequence;

static sequence sequence_of(const node *n) {
    const tensor *x = n->in[0], *registers = n->in[2], *positions = n->in[3];
    sequence s = {.samples = n->with.tokens.tokens, .d = x->shape[1]};
    s.patches = x->shape[0] / s.samples;
    s.before = (n->in[1] != NULL) + (registers ? registers->shape[0] : 0);
    s.tokens = s.before + s.patches;
    s.class_position = positions && positions->shape[0] > s.patches;
    return s;
}

/* Which row of in[0…3] token `t` of a sample is made of: `from` the input, `position` its row there or −1. */
static void token_source(const sequence *s, const node *n, int64_t t, int *from, int64_t *row, int64_t *position) {
    int64_t registers = n->in[1] ? t - 1 : t;
    *position = -1;
    if (t >= s->before) {
        *from = 0, *row = t - s->before;
        if (n->in[3]) *position = *row + s->class_position;
    } else if (n->in[1] && t == 0) {
        *from = 1, *row = 0;
        if (s->class_position) *position = 0;
    } else
        *from = 2, *row = registers;
}

static bool tokens_forward(backend *b, node *n) {
    (void)b;
    const sequence s = sequence_of(n);
#pragma omp parallel for schedule(static) if (s.samples * s.tokens * s.d > PARALLEL_FROM)
    for (int64_t i = 0; i < s.samples; i++)
        for (int64_t t = 0; t < s.tokens; t++) {
            int from;
            int64_t row, position;
            token_source(&s, n, t, &from, &row, &position);
            const real *x = n->in[from]->data + (from ? row : i * s.patches + row) * s.d;
            const real *shift = position < 0 ? NULL : n->in[3]->data + position * s.d;
            real *y = n->out->data + (i * s.tokens + t) * s.d;
            for (int64_t c = 0; c < s.d; c++) y[c] = x[c] + (shift ? shift[c] : 0);
        }
    return true;
}

/* A row of a gradient takes what all samples sum up to. */
static void take_sum(const double *sum, int64_t d, real *to, bool add) {
    for (int64_t c = 0; c < d; c++) to[c] = (add ? to[c] : 0) + (real)sum[c];
}

static bool tokens_backward(backend *b, node *n) {
    const sequence s = sequence_of(n);
    const bool add[] = {n->in[0]->grad_ready, n->in[1] && n->in[1]->grad_ready, n->in[2] && n->in[2]->grad_ready,
                        n->in[3] && n->in[3]->grad_ready};
    const real *g = n->out->grad;
    double *sums = b->allocate(b, (size_t)(s.tokens * s.d) * sizeof *sums);
    if (!sums) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) if (s.samples * s.tokens * s.d > PARALLEL_FROM)
    for (int64_t t = 0; t < s.tokens; t++) {
        int from;
        int64_t row, position;
        token_source(&s, n, t, &from, &row, &position);
        double *sum = sums + t * s.d;
        memset(sum, 0, (size_t)s.d * sizeof *sum);
        for (int64_t i = 0; i < s.samples; i++) add_columns(g + (i * s.tokens + t) * s.d, 1, s.d, sum);
        if (from && wants_grad(n->in[from])) take_sum(sum, s.d, n->in[from]->grad + row * s.d, add[from]);
        if (position >= 0 && wants_grad(n->in[3])) take_sum(sum, s.d, n->in[3]->grad + position * s.d, add[3]);
        for (int64_t i = 0; !from && wants_grad(n->in[0]) && i < s.samples; i++) {
            const real *at = g + (i * s.tokens + t) * s.d;
            real *to = n->in[0]->grad + (i * s.patches + row) * s.d;
            for (int64_t c = 0; c < s.d; c++) to[c] = (add[0] ? to[c] : 0) + at[c];
        }
    }
    for (int i = 0; i < 4; i++)
        if (wants_grad(n->in[i])) grad_done(n->in[i]);
    b->release(b, sums);
    return true;
}
const kernel cpu_kernel_tokens = {tokens_forward, tokens_backward};

/* Some of the tokens ---------------------------------------------------------------------------------------------- */

static bool keep_tokens_forward(backend *b, node *n) {
    const tensor *x = n->in[0], *kept = n->in[1];
    const int64_t samples = n->with.tokens.tokens, d = x->shape[1];
    const int64_t tokens = x->shape[0] / samples, each = kept->shape[0] / samples;
    bool inside = true;
    for (int64_t r = 0; r < kept->shape[0]; r++) inside = inside && kept->data[r] >= 0 && kept->data[r] < (real)tokens;
    if (!inside) return cpu_fail(b, "a token to keep that its sample does not have");
#pragma omp parallel for schedule(static) if (samples * each * d > PARALLEL_FROM)
    for (int64_t r = 0; r < samples * each; r++)
        memcpy(n->out->data + r * d, x->data + (r / each * tokens + (int64_t)kept->data[r]) * d,
               (size_t)d * sizeof *x->data);
    return true;
}

static bool keep_tokens_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const int64_t samples = n->with.tokens.tokens, d = x->shape[1];
    const int64_t tokens = x->shape[0] / samples, each = n->in[1]->shape[0] / samples;
    const bool add = x->grad_ready;
#pragma omp parallel for schedule(static) if (samples * tokens * d > PARALLEL_FROM)
    for (int64_t i = 0; i < samples; i++) {
        real *to = x->grad + i * tokens * d;
        if (!add) memset(to, 0, (size_t)(tokens * d) * sizeof *to);
        for (int64_t r = i * each; r < (i + 1) * each; r++)
            for (int64_t c = 0; c < d; c++) to[(int64_t)n->in[1]->data[r] * d + c] += n->out->grad[r * d + c];
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_keep_tokens = {keep_tokens_forward, keep_tokens_backward};

/* Means over tokens ----------------------------------------------------------------------------------------------- */

static bool pool_tokens_forward(backend *b, node *n) {
    (void)b;
    const int64_t samples = n->out->shape[0], d = n->out->shape[1], tokens = n->with.tokens.tokens;
    const int64_t first = n->with.tokens.first, count = n->with.tokens.count;
#pragma omp parallel for schedule(static) if (samples * count * d > PARALLEL_FROM)
    for (int64_t i = 0; i < samples; i++) {
        const real *x = n->in[0]->data + (i * tokens + first) * d, share = (real)(1 / (double)count);
        real *y = n->out->data + i * d;
        memcpy(y, x, (size_t)d * sizeof *y);
        for (int64_t t = 1; t < count; t++)
            for (int64_t c = 0; c < d; c++) y[c] += x[t * d + c];
        for (int64_t c = 0; c < d; c++) y[c] *= share;
    }
    return true;
}

static bool pool_tokens_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const int64_t samples = n->out->shape[0], d = n->out->shape[1], tokens = n->with.tokens.tokens;
    const int64_t first = n->with.tokens.first, count = n->with.tokens.count;
    const bool add = x->grad_ready;
#pragma omp parallel for schedule(static) if (samples * tokens * d > PARALLEL_FROM)
    for (int64_t i = 0; i < samples; i++) {
        real *to = x->grad + i * tokens * d, share = (real)(1 / (double)count);
        const real *g = n->out->grad + i * d;
        if (!add) memset(to, 0, (size_t)(tokens * d) * sizeof *to);
        for (int64_t t = first; t < first + count; t++)
            for (int64_t c = 0; c < d; c++) to[t * d + c] += g[c] * share;
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_pool_tokens = {pool_tokens_forward, pool_tokens_backward};

/* Residual connections: out = x + s·γ ⊙ y; dy = s·γ ⊙ g, dγ = Σ s·g ⊙ y. Of the three only y, what a branch has made,
   may be stored in bfloat16. ------------------------------------------------------------------------------------- */

#define INLINE static inline __attribute__((always_inline))

INLINE void add_branch(const node *n, int64_t r, real s, const real *gamma, bool brief) {
    const int64_t d = n->out->shape[1];
    const real *x = n->in[0]->data + r * d;
    const void *y = value_at(n->in[1]->data, r * d, brief);
    real *out = n->out->data + r * d;
    if (gamma)
#pragma omp simd
        for (int64_t c = 0; c < d; c++) out[c] = x[c] + s * gamma[c] * value_get(y, c, brief);
    else
#pragma omp simd
        for (int64_t c = 0; c < d; c++) out[c] = x[c] + s * value_get(y, c, brief);
}

static bool residual_forward(backend *b, node *n) {
    (void)b;
    const int64_t rows = n->out->shape[0], d = n->out->shape[1];
    const real *gamma = n->in[2] ? n->in[2]->data : NULL, *samples = n->in[3] ? n->in[3]->data : NULL;
    const int64_t tokens = samples ? rows / n->in[3]->shape[0] : 1;
#pragma omp parallel for schedule(static) if (rows * d > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real s = samples ? samples[r / tokens] : 1;
        if (n->in[1]->bfloat16)
            add_branch(n, r, s, gamma, true);
        else
            add_branch(n, r, s, gamma, false);
    }
    return true;
}

INLINE void slope_branch(const node *n, int64_t r, real s, const real *gamma, bool add, bool brief) {
    const int64_t d = n->out->shape[1];
    const real *g = n->out->grad + r * d;
    void *to = value_at(n->in[1]->grad, r * d, brief);
    if (gamma)
#pragma omp simd
        for (int64_t c = 0; c < d; c++)
            value_put(to, c, (add ? value_get(to, c, brief) : 0) + s * gamma[c] * g[c], brief);
    else
#pragma omp simd
        for (int64_t c = 0; c < d; c++) value_put(to, c, (add ? value_get(to, c, brief) : 0) + s * g[c], brief);
}

static void branch_backward(const node *n, int64_t rows, bool add) {
    const int64_t d = n->out->shape[1];
    const real *gamma = n->in[2] ? n->in[2]->data : NULL, *samples = n->in[3] ? n->in[3]->data : NULL;
    const int64_t tokens = samples ? rows / n->in[3]->shape[0] : 1;
#pragma omp parallel for schedule(static) if (rows * d > PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const real s = samples ? samples[r / tokens] : 1;
        if (n->in[1]->bfloat16)
            slope_branch(n, r, s, gamma, add, true);
        else
            slope_branch(n, r, s, gamma, add, false);
    }
}

static bool scale_backward(backend *b, node *n, int64_t rows) {
    enum { CHUNK = 64 };
    const int64_t d = n->out->shape[1], chunks = (rows + CHUNK - 1) / CHUNK;
    const real *samples = n->in[3] ? n->in[3]->data : NULL;
    const int64_t tokens = samples ? rows / n->in[3]->shape[0] : 1;
    double *sums = b->allocate(b, (size_t)(chunks * d) * sizeof *sums);
    if (!sums) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) if (rows * d > PARALLEL_FROM)
    for (int64_t k = 0; k < chunks; k++) {
        double *sum = sums + k * d;
        memset(sum, 0, (size_t)d * sizeof *sum);
        for (int64_t r = k * CHUNK; r < rows && r < (k + 1) * CHUNK; r++) {
            const real *g = n->out->grad + r * d, s = samples ? samples[r / tokens] : 1;
            const bool brief = n->in[1]->bfloat16;
#pragma omp simd
            for (int64_t c = 0; c < d; c++) sum[c] += (double)(s * g[c] * value_get(n->in[1]->data, r * d + c, brief));
        }
    }
    cpu_sum_partial_double(sums, chunks, d, d, n->in[2]->grad_ready, n->in[2]->grad);
    b->release(b, sums);
    grad_done(n->in[2]);
    return true;
}

static bool residual_backward(backend *b, node *n) {
    tensor *x = n->in[0], *y = n->in[1];
    const int64_t rows = n->out->shape[0];
    if (wants_grad(n->in[2]) && !scale_backward(b, n, rows)) return false;
    if (wants_grad(y)) {
        branch_backward(n, rows, y->grad_ready);
        grad_done(y);
    }
    if (!wants_grad(x)) return true;
    if (!x->grad_ready && !x->lasting) { /* x's gradient is the output's as it stands: they change places */
        real *g = x->grad;
        x->grad = n->out->grad;
        n->out->grad = g;
    } else {
        const int64_t count = tensor_count(x);
        const bool add = x->grad_ready;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
        for (int64_t i = 0; i < count; i++) x->grad[i] = (add ? x->grad[i] : 0) + n->out->grad[i];
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_residual = {residual_forward, residual_backward};
const kernel cpu_kernel_scaled_residual = {residual_forward, residual_backward};

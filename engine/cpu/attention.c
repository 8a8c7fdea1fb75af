/*
 * Multi-head attention, one sample and head at a time on each thread, whose q, k and v are copied together first. With
 * S = s·Q·Kᵀ, P = softmax of its rows, O = P·V, and δ_i = ⟨dO_i, O_i⟩ for a gradient dO:
 *   dV = Pᵀ·dO;  dS = P ⊙ (dO·Vᵀ − δ);  dQ = s·dS·K;  dK = s·dSᵀ·Q
 * Queries and keys pass in blocks. Forward keeps each row's largest logit and its sum of exponentials and scales what
 * it has when a larger one comes (Milakov & Gimelshein 2018); backward makes P again from S and the rows' log Σ exp,
 * which forward saved (Dao et al. 2022). Products of such small matrices are made here: rows of the left one by
 * broadcast, two vectors of the right one's columns, all sums in registers.
 */
#include "engine/cpu/attention.h"
#include "engine/cpu/gemm.h"
#include "engine/cpu/tiles.h"
#include "engine/cpu/vector_math.h"

#include <math.h>
#include <string.h>

/* Of 32 registers 28 hold sums, of 16 twelve: as in products.h, but for operands wherever they lie. */
#ifdef __AVX512F__
enum { STEP = 14 };
#else
enum { STEP = 6 };
#endif
enum { PAIR = 2, QUERIES = 80 };

typedef real vec __attribute__((vector_size(BLOCK_LANES * sizeof(real))));
typedef real loose __attribute__((vector_size(BLOCK_LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

/* A matrix that lies in strides: element (i, k) at data[i·row + k·col]. */
typedef struct left {
    const real *data;
    int64_t row, col;
} left;

static inline __attribute__((always_inline)) void tile(left a, const real *b, int64_t b_row, int64_t depth, real *c,
                                                       int64_t c_row, bool add, int rows, int width) {
    vec sum[STEP][PAIR];
    for (int r = 0; r < rows; r++)
        for (int w = 0; w < width; w++)
            sum[r][w] = add ? (vec) * (const loose *)(c + r * c_row + w * BLOCK_LANES) : (vec){0};
    for (int64_t k = 0; k < depth; k++, b += b_row) {
        vec b0 = *(const loose *)b, b1 = width > 1 ? (vec) * (const loose *)(b + BLOCK_LANES) : b0;
        const real *from = a.data + k * a.col;
#pragma GCC unroll 14
        for (int r = 0; r < rows; r++) {
            vec one = from[r * a.row] - (vec){0};
            sum[r][0] += one * b0;
            if (width > 1) sum[r][1] += one * b1;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int w = 0; w < width; w++) *(loose *)(c + r * c_row + w * BLOCK_LANES) = sum[r][w];
}

/* A tile of rows known only now. */
static inline __attribute__((always_inline)) void tile_any(left a, const real *b, int64_t b_row, int64_t depth, real *c,
                                                           int64_t c_row, bool add, int rows, int width) {
    switch (rows) {
#define ROWS(n)                                                                                                        \
    case n: tile(a, b, b_row, depth, c, c_row, add, n, width); break;
        ROWS(1)
        ROWS(2)
        ROWS(3) ROWS(4) ROWS(5) ROWS(6)
#ifdef __AVX512F__
            ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13) ROWS(14)
#endif
    }
}

/* c (rows, cols) = a·b, or added to it; cols a multiple of BLOCK_LANES. Tiles of rows as even as they come. */
static void product(left a, const real *b, int64_t b_row, int64_t rows, int64_t cols, int64_t depth, real *c,
                    int64_t c_row, bool add) {
    int64_t tiles = (rows + STEP - 1) / STEP;
    for (int64_t j = 0; j < cols; j += PAIR * BLOCK_LANES)
        for (int64_t t = 0; t < tiles; t++) {
            int64_t first = rows * t / tiles, end = rows * (t + 1) / tiles;
            left part = {a.data + first * a.row, a.row, a.col};
            if (j + BLOCK_LANES < cols)
                tile_any(part, b + j, b_row, depth, c + first * c_row + j, c_row, add, (int)(end - first), PAIR);
            else
                tile_any(part, b + j, b_row, depth, c + first * c_row + j, c_row, add, (int)(end - first), 1);
        }
}

static attention_shape shape_of(const node *n) {
    attention_shape s = {
        .tokens = n->with.tokens.tokens, .queries = n->with.tokens.count, .heads = n->with.tokens.heads};
    s.width = n->in[0]->shape[1] / (3 * s.heads);
    s.padded = (s.tokens + BLOCK_LANES - 1) / BLOCK_LANES * BLOCK_LANES + BLOCK_LANES;
    s.q_blocks = (s.queries + QUERIES - 1) / QUERIES;
    s.k_blocks = (s.tokens + KEYS - 1) / KEYS;
    s.scale = (real)(1 / sqrt((double)s.width));
    s.brief = n->in[0]->bfloat16;
    return s;
}

static int64_t whole(int64_t cols) { return (cols + BLOCK_LANES - 1) / BLOCK_LANES * BLOCK_LANES; }

/* A head's columns of a sample, from `at` on: rows `from_row` apart → (rows, width) together. */
static void gather(const attention_shape *s, const void *from, int64_t at, int64_t from_row, int64_t rows, real *to) {
    for (int64_t t = 0; t < rows; t++, at += from_row, to += s->width) {
        if (s->brief)
#pragma omp simd
            for (int64_t c = 0; c < s->width; c++) to[c] = value_get(from, at + c, true);
        else
            memcpy(to, (const real *)from + at, (size_t)s->width * sizeof *to);
    }
}

static void scatter(const attention_shape *s, const real *from, void *to, int64_t at, int64_t to_row, bool add) {
    for (int64_t t = 0; t < s->tokens; t++, at += to_row, from += s->width) {
        if (s->brief)
#pragma omp simd
            for (int64_t c = 0; c < s->width; c++)
                value_put(to, at + c, (add ? value_get(to, at + c, true) : 0) + from[c], true);
        else
#pragma omp simd
            for (int64_t c = 0; c < s->width; c++)
                value_put(to, at + c, (add ? value_get(to, at + c, false) : 0) + from[c], false);
    }
}

/* (tokens, width) → (width, padded), what lies beyond the tokens 0. */
static void transpose(const real *from, const attention_shape *s, real *to) {
    enum { TOGETHER = 16 };
    for (int64_t first = 0; first < s->padded; first += TOGETHER) {
        int64_t most = s->padded - first < TOGETHER ? s->padded - first : TOGETHER;
        int64_t there = s->tokens - first < most ? s->tokens - first : most;
        for (int64_t c = 0; c < s->width; c++) {
            real *row = to + c * s->padded + first;
            for (int64_t t = 0; t < there; t++) row[t] = from[(first + t) * s->width + c];
            for (int64_t t = there < 0 ? 0 : there; t < most; t++) row[t] = 0;
        }
    }
}

/* Forward --------------------------------------------------------------------------------------------------------- */

/* A row of logits becomes exp(scale·x − most), `most` at least its largest; returns the sum. */
static double exponentiate(real *x, int64_t count, real scale, real most) {
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) {
        x[i] = fast_exp(x[i] * scale - most);
        sum += x[i];
    }
    return (double)sum;
}

static real largest(const real *x, int64_t count) {
    real most = -INFINITY;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
    return most;
}

void attention_soften(const attention_shape *s, real *logits, int64_t rows, int64_t keys, bool first, real *most,
                      double *sum, real *out) {
    for (int64_t i = 0; i < rows; i++) {
        real *x = logits + i * LOGITS, now = largest(x, keys) * s->scale;
        if (!first && most[i] > now) now = most[i];
        const real shrink = first ? 0 : fast_exp(most[i] - now);
        sum[i] = sum[i] * (double)shrink + exponentiate(x, keys, s->scale, now);
        most[i] = now;
        if (!first)
#pragma omp simd
            for (int64_t c = 0; c < s->width; c++) out[i * s->width + c] *= shrink;
    }
}

/* One sample and head; memory: q, k, v, kᵀ, then logits and the block's output. */
static void head_forward(const node *n, const attention_shape *s, int64_t sample, int64_t head, real *memory) {
    const int64_t d = s->heads * s->width, w = s->width;
    real *q = memory, *k = q + s->tokens * w, *v = k + s->tokens * w, *kt = v + s->tokens * w;
    real *logits = kt + w * s->padded, *out = logits + QUERIES * LOGITS, most[QUERIES];
    double sum[QUERIES];
    const int64_t from = sample * s->tokens * 3 * d + head * w;
    gather(s, n->in[0]->data, from, 3 * d, s->queries, q);
    gather(s, n->in[0]->data, from + d, 3 * d, s->tokens, k);
    gather(s, n->in[0]->data, from + 2 * d, 3 * d, s->tokens, v);
    transpose(k, s, kt);
    for (int64_t b = 0; b < s->q_blocks; b++) {
        int64_t i = s->queries * b / s->q_blocks, rows = s->queries * (b + 1) / s->q_blocks - i;
        for (int64_t r = 0; r < rows; r++) sum[r] = 0;
        for (int64_t e = 0; e < s->k_blocks; e++) {
            int64_t j = s->tokens * e / s->k_blocks, keys = s->tokens * (e + 1) / s->k_blocks - j;
            product((left){q + i * w, w, 1}, kt + j, s->padded, rows, whole(keys), w, logits, LOGITS, false);
            attention_soften(s, logits, rows, keys, e == 0, most, sum, out);
            product((left){logits, LOGITS, 1}, v + j * w, w, rows, w, keys, out, w, e > 0);
        }
        for (int64_t r = 0; r < rows; r++) {
            const int64_t to = (sample * s->queries + i + r) * d + head * w;
            const real inverse = (real)(1 / sum[r]);
            if (s->brief)
#pragma omp simd
                for (int64_t c = 0; c < w; c++) value_put(n->out->data, to + c, out[r * w + c] * inverse, true);
            else
#pragma omp simd
                for (int64_t c = 0; c < w; c++) value_put(n->out->data, to + c, out[r * w + c] * inverse, false);
            n->saved[0][(sample * s->heads + head) * s->queries + i + r] = (real)((double)most[r] + log(sum[r]));
        }
    }
}

static bool attention_forward(backend *b, node *n) {
    const attention_shape s = shape_of(n);
#ifdef TILES_BUILT
    if (s.brief) return attention_brief_forward(b, n, &s);
#endif
    const int64_t heads = n->in[0]->shape[0] / s.tokens * s.heads;
    const int64_t each = s.width * (3 * s.tokens + s.padded) + QUERIES * (LOGITS + s.width);
    real *memory = b->allocate(b, (size_t)(each * b->threads) * sizeof *memory);
    if (!memory) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t h = 0; h < heads; h++)
        head_forward(n, &s, h / s.heads, h % s.heads, memory + omp_get_thread_num() * each);
    b->release(b, memory);
    return true;
}

/* Backward -------------------------------------------------------------------------------------------------------- */

void attention_harden(const attention_shape *s, real *logits, real *slopes, int64_t rows, int64_t keys,
                      const real *saved, const real *delta) {
    for (int64_t i = 0; i < rows; i++) {
        real *p = logits + i * LOGITS, *ds = slopes + i * LOGITS;
        const real shift = saved[i], level = delta[i], scale = s->scale;
#pragma omp simd
        for (int64_t j = 0; j < keys; j++) {
            p[j] = fast_exp(p[j] * scale - shift);
            ds[j] = p[j] * (ds[j] - level) * scale;
        }
    }
}

/* A head's matrices of (tokens, width), transposes of (width, padded), a block's logits and their gradient. */
typedef struct head_memory {
    real *q, *k, *v, *g, *dq, *dk, *dv, *kt, *vt, *logits, *slopes, *delta;
} head_memory;

static int64_t head_memory_size(const attention_shape *s) {
    return s->width * (7 * s->tokens + 2 * s->padded) + 2 * QUERIES * LOGITS + s->tokens;
}

static head_memory head_memory_at(const attention_shape *s, real *memory) {
    int64_t each = s->tokens * s->width, turned = s->padded * s->width;
    head_memory m = {.q = memory};
    real **parts[] = {&m.k, &m.v, &m.g, &m.dq, &m.dk, &m.dv, &m.kt};
    for (int i = 0; i < 7; i++) *parts[i] = memory + (i + 1) * each;
    m.vt = m.kt + turned;
    m.logits = m.vt + turned;
    m.slopes = m.logits + QUERIES * LOGITS;
    m.delta = m.slopes + QUERIES * LOGITS;
    return m;
}

/* δ of each query. */
static void level_rows(const attention_shape *s, const real *g, const void *out, int64_t at, int64_t out_row,
                       real *delta) {
    for (int64_t t = 0; t < s->queries; t++, at += out_row, g += s->width) {
        double dot = 0;
        if (s->brief)
#pragma omp simd reduction(+ : dot)
            for (int64_t c = 0; c < s->width; c++) dot += (double)(g[c] * value_get(out, at + c, true));
        else
#pragma omp simd reduction(+ : dot)
            for (int64_t c = 0; c < s->width; c++) dot += (double)(g[c] * value_get(out, at + c, false));
        delta[t] = (real)dot;
    }
}

static void head_backward(const node *n, const attention_shape *s, int64_t sample, int64_t head, real *memory) {
    const int64_t d = s->heads * s->width, w = s->width;
    const head_memory m = head_memory_at(s, memory);
    const int64_t at = sample * s->queries * d + head * w;
    const int64_t from = 3 * sample * s->tokens * d + head * w;
    const real *saved = n->saved[0] + (sample * s->heads + head) * s->queries;
    gather(s, n->in[0]->data, from, 3 * d, s->queries, m.q);
    gather(s, n->in[0]->data, from + d, 3 * d, s->tokens, m.k);
    gather(s, n->in[0]->data, from + 2 * d, 3 * d, s->tokens, m.v);
    gather(s, n->out->grad, at, d, s->queries, m.g);
    transpose(m.k, s, m.kt);
    transpose(m.v, s, m.vt);
    level_rows(s, m.g, n->out->data, at, d, m.delta);
    for (int64_t b = 0; b < s->q_blocks; b++) {
        int64_t i = s->queries * b / s->q_blocks, rows = s->queries * (b + 1) / s->q_blocks - i;
        for (int64_t e = 0; e < s->k_blocks; e++) {
            int64_t j = s->tokens * e / s->k_blocks, keys = s->tokens * (e + 1) / s->k_blocks - j;
            product((left){m.q + i * w, w, 1}, m.kt + j, s->padded, rows, whole(keys), w, m.logits, LOGITS, false);
            product((left){m.g + i * w, w, 1}, m.vt + j, s->padded, rows, whole(keys), w, m.slopes, LOGITS, false);
            attention_harden(s, m.logits, m.slopes, rows, keys, saved + i, m.delta + i);
            product((left){m.slopes, LOGITS, 1}, m.k + j * w, w, rows, w, keys, m.dq + i * w, w, e > 0);
            product((left){m.slopes, 1, LOGITS}, m.q + i * w, w, keys, w, rows, m.dk + j * w, w, b > 0);
            product((left){m.logits, 1, LOGITS}, m.g + i * w, w, keys, w, rows, m.dv + j * w, w, b > 0);
        }
    }
    memset(m.dq + s->queries * w, 0, (size_t)((s->tokens - s->queries) * w) * sizeof *m.dq);
    scatter(s, m.dq, n->in[0]->grad, from, 3 * d, n->in[0]->grad_ready);
    scatter(s, m.dk, n->in[0]->grad, from + d, 3 * d, n->in[0]->grad_ready);
    scatter(s, m.dv, n->in[0]->grad, from + 2 * d, 3 * d, n->in[0]->grad_ready);
}

static bool attention_backward(backend *b, node *n) {
    const attention_shape s = shape_of(n);
#ifdef TILES_BUILT
    if (s.brief) return attention_brief_backward(b, n, &s);
#endif
    const int64_t heads = n->in[0]->shape[0] / s.tokens * s.heads, each = head_memory_size(&s);
    real *memory = b->allocate(b, (size_t)(each * b->threads) * sizeof *memory);
    if (!memory) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t h = 0; h < heads; h++)
        head_backward(n, &s, h / s.heads, h % s.heads, memory + omp_get_thread_num() * each);
    grad_done(n->in[0]);
    b->release(b, memory);
    return true;
}
const kernel cpu_kernel_attention = {attention_forward, attention_backward};

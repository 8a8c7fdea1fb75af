/*
 * Attention of what is stored in bfloat16, by tiles (tiles.h): as attention.c, with its sums, softmax and logits in
 * floats. What is multiplied is rounded: q, k, v and dO are so already, and so become P, before it is divided by its
 * rows' sums in the forward pass, and dS.
 *
 * A head's factors are packed once, and queries pass 32 at a time. Of the backward pass dV and dK come turned, dVᵀ =
 * dOᵀ·P and dKᵀ = Qᵀ·dS, since P and dS then are right factors, which pack without turning; their sums are over the
 * queries of a block, for which P and dS are kept.
 */
#include "engine/cpu/attention.h"
#include "engine/cpu/gemm_brief.h"
#include "engine/cpu/tiles.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#ifdef TILES_BUILT

/*
 *   STEP    queries whose logits are made at a time: the depth of a tile
 *   STEPS   of them in a block of the backward pass
 *   KEY_TILES  of 16 keys in a block of keys
 */
enum { STEP = TILE_DEPTH, STEPS = 4, QUERIES = STEPS * STEP, KEY_TILES = KEYS / TILE_ROWS };

static int64_t lines_of(int64_t count) { return (count + TILE_ROWS - 1) / TILE_ROWS; }
static int64_t steps_of(int64_t count) { return (count + TILE_DEPTH - 1) / TILE_DEPTH; }

/* A packed factor: where it begins, and how far its tiles are apart, in numbers. */
typedef struct factor {
    bfloat *tiles;
    int64_t next, step;
} factor;

/* From line `first` and depth `k` on, multiples of 16 and 32. */
static factor from(factor f, int64_t first, int64_t k) {
    f.tiles += first / TILE_ROWS * f.next + k / TILE_DEPTH * f.step;
    return f;
}

/* The same where less deep tiles were packed. */
static factor packed_as_deep(factor f, int64_t depth) {
    f.next = steps_of(depth) * f.step;
    return f;
}

/* A thread's memory: what is taken of it, in bytes, a multiple of a cache line. `memory` is NULL while it is counted.
 */
typedef struct room {
    char *memory;
    int64_t taken;
} room;

static void *take(room *r, int64_t bytes) {
    void *at = r->memory ? r->memory + r->taken : NULL;
    r->taken += (bytes + 63) / 64 * 64;
    return at;
}

static float *take_floats(room *r, int64_t count) { return take(r, count * (int64_t)sizeof(float)); }

static factor take_factor(room *r, int64_t lines, int64_t depth) {
    const int64_t next = steps_of(depth) * TILE_SIZE;
    return (factor){take(r, lines_of(lines) * next * (int64_t)sizeof(bfloat)), next, TILE_SIZE};
}

/* c (rows, cols) = a·b, or added to it. */
static void multiply(const backend *b, factor left, factor right, int64_t rows, int64_t cols, int64_t depth, float *c,
                     int64_t c_row, bool add) {
    for (int64_t j = 0; j < cols; j += 2 * TILE_ROWS)
        for (int64_t i = 0; i < rows; i += 2 * TILE_ROWS) {
            const tile_product p = {.a = from(left, i, 0).tiles,
                                    .a_next = left.next,
                                    .a_step = left.step,
                                    .b = from(right, j, 0).tiles,
                                    .b_next = right.next,
                                    .b_step = right.step,
                                    .c = c + i * c_row + j,
                                    .c_down = TILE_ROWS * c_row,
                                    .c_right = TILE_ROWS,
                                    .c_row = c_row,
                                    .depth = depth,
                                    .rows = (int)smaller(2 * TILE_ROWS, rows - i),
                                    .cols = cols - j > TILE_ROWS ? 2 : 1,
                                    .add = add};
            tiles_multiply(b, &p);
        }
}

/* A head's rows of a tensor: token t's numbers from data[at + t·row] on. */
static operand head_rows(const void *data, int64_t at, int64_t row) {
    return rows_of(value_at(data, at, true), row, true);
}

/* A head's first `count` tokens as a factor whose lines are tokens and whose depth is channels; or, turned, the other
   way about. */
static void pack_tokens(const attention_shape *s, const operand *x, int64_t count, bool by_pairs, factor to) {
    tiles_pack(x, count, s->width, by_pairs, to.tiles);
}
static void pack_channels(const attention_shape *s, const operand *x, int64_t count, bool by_pairs, factor to) {
    const operand channels = turned(*x);
    tiles_pack(&channels, s->width, count, by_pairs, to.tiles);
}

/* One sample and head, by a thread with room of its own. */
typedef void head_work(const backend *b, const node *n, const attention_shape *s, int64_t sample, int64_t head,
                       room own);

/* All samples and heads; a thread's room takes so many bytes. */
static bool every_head(backend *b, const node *n, const attention_shape *s, head_work *work, int64_t bytes) {
    const int64_t heads = n->in[0]->shape[0] / s->tokens * s->heads;
    char *memory = b->allocate(b, (size_t)(bytes * b->threads));
    if (!memory) return cpu_fail(b, "out of memory");
#pragma omp parallel num_threads(b->threads)
    {
        const room own = {memory + omp_get_thread_num() * bytes, 0};
        tiles_begin(b);
#pragma omp for schedule(static)
        for (int64_t h = 0; h < heads; h++) work(b, n, s, h / s->heads, h % s->heads, own);
        tiles_end(b);
    }
    b->release(b, memory);
    return true;
}

/* Forward --------------------------------------------------------------------------------------------------------- */

/* Of a thread: its head's factors, exponentials, a step's logits and results. */
typedef struct forward_room {
    factor q, k, v, p;
    float *logits, *out;
} forward_room;

static forward_room forward_room_in(const attention_shape *s, room *r) {
    forward_room m;
    m.q = take_factor(r, s->queries, s->width);
    m.k = take_factor(r, s->tokens, s->width);
    m.v = take_factor(r, s->width, s->tokens);
    m.p = take_factor(r, STEP, KEYS);
    m.logits = take_floats(r, STEP * LOGITS);
    m.out = take_floats(r, STEP * s->width);
    return m;
}

static void head_forward(const backend *b, const node *n, const attention_shape *s, int64_t sample, int64_t head,
                         room own) {
    const forward_room m = forward_room_in(s, &own);
    const int64_t w = s->width, d = s->heads * w, at = sample * s->tokens * 3 * d + head * w;
    const operand q = head_rows(n->in[0]->data, at, 3 * d), k = head_rows(n->in[0]->data, at + d, 3 * d),
                  v = head_rows(n->in[0]->data, at + 2 * d, 3 * d), p = rows_of(m.logits, LOGITS, false);
    pack_tokens(s, &q, s->queries, false, m.q);
    pack_tokens(s, &k, s->tokens, true, m.k);
    pack_channels(s, &v, s->tokens, true, m.v);
    for (int64_t i = 0; i < s->queries; i += STEP) {
        const int64_t rows = smaller(STEP, s->queries - i);
        real most[STEP];
        double sum[STEP] = {0};
        for (int64_t j = 0; j < s->tokens; j += KEYS) {
            const int64_t keys = smaller(KEYS, s->tokens - j);
            multiply(b, from(m.q, i, 0), from(m.k, j, 0), rows, keys, w, m.logits, LOGITS, false);
            attention_soften(s, m.logits, rows, keys, j == 0, most, sum, m.out);
            tiles_pack(&p, rows, keys, false, m.p.tiles);
            multiply(b, packed_as_deep(m.p, keys), from(m.v, 0, j), rows, w, keys, m.out, w, j > 0);
        }
        for (int64_t r = 0; r < rows; r++) {
            bfloat *to = (bfloat *)n->out->data + (sample * s->queries + i + r) * d + head * w;
            const real inverse = (real)(1 / sum[r]);
#pragma omp simd
            for (int64_t c = 0; c < w; c++) to[c] = bfloat_round(m.out[r * w + c] * inverse);
            n->saved[0][(sample * s->heads + head) * s->queries + i + r] = (real)((double)most[r] + log(sum[r]));
        }
    }
}

bool attention_brief_forward(backend *b, node *n, const attention_shape *s) {
    room count = {0};
    forward_room_in(s, &count);
    return every_head(b, n, s, head_forward, count.taken);
}

/* Backward -------------------------------------------------------------------------------------------------------- */

/* Of a thread: its head's factors, by tokens and by channels; P and dS of a block as right factors, dS of a step as a
   left one; the gradients. */
typedef struct backward_room {
    factor q, k, v, g, q_turned, k_turned, g_turned, p, ds, ds_left;
    float *logits, *slopes, *dq, *dk, *dv, *delta;
    int64_t padded; /* tokens in whole tiles */
} backward_room;

static backward_room backward_room_in(const attention_shape *s, room *r) {
    backward_room m = {.padded = lines_of(s->tokens) * TILE_ROWS};
    factor *const of_queries[] = {&m.q, &m.g}, *const of_keys[] = {&m.k, &m.v};
    for (int i = 0; i < 2; i++) *of_queries[i] = take_factor(r, s->queries, s->width);
    for (int i = 0; i < 2; i++) *of_keys[i] = take_factor(r, s->tokens, s->width);
    m.q_turned = take_factor(r, s->width, s->queries);
    m.g_turned = take_factor(r, s->width, s->queries);
    m.k_turned = take_factor(r, s->width, s->tokens);
    m.p = take_factor(r, KEYS, QUERIES);
    m.ds = take_factor(r, KEYS, QUERIES);
    m.p.next = m.ds.next = TILE_SIZE; /* a step at a time */
    m.p.step = m.ds.step = KEY_TILES * TILE_SIZE;
    m.ds_left = take_factor(r, STEP, KEYS);
    m.logits = take_floats(r, STEP * LOGITS);
    m.slopes = take_floats(r, STEP * LOGITS);
    m.dq = take_floats(r, QUERIES * s->width);
    m.dk = take_floats(r, s->width * m.padded);
    m.dv = take_floats(r, s->width * m.padded);
    m.delta = take_floats(r, s->queries);
    return m;
}

/* δ of each query. */
static void level_rows(const attention_shape *s, const operand *g, const operand *out, real *delta) {
    for (int64_t t = 0; t < s->queries; t++) {
        const bfloat *a = (const bfloat *)g->data + t * g->row, *z = (const bfloat *)out->data + t * out->row;
        double dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < s->width; c++) dot += (double)(bfloat_value(a[c]) * bfloat_value(z[c]));
        delta[t] = (real)dot;
    }
}

/* Numbers that lie side by side to a gradient. */
static inline void put_row(const float *values, int64_t count, bfloat *to, bool add) {
#pragma omp simd
    for (int64_t c = 0; c < count; c++) to[c] = bfloat_round((add ? bfloat_value(to[c]) : 0) + values[c]);
}

/* (width, padded) to the rows of a head. */
static void put_turned(const attention_shape *s, const float *values, int64_t padded, const operand *to, bool add) {
    float tile[TILE_ROWS * TILE_ROWS] __attribute__((aligned(64)));
    for (int64_t t = 0; t < s->tokens; t += TILE_ROWS)
        for (int64_t c = 0; c < s->width; c += TILE_ROWS) {
            for (int i = 0; i < TILE_ROWS; i++)
                memcpy(tile + i * TILE_ROWS, values + (c + i) * padded + t, TILE_ROWS * sizeof *tile);
            tile_turn((uint32_t *)tile, (uint32_t *)tile);
            bfloat *row = (bfloat *)to->data + t * to->row + c;
            for (int64_t i = 0; i < smaller(TILE_ROWS, s->tokens - t); i++)
                put_row(tile + i * TILE_ROWS, TILE_ROWS, row + i * to->row, add);
        }
}

/* P and dS of the queries from `i` on, `step` of their block, and the keys from `j` on; and their share of dQ. */
static void make_step(const backend *b, const attention_shape *s, const backward_room *m, const real *saved, int64_t i,
                      int64_t step, int64_t rows, int64_t j, int64_t keys) {
    const operand ds = rows_of(m->slopes, LOGITS, false), ds_turned = turned(ds),
                  p_turned = turned(rows_of(m->logits, LOGITS, false));
    multiply(b, from(m->q, i, 0), from(m->k, j, 0), rows, keys, s->width, m->logits, LOGITS, false);
    multiply(b, from(m->g, i, 0), from(m->v, j, 0), rows, keys, s->width, m->slopes, LOGITS, false);
    attention_harden(s, m->logits, m->slopes, rows, keys, saved + i, m->delta + i);
    tiles_pack(&p_turned, keys, rows, true, from(m->p, 0, step * STEP).tiles);
    tiles_pack(&ds_turned, keys, rows, true, from(m->ds, 0, step * STEP).tiles);
    tiles_pack(&ds, rows, keys, false, m->ds_left.tiles);
    multiply(b, packed_as_deep(m->ds_left, keys), from(m->k_turned, 0, j), rows, s->width, keys,
             m->dq + step * STEP * s->width, s->width, j > 0);
}

static void head_backward(const backend *b, const node *n, const attention_shape *s, int64_t sample, int64_t head,
                          room own) {
    const backward_room m = backward_room_in(s, &own);
    const int64_t w = s->width, d = s->heads * w, at = sample * s->queries * d + head * w;
    const int64_t at_3 = sample * s->tokens * 3 * d + head * w;
    const real *saved = n->saved[0] + (sample * s->heads + head) * s->queries;
    const operand q = head_rows(n->in[0]->data, at_3, 3 * d), k = head_rows(n->in[0]->data, at_3 + d, 3 * d),
                  v = head_rows(n->in[0]->data, at_3 + 2 * d, 3 * d), g = head_rows(n->out->grad, at, d),
                  out = head_rows(n->out->data, at, d), dq = head_rows(n->in[0]->grad, at_3, 3 * d),
                  dk = head_rows(n->in[0]->grad, at_3 + d, 3 * d), dv = head_rows(n->in[0]->grad, at_3 + 2 * d, 3 * d);
    const bool add = n->in[0]->grad_ready;
    pack_tokens(s, &q, s->queries, false, m.q);
    pack_tokens(s, &k, s->tokens, true, m.k);
    pack_tokens(s, &v, s->tokens, true, m.v);
    pack_tokens(s, &g, s->queries, false, m.g);
    pack_channels(s, &q, s->queries, false, m.q_turned);
    pack_channels(s, &k, s->tokens, true, m.k_turned);
    pack_channels(s, &g, s->queries, false, m.g_turned);
    level_rows(s, &g, &out, m.delta);
    for (int64_t first = 0; first < s->queries; first += QUERIES) {
        const int64_t count = smaller(QUERIES, s->queries - first);
        for (int64_t j = 0; j < s->tokens; j += KEYS) {
            const int64_t keys = smaller(KEYS, s->tokens - j);
            for (int64_t i = 0; i < count; i += STEP)
                make_step(b, s, &m, saved, first + i, i / STEP, smaller(STEP, count - i), j, keys);
            multiply(b, from(m.g_turned, 0, first), m.p, w, keys, count, m.dv + j, m.padded, first > 0);
            multiply(b, from(m.q_turned, 0, first), m.ds, w, keys, count, m.dk + j, m.padded, first > 0);
        }
        for (int64_t r = 0; r < count; r++) put_row(m.dq + r * w, w, (bfloat *)dq.data + (first + r) * dq.row, add);
    }
    for (int64_t t = s->queries; t < s->tokens && !add; t++)
        memset((bfloat *)dq.data + t * dq.row, 0, (size_t)w * sizeof(bfloat));
    put_turned(s, m.dk, m.padded, &dk, add);
    put_turned(s, m.dv, m.padded, &dv, add);
}

bool attention_brief_backward(backend *b, node *n, const attention_shape *s) {
    room count = {0};
    backward_room_in(s, &count);
    if (!every_head(b, n, s, head_backward, count.taken)) return false;
    grad_done(n->in[0]);
    return true;
}

#endif

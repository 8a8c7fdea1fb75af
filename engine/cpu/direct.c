/*
 * Direct sums as products of gathered pixels with a matrix. For a stretch of target pixels, what each of the window's
 * taps sees of the source is gathered (zeros beyond its edges) into a stretch that stays in the cache, multiplied in
 * registers and scattered to where it belongs.
 *
 * Forward, targets are the output's pixels and every tap takes part. The data gradient of stride s falls into s·s such
 * problems, one for each remainder of the input's coordinates modulo s, since those pixels meet the same taps: nothing
 * is multiplied by a zero in between. The weight gradient gathers the same way and sums outer products over all pixels.
 */
#include "engine/cpu/direct.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/products.h"

#include <omp.h>

enum {
    CACHE = 512 * 1024,     /* bytes for the gathered pixels */
    MOST_STEPS = 8,         /* of them in a stretch, STEP pixels each */
    SHARED_CACHE = 1 << 20, /* bytes for both factors of the weight gradient */
    MOST_TAPS = 1024        /* of a window */
};

bool direct_takes(const conv_shape *s) {
    return s->window * s->window <= MOST_TAPS && s->in_lanes == BLOCK_LANES && s->out_lanes == BLOCK_LANES;
}

/* One tap of the window: its place in the weights, and where it looks relative to the target's place in the source. */
typedef struct tap {
    int64_t place, dy, dx;
} tap;

/* Every `step`th pixel both ways of images, from (y, x) on. */
typedef struct lattice {
    vec *data;
    int64_t blocks, h, w, step, y, x;
} lattice;

/* Target pixel (i, j) of (rows, cols) in each of n images, and the source pixels that its taps meet. */
typedef struct meeting {
    int64_t n, rows, cols, tap_count;
    lattice from, to;
    const tap *taps;
} meeting;

static lattice input_side(const conv_shape *s, const real *x) {
    return (lattice){(vec *)x, s->in / BLOCK_LANES, s->h, s->w, 1, 0, 0};
}

static lattice output_side(const conv_shape *s, const real *y) {
    return (lattice){(vec *)y, s->out / BLOCK_LANES, s->out_h, s->out_w, 1, 0, 0};
}

/* Outputs and the inputs that they are sums of. */
static meeting forward_meeting(const conv_shape *s, const real *x, const real *y, tap *taps) {
    meeting m = {s->n, s->out_h, s->out_w, s->window * s->window, input_side(s, x), output_side(s, y), taps};
    m.from.step = s->stride;
    for (int64_t i = 0; i < m.tap_count; i++)
        taps[i] = (tap){i, i / s->window - s->padding, i % s->window - s->padding};
    return m;
}

/* Inputs of remainders (y, x) modulo the stride, and the outputs that they take part in. */
static meeting backward_meeting(const conv_shape *s, const real *dy, const real *dx, int64_t y, int64_t x, tap *taps) {
    meeting m = {s->n,
                 (s->h - y + s->stride - 1) / s->stride,
                 (s->w - x + s->stride - 1) / s->stride,
                 0,
                 output_side(s, dy),
                 input_side(s, dx),
                 taps};
    m.to.step = s->stride, m.to.y = y, m.to.x = x;
    for (int64_t i = 0; i < s->window * s->window; i++) {
        int64_t down = y + s->padding - i / s->window, right = x + s->padding - i % s->window;
        if (down % s->stride == 0 && right % s->stride == 0)
            taps[m.tap_count++] = (tap){i, down / s->stride, right / s->stride};
    }
    return m;
}

/* Gathering and scattering ----------------------------------------------------------------------------------------- */

typedef struct spot {
    int64_t image, row, col;
} spot;

static spot spot_of(const meeting *m, int64_t p) {
    int64_t in_image = p % (m->rows * m->cols);
    return (spot){p / (m->rows * m->cols), in_image / m->cols, in_image % m->cols};
}

/* How many of `left` target pixels from a spot on lie in its row; moves the spot to the next row. */
static int64_t take_row(const meeting *m, spot *s, int64_t left) {
    int64_t some = m->cols - s->col < left ? m->cols - s->col : left;
    s->col = 0;
    if (++s->row < m->rows) return some;
    s->row = 0;
    s->image++;
    return some;
}

/* What one tap sees from `count` neighbouring targets, the first of which looks at column `col` of `row`. */
INLINE void gather_row(const lattice *f, const vec *image, int64_t row, int64_t col, int64_t count, int64_t step,
                       int64_t tiles, vec *to) {
    const int64_t plane = f->h * f->w, blocks = f->blocks;
    int64_t first = col < 0 ? (-col + step - 1) / step : 0, last = (f->w - col + step - 1) / step;
    if (row < 0 || row >= f->h) last = 0;
    if (first > count) first = count;
    if (last > count) last = count;
    if (last < first) last = first;
    for (int64_t k = 0; k < blocks; k++, to += tiles) {
        const vec *from = image + k * plane + row * f->w + col;
        for (int64_t p = 0; p < first; p++) to[p] = (vec){0};
        for (int64_t p = first; p < last; p++) to[p] = from[p * step];
        for (int64_t p = last; p < count; p++) to[p] = (vec){0};
    }
}

/* What the taps of target pixels first … first + count − 1 see, to v[tap][block][tiles]. */
static void gather(const meeting *m, int64_t first, int64_t count, int64_t tiles, vec *v) {
    const lattice *f = &m->from;
    spot s = spot_of(m, first);
    for (int64_t p = 0; p < count;) {
        const int64_t y = s.row * f->step, x = s.col * f->step;
        const vec *image = f->data + s.image * f->blocks * f->h * f->w;
        const int64_t some = take_row(m, &s, count - p);
        vec *to = v + p;
        for (int64_t t = 0; t < m->tap_count; t++, to += f->blocks * tiles) {
            if (f->step == 1)
                gather_row(f, image, y + m->taps[t].dy, x + m->taps[t].dx, some, 1, tiles, to);
            else
                gather_row(f, image, y + m->taps[t].dy, x + m->taps[t].dx, some, f->step, tiles, to);
        }
        p += some;
    }
}

/* Sums of one block of targets first … first + count − 1, `width` vectors apart, to where they belong. */
static void scatter(const meeting *m, int64_t first, int64_t count, int64_t block, const vec *sums, int width, vec plus,
                    bool add) {
    const lattice *t = &m->to;
    spot s = spot_of(m, first);
    for (int64_t p = 0; p < count;) {
        vec *to =
            t->data + ((s.image * t->blocks + block) * t->h + t->y + s.row * t->step) * t->w + t->x + s.col * t->step;
        const int64_t some = take_row(m, &s, count - p);
        const vec *from = sums + p * width;
        if (add)
            for (int64_t k = 0; k < some; k++) to[k * t->step] += from[k * width];
        else
            for (int64_t k = 0; k < some; k++) to[k * t->step] = from[k * width] + plus;
        p += some;
    }
}

/* Weights ---------------------------------------------------------------------------------------------------------- */

/* The taps' weights as groups of targets' channels, [tap][channel of the source][width] each; `turned` for the data
 * gradient, whose targets are x's channels. */
static void groups_make(const meeting *m, const real *weights, int64_t window, bool turned, vec *u) {
    int64_t from = m->from.blocks * BLOCK_LANES, to = m->to.blocks * BLOCK_LANES, area = window * window;
#pragma omp parallel for collapse(2) schedule(static) if (m->tap_count * from * to > 32768)
    for (int64_t k = 0; k < m->to.blocks; k++)
        for (int64_t c = 0; c < from; c++)
            for (int64_t t = 0; t < m->tap_count; t++) {
                int64_t width = group_width(to, k / PAIR), inputs = m->tap_count * from;
                vec *at = u + k / PAIR * PAIR * inputs + (t * from + c) * width + k % PAIR;
                for (int l = 0; l < BLOCK_LANES; l++) {
                    int64_t o = k * BLOCK_LANES + l;
                    (*at)[l] = weights[(turned ? c * to + o : o * from + c) * area + m->taps[t].place];
                }
            }
}

/* Forward and data gradient ---------------------------------------------------------------------------------------- */

/* The targets: gathered · u (+ bias); added to what is there when `add`. */
static bool multiply(backend *b, const meeting *m, const vec *u, const real *bias, bool add) {
    int64_t all = m->n * m->rows * m->cols, depth = m->tap_count * m->from.blocks, out = m->to.blocks * BLOCK_LANES;
    int64_t steps = CACHE / (STEP * (depth + 1) * (int64_t)sizeof(vec));
    int64_t stretch = (steps < 1 ? 1 : steps > MOST_STEPS ? MOST_STEPS : steps) * STEP;
    int64_t per_thread = (depth + PAIR) * stretch;
    vec *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof *scratch);
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t first = 0; first < all; first += stretch) {
        vec *v = scratch + omp_get_thread_num() * per_thread, *sums = v + depth * stretch;
        int64_t count = all - first < stretch ? all - first : stretch;
        gather(m, first, count, stretch, v);
        for (int64_t group = 0; group < group_count(out); group++) {
            int width = group_width(out, group);
            for (int64_t p = 0; p < count; p += STEP)
                product_any((const real *)(v + p), depth, stretch, u + group * PAIR * depth * BLOCK_LANES,
                            sums + p * width, width);
            for (int l = 0; l < width; l++) {
                int64_t block = group * PAIR + l;
                vec plus = bias ? ((const vec *)bias)[block] : (vec){0};
                scatter(m, first, count, block, sums + l, width, plus, add);
            }
        }
    }
    b->release(b, scratch);
    return true;
}

static vec *groups_memory(backend *b, const conv_shape *s) {
    vec *u = b->allocate(b, (size_t)(s->window * s->window * s->in * s->out) * sizeof(real));
    if (!u) cpu_fail(b, "out of memory");
    return u;
}

bool direct_forward(backend *b, const conv_shape *s, const real *x, const real *weights, const real *bias, real *y) {
    tap taps[MOST_TAPS];
    meeting m = forward_meeting(s, x, y, taps);
    vec *u = groups_memory(b, s);
    if (u) groups_make(&m, weights, s->window, false, u);
    bool ok = u && multiply(b, &m, u, bias, false);
    b->release(b, u);
    return ok;
}

bool direct_data(backend *b, const conv_shape *s, const real *dy, const real *weights, real *dx, bool add) {
    tap taps[MOST_TAPS];
    vec *u = groups_memory(b, s);
    bool ok = u != NULL;
    for (int64_t i = 0; ok && i < s->stride * s->stride; i++) {
        meeting m = backward_meeting(s, dy, dx, i / s->stride, i % s->stride, taps);
        if (add && m.tap_count == 0) continue;
        groups_make(&m, weights, s->window, true, u);
        ok = multiply(b, &m, u, NULL, add);
    }
    b->release(b, u);
    return ok;
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* The targets' own pixels, one behind the other, to v[block][tiles]. */
static void gather_targets(const meeting *m, int64_t first, int64_t count, int64_t tiles, vec *v) {
    const tap itself = {0, 0, 0};
    meeting own = {m->n, m->rows, m->cols, 1, m->to, m->to, &itself};
    gather(&own, first, count, tiles, v);
}

/* sums[tap][in][block of out] to weights (out, in, window, window). */
static void spread(const conv_shape *s, const vec *sums, real *dw, bool add) {
    int64_t area = s->window * s->window, blocks = s->out / BLOCK_LANES;
#pragma omp parallel for schedule(static) if (area * s->in * s->out > 32768)
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t c = 0; c < s->in; c++)
            for (int64_t t = 0; t < area; t++) {
                real *to = dw + (o * s->in + c) * area + t;
                *to = (add ? *to : 0) + sums[(t * s->in + c) * blocks + o / BLOCK_LANES][o % BLOCK_LANES];
            }
}

bool direct_weights(backend *b, const conv_shape *s, const real *x, const real *dy, real *dw, bool add) {
    enum { PORTION = 64, LEAST = 4 * PORTION }; /* pixels that a thread gathers at a time; that share the sums */
    tap taps[MOST_TAPS];
    meeting g = forward_meeting(s, x, dy, taps);
    int64_t all = g.n * g.rows * g.cols, inputs = g.tap_count * s->in;
    int64_t tiles = SHARED_CACHE / ((inputs + s->out) * (int64_t)sizeof(real)) / PORTION * PORTION;
    if (tiles < LEAST) tiles = LEAST;
    if (tiles > all) tiles = all;
    vec *sums = b->allocate(b, (size_t)(inputs * s->out) * sizeof(real));
    vec *v = b->allocate(b, (size_t)(tiles * (inputs + s->out)) * sizeof(real)), *m = v + tiles * inputs / BLOCK_LANES;
    bool ok = (sums && v) || cpu_fail(b, "out of memory");
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < all; first += tiles) {
        int64_t count = all - first < tiles ? all - first : tiles;
#pragma omp for schedule(static)
        for (int64_t p = 0; p < count; p += PORTION) {
            int64_t some = count - p < PORTION ? count - p : PORTION;
            gather(&g, first + p, some, tiles, v + p);
            gather_targets(&g, first + p, some, tiles, m + p);
        }
#pragma omp for schedule(static)
        for (int64_t c = 0; c < inputs; c += OUTER) {
            const real *from = (const real *)(v + c / BLOCK_LANES * tiles) + c % BLOCK_LANES;
            outer_products(from, m, tiles, count, g.to.blocks, sums + c * g.to.blocks, first == 0);
        }
    }
    if (ok) spread(s, sums, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

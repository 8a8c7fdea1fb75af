/*
 * Direct sums as products of gathered pixels with a matrix. For a stretch of target pixels, what each of the window's
 * taps sees of the source is gathered (zeros beyond its edges) into a stretch that stays in the cache, multiplied in
 * registers and scattered to where it belongs (meeting.h). The weight gradient gathers the same way and sums outer
 * products over all pixels.
 */
#include "engine/cpu/direct.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/meeting.h"

#include <omp.h>

enum {
    CACHE = 512 * 1024,    /* bytes for the gathered pixels */
    MOST_STEPS = 8,        /* of them in a stretch, STEP pixels each */
    SHARED_CACHE = 1 << 20 /* bytes for both factors of the weight gradient */
};

bool direct_takes(const conv_shape *s) {
    return s->window * s->window <= MOST_TAPS && s->in_lanes == BLOCK_LANES && s->out_lanes == BLOCK_LANES;
}

/* Gathering ---------------------------------------------------------------------------------------------------------
 */

/* What one tap sees from `count` neighbouring targets, the first of which looks at column `col` of `row`. */
INLINE void gather_row(const lattice *f, int64_t image, int64_t row, int64_t col, int64_t count, int64_t step,
                       int64_t tiles, vec *to, bool brief) {
    const int64_t plane = f->h * f->w, blocks = f->blocks;
    int64_t first, last;
    seen_by(f, row, col, count, step, &first, &last);
    for (int64_t k = 0; k < blocks; k++, to += tiles) {
        const int64_t from = (image * blocks + k) * plane + row * f->w + col;
        for (int64_t p = 0; p < first; p++) to[p] = (vec){0};
        for (int64_t p = first; p < last; p++) to[p] = pixel_get(f->data, from + p * step, brief);
        for (int64_t p = last; p < count; p++) to[p] = (vec){0};
    }
}

/* What the taps of target pixels first … first + count − 1 see, to v[tap][block][tiles]. */
INLINE void gather_of(const meeting *m, int64_t first, int64_t count, int64_t tiles, vec *v, bool brief) {
    const lattice *f = &m->from;
    spot s = spot_of(m, first);
    for (int64_t p = 0; p < count;) {
        const int64_t y = s.row * f->step, x = s.col * f->step;
        const int64_t image = s.image, some = take_row(m, &s, count - p);
        vec *to = v + p;
        for (int64_t t = 0; t < m->tap_count; t++, to += f->blocks * tiles) {
            if (f->step == 1)
                gather_row(f, image, y + m->taps[t].dy, x + m->taps[t].dx, some, 1, tiles, to, brief);
            else
                gather_row(f, image, y + m->taps[t].dy, x + m->taps[t].dx, some, f->step, tiles, to, brief);
        }
        p += some;
    }
}

static void gather(const meeting *m, int64_t first, int64_t count, int64_t tiles, vec *v) {
    if (m->from.brief)
        gather_of(m, first, count, tiles, v, true);
    else
        gather_of(m, first, count, tiles, v, false);
}

/* Weights ---------------------------------------------------------------------------------------------------------- */

/* The taps' weights as groups of targets' channels, [tap][channel of the source][width] each; `turned` for the data
 * gradient, whose targets are x's channels. */
static void groups_make(const meeting *m, const real *weights, int64_t window, bool turned, void *to_groups) {
    vec *u = to_groups;
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
static bool multiply(backend *b, const meeting *m, const void *groups, const real *bias, bool add) {
    const vec *u = groups;
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

static const meeting_way by_gathering = {groups_make, multiply};

bool direct_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y) {
    return meeting_sums(b, &by_gathering, s, x, weights, bias, y);
}

bool direct_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add) {
    return meeting_data(b, &by_gathering, s, dy, weights, dx, add);
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* The targets' own pixels, one behind the other, to v[block][tiles]. */
static void gather_targets(const meeting *m, int64_t first, int64_t count, int64_t tiles, vec *v) {
    const meeting own = meeting_of_targets(m);
    gather(&own, first, count, tiles, v);
}

/* sums[block of out][tap][in] to weights (out, in, window, window). */
static void spread(const conv_shape *s, const vec *sums, real *dw, bool add) {
    int64_t area = s->window * s->window, blocks = s->out / BLOCK_LANES;
#pragma omp parallel for collapse(2) schedule(static) if (area * s->in * s->out > 32768)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < s->in; c++) windows_put(sums + k * area * s->in + c, s->in, area, s->in, k, c, dw, add);
}

bool direct_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    enum { PORTION = 64, LEAST = 4 * PORTION }; /* pixels that a thread gathers at a time; that share the sums */
    tap taps[MOST_TAPS];
    meeting g = meeting_forward(s, x, dy, taps);
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
            outer_products(from, m, tiles, count, g.to.blocks, sums + c, inputs, first == 0);
        }
    }
    if (ok) spread(s, sums, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

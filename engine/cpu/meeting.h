/*
 * Direct sums as pixels that meet: which source pixels the taps of a window see from each target pixel. Forward,
 * targets are the output's pixels and every tap takes part. The data gradient of stride s falls into s·s such problems,
 * one for each remainder of the input's coordinates modulo s, since those pixels meet the same taps: nothing is
 * multiplied by a zero in between.
 */
#ifndef MEWS_MEETING_H
#define MEWS_MEETING_H

#include "engine/cpu/convolution.h"
#include "engine/cpu/products.h"

enum { MOST_TAPS = 1024 }; /* of a window */

/* One tap of the window: its place in the weights, and where it looks relative to the target's place in the source. */
typedef struct tap {
    int64_t place, dy, dx;
} tap;

/* Every `step`th pixel both ways of images, from (y, x) on. */
typedef struct lattice {
    void *data;
    bool brief; /* stored in bfloat16 */
    int64_t blocks, h, w, step, y, x;
} lattice;

/* Target pixel (i, j) of (rows, cols) in each of n images, and the source pixels that its taps meet. */
typedef struct meeting {
    int64_t n, rows, cols, tap_count;
    lattice from, to;
    const tap *taps;
} meeting;

static inline lattice input_side(const conv_shape *s, const void *x) {
    return (lattice){(void *)x, s->in_brief, s->in / BLOCK_LANES, s->h, s->w, 1, 0, 0};
}

static inline lattice output_side(const conv_shape *s, const void *y) {
    return (lattice){(void *)y, s->out_brief, s->out / BLOCK_LANES, s->out_h, s->out_w, 1, 0, 0};
}

/* Outputs and the inputs that they are sums of. */
static inline meeting forward_meeting(const conv_shape *s, const void *x, const void *y, tap *taps) {
    meeting m = {s->n, s->out_h, s->out_w, s->window * s->window, input_side(s, x), output_side(s, y), taps};
    m.from.step = s->stride;
    for (int64_t i = 0; i < m.tap_count; i++)
        taps[i] = (tap){i, i / s->window - s->padding, i % s->window - s->padding};
    return m;
}

/* Inputs of remainders (y, x) modulo the stride, and the outputs that they take part in. */
static inline meeting backward_meeting(const conv_shape *s, const void *dy, const void *dx, int64_t y, int64_t x,
                                       tap *taps) {
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

/* Walking over targets -------------------------------------------------------------------------------------------- */

typedef struct spot {
    int64_t image, row, col;
} spot;

static inline spot spot_of(const meeting *m, int64_t p) {
    int64_t in_image = p % (m->rows * m->cols);
    return (spot){p / (m->rows * m->cols), in_image / m->cols, in_image % m->cols};
}

/* How many of `left` target pixels from a spot on lie in its row; moves the spot to the next row. */
static inline int64_t take_row(const meeting *m, spot *s, int64_t left) {
    int64_t some = m->cols - s->col < left ? m->cols - s->col : left;
    s->col = 0;
    if (++s->row < m->rows) return some;
    s->row = 0;
    s->image++;
    return some;
}

/* Sums of one block of targets first … first + count − 1, `width` vectors apart, to where they belong. */
INLINE void scatter_of(const meeting *m, int64_t first, int64_t count, int64_t block, const vec *sums, int width,
                       vec plus, bool add, bool brief) {
    const lattice *t = &m->to;
    spot s = spot_of(m, first);
    for (int64_t p = 0; p < count;) {
        const int64_t to =
            ((s.image * t->blocks + block) * t->h + t->y + s.row * t->step) * t->w + t->x + s.col * t->step;
        const int64_t some = take_row(m, &s, count - p);
        const vec *from = sums + p * width;
        if (add)
            for (int64_t k = 0; k < some; k++) {
                int64_t at = to + k * t->step;
                pixel_put(t->data, at, pixel_get(t->data, at, brief) + from[k * width], brief);
            }
        else
            for (int64_t k = 0; k < some; k++) pixel_put(t->data, to + k * t->step, from[k * width] + plus, brief);
        p += some;
    }
}

static inline void scatter(const meeting *m, int64_t first, int64_t count, int64_t block, const vec *sums, int width,
                           vec plus, bool add) {
    if (m->to.brief)
        scatter_of(m, first, count, block, sums, width, plus, add, true);
    else
        scatter_of(m, first, count, block, sums, width, plus, add, false);
}

#endif

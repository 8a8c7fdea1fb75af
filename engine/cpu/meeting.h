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
    bool brief;  /* stored in bfloat16 */
    bool stream; /* written past the caches, where all of it is */
    int64_t blocks, h, w, step, y, x;
} lattice;

/* Target pixel (i, j) of (rows, cols) in each of n images, and the source pixels that its taps meet. */
typedef struct meeting {
    int64_t n, rows, cols, tap_count;
    lattice from, to;
    const tap *taps;
} meeting;

/* Outputs and the inputs that they are sums of; `taps` gives room for the window's. */
meeting meeting_forward(const conv_shape *s, const void *x, const void *y, tap *taps);

/* The targets' own pixels. */
meeting meeting_of_targets(const meeting *m);

/*
 * A way to multiply: lays out the window's weights for a meeting, in no more room than they take as reals (`turned`:
 * for the data gradient, whose targets are x's channels), and makes the targets from these and what the taps see
 * (+ bias), added to what is there when `add`.
 */
typedef struct meeting_way {
    void (*layout)(const meeting *m, const real *weights, int64_t window, bool turned, void *to);
    bool (*multiply)(backend *b, const meeting *m, const void *weights, const real *bias, bool add);
} meeting_way;

/* A convolution's outputs, and its data gradient, one way. */
bool meeting_sums(backend *b, const meeting_way *way, const conv_shape *s, const void *x, const real *weights,
                  const real *bias, void *y);
bool meeting_data(backend *b, const meeting_way *way, const conv_shape *s, const void *dy, const real *weights,
                  void *dx, bool add);

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

/* Of `count` neighbouring targets, the first of which looks at column `col` of `row`, every next one `step` columns
   further: those whose tap sees a pixel rather than what is beyond the edges, [first, last). */
INLINE void seen_by(const lattice *f, int64_t row, int64_t col, int64_t count, int64_t step, int64_t *first,
                    int64_t *last) {
    *first = col < 0 ? (-col + step - 1) / step : 0;
    *last = row < 0 || row >= f->h ? 0 : (f->w - col + step - 1) / step;
    if (*first > count) *first = count;
    if (*last > count) *last = count;
    if (*last < *first) *last = *first;
}

/* Sums of one block of targets first … first + count − 1, `width` vectors apart, to where they belong. */
INLINE void scatter_of(const meeting *m, int64_t first, int64_t count, int64_t block, const vec *sums, int width,
                       vec plus, bool add, bool brief) {
    const lattice *t = &m->to;
    const bool stream = t->stream && t->step == 1;
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
        else if (stream)
            for (int64_t k = 0; k < some; k++) pixel_stream(t->data, to + k, from[k * width] + plus, brief);
        else
            for (int64_t k = 0; k < some; k++) pixel_put(t->data, to + k * t->step, from[k * width] + plus, brief);
        p += some;
    }
    if (stream) pixels_streamed();
}

static inline void scatter(const meeting *m, int64_t first, int64_t count, int64_t block, const vec *sums, int width,
                           vec plus, bool add) {
    if (m->to.brief)
        scatter_of(m, first, count, block, sums, width, plus, add, true);
    else
        scatter_of(m, first, count, block, sums, width, plus, add, false);
}

#endif

/*
 * With few input channels there is nothing to gather by: a row of outputs reads a row of each plane, shifted by the
 * tap, so one value of a plane is spread over a register and multiplied with the tap's weights for a block of outputs.
 * Planes are first copied with their padding, so that no tap looks outside; a strip of output rows at a time, since an
 * image may be large.
 *
 * The weight gradient keeps the sums of some taps in registers while a strip passes. Sums of a fixed number of chunks
 * of images are added in order, in double.
 */
#include "engine/cpu/stem.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/products.h"

#include <omp.h>
#include <string.h>

/*
 *   TILES   neighbouring outputs in a product's registers, by a group of outputs
 *   TAPS    taps in an outer product's registers, by a group of outputs
 *   ROWS    output rows in a strip
 *   CHUNKS  of images, each with sums of its own
 */
#ifdef __AVX512F__
enum { TILES = 8, TAPS = 9 };
#else
enum { TILES = 4, TAPS = 5 };
#endif
enum { ROWS = 32, CHUNKS = 32, MOST_CHANNELS = 4, MOST_WINDOW = 16 };

bool stem_takes(const conv_shape *s) {
    return s->in_lanes == 1 && !s->in_brief && s->in <= MOST_CHANNELS && s->window <= MOST_WINDOW &&
           s->out_lanes == BLOCK_LANES;
}

/* Padded planes of a strip: [in][h][w]; w leaves room for TILES outputs beyond the last one. */
typedef struct strip {
    int64_t h, w, rows; /* rows of outputs; the last strip of an image may have fewer */
} strip;

static strip strip_of(const conv_shape *s) {
    int64_t rows = smaller(ROWS, s->out_h), cols = (s->out_w + TILES - 1) / TILES * TILES;
    return (strip){(rows - 1) * s->stride + s->window, (cols - 1) * s->stride + s->window, rows};
}

/* The inputs that output rows from `first` on see of an image; zeros beyond its edges. */
static void copy_planes(const conv_shape *s, const strip *t, const real *image, int64_t first, real *to) {
    int64_t top = first * s->stride - s->padding;
    int64_t width = smaller(s->w, t->w - s->padding);
    for (int64_t c = 0; c < s->in; c++)
        for (int64_t y = 0; y < t->h; y++) {
            real *row = to + (c * t->h + y) * t->w;
            memset(row, 0, (size_t)t->w * sizeof *row);
            if (top + y >= 0 && top + y < s->h && width > 0)
                memcpy(row + s->padding, image + (c * s->h + top + y) * s->w, (size_t)width * sizeof *row);
        }
}

/* Where each tap begins in the padded planes; `to` is filled up with the first one's place. */
static int64_t find_taps(const conv_shape *s, const strip *t, int64_t *to) {
    int64_t area = s->window * s->window, count = s->in * area, filled = (count + TAPS - 1) / TAPS * TAPS;
    for (int64_t i = 0; i < filled; i++) {
        int64_t k = i < count ? i : 0;
        to[i] = (k / area * t->h + k % area / s->window) * t->w + k % s->window;
    }
    return count;
}

enum { MOST_TAPS = MOST_CHANNELS * MOST_WINDOW * MOST_WINDOW + TAPS };

/* Row `row` of a block of the outputs. */
static void *row_at(const conv_shape *s, const void *y, int64_t block, int64_t row) {
    return value_at(y, (block * s->out_h + row) * s->out_w * BLOCK_LANES, s->out_brief);
}

/* Forward ---------------------------------------------------------------------------------------------------------- */

/* TILES outputs of a row from `x`, their first input, on, for a group of blocks of outputs. */
INLINE void row_product(const real *x, int64_t stride, const int64_t *taps, int64_t count, const vec *u, vec *m,
                        int width) {
    vec sum[TILES][PAIR] = {0};
    for (int64_t i = 0; i < count; i++) {
        const real *from = x + taps[i];
        vec u0 = u[i * width], u1 = width > 1 ? u[i * width + 1] : u0;
#pragma GCC unroll 8
        for (int t = 0; t < TILES; t++) {
            vec one = from[t * stride] - (vec){0};
            sum[t][0] += one * u0;
            if (width > 1) sum[t][1] += one * u1;
        }
    }
    for (int t = 0; t < TILES; t++)
        for (int l = 0; l < width; l++) m[t * width + l] = sum[t][l];
}

/* The usual strides as constants of the compiler's. */
static void row_product_any(const real *x, int64_t stride, const int64_t *taps, int64_t count, const vec *u, vec *m,
                            int width) {
    if (stride == 1 && width == PAIR)
        row_product(x, 1, taps, count, u, m, PAIR);
    else if (stride == 1)
        row_product(x, 1, taps, count, u, m, 1);
    else if (stride == 2 && width == PAIR)
        row_product(x, 2, taps, count, u, m, PAIR);
    else if (stride == 2)
        row_product(x, 2, taps, count, u, m, 1);
    else
        row_product(x, stride, taps, count, u, m, width);
}

/* Weights as groups of outputs, [tap][width] each. */
static vec *groups_make(backend *b, const conv_shape *s, const real *weights) {
    int64_t count = s->in * s->window * s->window;
    vec *u = b->allocate(b, (size_t)(count * s->out) * sizeof(real));
    for (int64_t o = 0; u && o < s->out; o++)
        for (int64_t i = 0; i < count; i++) {
            int64_t block = o / BLOCK_LANES, group = block / PAIR;
            u[group * PAIR * count + i * group_width(s->out, group) + block % PAIR][o % BLOCK_LANES] =
                weights[o * count + i];
        }
    return u;
}

/* One group of blocks of a strip's outputs; `y` is the first row of the first block. */
static void strip_product(const conv_shape *s, const strip *t, const real *planes, const int64_t *taps, const vec *u,
                          int64_t rows, const vec *plus, void *y, int width, bool stream) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t x = 0; x < s->out_w; x += TILES) {
            vec m[TILES * PAIR];
            row_product_any(planes + row * s->stride * t->w + x * s->stride, s->stride, taps,
                            s->in * s->window * s->window, u, m, width);
            int64_t some = smaller(TILES, s->out_w - x);
            for (int l = 0; l < width; l++) {
                int64_t to = (l * s->out_h + row) * s->out_w + x;
                for (int64_t k = 0; k < some; k++)
                    pixel_write(y, to + k, m[k * width + l] + plus[l], s->out_brief, stream);
            }
        }
}

bool stem_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y) {
    const strip t = strip_of(s);
    int64_t taps[MOST_TAPS], count = find_taps(s, &t, taps), strips = (s->out_h + t.rows - 1) / t.rows;
    int64_t per_thread = s->in * t.h * t.w, blocks = s->out / BLOCK_LANES;
    const bool stream = beyond_caches(s->n * s->out_h * s->out_w * s->out, s->out_brief);
    vec *u = groups_make(b, s, weights);
    real *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof *scratch);
    bool ok = (u && scratch) || cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads) if (ok)
    for (int64_t task = 0; task < (ok ? s->n * strips : 0); task++) {
        real *planes = scratch + omp_get_thread_num() * per_thread;
        int64_t image = task / strips, first = task % strips * t.rows, rows = smaller(t.rows, s->out_h - first);
        copy_planes(s, &t, (const real *)x + image * s->in * s->h * s->w, first, planes);
        for (int64_t block = 0; block < blocks; block += PAIR) {
            int width = group_width(s->out, block / PAIR);
            vec plus[PAIR] = {0};
            for (int l = 0; bias && l < width; l++) plus[l] = ((const vec *)bias)[block + l];
            strip_product(s, &t, planes, taps, u + block * count, rows, plus,
                          row_at(s, y, image * blocks + block, first), width, stream);
        }
        if (stream) pixels_streamed();
    }
    b->release(b, scratch);
    b->release(b, u);
    return ok;
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* sum[tap][width] += Σ over a strip's outputs of TAPS taps' inputs times a group's gradients. */
INLINE void strip_outer(const conv_shape *s, const strip *t, const real *planes, const int64_t *taps, const void *dy,
                        int64_t rows, int64_t stride, vec *sum, int width, bool brief) {
    vec sums[TAPS][PAIR];
    for (int i = 0; i < TAPS; i++)
        for (int l = 0; l < PAIR; l++) sums[i][l] = l < width ? sum[i * width + l] : (vec){0};
    const real *from[TAPS];
    for (int i = 0; i < TAPS; i++) from[i] = planes + taps[i];
    for (int64_t row = 0; row < rows; row++) {
        const int64_t g0 = row * s->out_w, g1 = width > 1 ? g0 + s->out_h * s->out_w : g0;
        const int64_t at = row * s->stride * t->w;
        for (int64_t x = 0; x < s->out_w; x++) {
            vec a = pixel_get(dy, g0 + x, brief), z = pixel_get(dy, g1 + x, brief);
#pragma GCC unroll 9
            for (int i = 0; i < TAPS; i++) {
                vec one = from[i][at + x * stride] - (vec){0};
                sums[i][0] += one * a;
                if (width > 1) sums[i][1] += one * z;
            }
        }
    }
    for (int i = 0; i < TAPS; i++)
        for (int l = 0; l < width; l++) sum[i * width + l] = sums[i][l];
}

INLINE void strip_outer_of(const conv_shape *s, const strip *t, const real *planes, const int64_t *taps, const void *dy,
                           int64_t rows, vec *sum, int width, bool brief) {
    if (s->stride == 1 && width == PAIR)
        strip_outer(s, t, planes, taps, dy, rows, 1, sum, PAIR, brief);
    else if (s->stride == 2 && width == PAIR)
        strip_outer(s, t, planes, taps, dy, rows, 2, sum, PAIR, brief);
    else
        strip_outer(s, t, planes, taps, dy, rows, s->stride, sum, width, brief);
}

static void strip_outer_any(const conv_shape *s, const strip *t, const real *planes, const int64_t *taps,
                            const void *dy, int64_t rows, vec *sum, int width) {
    if (s->out_brief)
        strip_outer_of(s, t, planes, taps, dy, rows, sum, width, true);
    else
        strip_outer_of(s, t, planes, taps, dy, rows, sum, width, false);
}

/* Sums of images first … last − 1: groups of outputs, [tap][width] each, the taps filled up to whole TAPS. */
static void chunk_outer(const conv_shape *s, const strip *t, const real *x, const void *dy, int64_t first, int64_t last,
                        const int64_t *taps, int64_t filled, real *planes, vec *sums) {
    int64_t blocks = s->out / BLOCK_LANES;
    memset(sums, 0, (size_t)(filled * blocks) * sizeof *sums);
    for (int64_t image = first; image < last; image++)
        for (int64_t top = 0; top < s->out_h; top += t->rows) {
            copy_planes(s, t, x + image * s->in * s->h * s->w, top, planes);
            for (int64_t block = 0; block < blocks; block += PAIR) {
                int width = group_width(s->out, block / PAIR);
                const void *g = row_at(s, dy, image * blocks + block, top);
                for (int64_t i = 0; i < filled; i += TAPS)
                    strip_outer_any(s, t, planes, taps + i, g, smaller(t->rows, s->out_h - top),
                                    sums + block * filled + i * width, width);
            }
        }
}

bool stem_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    const strip t = strip_of(s);
    int64_t taps[MOST_TAPS], count = find_taps(s, &t, taps), filled = (count + TAPS - 1) / TAPS * TAPS;
    int64_t chunk = (s->n + CHUNKS - 1) / CHUNKS, chunks = (s->n + chunk - 1) / chunk;
    int64_t per_thread = s->in * t.h * t.w, per_chunk = filled * s->out / BLOCK_LANES;
    vec *sums = b->allocate(b, (size_t)(chunks * per_chunk) * sizeof *sums);
    real *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof *scratch);
    bool ok = (sums && scratch) || cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads) if (ok)
    for (int64_t k = 0; k < (ok ? chunks : 0); k++)
        chunk_outer(s, &t, x, dy, k * chunk, smaller((k + 1) * chunk, s->n), taps, filled,
                    scratch + omp_get_thread_num() * per_thread, sums + k * per_chunk);
    for (int64_t o = 0; ok && o < s->out; o++)
        for (int64_t i = 0; i < count; i++) {
            int64_t block = o / BLOCK_LANES, group = block / PAIR;
            int64_t at = group * PAIR * filled + i * group_width(s->out, group) + block % PAIR;
            double total = add ? (double)dw[o * count + i] : 0;
            for (int64_t k = 0; k < chunks; k++) total += (double)sums[k * per_chunk + at][o % BLOCK_LANES];
            dw[o * count + i] = (real)total;
        }
    b->release(b, scratch);
    b->release(b, sums);
    return ok;
}

#endif

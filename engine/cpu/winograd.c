/*
 * Forward and data gradient: each thread takes a batch of tiles small enough that their transforms stay in its
 * second-level cache, transforms them for all input channels, and for two blocks of output channels at a time runs the
 * 36 products and transforms back. The data gradient is the same with the windows turned and the channels exchanged.
 *
 * Weight gradient: the sum runs over all tiles, so the 36 products are shared out among the threads instead, batch of
 * tiles after batch, into one set of sums; no thread needs a copy of them.
 *
 * Layouts, innermost last: inputs V[36][block of channels][tile][lanes], windows U[group of out][36][in][group],
 * products M[36][tile][group]. The 36 slices stand an odd number of cache lines apart, or their stores would fall into
 * one set.
 */
#include "engine/cpu/winograd.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/winograd_images.h"

#include <omp.h>

enum {
    CACHE = 400 * 1024,      /* bytes for V: with U and M it fills a second-level cache of 1 MiB */
    SHARED_CACHE = 4 << 20,  /* bytes for both factors of the weight gradient */
    LEAST_SHARED_TILES = 128 /* per batch there: fewer, and reading the sums again costs more than the factors */
};

bool winograd_takes(const conv_shape *s) {
    return s->window == WINDOW && s->stride == 1 && s->padding < WINDOW && s->in_lanes == BLOCK_LANES &&
           s->out_lanes == BLOCK_LANES;
}

/* Bᵀ d B of tile `t` of block `block` to 36 places. */
static void transform_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *to,
                            int64_t stride) {
    vec d[POINTS];
    input_square(in, padding, g, t, block, d);
    TRANSFORM(input_line, d, HALO, to, HALO, stride);
}

/* A ∂Y Aᵀ likewise. */
static void transform_gradient(const images *out, const grid *g, int64_t t, int64_t block, vec *to, int64_t stride) {
    vec d[TILE * TILE];
    output_square(out, g, t, block, d);
    TRANSFORM(gradient_line, d, TILE, to, HALO, stride);
}

/* Windows ---------------------------------------------------------------------------------------------------------- */

/* How the 36 transformed windows lie: groups of two blocks of outputs (the last may be one), each [36][in][width]. */
typedef struct windows {
    vec *values;
    int64_t in, out;
} windows;

static const vec *window_slice(const windows *u, int64_t group, int point) {
    return u->values + group * PAIR * POINTS * u->in + point * u->in * group_width(u->out, group);
}

/* G w Gᵀ of every window; where they are turned u->in are the weights' outputs. */
static bool windows_make(backend *b, const real *weights, int64_t in, int64_t out, bool turned, windows *u) {
    *u = (windows){b->allocate(b, (size_t)(POINTS * in * out) * sizeof(real)), in, out};
    if (!u->values) return cpu_fail(b, "out of memory");
    int64_t blocks = out / BLOCK_LANES;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < in; c++) {
            vec w[WINDOW * WINDOW];
            window_take(weights, in, out, turned, k, c, w);
            int64_t group = k / PAIR, width = group_width(out, group);
            vec *to = u->values + group * PAIR * POINTS * in + c * width + k % PAIR;
            TRANSFORM(window_line, w, WINDOW, to, HALO, in * width);
        }
    return true;
}

/* Forward and data gradient ---------------------------------------------------------------------------------------- */

/* in * u → out */
static bool convolve(backend *b, images in, int64_t padding, const windows *u, const real *bias, images out, bool add) {
    grid g = grid_over(out.n, out.h, out.w);
    int64_t per_tile = POINTS * in.blocks * BLOCK_LANES * (int64_t)sizeof(real);
    int64_t share = (g.count + b->threads - 1) / b->threads, fit = CACHE / per_tile;
    int64_t tiles = ((fit < share ? fit : share) / STEP + (fit >= share || fit < STEP)) * STEP;
    int64_t v_stride = odd(in.blocks * tiles), m_stride = odd(tiles * PAIR);
    int64_t batches = (g.count + tiles - 1) / tiles, per_thread = POINTS * (v_stride + m_stride);
    vec *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof(vec));
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t batch = 0; batch < batches; batch++) {
        vec *v = scratch + omp_get_thread_num() * per_thread, *m = v + POINTS * v_stride;
        int64_t first = batch * tiles, count = g.count - first < tiles ? g.count - first : tiles;
        for (int64_t k = 0; k < in.blocks; k++)
            for (int64_t t = 0; t < count; t++)
                transform_input(&in, padding, &g, first + t, k, v + k * tiles + t, v_stride);
        for (int64_t group = 0; group < group_count(u->out); group++) {
            int width = group_width(u->out, group);
            for (int i = 0; i < POINTS; i++)
                for (int64_t t = 0; t < count; t += STEP) {
                    const real *from = (const real *)(v + i * v_stride + t);
                    vec *to = m + i * m_stride + t * width;
                    product_any(from, in.blocks, tiles, window_slice(u, group, i), to, width);
                }
            for (int l = 0; l < width; l++) {
                int64_t block = group * PAIR + l;
                vec plus = bias ? ((const vec *)bias)[block] : (vec){0};
                for (int64_t t = 0; t < count; t++)
                    transform_output(m + t * width + l, m_stride, &plus, &g, first + t, block, &out, add);
            }
        }
        if (out.stream) pixels_streamed();
    }
    b->release(b, scratch);
    return true;
}

bool winograd_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y) {
    windows u;
    bool ok = windows_make(b, weights, s->in, s->out, false, &u) &&
              convolve(b, images_in(s, x), s->padding, &u, bias, images_out(s, y), false);
    b->release(b, u.values);
    return ok;
}

bool winograd_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add) {
    windows u;
    bool ok = windows_make(b, weights, s->out, s->in, true, &u) &&
              convolve(b, images_out(s, dy), WINDOW - 1 - s->padding, &u, NULL, images_in(s, dx), add);
    b->release(b, u.values);
    return ok;
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

bool winograd_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    images in = images_in(s, x), out = images_out(s, dy);
    grid g = grid_over(out.n, out.h, out.w);
    int64_t per_tile = POINTS * (s->in + s->out) * (int64_t)sizeof(real), tiles = SHARED_CACHE / per_tile;
    if (tiles < LEAST_SHARED_TILES) tiles = LEAST_SHARED_TILES;
    if (tiles > g.count) tiles = g.count;
    int64_t v_stride = odd(in.blocks * tiles), m_stride = odd(out.blocks * tiles);
    vec *sums = b->allocate(b, (size_t)(POINTS * s->in * s->out) * sizeof(real));
    vec *v = b->allocate(b, (size_t)(POINTS * (v_stride + m_stride)) * sizeof(vec)), *m = v + POINTS * v_stride;
    bool ok = (sums && v) || cpu_fail(b, "out of memory");
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < g.count; first += tiles) {
        int64_t count = g.count - first < tiles ? g.count - first : tiles;
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < in.blocks; k++)
                transform_input(&in, s->padding, &g, first + t, k, v + k * tiles + t, v_stride);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < out.blocks; k++)
                transform_gradient(&out, &g, first + t, k, m + k * tiles + t, m_stride);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < POINTS * s->in / OUTER; task++) {
            int64_t i = task / (s->in / OUTER), c = task % (s->in / OUTER) * OUTER;
            const real *from = (const real *)(v + i * v_stride + c / BLOCK_LANES * tiles) + c % BLOCK_LANES;
            outer_products(from, m + i * m_stride, tiles, count, out.blocks, sums + (i * s->in + c) * out.blocks,
                           first == 0);
        }
    }
    if (ok) winograd_window_gradients(sums, s->in, s->out, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

/*
 * Forward and data gradient: each thread takes a batch of tiles small enough that their transforms stay in its
 * second-level cache, transforms them for all input channels, and for two blocks of output channels at a time runs the
 * 36 products and transforms back. Where tiles are few, as in the last layers, it is the windows' transforms that are
 * many: there each thread takes groups of outputs, for all tiles. The data gradient is the same with the windows turned
 * and the channels exchanged.
 *
 * Weight gradient: the sum runs over all tiles, so the 36 products are shared out among the threads instead, batch of
 * tiles after batch, into one set of sums; no thread needs a copy of them. Where one batch holds all tiles, the sums of
 * some outputs at a time are made and transformed back, and take little memory.
 *
 * Layouts, innermost last: inputs V[36][block of channels][tile][lanes], windows U[group of out][36][in][group],
 * products M[36][tile][group]. The 36 slices stand an odd number of cache lines apart, or their stores would fall into
 * one set. How V and U are stored and multiplied is said once for floats, below, and once for bfloat16
 * (winograd_brief.c).
 */
#include "engine/cpu/winograd.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/winograd_images.h"

#include <omp.h>

enum {
    CACHE = 400 * 1024,      /* bytes for V: U and M take as much of a second-level cache, M more of few channels */
    SHARED_CACHE = 4 << 20,  /* bytes for both factors of the weight gradient */
    SUMS = 8 << 20,          /* bytes for its sums, where there is a choice */
    LEAST_SHARED_TILES = 128 /* per batch there: fewer, and reading the sums again costs more than the factors */
};

bool winograd_takes(const conv_shape *s) {
    return s->window == WINDOW && s->stride == 1 && s->padding < WINDOW && s->in_lanes == BLOCK_LANES &&
           s->out_lanes == BLOCK_LANES;
}

/* In floats -------------------------------------------------------------------------------------------------------- */

/* G w Gᵀ. */
static void float_window(const real *weights, int64_t in, int64_t out, bool turned, int64_t block, int64_t c, vec *to,
                         int64_t stride) {
    vec w[WINDOW * WINDOW];
    window_take(weights, in, out, turned, block, c, w);
    TRANSFORM(window_line, w, WINDOW, to, HALO, stride);
}

/* Bᵀ d B of tile `t`. */
static void float_summed_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *to,
                               int64_t stride) {
    vec d[POINTS];
    input_square(in, padding, g, t, block, d);
    TRANSFORM(input_line, d, HALO, to, HALO, stride);
}

static void float_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, void *to,
                        int64_t stride) {
    float_summed_input(in, padding, g, t, block, to, stride);
}

/* A ∂Y Aᵀ. */
static void float_summed_gradient(const images *out, const grid *g, int64_t t, int64_t block, vec *to, int64_t stride) {
    vec d[TILE * TILE];
    output_square(out, g, t, block, d);
    TRANSFORM(gradient_line, d, TILE, to, HALO, stride);
}

static void float_product(const void *v, int64_t blocks, int64_t tiles, const vec *u, vec *m, int width) {
    product_any(v, blocks, tiles, u, m, width);
}

static const transforms floats = {
    1, float_window, float_input, float_product, float_summed_input, float_summed_gradient, outer_products};

static const transforms *transforms_for(const conv_shape *s) {
#ifdef __AVX512BF16__
    if (s->in_brief && s->out_brief) return &winograd_brief;
#endif
    (void)s;
    return &floats;
}

/* Windows ---------------------------------------------------------------------------------------------------------- */

/* What is convolved with; where the windows are turned `in` are the weights' outputs. A group is two blocks of outputs,
   or the last one; its transformed windows lie [36][depth][width], the depth being channels of the input, or pairs of
   them. */
typedef struct windows {
    const transforms *by;
    const real *weights;
    int64_t in, out, depth;
    bool turned;
} windows;

static windows windows_of(const transforms *by, const real *weights, int64_t in, int64_t out, bool turned) {
    return (windows){by, weights, in, out, in / by->together, turned};
}

/* Channel `c` of the depth, to `u`, a group's windows with `stride` vectors to each of the 36. */
static void window_make(const windows *w, int64_t group, int64_t c, vec *u, int64_t stride) {
    const int width = group_width(w->out, group);
    for (int l = 0; l < width; l++)
        w->by->window(w->weights, w->in, w->out, w->turned, group * PAIR + l, c * w->by->together, u + c * width + l,
                      stride);
}

/* All groups', one behind the other, or NULL. */
static vec *windows_make(backend *b, const windows *w) {
    vec *u = b->allocate(b, (size_t)(POINTS * w->depth * w->out) * sizeof(real));
    if (!u) return cpu_fail(b, "out of memory"), NULL;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t group = 0; group < group_count(w->out); group++)
        for (int64_t c = 0; c < w->depth; c++)
            window_make(w, group, c, u + group * PAIR * POINTS * w->depth, w->depth * group_width(w->out, group));
    return u;
}

/* Forward and data gradient ---------------------------------------------------------------------------------------- */

static void transform_output(const vec *m, int64_t stride, const vec *bias, const grid *g, int64_t t, int64_t block,
                             const images *to, bool add) {
    if (to->brief)
        output_tile(m, stride, bias, g, t, block, to, add, true);
    else
        output_tile(m, stride, bias, g, t, block, to, add, false);
}

/* Tiles first … first + count − 1 of a convolution: their V[36][block of channels][tile][lanes], with room for as many
   tiles as whole steps take, and room for a group's M[36][tile][width]. */
typedef struct batch {
    char *v;
    vec *m;
    int64_t first, count, tiles, v_stride, m_stride;
} batch;

/* What is convolved, with what, and where to. */
typedef struct convolution {
    const windows *with;
    images in, out;
    int64_t padding;
    grid grid;
    const real *bias;
    bool add;
    int64_t size; /* bytes that a tile's transforms take for a block of channels: of a vector, or half of one */
} convolution;

static void input_make(const convolution *c, const batch *t, int64_t block, int64_t tile) {
    c->with->by->input(&c->in, c->padding, &c->grid, t->first + tile, block, t->v + (block * t->tiles + tile) * c->size,
                       t->v_stride);
}

/* A group's products, by its windows `u` with `stride` vectors to each of the 36, and back to the image. */
static void outputs_make(const convolution *c, const batch *t, int64_t group, const vec *u, int64_t stride) {
    const int width = group_width(c->with->out, group);
    for (int i = 0; i < POINTS; i++)
        for (int64_t k = 0; k < t->count; k += STEP)
            c->with->by->product(t->v + (i * t->v_stride + k) * c->size, c->in.blocks, t->tiles, u + i * stride,
                                 t->m + i * t->m_stride + k * width, width);
    for (int l = 0; l < width; l++) {
        const int64_t block = group * PAIR + l;
        const vec plus = c->bias ? ((const vec *)c->bias)[block] : (vec){0};
        for (int64_t k = 0; k < t->count; k++)
            transform_output(t->m + k * width + l, t->m_stride, &plus, &c->grid, t->first + k, block, &c->out, c->add);
    }
}

/* By tiles: all windows are transformed first, a batch's tiles when a thread comes to it. */
static bool convolve_tiles(backend *b, const convolution *c) {
    const windows *w = c->with;
    const int64_t together = w->by->together, fit = CACHE / (POINTS * c->in.blocks * c->size);
    const int64_t share = (c->grid.count + b->threads - 1) / b->threads;
    const int64_t tiles = ((fit < share ? fit : share) / STEP + (fit >= share || fit < STEP)) * STEP;
    const int64_t v_vectors = odd(c->in.blocks * tiles / together), m_stride = odd(tiles * PAIR);
    const int64_t per_thread = POINTS * (v_vectors + m_stride), batches = (c->grid.count + tiles - 1) / tiles;
    vec *u = windows_make(b, w), *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof(vec));
    const bool ok = (u && scratch) || cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t k = 0; k < (ok ? batches : 0); k++) {
        vec *own = scratch + omp_get_thread_num() * per_thread;
        const int64_t first = k * tiles, left = c->grid.count - first;
        const batch t = {(char *)own, own + POINTS * v_vectors, first,   left < tiles ? left : tiles,
                         tiles,       v_vectors * together,     m_stride};
        for (int64_t block = 0; block < c->in.blocks; block++)
            for (int64_t tile = 0; tile < t.count; tile++) input_make(c, &t, block, tile);
        for (int64_t group = 0; group < group_count(w->out); group++)
            outputs_make(c, &t, group, u + group * PAIR * POINTS * w->depth, w->depth * group_width(w->out, group));
        if (c->out.stream) pixels_streamed();
    }
    b->release(b, scratch);
    b->release(b, u);
    return ok;
}

/* By groups of outputs: all tiles are transformed first, a group's windows when a thread comes to it. */
static bool convolve_outputs(backend *b, const convolution *c) {
    const windows *w = c->with;
    const int64_t together = w->by->together, tiles = (c->grid.count + STEP - 1) / STEP * STEP;
    const int64_t v_vectors = odd((c->in.blocks * tiles + together - 1) / together);
    const int64_t m_stride = odd(tiles * PAIR), u_stride = odd(w->depth * PAIR);
    const int64_t per_thread = POINTS * (m_stride + u_stride);
    vec *scratch = b->allocate(b, (size_t)(POINTS * v_vectors + b->threads * per_thread) * sizeof(vec));
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel num_threads(b->threads)
    {
        vec *u = scratch + POINTS * v_vectors + omp_get_thread_num() * per_thread;
        const batch t = {(char *)scratch, u + POINTS * u_stride, 0,       c->grid.count,
                         tiles,           v_vectors * together,  m_stride};
#pragma omp for collapse(2) schedule(static)
        for (int64_t block = 0; block < c->in.blocks; block++)
            for (int64_t tile = 0; tile < t.count; tile++) input_make(c, &t, block, tile);
#pragma omp for schedule(static)
        for (int64_t group = 0; group < group_count(w->out); group++) {
            for (int64_t k = 0; k < w->depth; k++) window_make(w, group, k, u, u_stride);
            outputs_make(c, &t, group, u, u_stride);
        }
        if (c->out.stream) pixels_streamed();
    }
    b->release(b, scratch);
    return true;
}

static bool convolve(backend *b, const windows *w, images in, int64_t padding, const real *bias, images out, bool add) {
    const convolution c = {
        w, in, out, padding, grid_over(out.n, out.h, out.w), bias, add, (int64_t)sizeof(vec) / w->by->together};
    const bool few = c.grid.count < w->out && group_count(w->out) >= b->threads;
    return few ? convolve_outputs(b, &c) : convolve_tiles(b, &c);
}

static images images_of(int64_t n, int64_t h, int64_t w, int64_t channels, bool brief, const void *data) {
    const bool stream = beyond_caches(n * h * w * channels, brief);
    return (images){n, h, w, channels / BLOCK_LANES, brief, stream, (void *)data};
}

static images images_in(const conv_shape *s, const void *x) {
    return images_of(s->n, s->h, s->w, s->in, s->in_brief, x);
}

static images images_out(const conv_shape *s, const void *y) {
    return images_of(s->n, s->out_h, s->out_w, s->out, s->out_brief, y);
}

bool winograd_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y) {
    const windows w = windows_of(transforms_for(s), weights, s->in, s->out, false);
    return convolve(b, &w, images_in(s, x), s->padding, bias, images_out(s, y), false);
}

bool winograd_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add) {
    const windows w = windows_of(transforms_for(s), weights, s->out, s->in, true);
    return convolve(b, &w, images_out(s, dy), WINDOW - 1 - s->padding, NULL, images_in(s, dx), add);
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* Gᵀ u G of the sums [36][block of out][in], of blocks from `first` on, to weights (out, in, 3, 3); by a whole team. */
static void window_gradients(const vec *sums, int64_t in, int64_t first, int64_t blocks, real *dw, bool add) {
#pragma omp for collapse(2) schedule(static)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < in; c++) {
            vec u[POINTS], w[WINDOW * WINDOW];
            for (int i = 0; i < POINTS; i++) u[i] = sums[(i * blocks + k) * in + c];
            TRANSFORM(window_gradient_line, u, HALO, w, WINDOW, 1);
            windows_put(w, 1, WINDOW * WINDOW, in, first + k, c, dw, add);
        }
}

bool winograd_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    const transforms *by = transforms_for(s);
    const images in = images_in(s, x), out = images_out(s, dy);
    const grid g = grid_over(out.n, out.h, out.w);
    /* In vectors of one tile or two. */
    const int64_t all = (g.count + by->together - 1) / by->together, least = LEAST_SHARED_TILES / by->together;
    int64_t run = SHARED_CACHE / (POINTS * (s->in + s->out) * (int64_t)sizeof(real));
    run = run < least ? least : run;
    run = run > all ? all : run;
    const int64_t fit = SUMS / (POINTS * s->in * (int64_t)sizeof(vec)) / PAIR * PAIR;
    const int64_t part = run < all || fit > out.blocks ? out.blocks : fit < PAIR ? PAIR : fit;
    int64_t v_stride = odd(in.blocks * run), m_stride = odd(out.blocks * run);
    vec *sums = b->allocate(b, (size_t)(POINTS * s->in * part) * sizeof(vec));
    vec *v = b->allocate(b, (size_t)(POINTS * (v_stride + m_stride)) * sizeof(vec)), *m = v + POINTS * v_stride;
    bool ok = (sums && v) || cpu_fail(b, "out of memory");
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < all; first += run) {
        int64_t count = all - first < run ? all - first : run;
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < in.blocks; k++)
                by->summed_input(&in, s->padding, &g, (first + t) * by->together, k, v + k * run + t, v_stride);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < out.blocks; k++)
                by->summed_gradient(&out, &g, (first + t) * by->together, k, m + k * run + t, m_stride);
        for (int64_t k = 0; k < out.blocks; k += part) {
            const int64_t blocks = out.blocks - k < part ? out.blocks - k : part;
#pragma omp for schedule(static)
            for (int64_t task = 0; task < POINTS * s->in / OUTER; task++) {
                int64_t i = task / (s->in / OUTER), c = task % (s->in / OUTER) * OUTER;
                const real *from = (const real *)(v + i * v_stride + c / BLOCK_LANES * run) + c % BLOCK_LANES;
                by->outer(from, m + i * m_stride + k * run, run, count, blocks, sums + i * blocks * s->in + c, s->in,
                          first == 0);
            }
            if (first + count == all) window_gradients(sums, s->in, k, blocks, dw, add);
        }
    }
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

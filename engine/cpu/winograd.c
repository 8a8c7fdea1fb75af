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
#include "engine/cpu/winograd_tiles.h"

#include <omp.h>

enum {
    CACHE = 400 * 1024,      /* bytes for V: with U and M it fills a second-level cache of 1 MiB */
    SHARED_CACHE = 4 << 20,  /* bytes for both factors of the weight gradient */
    LEAST_SHARED_TILES = 128 /* per batch there: fewer, and reading the sums again costs more than the factors */
};

/* Tiles cover an image's outputs; the last ones may reach over its edge. */
typedef struct grid {
    int64_t rows, cols, per_image, count;
} grid;

static grid grid_over(int64_t n, int64_t h, int64_t w) {
    grid g = {.rows = (h + TILE - 1) / TILE, .cols = (w + TILE - 1) / TILE};
    g.per_image = g.rows * g.cols;
    g.count = n * g.per_image;
    return g;
}

/* At least so many vectors, which fill an odd number of cache lines. */
static int64_t odd(int64_t vectors) {
    const int64_t per_line = 64 / (int64_t)sizeof(vec);
    return ((vectors + per_line - 1) / per_line | 1) * per_line;
}

bool winograd_takes(const conv_shape *s) {
    return s->window == WINDOW && s->stride == 1 && s->padding < WINDOW && s->in_lanes == BLOCK_LANES &&
           s->out_lanes == BLOCK_LANES;
}

/* Tiles in and out ------------------------------------------------------------------------------------------------- */

/* `n` images in blocks of channels, and one block of one of them. */
typedef struct images {
    int64_t n, h, w, blocks;
    bool brief; /* stored in bfloat16 */
    void *data;
} images;

typedef struct picture {
    void *pixels;
    int64_t h, w;
} picture;

INLINE picture picture_of(const images *of, int64_t image, int64_t block, bool brief) {
    return (picture){value_at(of->data, (image * of->blocks + block) * of->h * of->w * BLOCK_LANES, brief), of->h,
                     of->w};
}

/* `side`×`side` pixels from (y, x) on, zero outside the image. */
INLINE void load_square(picture p, int64_t y, int64_t x, int side, vec *to, bool brief) {
    bool inside = y >= 0 && x >= 0 && y + side <= p.h && x + side <= p.w;
    if (inside) {
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) to[i * side + j] = pixel_get(p.pixels, (y + i) * p.w + x + j, brief);
        return;
    }
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            bool in = y + i >= 0 && y + i < p.h && x + j >= 0 && x + j < p.w;
            to[i * side + j] = in ? pixel_get(p.pixels, (y + i) * p.w + x + j, brief) : (vec){0};
        }
}

/* Bᵀ d B of tile `t` of block `block` to 36 places. */
static void transform_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *to,
                            int64_t stride) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    vec d[POINTS];
    if (in->brief)
        load_square(picture_of(in, image, block, true), y - padding, x - padding, HALO, d, true);
    else
        load_square(picture_of(in, image, block, false), y - padding, x - padding, HALO, d, false);
    TRANSFORM(input_line, d, HALO, to, HALO, stride);
}

/* A ∂Y Aᵀ likewise. */
static void transform_gradient(const images *out, const grid *g, int64_t t, int64_t block, vec *to, int64_t stride) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    vec d[TILE * TILE];
    if (out->brief)
        load_square(picture_of(out, image, block, true), y, x, TILE, d, true);
    else
        load_square(picture_of(out, image, block, false), y, x, TILE, d, false);
    TRANSFORM(gradient_line, d, TILE, to, HALO, stride);
}

/* Aᵀ m A (+ bias) to the image, cut at its edges; added to what is there when `add`. */
INLINE void output_tile(const vec *m, int64_t stride, const vec *bias, const grid *g, int64_t t, int64_t block,
                        const images *to, bool add, bool brief) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    vec out[TILE * TILE], half[TILE * HALO];
    for (int j = 0; j < HALO; j++) output_line(m + j * stride, HALO * stride, half + j, HALO);
    for (int i = 0; i < TILE; i++) output_line(half + i * HALO, 1, out + i * TILE, 1);
    const picture p = picture_of(to, image, block, brief);
    int64_t rows = p.h - y < TILE ? p.h - y : TILE, cols = p.w - x < TILE ? p.w - x : TILE, corner = y * p.w + x;
    if (rows == TILE && cols == TILE && !add) {
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j++) pixel_put(p.pixels, corner + i * p.w + j, out[i * TILE + j] + *bias, brief);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            int64_t at = corner + i * p.w + j;
            vec before = add ? pixel_get(p.pixels, at, brief) : (vec){0};
            pixel_put(p.pixels, at, before + out[i * TILE + j] + *bias, brief);
        }
}

static void transform_output(const vec *m, int64_t stride, const vec *bias, const grid *g, int64_t t, int64_t block,
                             const images *to, bool add) {
    if (to->brief)
        output_tile(m, stride, bias, g, t, block, to, add, true);
    else
        output_tile(m, stride, bias, g, t, block, to, add, false);
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

/*
 * G w Gᵀ of every window. `turned`: as the data gradient needs them, inputs and outputs exchanged and the window
 * rotated by 180°; then u->in are the weights' outputs.
 */
static bool windows_make(backend *b, const real *weights, int64_t in, int64_t out, bool turned, windows *u) {
    *u = (windows){b->allocate(b, (size_t)(POINTS * in * out) * sizeof(real)), in, out};
    if (!u->values) return cpu_fail(b, "out of memory");
    int64_t blocks = out / BLOCK_LANES;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < in; c++) {
            vec w[WINDOW * WINDOW];
            for (int l = 0; l < BLOCK_LANES; l++) {
                int64_t o = k * BLOCK_LANES + l;
                const real *from = weights + (turned ? c * out + o : o * in + c) * WINDOW * WINDOW;
                for (int i = 0; i < WINDOW * WINDOW; i++) w[i][l] = from[turned ? WINDOW * WINDOW - 1 - i : i];
            }
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
    }
    b->release(b, scratch);
    return true;
}

static images images_in(const conv_shape *s, const void *x) {
    return (images){s->n, s->h, s->w, s->in / BLOCK_LANES, s->in_brief, (void *)x};
}

static images images_out(const conv_shape *s, const void *y) {
    return (images){s->n, s->out_h, s->out_w, s->out / BLOCK_LANES, s->out_brief, (void *)y};
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

/* Gᵀ u G of the sums [36][in][out] to weights (out, in, 3, 3). */
static void window_gradients(const vec *sums, int64_t in, int64_t out, real *dw, bool add) {
    int64_t blocks = out / BLOCK_LANES;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < in; c++) {
            vec u[POINTS], w[WINDOW * WINDOW];
            for (int i = 0; i < POINTS; i++) u[i] = sums[(i * in + c) * blocks + k];
            TRANSFORM(window_gradient_line, u, HALO, w, WINDOW, 1);
            for (int l = 0; l < BLOCK_LANES; l++) {
                real *to = dw + ((k * BLOCK_LANES + l) * in + c) * WINDOW * WINDOW;
                for (int i = 0; i < WINDOW * WINDOW; i++) to[i] = (add ? to[i] : 0) + w[i][l];
            }
        }
}

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
    if (ok) window_gradients(sums, s->in, s->out, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

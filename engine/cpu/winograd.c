/*
 * Forward and data gradient: each thread takes a batch of tiles small enough that their transforms stay in its
 * second-level cache, transforms them for all input channels, and for 32 output channels at a time runs the 36 products
 * and transforms back. The data gradient is the same with the windows turned and the channels exchanged.
 *
 * Weight gradient: the sum runs over all tiles, so the 36 products are shared out among the threads instead, batch of
 * tiles after batch, into one set of sums; no thread needs a copy of them.
 *
 * Layouts, innermost last: inputs V[36][block of 16 channels][tile][16], windows U[32 out][36][in][32], products
 * M[36][tile][32]. The 36 slices stand an odd number of cache lines apart, or their stores would fall into one set.
 */
#include "engine/cpu/winograd.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/winograd_tiles.h"

#include <omp.h>
#include <string.h>

enum {
    STEP = 14,               /* tiles in a product's registers, by two vectors of outputs: 28 sums */
    PAIR = 2,                /* vectors of outputs in a product */
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

static int64_t odd(int64_t lines) { return lines | 1; }

static bool out_of_memory(backend *b) { return cpu_fail(b, "out of memory"); }

bool winograd_takes(const winograd_shape *s, int in_lanes, int out_lanes, int64_t window, int64_t stride) {
#ifdef __AVX512F__
    return window == WINDOW && stride == 1 && s->padding <= 2 && in_lanes == BLOCK_LANES && out_lanes == BLOCK_LANES &&
           s->n * (s->h + 2 * s->padding - 2) * (s->w + 2 * s->padding - 2) > 0;
#else
    (void)s, (void)in_lanes, (void)out_lanes, (void)window, (void)stride;
    return false;
#endif
}

/* Tiles in and out ------------------------------------------------------------------------------------------------- */

/* One block of 16 channels of one image. */
typedef struct picture {
    const vec *pixels;
    int64_t h, w;
} picture;

/* `side`×`side` pixels from (y, x) on, zero outside the image. */
INLINE void load_square(picture p, int64_t y, int64_t x, int side, vec *to) {
    bool inside = y >= 0 && x >= 0 && y + side <= p.h && x + side <= p.w;
    if (inside) {
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) to[i * side + j] = p.pixels[(y + i) * p.w + x + j];
        return;
    }
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            bool in = y + i >= 0 && y + i < p.h && x + j >= 0 && x + j < p.w;
            to[i * side + j] = in ? p.pixels[(y + i) * p.w + x + j] : (vec){0};
        }
}

/* Bᵀ d B of tile `t` of block `block` to 36 places. */
static void transform_input(const vec *images, int64_t blocks, int64_t h, int64_t w, int64_t padding, const grid *g,
                            int64_t t, int64_t block, vec *to, int64_t stride) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    picture p = {images + (image * blocks + block) * h * w, h, w};
    vec d[POINTS];
    load_square(p, y - padding, x - padding, HALO, d);
    TRANSFORM(input_line, d, HALO, to, HALO, stride);
}

/* A ∂Y Aᵀ likewise. */
static void transform_gradient(const vec *images, int64_t blocks, int64_t h, int64_t w, const grid *g, int64_t t,
                               int64_t block, vec *to, int64_t stride) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    picture p = {images + (image * blocks + block) * h * w, h, w};
    vec d[TILE * TILE];
    load_square(p, y, x, TILE, d);
    TRANSFORM(gradient_line, d, TILE, to, HALO, stride);
}

/* Aᵀ m A (+ bias) to the image, cut at its edges; added to what is there when `add`. */
static void transform_output(const vec *m, int64_t stride, vec bias, const grid *g, int64_t t, int64_t block,
                             int64_t blocks, int64_t h, int64_t w, vec *images, bool add) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    vec out[TILE * TILE], half[TILE * HALO];
    for (int j = 0; j < HALO; j++) output_line(m + j * stride, HALO * stride, half + j, HALO);
    for (int i = 0; i < TILE; i++) output_line(half + i * HALO, 1, out + i * TILE, 1);
    vec *to = images + (image * blocks + block) * h * w + y * w + x;
    int64_t rows = h - y < TILE ? h - y : TILE, cols = w - x < TILE ? w - x : TILE;
    if (rows == TILE && cols == TILE && !add) {
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j++) to[i * w + j] = out[i * TILE + j] + bias;
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[i * w + j] = (add ? to[i * w + j] : (vec){0}) + out[i * TILE + j] + bias;
}

/* Windows ---------------------------------------------------------------------------------------------------------- */

/* How the 36 transformed windows lie: groups of 32 outputs (the last may be 16), each [36][in][width]. */
typedef struct windows {
    vec *values;
    int64_t in, out;
} windows;

static int64_t group_count(int64_t out) { return (out / BLOCK_LANES + PAIR - 1) / PAIR; }

static int group_width(int64_t out, int64_t group) { return out / BLOCK_LANES - group * PAIR < PAIR ? 1 : PAIR; }

static const vec *window_slice(const windows *u, int64_t group, int point) {
    return u->values + group * PAIR * POINTS * u->in + point * u->in * group_width(u->out, group);
}

/*
 * G w Gᵀ of every window. `turned`: as the data gradient needs them, inputs and outputs exchanged and the window
 * rotated by 180°; then u->in are the weights' outputs.
 */
static bool windows_make(backend *b, const real *weights, int64_t in, int64_t out, bool turned, windows *u) {
    *u = (windows){b->allocate(b, (size_t)(POINTS * in * out) * sizeof(real)), in, out};
    if (!u->values) return out_of_memory(b);
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

/* Products --------------------------------------------------------------------------------------------------------- */

/* m[tile][width] = Σ_c v[tile][c]·u[c][width] for STEP tiles; v[block][tiles][16], u[c][width]. */
INLINE void product(const real *v, int64_t blocks, int64_t tiles, const vec *u, vec *m, int width) {
    vec sum[STEP][PAIR] = {0};
    for (int64_t k = 0; k < blocks; k++, v += tiles * BLOCK_LANES, u += BLOCK_LANES * width)
        for (int c = 0; c < BLOCK_LANES; c++) {
            vec u0 = u[c * width], u1 = width > 1 ? u[c * width + 1] : u0;
#pragma GCC unroll 14
            for (int t = 0; t < STEP; t++) {
                vec one = v[t * BLOCK_LANES + c] - (vec){0};
                sum[t][0] += one * u0;
                if (width > 1) sum[t][1] += one * u1;
            }
        }
    for (int t = 0; t < STEP; t++)
        for (int l = 0; l < width; l++) m[t * width + l] = sum[t][l];
}

/* x * u → y over `n` images of blocks of 16 channels. */
typedef struct images {
    int64_t n, h, w, blocks;
} images;

static bool convolve(backend *b, images in, const real *x, int64_t padding, const windows *u, const real *bias,
                     images out, real *y, bool add) {
    grid g = grid_over(out.n, out.h, out.w);
    int64_t per_tile = POINTS * in.blocks * BLOCK_LANES * (int64_t)sizeof(real);
    int64_t share = (g.count + b->threads - 1) / b->threads, fit = CACHE / per_tile;
    int64_t tiles = ((fit < share ? fit : share) / STEP + (fit >= share || fit < STEP)) * STEP;
    int64_t v_stride = odd(in.blocks * tiles), m_stride = odd(tiles * PAIR);
    int64_t batches = (g.count + tiles - 1) / tiles, per_thread = POINTS * (v_stride + m_stride);
    vec *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof(vec));
    if (!scratch) return out_of_memory(b);
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t batch = 0; batch < batches; batch++) {
        vec *v = scratch + omp_get_thread_num() * per_thread, *m = v + POINTS * v_stride;
        int64_t first = batch * tiles, count = g.count - first < tiles ? g.count - first : tiles;
        for (int64_t k = 0; k < in.blocks; k++)
            for (int64_t t = 0; t < count; t++)
                transform_input((const vec *)x, in.blocks, in.h, in.w, padding, &g, first + t, k, v + k * tiles + t,
                                v_stride);
        for (int64_t group = 0; group < group_count(u->out); group++) {
            int width = group_width(u->out, group);
            for (int i = 0; i < POINTS; i++)
                for (int64_t t = 0; t < count; t += STEP) {
                    const real *from = (const real *)(v + i * v_stride + t);
                    vec *to = m + i * m_stride + t * width;
                    if (width == PAIR)
                        product(from, in.blocks, tiles, window_slice(u, group, i), to, PAIR);
                    else
                        product(from, in.blocks, tiles, window_slice(u, group, i), to, 1);
                }
            for (int l = 0; l < width; l++) {
                int64_t block = group * PAIR + l;
                vec plus = bias ? ((const vec *)bias)[block] : (vec){0};
                for (int64_t t = 0; t < count; t++)
                    transform_output(m + t * width + l, m_stride, plus, &g, first + t, block, out.blocks, out.h, out.w,
                                     (vec *)y, add);
            }
        }
    }
    b->release(b, scratch);
    return true;
}

static images images_in(const winograd_shape *s) { return (images){s->n, s->h, s->w, s->in / BLOCK_LANES}; }

static images images_out(const winograd_shape *s) {
    int64_t more = 2 * s->padding - (WINDOW - 1);
    return (images){s->n, s->h + more, s->w + more, s->out / BLOCK_LANES};
}

bool winograd_forward(backend *b, const winograd_shape *s, const real *x, const real *weights, const real *bias,
                      real *y) {
    windows u;
    bool ok = windows_make(b, weights, s->in, s->out, false, &u) &&
              convolve(b, images_in(s), x, s->padding, &u, bias, images_out(s), y, false);
    b->release(b, u.values);
    return ok;
}

bool winograd_data(backend *b, const winograd_shape *s, const real *dy, const real *weights, real *dx, bool add) {
    windows u;
    bool ok = windows_make(b, weights, s->out, s->in, true, &u) &&
              convolve(b, images_out(s), dy, WINDOW - 1 - s->padding, &u, NULL, images_in(s), dx, add);
    b->release(b, u.values);
    return ok;
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* sum[c][16 of a pair] += Σ_t v[t][c]·m[t] for 8 of 16 channels c; `sum` rows stand `row` vectors apart. */
INLINE void outer_product(const real *v, const vec *m0, const vec *m1, int64_t tiles, vec *sum, int64_t row, int width,
                          bool fresh) {
    enum { ROWS = 8 };
    vec s[ROWS][PAIR];
    for (int c = 0; c < ROWS; c++)
        for (int l = 0; l < PAIR; l++) s[c][l] = fresh || l >= width ? (vec){0} : sum[c * row + l];
    for (int64_t t = 0; t < tiles; t++) {
        vec a = m0[t], z = width > 1 ? m1[t] : a;
#pragma GCC unroll 8
        for (int c = 0; c < ROWS; c++) {
            vec one = v[t * BLOCK_LANES + c] - (vec){0};
            s[c][0] += one * a;
            if (width > 1) s[c][1] += one * z;
        }
    }
    for (int c = 0; c < ROWS; c++)
        for (int l = 0; l < width; l++) sum[c * row + l] = s[c][l];
}

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

bool winograd_weights(backend *b, const winograd_shape *s, const real *x, const real *dy, real *dw, bool add) {
    images in = images_in(s), out = images_out(s);
    grid g = grid_over(out.n, out.h, out.w);
    int64_t per_tile = POINTS * (s->in + s->out) * (int64_t)sizeof(real), tiles = SHARED_CACHE / per_tile;
    if (tiles < LEAST_SHARED_TILES) tiles = LEAST_SHARED_TILES;
    if (tiles > g.count) tiles = g.count;
    int64_t v_stride = odd(in.blocks * tiles), m_stride = odd(out.blocks * tiles);
    vec *sums = b->allocate(b, (size_t)(POINTS * s->in * s->out) * sizeof(real));
    vec *v = b->allocate(b, (size_t)(POINTS * (v_stride + m_stride)) * sizeof(vec)), *m = v + POINTS * v_stride;
    bool ok = (sums && v) || out_of_memory(b);
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < g.count; first += tiles) {
        int64_t count = g.count - first < tiles ? g.count - first : tiles;
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < in.blocks; k++)
                transform_input((const vec *)x, in.blocks, in.h, in.w, s->padding, &g, first + t, k, v + k * tiles + t,
                                v_stride);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++)
            for (int64_t k = 0; k < out.blocks; k++)
                transform_gradient((const vec *)dy, out.blocks, out.h, out.w, &g, first + t, k, m + k * tiles + t,
                                   m_stride);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < POINTS * in.blocks; task++) {
            int64_t i = task / in.blocks, k = task % in.blocks;
            for (int64_t o = 0; o < out.blocks; o += PAIR)
                for (int half = 0; half < 2; half++) {
                    const real *from = (const real *)(v + i * v_stride + k * tiles) + half * (BLOCK_LANES / 2);
                    const vec *m0 = m + i * m_stride + o * tiles;
                    vec *to = sums + (i * s->in + k * BLOCK_LANES + half * (BLOCK_LANES / 2)) * out.blocks + o;
                    if (o + 1 < out.blocks)
                        outer_product(from, m0, m0 + tiles, count, to, out.blocks, PAIR, first == 0);
                    else
                        outer_product(from, m0, m0, count, to, out.blocks, 1, first == 0);
                }
        }
    }
    if (ok) window_gradients(sums, s->in, s->out, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

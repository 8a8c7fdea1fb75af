/*
 * 1×1 convolutions of any stride: products of pixels with a matrix. Pixels are gathered (with the stride, those that
 * the output sees) into a stretch that stays in the cache, multiplied in registers and scattered to where they belong;
 * the data gradient is the same the other way, and touches no other pixel when it adds to a gradient that is there.
 */
#include "engine/cpu/pointwise.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/products.h"

#include <omp.h>

enum {
    STRETCH = 8 * STEP,     /* pixels multiplied at a time */
    SHARED_CACHE = 4 << 20, /* bytes for both factors of the weight gradient */
};

bool pointwise_takes(const conv_shape *s) {
#ifdef __AVX512F__
    return s->window == 1 && s->padding == 0 && s->in_lanes == BLOCK_LANES && s->out_lanes == BLOCK_LANES;
#else
    (void)s;
    return false;
#endif
}

/* One side of the product: images whose every `stride`th pixel both ways takes part. */
typedef struct side {
    vec *data;
    int64_t blocks, h, w, stride;
} side;

/* The images that take part, (h, w) pixels each. */
typedef struct grid {
    int64_t n, h, w;
} grid;

static side input_side(const conv_shape *s, const real *x) {
    return (side){(vec *)x, s->in / BLOCK_LANES, s->h, s->w, s->stride};
}

static side output_side(const conv_shape *s, const real *y) {
    return (side){(vec *)y, s->out / BLOCK_LANES, s->out_h, s->out_w, 1};
}

/* Where pixel p of the grid stands in block `block` of `image`. */
static vec *pixel(const side *s, const grid *g, int64_t image, int64_t block, int64_t p) {
    return s->data + ((image * s->blocks + block) * s->h + p / g->w * s->stride) * s->w + p % g->w * s->stride;
}

/* weights as groups of outputs, [in][width] each; `turned` for the data gradient, where u's outputs are x's channels.
 */
static vec *groups_make(backend *b, const real *weights, int64_t in, int64_t out, bool turned) {
    vec *u = b->allocate(b, (size_t)(in * out) * sizeof(real));
    if (!u) {
        cpu_fail(b, "out of memory");
        return NULL;
    }
    for (int64_t k = 0; k < out / BLOCK_LANES; k++)
        for (int64_t c = 0; c < in; c++) {
            vec *to = u + k / PAIR * PAIR * in + c * group_width(out, k / PAIR) + k % PAIR;
            for (int l = 0; l < BLOCK_LANES; l++) {
                int64_t o = k * BLOCK_LANES + l;
                (*to)[l] = weights[turned ? c * out + o : o * in + c];
            }
        }
    return u;
}

/* to = from · u (+ bias), pixel by pixel. */
static bool multiply(backend *b, grid g, side from, const vec *u, const real *bias, side to, bool add) {
    int64_t pixels = g.h * g.w, stretches = (pixels + STRETCH - 1) / STRETCH, in = from.blocks * BLOCK_LANES;
    int64_t per_thread = (from.blocks + PAIR) * STRETCH;
    vec *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof *scratch);
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t task = 0; task < g.n * stretches; task++) {
        vec *v = scratch + omp_get_thread_num() * per_thread, *m = v + from.blocks * STRETCH;
        int64_t image = task / stretches, first = task % stretches * STRETCH;
        int64_t count = pixels - first < STRETCH ? pixels - first : STRETCH;
        for (int64_t k = 0; k < from.blocks; k++)
            for (int64_t p = 0; p < count; p++) v[k * STRETCH + p] = *pixel(&from, &g, image, k, first + p);
        for (int64_t group = 0; group < group_count(to.blocks * BLOCK_LANES); group++) {
            int width = group_width(to.blocks * BLOCK_LANES, group);
            for (int64_t p = 0; p < count; p += STEP)
                product_any((const real *)(v + p), from.blocks, STRETCH, u + group * PAIR * in, m + p * width, width);
            for (int l = 0; l < width; l++) {
                int64_t block = group * PAIR + l;
                vec plus = bias ? ((const vec *)bias)[block] : (vec){0};
                for (int64_t p = 0; p < count; p++) {
                    vec *at = pixel(&to, &g, image, block, first + p);
                    *at = (add ? *at : (vec){0}) + m[p * width + l] + plus;
                }
            }
        }
    }
    b->release(b, scratch);
    return true;
}

static grid outputs(const conv_shape *s) { return (grid){s->n, s->out_h, s->out_w}; }

bool pointwise_forward(backend *b, const conv_shape *s, const real *x, const real *weights, const real *bias, real *y) {
    vec *u = groups_make(b, weights, s->in, s->out, false);
    bool ok = u && multiply(b, outputs(s), input_side(s, x), u, bias, output_side(s, y), false);
    b->release(b, u);
    return ok;
}

bool pointwise_data(backend *b, const conv_shape *s, const real *dy, const real *weights, real *dx, bool add) {
    vec *u = groups_make(b, weights, s->out, s->in, true);
    if (u && !add && s->stride > 1) b->fill(b, dx, 0, s->n * s->h * s->w * s->in);
    bool ok = u && multiply(b, outputs(s), output_side(s, dy), u, NULL, input_side(s, dx), add);
    b->release(b, u);
    return ok;
}

/* Pixels [first, first + count) of all images, one behind the other, to v[block][tiles]. */
static void gather(const side *from, const grid *g, int64_t first, int64_t count, int64_t tiles, vec *v) {
    int64_t pixels = g->h * g->w;
#pragma omp for schedule(static)
    for (int64_t p = 0; p < count; p++)
        for (int64_t k = 0; k < from->blocks; k++)
            v[k * tiles + p] = *pixel(from, g, (first + p) / pixels, k, (first + p) % pixels);
}

bool pointwise_weights(backend *b, const conv_shape *s, const real *x, const real *dy, real *dw, bool add) {
    grid g = outputs(s);
    side in = input_side(s, x), out = output_side(s, dy);
    int64_t all = g.n * g.h * g.w, tiles = SHARED_CACHE / ((s->in + s->out) * (int64_t)sizeof(real));
    if (tiles > all) tiles = all;
    vec *sums = b->allocate(b, (size_t)(s->in * s->out) * sizeof(real));
    vec *v = b->allocate(b, (size_t)(tiles * (in.blocks + out.blocks)) * sizeof *v), *m = v + tiles * in.blocks;
    bool ok = (sums && v) || cpu_fail(b, "out of memory");
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < all; first += tiles) {
        int64_t count = all - first < tiles ? all - first : tiles;
        gather(&in, &g, first, count, tiles, v);
        gather(&out, &g, first, count, tiles, m);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < s->in / OUTER; task++) {
            int64_t c = task * OUTER;
            const real *from = (const real *)(v + c / BLOCK_LANES * tiles) + c % BLOCK_LANES;
            outer_products(from, m, tiles, count, out.blocks, sums + c * out.blocks, first == 0);
        }
    }
    for (int64_t o = 0; ok && o < s->out; o++)
        for (int64_t c = 0; c < s->in; c++)
            dw[o * s->in + c] = (add ? dw[o * s->in + c] : 0) + sums[c * out.blocks + o / BLOCK_LANES][o % BLOCK_LANES];
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

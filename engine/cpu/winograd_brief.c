/*
 * Winograd's algorithm in bfloat16 (winograd.c says how it goes): transforms are in floats, and what they give is
 * rounded to bfloat16, two of which an instruction of AVX512-BF16 multiplies and adds up in floats. What that costs
 * stands in engine/README.md.
 *
 * Forward and data gradient sum over channels, so the two are neighbouring channels of a tile: inputs
 * V[36][block of channels][tile][16 channels], windows U[group of out][36][in/2][group][16][2]. The weight gradient
 * sums over tiles, so they are neighbouring tiles of a channel: both factors are [36][block][tile/2][16][2]; beside the
 * last of an odd number of tiles stand zeros.
 */
#include "engine/cpu/winograd.h"

#if defined(__AVX512BF16__) && !defined(MEWS_DOUBLE)
#include "engine/cpu/winograd_images.h"

#include <immintrin.h>
#include <omp.h>

/* One register: of a channel or tile and its neighbour, lane by lane. */
typedef uint32_t twos __attribute__((vector_size(64), may_alias));
typedef uint32_t two __attribute__((may_alias));

enum {
    CACHE = 300 * 1024,      /* bytes for V: with U and M it fills a second-level cache of 1 MiB */
    SHARED_CACHE = 4 << 20,  /* bytes for both factors of the weight gradient */
    LEAST_SHARED_TILES = 128 /* per batch there: fewer, and reading the sums again costs more than the factors */
};

INLINE brief_vec brief(vec value) { return (brief_vec)_mm512_cvtneps_pbh((__m512)value); }

INLINE twos side_by_side(vec even, vec odd_one) {
    const __m512i places = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                            21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd_one, (__m512)even);
    return (twos)_mm512_permutexvar_epi16(places, both);
}

/* `sum` plus the products of a two with 16 others, one two for each lane. */
INLINE vec add_products(vec sum, two one, twos others) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)one), (__m512bh)others);
}

/* Windows ---------------------------------------------------------------------------------------------------------- */

typedef struct windows {
    twos *values;
    int64_t in, out;
} windows;

static const twos *window_slice(const windows *u, int64_t group, int point) {
    return u->values + (group * PAIR * POINTS * u->in + point * u->in * group_width(u->out, group)) / 2;
}

static bool windows_make(backend *b, const real *weights, int64_t in, int64_t out, bool turned, windows *u) {
    *u = (windows){b->allocate(b, (size_t)(POINTS * in * out) * sizeof(bfloat)), in, out};
    if (!u->values) return cpu_fail(b, "out of memory");
    const int64_t blocks = out / BLOCK_LANES;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t k = 0; k < blocks; k++)
        for (int64_t c = 0; c < in / 2; c++) {
            vec w[WINDOW * WINDOW], made[2][POINTS];
            for (int i = 0; i < 2; i++) {
                window_take(weights, in, out, turned, k, 2 * c + i, w);
                TRANSFORM(window_line, w, WINDOW, made[i], HALO, 1);
            }
            const int64_t group = k / PAIR, width = group_width(out, group);
            twos *to = u->values + group * PAIR * POINTS * in / 2 + c * width + k % PAIR;
            for (int i = 0; i < POINTS; i++) to[i * in / 2 * width] = side_by_side(made[0][i], made[1][i]);
        }
    return true;
}

/* Forward and data gradient ---------------------------------------------------------------------------------------- */

/* Bᵀ d B of tile `t` of block `block` to 36 places, `stride` apart. */
static void transform_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, brief_vec *to,
                            int64_t stride) {
    vec d[POINTS], half[POINTS];
    input_square(in, padding, g, t, block, d);
    for (int j = 0; j < HALO; j++) input_line(d + j, HALO, half + j, HALO);
    for (int i = 0; i < HALO; i++) {
        vec line[HALO];
        input_line(half + i * HALO, 1, line, 1);
        for (int j = 0; j < HALO; j++) to[(i * HALO + j) * stride] = brief(line[j]);
    }
}

/* m[t][width] = Σ_c v[t][c]·u[c][width] for STEP tiles; v[block][tiles][16]. */
INLINE void product_of(const brief_vec *v, int64_t blocks, int64_t tiles, const twos *u, vec *m, int width) {
    vec sum[STEP][PAIR] = {0};
    for (int64_t k = 0; k < blocks; k++, v += tiles, u += BLOCK_LANES / 2 * width)
        for (int c = 0; c < BLOCK_LANES / 2; c++) {
            const twos u0 = u[c * width], u1 = width > 1 ? u[c * width + 1] : u0;
#pragma GCC unroll 14
            for (int t = 0; t < STEP; t++) {
                const two one = ((const two *)(v + t))[c];
                sum[t][0] = add_products(sum[t][0], one, u0);
                if (width > 1) sum[t][1] = add_products(sum[t][1], one, u1);
            }
        }
    for (int t = 0; t < STEP; t++)
        for (int l = 0; l < width; l++) m[t * width + l] = sum[t][l];
}

static void product_any_width(const brief_vec *v, int64_t blocks, int64_t tiles, const twos *u, vec *m, int width) {
    if (width == PAIR)
        product_of(v, blocks, tiles, u, m, PAIR);
    else
        product_of(v, blocks, tiles, u, m, 1);
}

/* in * u → out */
static bool convolve(backend *b, images in, int64_t padding, const windows *u, const real *bias, images out, bool add) {
    const grid g = grid_over(out.n, out.h, out.w);
    const int64_t per_tile = POINTS * in.blocks * (int64_t)sizeof(brief_vec);
    const int64_t share = (g.count + b->threads - 1) / b->threads, fit = CACHE / per_tile;
    const int64_t tiles = ((fit < share ? fit : share) / STEP + (fit >= share || fit < STEP)) * STEP;
    const int64_t v_stride = odd(in.blocks * tiles), m_stride = odd(tiles * PAIR);
    const int64_t batches = (g.count + tiles - 1) / tiles, v_size = POINTS * v_stride / 2;
    const int64_t per_thread = v_size + POINTS * m_stride;
    vec *scratch = b->allocate(b, (size_t)(b->threads * per_thread) * sizeof(vec));
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel for schedule(static) num_threads(b->threads)
    for (int64_t batch = 0; batch < batches; batch++) {
        vec *m = scratch + omp_get_thread_num() * per_thread + v_size;
        brief_vec *v = (brief_vec *)(m - v_size);
        const int64_t first = batch * tiles, count = g.count - first < tiles ? g.count - first : tiles;
        for (int64_t k = 0; k < in.blocks; k++)
            for (int64_t t = 0; t < count; t++)
                transform_input(&in, padding, &g, first + t, k, v + k * tiles + t, v_stride);
        for (int64_t group = 0; group < group_count(u->out); group++) {
            const int width = group_width(u->out, group);
            for (int i = 0; i < POINTS; i++)
                for (int64_t t = 0; t < count; t += STEP)
                    product_any_width(v + i * v_stride + t, in.blocks, tiles, window_slice(u, group, i),
                                      m + i * m_stride + t * width, width);
            for (int l = 0; l < width; l++) {
                const int64_t block = group * PAIR + l;
                const vec plus = bias ? ((const vec *)bias)[block] : (vec){0};
                for (int64_t t = 0; t < count; t++)
                    transform_output(m + t * width + l, m_stride, &plus, &g, first + t, block, &out, add);
            }
        }
        if (out.stream) pixels_streamed();
    }
    b->release(b, scratch);
    return true;
}

bool winograd_brief_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias,
                            void *y) {
    windows u;
    bool ok = windows_make(b, weights, s->in, s->out, false, &u) &&
              convolve(b, images_in(s, x), s->padding, &u, bias, images_out(s, y), false);
    b->release(b, u.values);
    return ok;
}

bool winograd_brief_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add) {
    windows u;
    bool ok = windows_make(b, weights, s->out, s->in, true, &u) &&
              convolve(b, images_out(s, dy), WINDOW - 1 - s->padding, &u, NULL, images_in(s, dx), add);
    b->release(b, u.values);
    return ok;
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* Two tiles, the second of which may not be there, to 36 places. */
static void transform_inputs(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, twos *to,
                             int64_t stride) {
    vec d[POINTS], made[2][POINTS];
    for (int i = 0; i < 2; i++) {
        if (t + i < g->count)
            input_square(in, padding, g, t + i, block, d);
        else
            memset(d, 0, sizeof d);
        TRANSFORM(input_line, d, HALO, made[i], HALO, 1);
    }
    for (int i = 0; i < POINTS; i++) to[i * stride] = side_by_side(made[0][i], made[1][i]);
}

static void transform_gradients(const images *out, const grid *g, int64_t t, int64_t block, twos *to, int64_t stride) {
    vec d[TILE * TILE], made[2][POINTS];
    for (int i = 0; i < 2; i++) {
        if (t + i < g->count)
            output_square(out, g, t + i, block, d);
        else
            memset(d, 0, sizeof d);
        TRANSFORM(gradient_line, d, TILE, made[i], HALO, 1);
    }
    for (int i = 0; i < POINTS; i++) to[i * stride] = side_by_side(made[0][i], made[1][i]);
}

/* sum[c][lanes of a pair] += Σ_t v[t][c]·m[t] for OUTER channels c; `sum` rows stand `row` vectors apart. */
INLINE void outer_product_of(const two *v, const twos *m0, const twos *m1, int64_t pairs, vec *sum, int64_t row,
                             int width, bool fresh) {
    vec s[OUTER][PAIR];
    for (int c = 0; c < OUTER; c++)
        for (int l = 0; l < PAIR; l++) s[c][l] = fresh || l >= width ? (vec){0} : sum[c * row + l];
    for (int64_t t = 0; t < pairs; t++) {
        const twos a = m0[t], z = width > 1 ? m1[t] : a;
#pragma GCC unroll 8
        for (int c = 0; c < OUTER; c++) {
            const two one = v[t * BLOCK_LANES + c];
            s[c][0] = add_products(s[c][0], one, a);
            if (width > 1) s[c][1] = add_products(s[c][1], one, z);
        }
    }
    for (int c = 0; c < OUTER; c++)
        for (int l = 0; l < width; l++) sum[c * row + l] = s[c][l];
}

/* sums[c][blocks] (+)= Σ_t v[t][c]·m[block][t], m's blocks `run` apart. */
static void outer_products_of(const two *v, const twos *m, int64_t run, int64_t pairs, int64_t blocks, vec *sums,
                              bool fresh) {
    for (int64_t o = 0; o < blocks; o += PAIR) {
        const twos *m0 = m + o * run;
        if (o + 1 < blocks)
            outer_product_of(v, m0, m0 + run, pairs, sums + o, blocks, PAIR, fresh);
        else
            outer_product_of(v, m0, m0, pairs, sums + o, blocks, 1, fresh);
    }
}

bool winograd_brief_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    const images in = images_in(s, x), out = images_out(s, dy);
    const grid g = grid_over(out.n, out.h, out.w);
    const int64_t per_tile = POINTS * (s->in + s->out) * (int64_t)sizeof(bfloat);
    int64_t tiles = SHARED_CACHE / per_tile / 2 * 2;
    if (tiles < LEAST_SHARED_TILES) tiles = LEAST_SHARED_TILES;
    if (tiles > g.count) tiles = (g.count + 1) / 2 * 2;
    const int64_t run = tiles / 2, v_stride = odd(in.blocks * run), m_stride = odd(out.blocks * run);
    vec *sums = b->allocate(b, (size_t)(POINTS * s->in * s->out) * sizeof(real));
    twos *v = b->allocate(b, (size_t)(POINTS * (v_stride + m_stride)) * sizeof(twos)), *m = v + POINTS * v_stride;
    bool ok = (sums && v) || cpu_fail(b, "out of memory");
#pragma omp parallel if (ok)
    for (int64_t first = 0; ok && first < g.count; first += tiles) {
        const int64_t count = g.count - first < tiles ? g.count - first : tiles, pairs = (count + 1) / 2;
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < pairs; t++)
            for (int64_t k = 0; k < in.blocks; k++)
                transform_inputs(&in, s->padding, &g, first + 2 * t, k, v + k * run + t, v_stride);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < pairs; t++)
            for (int64_t k = 0; k < out.blocks; k++)
                transform_gradients(&out, &g, first + 2 * t, k, m + k * run + t, m_stride);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < POINTS * s->in / OUTER; task++) {
            const int64_t i = task / (s->in / OUTER), c = task % (s->in / OUTER) * OUTER;
            const two *from = (const two *)(v + i * v_stride + c / BLOCK_LANES * run) + c % BLOCK_LANES;
            outer_products_of(from, m + i * m_stride, run, pairs, out.blocks, sums + (i * s->in + c) * out.blocks,
                              first == 0);
        }
    }
    if (ok) winograd_window_gradients(sums, s->in, s->out, dw, add);
    b->release(b, v);
    b->release(b, sums);
    return ok;
}

#endif

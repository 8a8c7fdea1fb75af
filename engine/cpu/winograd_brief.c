/*
 * Winograd's algorithm in bfloat16 (winograd.c): transforms are made in floats, and what they give is rounded to
 * bfloat16, two of which an instruction of AVX512-BF16 multiplies and adds up in floats. What that costs stands in
 * engine/README.md.
 *
 * Forward and data gradient sum over channels, so the two are neighbouring channels: of a tile's 16 they lie side by
 * side as they are, windows are U[in/2][group][16 outputs][2]. The weight gradient sums over tiles, so they are
 * neighbouring tiles of a channel: both factors are [block][tile/2][16][2]; beside the last of an odd number of tiles
 * stand zeros.
 */
#include "engine/cpu/winograd.h"

#if defined(__AVX512BF16__) && !defined(MEWS_DOUBLE)
#include "engine/cpu/tiles.h"
#include "engine/cpu/winograd_images.h"

/* One register: of a channel or tile and its neighbour, lane by lane. */
typedef uint32_t twos __attribute__((vector_size(64), may_alias));
typedef uint32_t two __attribute__((may_alias));

INLINE twos side_by_side(vec even, vec odd_one) {
    return (twos)tile_pairs((__m512i)_mm512_cvtne2ps_pbh((__m512)odd_one, (__m512)even));
}

/* `sum` plus the products of a two with 16 others, one two for each lane. */
INLINE vec add_products(vec sum, two one, twos others) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)one), (__m512bh)others);
}

static void put_side_by_side(const vec *even, const vec *odd_ones, vec *to, int64_t stride) {
    for (int i = 0; i < POINTS; i++) to[i * stride] = (vec)side_by_side(even[i], odd_ones[i]);
}

/* G w Gᵀ of two channels. */
static void window(const real *weights, int64_t in, int64_t out, bool turned, int64_t block, int64_t c, vec *to,
                   int64_t stride) {
    vec w[WINDOW * WINDOW], made[2][POINTS];
    for (int i = 0; i < 2; i++) {
        window_take(weights, in, out, turned, block, c + i, w);
        TRANSFORM(window_line, w, WINDOW, made[i], HALO, 1);
    }
    put_side_by_side(made[0], made[1], to, stride);
}

/* Bᵀ d B. */
static void input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, void *to,
                  int64_t stride) {
    vec d[POINTS], half[POINTS];
    input_square(in, padding, g, t, block, d);
    for (int j = 0; j < HALO; j++) input_line(d + j, HALO, half + j, HALO);
    for (int i = 0; i < HALO; i++) {
        vec line[HALO];
        input_line(half + i * HALO, 1, line, 1);
        for (int j = 0; j < HALO; j++) pixel_put(to, (i * HALO + j) * stride, line[j], true);
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

static void product_brief(const void *v, int64_t blocks, int64_t tiles, const vec *u, vec *m, int width) {
    if (width == PAIR)
        product_of(v, blocks, tiles, (const twos *)u, m, PAIR);
    else
        product_of(v, blocks, tiles, (const twos *)u, m, 1);
}

/* Bᵀ d B of two tiles, the second of which may not be there. */
static void summed_input(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *to,
                         int64_t stride) {
    vec d[POINTS], made[2][POINTS];
    const int there = t + 1 < g->count ? 2 : 1;
    for (int i = 0; i < there; i++) {
        input_square(in, padding, g, t + i, block, d);
        TRANSFORM(input_line, d, HALO, made[i], HALO, 1);
    }
    if (there < 2) memset(made[1], 0, sizeof made[1]);
    put_side_by_side(made[0], made[1], to, stride);
}

/* A ∂Y Aᵀ likewise. */
static void summed_gradient(const images *out, const grid *g, int64_t t, int64_t block, vec *to, int64_t stride) {
    vec d[TILE * TILE], made[2][POINTS];
    const int there = t + 1 < g->count ? 2 : 1;
    for (int i = 0; i < there; i++) {
        output_square(out, g, t + i, block, d);
        TRANSFORM(gradient_line, d, TILE, made[i], HALO, 1);
    }
    if (there < 2) memset(made[1], 0, sizeof made[1]);
    put_side_by_side(made[0], made[1], to, stride);
}

/* sum[half of a pair][c] += Σ_t v[t][c]·m[t] for OUTER channels c; the halves stand `apart` vectors apart. */
INLINE void outer_product_of(const two *v, const twos *m0, const twos *m1, int64_t pairs, vec *sum, int64_t apart,
                             int width, bool fresh) {
    vec s[OUTER][PAIR];
    for (int c = 0; c < OUTER; c++)
        for (int l = 0; l < PAIR; l++) s[c][l] = fresh || l >= width ? (vec){0} : sum[l * apart + c];
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
        for (int l = 0; l < width; l++) sum[l * apart + c] = s[c][l];
}

static void outer(const real *v, const vec *m, int64_t run, int64_t count, int64_t blocks, vec *sums, int64_t channels,
                  bool fresh) {
    for (int64_t o = 0; o < blocks; o += PAIR) {
        const twos *m0 = (const twos *)(m + o * run);
        if (o + 1 < blocks)
            outer_product_of((const two *)v, m0, m0 + run, count, sums + o * channels, channels, PAIR, fresh);
        else
            outer_product_of((const two *)v, m0, m0, count, sums + o * channels, channels, 1, fresh);
    }
}

const transforms winograd_brief = {2, window, input, product_brief, summed_input, summed_gradient, outer};

#endif

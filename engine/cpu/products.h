/*
 * Products held in registers, for convolutions over images in blocks of channels, a block being one register. What is
 * multiplied lies in tiles or pixels t, channels innermost: v[block of channels][t][lanes]. Outputs come in groups of
 * two blocks (the last may be one), whose weights lie together: u[channel][1 or 2 blocks]. Sums run in order, so the
 * bits do not depend on how the work is shared out, only on the instruction set: how many sums fit its registers, and
 * whether it multiplies and adds in one.
 */
#ifndef MEWS_PRODUCTS_H
#define MEWS_PRODUCTS_H

#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(BLOCK_LANES * sizeof(float)), aligned(BLOCK_LANES * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

/* A pixel's block of channels as it is stored in bfloat16, and the bits of one in floats. */
typedef uint16_t brief_vec
    __attribute__((vector_size(BLOCK_LANES * sizeof(bfloat)), aligned(BLOCK_LANES * sizeof(bfloat))));
typedef uint32_t bits_vec __attribute__((vector_size(BLOCK_LANES * sizeof(float))));

/* Pixel i of images in blocks of channels. */
INLINE vec pixel_get(const void *images, int64_t i, bool brief) {
    if (!brief) return ((const vec *)images)[i];
    return (vec)(__builtin_convertvector(((const brief_vec *)images)[i], bits_vec) << 16);
}

/* As bfloat_round does it; the instruction takes what is too small to be a normal number for zero. */
INLINE void pixel_put(void *images, int64_t i, vec value, bool brief) {
    if (!brief) {
        ((vec *)images)[i] = value;
        return;
    }
#ifdef __AVX512BF16__
    ((brief_vec *)images)[i] = (brief_vec)_mm512_cvtneps_pbh((__m512)value);
#else
    bits_vec bits = (bits_vec)value, nan = (bits_vec)(value != value);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    ((brief_vec *)images)[i] = __builtin_convertvector((nan & 0x7fc0) | (~nan & bits), brief_vec);
#endif
}

/*
 * The same past the caches, which leaves these to what is read again soon and saves reading what is to be overwritten:
 * for what is larger than them (STREAMED bytes), a whole line at a time in the end. Other threads see it after
 * pixels_streamed.
 */
enum { STREAMED = 12 << 20 };

INLINE void pixel_stream(void *images, int64_t i, vec value, bool brief) {
#ifdef __AVX512F__
    if (!brief) {
        _mm512_stream_ps((float *)images + i * BLOCK_LANES, (__m512)value);
        return;
    }
    brief_vec stored;
    pixel_put(&stored, 0, value, true);
    _mm256_stream_si256((__m256i *)images + i, (__m256i)stored);
#else
    pixel_put(images, i, value, brief);
#endif
}

/* Whether so many values take more than the caches hold. */
static inline bool beyond_caches(int64_t values, bool brief) {
    return values * (int64_t)(brief ? sizeof(bfloat) : sizeof(real)) > STREAMED;
}

/* One way or the other. */
INLINE void pixel_write(void *images, int64_t i, vec value, bool brief, bool stream) {
    if (stream)
        pixel_stream(images, i, value, brief);
    else
        pixel_put(images, i, value, brief);
}

INLINE void pixels_streamed(void) {
#ifdef __AVX512F__
    _mm_sfence();
#endif
}

/*
 * Of 32 registers, 28 sums (16 in an outer product); of 16, 12 (8).
 *   STEP   tiles in a product's registers, by a group of outputs
 *   OUTER  channels in an outer product's registers, by a group of outputs; divides a block
 */
#ifdef __AVX512F__
enum { STEP = 14, OUTER = 8 };
#else
enum { STEP = 6, OUTER = 4 };
#endif
enum { PAIR = 2 }; /* vectors of outputs in a group */

static inline int64_t group_count(int64_t out) { return (out / BLOCK_LANES + PAIR - 1) / PAIR; }

static inline int group_width(int64_t out, int64_t group) { return out / BLOCK_LANES - group * PAIR < PAIR ? 1 : PAIR; }

/* m[t][width] = Σ_c v[t][c]·u[c][width] for STEP tiles; v[block][tiles][lanes], u[c][width]. */
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

/* The same where `width` is known only now. */
static inline void product_any(const real *v, int64_t blocks, int64_t tiles, const vec *u, vec *m, int width) {
    if (width == PAIR)
        product(v, blocks, tiles, u, m, PAIR);
    else
        product(v, blocks, tiles, u, m, 1);
}

/* sum[half of a pair][c] += Σ_t v[t][c]·m[t] for OUTER channels c; the halves stand `apart` vectors apart. */
INLINE void outer_product(const real *v, const vec *m0, const vec *m1, int64_t tiles, vec *sum, int64_t apart,
                          int width, bool fresh) {
    vec s[OUTER][PAIR];
    for (int c = 0; c < OUTER; c++)
        for (int l = 0; l < PAIR; l++) s[c][l] = fresh || l >= width ? (vec){0} : sum[l * apart + c];
    for (int64_t t = 0; t < tiles; t++) {
        vec a = m0[t], z = width > 1 ? m1[t] : a;
#pragma GCC unroll 8
        for (int c = 0; c < OUTER; c++) {
            vec one = v[t * BLOCK_LANES + c] - (vec){0};
            s[c][0] += one * a;
            if (width > 1) s[c][1] += one * z;
        }
    }
    for (int c = 0; c < OUTER; c++)
        for (int l = 0; l < width; l++) sum[l * apart + c] = s[c][l];
}

/*
 * sums[block][channels] (+)= Σ_t v[t][c]·m[block][t] for OUTER channels c of a block of v and all blocks of m, whose
 * vectors stand `tiles` apart; written when `fresh`. Channels are innermost, as whoever reads the sums goes along them.
 */
static inline void outer_products(const real *v, const vec *m, int64_t tiles, int64_t count, int64_t blocks, vec *sums,
                                  int64_t channels, bool fresh) {
    for (int64_t o = 0; o < blocks; o += PAIR) {
        const vec *m0 = m + o * tiles;
        if (o + 1 < blocks)
            outer_product(v, m0, m0 + tiles, count, sums + o * channels, channels, PAIR, fresh);
        else
            outer_product(v, m0, m0, count, sums + o * channels, channels, 1, fresh);
    }
}

/* Gradients of channel c's windows for a block of outputs, `area` vectors that stand `apart`, to (out, in, area). */
INLINE void windows_put(const vec *w, int64_t apart, int64_t area, int64_t in, int64_t block, int64_t c, real *weights,
                        bool add) {
    for (int l = 0; l < BLOCK_LANES; l++) {
        real *to = weights + ((block * BLOCK_LANES + l) * in + c) * area;
        for (int64_t i = 0; i < area; i++) to[i] = (add ? to[i] : 0) + w[i * apart][l];
    }
}

#endif

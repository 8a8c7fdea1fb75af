/*
 * The fast Walsh-Hadamard transform, y_j = Σ_k (−1)^popcount(j & k) x_k, in place. Its log2 F levels of butterflies are
 * taken several at a time while the values stay in registers: the first pass does the levels inside each vector and
 * three across eight of them, every further pass up to four levels (three with 16 registers) across vectors. So 2,048
 * values, which the first-level cache holds, are read and written twice (three times). Written with the compilers'
 * vector types: no instruction is named here.
 */
#include "engine/cpu/codes.h"

#include <string.h>

enum { WIDTH = BLOCK_LANES, FIRST = 8 * WIDTH, RADIX = BLOCK_LANES == 16 ? 16 : 8 };

typedef real lanes __attribute__((vector_size(WIDTH * sizeof(real))));
typedef real loose __attribute__((vector_size(WIDTH * sizeof(real)), aligned(sizeof(real)), may_alias));

#if defined(__AVX512F__)
#define EACH(of, b)                                                                                                    \
    of(0, b), of(1, b), of(2, b), of(3, b), of(4, b), of(5, b), of(6, b), of(7, b), of(8, b), of(9, b), of(10, b),     \
        of(11, b), of(12, b), of(13, b), of(14, b), of(15, b)
#elif defined(__AVX2__)
#define EACH(of, b) of(0, b), of(1, b), of(2, b), of(3, b), of(4, b), of(5, b), of(6, b), of(7, b)
#else
#define EACH(of, b) of(0, b), of(1, b), of(2, b), of(3, b)
#endif
#define SIGN(i, b) (((i) & (b)) ? -1 : 1)
#define PARTNER(i, b) ((i) ^ (b))

/* One level inside a vector: each lane meets the lane whose number differs in one bit, and keeps sum or difference. */
#define INSIDE(x, b) (__builtin_shufflevector(x, x, EACH(PARTNER, b)) + (const lanes){EACH(SIGN, b)} * (x))

static inline void across(lanes *v, int radix) {
#pragma GCC unroll 4
    for (int h = 1; h < radix; h *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < radix; i++) {
            if (i & h) continue;
            lanes a = v[i], b = v[i + h];
            v[i] = a + b;
            v[i + h] = a - b;
        }
}

/* Levels of distance 1 to FIRST / 2. */
static void first_levels(real *x, int64_t length) {
    for (int64_t at = 0; at < length; at += FIRST) {
        lanes v[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            lanes a = *(const loose *)(x + at + i * WIDTH);
            a = INSIDE(a, 1);
            a = INSIDE(a, 2);
#if defined(__AVX2__)
            a = INSIDE(a, 4);
#endif
#if defined(__AVX512F__)
            a = INSIDE(a, 8);
#endif
            v[i] = a;
        }
        across(v, 8);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) *(loose *)(x + at + i * WIDTH) = v[i];
    }
}

/* Levels of distance h, 2h, … radix·h/2. */
static inline __attribute__((always_inline)) void levels(real *x, int64_t length, int64_t h, const int radix) {
    for (int64_t base = 0; base < length; base += radix * h)
        for (int64_t at = base; at < base + h; at += WIDTH) {
            lanes v[RADIX];
#pragma GCC unroll 16
            for (int i = 0; i < radix; i++) v[i] = *(const loose *)(x + at + i * h);
            across(v, radix);
#pragma GCC unroll 16
            for (int i = 0; i < radix; i++) *(loose *)(x + at + i * h) = v[i];
        }
}

static void short_transform(real *x, int64_t length) {
    for (int64_t h = 1; h < length; h *= 2)
        for (int64_t base = 0; base < length; base += 2 * h)
            for (int64_t i = base; i < base + h; i++) {
                real a = x[i], b = x[i + h];
                x[i] = a + b;
                x[i + h] = a - b;
            }
}

void hadamard_transform(real *x, int64_t length) {
    if (length < FIRST) {
        short_transform(x, length);
        return;
    }
    first_levels(x, length);
    int64_t h = FIRST;
    for (; h * RADIX <= length; h *= RADIX) levels(x, length, h, RADIX);
    if (h * 8 <= length) {
        levels(x, length, h, 8);
        h *= 8;
    }
    if (h * 4 <= length) {
        levels(x, length, h, 4);
        h *= 4;
    }
    if (h * 2 <= length) levels(x, length, h, 2);
}

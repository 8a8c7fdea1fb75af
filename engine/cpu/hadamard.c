/*
 * The fast Walsh-Hadamard transform, y_j = Σ_k (−1)^popcount(j & k) x_k, in place. Its log2 F levels of butterflies are
 * taken several at a time while the values stay in registers: the first pass does four levels inside each vector of 16
 * and three across eight of them, every further pass up to four levels across 16 vectors. So 2,048 values, which the
 * first-level cache holds, are read and written twice. Written with the compilers' vector types: no instruction set is
 * named here.
 */
#include "engine/cpu/codes.h"

#include <string.h>

enum { WIDTH = 16, FIRST = 8 * WIDTH };

typedef real lanes __attribute__((vector_size(WIDTH * sizeof(real))));
typedef real loose __attribute__((vector_size(WIDTH * sizeof(real)), aligned(sizeof(real)), may_alias));

#define EACH(sign_of)                                                                                                  \
    {                                                                                                                  \
        sign_of(0), sign_of(1), sign_of(2), sign_of(3), sign_of(4), sign_of(5), sign_of(6), sign_of(7), sign_of(8),    \
            sign_of(9), sign_of(10), sign_of(11), sign_of(12), sign_of(13), sign_of(14), sign_of(15)                   \
    }
#define SIGN_1(i) (((i)&1) ? -1 : 1)
#define SIGN_2(i) (((i)&2) ? -1 : 1)
#define SIGN_4(i) (((i)&4) ? -1 : 1)
#define SIGN_8(i) (((i)&8) ? -1 : 1)

/* One level inside a vector: each lane meets the lane whose number differs in one bit, and keeps sum or difference. */
#define SWAP(x, b)                                                                                                     \
    __builtin_shufflevector(x, x, 0 ^ (b), 1 ^ (b), 2 ^ (b), 3 ^ (b), 4 ^ (b), 5 ^ (b), 6 ^ (b), 7 ^ (b), 8 ^ (b),     \
                            9 ^ (b), 10 ^ (b), 11 ^ (b), 12 ^ (b), 13 ^ (b), 14 ^ (b), 15 ^ (b))

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

/* Levels of distance 1 to 64. */
static void first_levels(real *x, int64_t length) {
    const lanes s1 = EACH(SIGN_1), s2 = EACH(SIGN_2), s4 = EACH(SIGN_4), s8 = EACH(SIGN_8);
    for (int64_t at = 0; at < length; at += FIRST) {
        lanes v[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            lanes a = *(const loose *)(x + at + i * WIDTH);
            a = SWAP(a, 1) + s1 * a;
            a = SWAP(a, 2) + s2 * a;
            a = SWAP(a, 4) + s4 * a;
            v[i] = SWAP(a, 8) + s8 * a;
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
            lanes v[16];
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
    for (; h * 16 <= length; h *= 16) levels(x, length, h, 16);
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

/*
 * Products with a matrix of ±1, with AVX-512. Four signs make one of sixteen sums ±a ±b ±c ±d, so for each row of H and
 * each four features a table of these sixteen is made, which fits one register; then a single permute looks up sixteen
 * codes at once and a single addition does the work of 64 multiplications: about 2.5 times the speed of the best
 * single-precision product, from a thirty-second of the memory. Every value is the same sum as a product with floats
 * would make, in another order.
 */
#include "engine/cpu/signs.h"

#if defined(__AVX512F__) && !defined(MEWS_DOUBLE)

#include <immintrin.h>
#include <omp.h>

enum { GROUP = 4, GROUPS = WORD / GROUP, SUMS = 1 << GROUP, REGISTER = 16 };
enum { SIGNS_ROWS = 6 }; /* rows of H that share a pass over the bits */

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

int64_t signs_scratch(int64_t length) { return round_up(length, WORD) / GROUP * SUMS * SIGNS_ROWS; }

/* tables (groups, rows, 16): the sums that each pattern of four signs gives; values beyond `length` count as 0. */
static void make_tables(const float *x, int64_t ldx, int64_t length, int rows, float *tables) {
    __m512 sign[GROUP];
    for (int k = 0; k < GROUP; k++) {
        float pattern[SUMS];
        for (int i = 0; i < SUMS; i++) pattern[i] = i >> k & 1 ? 1 : -1;
        sign[k] = _mm512_loadu_ps(pattern);
    }
    int64_t groups = round_up(length, WORD) / GROUP;
    for (int64_t g = 0; g < groups; g++)
        for (int r = 0; r < rows; r++) {
            const float *from = x + r * ldx + g * GROUP;
            float padded[GROUP] = {0};
            if ((g + 1) * GROUP > length) {
                for (int64_t k = g * GROUP; k < length; k++) padded[k - g * GROUP] = from[k - g * GROUP];
                from = padded;
            }
            __m512 sums = _mm512_mul_ps(sign[0], _mm512_set1_ps(from[0]));
            for (int k = 1; k < GROUP; k++) sums = _mm512_fmadd_ps(sign[k], _mm512_set1_ps(from[k]), sums);
            _mm512_store_ps(tables + (g * rows + r) * SUMS, sums);
        }
}

/* `rows` rows by 64 columns. The loop over groups must stay a loop: unrolled, gcc looks up everything first and spills
 * it all. */
static inline __attribute__((always_inline)) void tile(const float *tables, const uint32_t *words, int64_t wide,
                                                       int64_t deep, int64_t count, float scale, bool add, float *out,
                                                       int64_t ldo, const int rows) {
    enum { COLS = STRIP / REGISTER };
    __m512 sum[SIGNS_ROWS][COLS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLS; c++) sum[r][c] = _mm512_setzero_ps();
    for (int64_t w = 0; w < deep; w++) {
        __m512i index[COLS];
#pragma GCC unroll 4
        for (int c = 0; c < COLS; c++) index[c] = _mm512_loadu_si512(words + w * wide + c * REGISTER);
#pragma GCC unroll 1
        for (int g = 0; g < GROUPS; g++, tables += rows * SUMS) {
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                __m512 table = _mm512_load_ps(tables + r * SUMS);
#pragma GCC unroll 4
                for (int c = 0; c < COLS; c++)
                    sum[r][c] = _mm512_add_ps(sum[r][c], _mm512_permutexvar_ps(index[c], table));
            }
#pragma GCC unroll 4
            for (int c = 0; c < COLS; c++) index[c] = _mm512_srli_epi32(index[c], GROUP);
        }
    }
    const __m512 by = _mm512_set1_ps(scale);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLS; c++) {
            int64_t left = count - c * REGISTER;
            __mmask16 mask = left >= REGISTER ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
            float *to = out + r * ldo + c * REGISTER;
            __m512 before = add ? _mm512_maskz_loadu_ps(mask, to) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(to, mask, _mm512_fmadd_ps(by, sum[r][c], before));
        }
}

#define TILE(n)                                                                                                        \
    static void tile_##n(const float *tables, const uint32_t *words, int64_t wide, int64_t deep, int64_t count,        \
                         float scale, bool add, float *out, int64_t ldo) {                                             \
        tile(tables, words, wide, deep, count, scale, add, out, ldo, n);                                               \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5) TILE(6)

    static void (*const tiles[])(const float *, const uint32_t *, int64_t, int64_t, int64_t, float, bool, float *,
                                 int64_t) = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread) {
    packing p = packing_of(w, transposed);
    const uint32_t *words = p.words + from / WORD * p.wide + first;
    int64_t deep = (length + WORD - 1) / WORD;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < rows; at += SIGNS_ROWS) {
        int n = rows - at < SIGNS_ROWS ? (int)(rows - at) : SIGNS_ROWS;
        float *tables = scratch + omp_get_thread_num() * per_thread;
        make_tables(x + at * ldx, ldx, length, n, tables);
        for (int64_t j = 0; j < count; j += STRIP)
            tiles[n](tables, words + j, p.wide, deep, count - j, scale, add, out + at * ldo + j, ldo);
    }
}

#endif

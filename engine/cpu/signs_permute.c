/*
 * Products with a matrix of ±1, with AVX-512. Four signs make one of sixteen sums ±a ±b ±c ±d, so for each row of H and
 * each four features a table of these sixteen is made, which fits one register; then a single permute looks up sixteen
 * codes at once and a single addition does the work of 64 multiplications: about 2.5 times the speed of the best
 * single-precision product, from a thirty-second of the memory. Every value is the same sum as a product with floats
 * would make, in another order.
 *
 * `brief`, with AVX512-BF16: the sums of four are rounded to bfloat16, of which a register holds the tables of two
 * groups, sixteen signs apart in a word. One permute looks up both for sixteen codes, and one instruction adds the two
 * in floats.
 */
#include "engine/cpu/signs.h"

#if defined(__AVX512F__) && !defined(MEWS_DOUBLE)

#include <immintrin.h>
#include <omp.h>

enum { GROUP = 4, GROUPS = WORD / GROUP, SUMS = 1 << GROUP, REGISTER = 16 };
enum { SIGNS_ROWS = 6 }; /* rows of H that share a pass over the bits */

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

int64_t signs_scratch(int64_t length) { return round_up(length, WORD) / GROUP * SUMS * SIGNS_ROWS; }

/* The sums ±a ±b ±c ±d by pattern, bit k of it for the sign of from[k]; of values beyond `left`, which count as 0. */
static inline __m512 sums_of(const __m512 *sign, const float *from, int64_t left) {
    float padded[GROUP] = {0};
    if (left < GROUP) {
        for (int64_t k = 0; k < left; k++) padded[k] = from[k];
        from = padded;
    }
    __m512 sums = _mm512_mul_ps(sign[0], _mm512_set1_ps(from[0]));
    for (int k = 1; k < GROUP; k++) sums = _mm512_fmadd_ps(sign[k], _mm512_set1_ps(from[k]), sums);
    return sums;
}

/* tables (groups, rows, 16), or brief (groups / 2, rows, 2, 16). */
static void make_tables(const float *x, int64_t ldx, int64_t length, int rows, bool brief, float *tables) {
    __m512 sign[GROUP];
    for (int k = 0; k < GROUP; k++) {
        float pattern[SUMS];
        for (int i = 0; i < SUMS; i++) pattern[i] = i >> k & 1 ? 1 : -1;
        sign[k] = _mm512_loadu_ps(pattern);
    }
    const int64_t words = round_up(length, WORD) / WORD;
    const int lookups = brief ? GROUPS / 2 : GROUPS;
    for (int64_t g = 0; g < words * lookups; g++)
        for (int r = 0; r < rows; r++) {
            const int64_t at = g / lookups * WORD + g % lookups * GROUP;
            const float *from = x + r * ldx + at;
            __m512 sums = sums_of(sign, from, length - at);
#ifdef __AVX512BF16__
            if (brief) {
                const int64_t apart = WORD / 2;
                sums = (__m512)_mm512_cvtne2ps_pbh(sums_of(sign, from + apart, length - at - apart), sums);
            }
#endif
            _mm512_store_ps(tables + (g * rows + r) * SUMS, sums);
        }
}

/* `sum` plus what a table, or two of them, hold for the signs at the bottom of `index`, or of its halves. */
static inline __attribute__((always_inline)) __m512 add_looked_up(__m512 sum, __m512i index, __m512 table, bool brief) {
#ifdef __AVX512BF16__
    if (brief) {
        const __m512i ones = _mm512_set1_epi32(0x3f803f80);
        return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_permutexvar_epi16(index, (__m512i)table), (__m512bh)ones);
    }
#endif
    (void)brief;
    return _mm512_add_ps(sum, _mm512_permutexvar_ps(index, table));
}

/* The signs of group g of each word, and of the one sixteen signs on, which finds its sums behind the first one's. */
static inline __attribute__((always_inline)) __m512i index_of(__m512i words, int g, bool brief) {
    const __m128i by = _mm_cvtsi32_si128(g * GROUP);
    if (!brief) return _mm512_srl_epi32(words, by);
    enum { A_AND_B_OR_C = 0xea };
    return _mm512_ternarylogic_epi32(_mm512_srl_epi16(words, by), _mm512_set1_epi32(0x000f000f),
                                     _mm512_set1_epi32(SUMS << 16), A_AND_B_OR_C);
}

/* `rows` rows by 64 columns. The loop over groups must stay a loop: unrolled, gcc looks up everything first and spills
 * it all. */
static inline __attribute__((always_inline)) void tile(const float *tables, const uint32_t *words, int64_t wide,
                                                       int64_t deep, int64_t count, float scale, bool add, float *out,
                                                       int64_t ldo, const int rows, const bool brief) {
    enum { COLS = STRIP / REGISTER };
    __m512 sum[SIGNS_ROWS][COLS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLS; c++) sum[r][c] = _mm512_setzero_ps();
    const int lookups = brief ? GROUPS / 2 : GROUPS;
    for (int64_t w = 0; w < deep; w++, words += wide) {
#pragma GCC unroll 1
        for (int g = 0; g < lookups; g++, tables += rows * SUMS) {
            __m512i index[COLS];
#pragma GCC unroll 4
            for (int c = 0; c < COLS; c++) index[c] = index_of(_mm512_loadu_si512(words + c * REGISTER), g, brief);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                __m512 table = _mm512_load_ps(tables + r * SUMS);
#pragma GCC unroll 4
                for (int c = 0; c < COLS; c++) sum[r][c] = add_looked_up(sum[r][c], index[c], table, brief);
            }
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

typedef void tile_of(const float *tables, const uint32_t *words, int64_t wide, int64_t deep, int64_t count, float scale,
                     bool add, float *out, int64_t ldo);

#define TILE(name, rows, brief)                                                                                        \
    static void name(const float *tables, const uint32_t *words, int64_t wide, int64_t deep, int64_t count,            \
                     float scale, bool add, float *out, int64_t ldo) {                                                 \
        tile(tables, words, wide, deep, count, scale, add, out, ldo, rows, brief);                                     \
    }

/* Of every number of rows, and a table of them by it. */
#define TILES(name, brief)                                                                                             \
    TILE(name##_1, 1, brief)                                                                                           \
    TILE(name##_2, 2, brief)                                                                                           \
    TILE(name##_3, 3, brief)                                                                                           \
    TILE(name##_4, 4, brief)                                                                                           \
    TILE(name##_5, 5, brief)                                                                                           \
    TILE(name##_6, 6, brief)                                                                                           \
    static tile_of *const name##_by_rows[] = {NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6};

TILES(float_tile, false)
#ifdef __AVX512BF16__
TILES(brief_tile, true)
#endif

void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread, bool brief) {
    packing p = packing_of(w, transposed);
    const uint32_t *words = p.words + from / WORD * p.wide + first;
    int64_t deep = (length + WORD - 1) / WORD;
#ifdef __AVX512BF16__
    tile_of *const *by_rows = brief ? brief_tile_by_rows : float_tile_by_rows;
#else
    tile_of *const *by_rows = float_tile_by_rows;
    brief = false;
#endif
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < rows; at += SIGNS_ROWS) {
        int n = rows - at < SIGNS_ROWS ? (int)(rows - at) : SIGNS_ROWS;
        float *tables = scratch + omp_get_thread_num() * per_thread;
        make_tables(x + at * ldx, ldx, length, n, brief, tables);
        for (int64_t j = 0; j < count; j += STRIP)
            by_rows[n](tables, words + j, p.wide, deep, count - j, scale, add, out + at * ldo + j, ldo);
    }
}

#endif

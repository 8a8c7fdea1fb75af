/*
 * Products with a matrix of ±1, without AVX-512. Eight signs make one of 256 sums ±a ±b … ±h, so for a register of rows
 * of H and each eight features a table of these sums is made, which the first-level cache holds; then a byte of the
 * matrix finds its sum, and one load and one addition do the work of eight multiplications a row (the "four Russians":
 * Arlazarov, Dinic, Kronrod & Faradzhev, 1970): about three times the speed of the best single-precision product. Every
 * value is the same sum as a product with floats would make, in another order.
 */
#include "engine/cpu/signs.h"

#if !defined(__AVX512F__) && !defined(MEWS_DOUBLE)

#include <omp.h>

typedef float vec __attribute__((vector_size(BLOCK_LANES * sizeof(float)), aligned(BLOCK_LANES * sizeof(float))));
typedef float loose __attribute__((vector_size(BLOCK_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/*
 *   BITS     signs that a table is looked up by
 *   PART     vectors of rows that share the lookups
 *   TOGETHER tables that are looked up before a sum is written back: with fewer, more loads meet a store in flight of
 *            the same address modulo a page and wait for it
 *   COLUMNS  whose sums stay in the second-level cache
 */
enum {
    BITS = 8,
    PATTERNS = 1 << BITS,
    PART = BLOCK_LANES == 4 ? 2 : 1,
    ROWS = PART * BLOCK_LANES,
    TOGETHER = 4,
    COLUMNS = 2048
};

int64_t signs_scratch(int64_t length) {
    (void)length;
    return (int64_t)(COLUMNS + TOGETHER * PATTERNS) * ROWS;
}

/* A block of BLOCK_LANES rows and columns becomes its transpose: rows and lanes whose numbers differ in one bit change
 * places, bit after bit. */
#define LOW(l, h) ((l) & (h) ? (l) - (h) + BLOCK_LANES : (l))
#define HIGH(l, h) ((l) & (h) ? (l) + BLOCK_LANES : (l) + (h))
#ifdef __AVX2__
#define EACH_LANE(of, h) of(0, h), of(1, h), of(2, h), of(3, h), of(4, h), of(5, h), of(6, h), of(7, h)
#else
#define EACH_LANE(of, h) of(0, h), of(1, h), of(2, h), of(3, h)
#endif
#define EXCHANGE(v, h)                                                                                                 \
    for (int i_ = 0; i_ < BLOCK_LANES; i_++)                                                                           \
        if (!(i_ & (h))) {                                                                                             \
            vec a_ = (v)[i_], b_ = (v)[i_ + (h)];                                                                      \
            (v)[i_] = __builtin_shufflevector(a_, b_, EACH_LANE(LOW, h));                                              \
            (v)[i_ + (h)] = __builtin_shufflevector(a_, b_, EACH_LANE(HIGH, h));                                       \
        }

static inline __attribute__((always_inline)) void transpose(vec *v) {
    EXCHANGE(v, 1)
    EXCHANGE(v, 2)
#ifdef __AVX2__
    EXCHANGE(v, 4)
#endif
}

/* x's columns first … first + BLOCK_LANES − 1 of a vector of rows; what lies beyond `rows` or `length` counts as 0. */
static void load_columns(const float *x, int64_t ldx, int64_t rows, int64_t first, int64_t length, vec *v) {
    const bool whole = first + BLOCK_LANES <= length;
    for (int64_t r = 0; r < BLOCK_LANES; r++) {
        v[r] = (vec){0};
        if (r < rows && whole) v[r] = *(const loose *)(x + r * ldx + first);
        if (r < rows && !whole)
            for (int64_t k = first; k < length; k++) v[r][k - first] = x[r * ldx + k];
    }
    transpose(v);
}

/* table[pattern][PART]: the sums of BITS values, x[k][PART], with the pattern's signs. */
static void make_table(const vec *x, vec *table) {
    enum { HALF = BITS / 2, SUMS = 1 << HALF };
    vec half[2][SUMS][PART];
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < SUMS; i++)
            for (int e = 0; e < PART; e++) {
                vec sum = {0};
                for (int k = 0; k < HALF; k++) {
                    vec one = x[(h * HALF + k) * PART + e];
                    sum = i >> k & 1 ? sum + one : sum - one;
                }
                half[h][i][e] = sum;
            }
    for (int i = 0; i < SUMS; i++)
        for (int k = 0; k < SUMS; k++)
            for (int e = 0; e < PART; e++) table[(i * SUMS + k) * PART + e] = half[0][k][e] + half[1][i][e];
}

/* sums[j] (+)= what TOGETHER tables give for bytes `byte` … of word j; written when `fresh`. */
static inline __attribute__((always_inline)) void look_up(const vec *tables, const uint32_t *words, int byte,
                                                          int64_t count, vec *sums, const bool fresh) {
    for (int64_t j = 0; j < count; j++) {
        const uint32_t word = words[j] >> byte * BITS;
        vec sum[PART];
        for (int e = 0; e < PART; e++) {
            sum[e] = tables[(word % PATTERNS) * PART + e];
            for (int t = 1; t < TOGETHER; t++)
                sum[e] += tables[(t * PATTERNS + (word >> t * BITS) % PATTERNS) * PART + e];
        }
        for (int e = 0; e < PART; e++) sums[j * PART + e] = fresh ? sum[e] : sums[j * PART + e] + sum[e];
    }
}

/* Sums of one vector of rows, lying [column][PART], to (rows, count) of out. */
static void give_rows(const vec *sums, int64_t rows, int64_t count, float scale, bool add, float *out, int64_t ldo) {
    for (int64_t j = 0; j < count; j += BLOCK_LANES) {
        vec v[BLOCK_LANES];
        int64_t some = count - j < BLOCK_LANES ? count - j : BLOCK_LANES;
        for (int64_t k = 0; k < BLOCK_LANES; k++) v[k] = k < some ? sums[(j + k) * PART] : (vec){0};
        transpose(v);
        for (int64_t r = 0; r < rows; r++) {
            float *to = out + r * ldo + j;
            if (some == BLOCK_LANES && add)
                *(loose *)to += scale * v[r];
            else if (some == BLOCK_LANES)
                *(loose *)to = scale * v[r];
            else
                for (int64_t k = 0; k < some; k++) to[k] = scale * v[r][k] + (add ? to[k] : 0);
        }
    }
}

/* Up to ROWS rows by up to COLUMNS columns. */
static void tile(const uint32_t *words, int64_t wide, int64_t rows, const float *x, int64_t ldx, int64_t length,
                 int64_t count, float scale, bool add, float *out, int64_t ldo, vec *scratch) {
    vec *sums = scratch, *tables = scratch + COLUMNS * PART;
    for (int64_t k = 0; k < length; k += TOGETHER * BITS) {
        vec columns[PART][TOGETHER * BITS], mixed[TOGETHER * BITS][PART];
        for (int e = 0; e < PART; e++)
            for (int i = 0; i < TOGETHER * BITS; i += BLOCK_LANES)
                load_columns(x + e * BLOCK_LANES * ldx, ldx, rows - e * BLOCK_LANES, k + i, length, columns[e] + i);
        for (int i = 0; i < TOGETHER * BITS; i++)
            for (int e = 0; e < PART; e++) mixed[i][e] = columns[e][i];
        for (int t = 0; t < TOGETHER; t++) make_table(mixed[t * BITS], tables + t * PATTERNS * PART);
        if (k == 0)
            look_up(tables, words, 0, count, sums, true);
        else
            look_up(tables, words + k / WORD * wide, (int)(k % WORD / BITS), count, sums, false);
    }
    for (int e = 0; e < PART && e * BLOCK_LANES < rows; e++)
        give_rows(sums + e, rows - e * BLOCK_LANES < BLOCK_LANES ? rows - e * BLOCK_LANES : BLOCK_LANES, count, scale,
                  add, out + e * BLOCK_LANES * ldo, ldo);
}

void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread, bool brief) {
    (void)brief;
    packing p = packing_of(w, transposed);
    const uint32_t *words = p.words + from / WORD * p.wide + first;
    const int64_t row_tiles = (rows + ROWS - 1) / ROWS, column_tiles = (count + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for schedule(static)
    for (int64_t task = 0; task < row_tiles * column_tiles; task++) {
        int64_t r = task / column_tiles * ROWS, j = task % column_tiles * COLUMNS;
        tile(words + j, p.wide, rows - r < ROWS ? rows - r : ROWS, x + r * ldx, ldx, length,
             count - j < COLUMNS ? count - j : COLUMNS, scale, add, out + r * ldo + j, ldo,
             (vec *)(scratch + omp_get_thread_num() * per_thread));
    }
}

#endif

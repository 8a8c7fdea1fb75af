/*
 * Products with a matrix of ±1, one bit an element. Eight signs make one of 256 sums ±a ±b … ±h, so for a few rows of
 * H, one behind the other in registers, and each eight features a table of these sums is made, which the first-level
 * cache holds; then a byte of the matrix finds its sum, and one load and one addition do the work of eight
 * multiplications a row ("four Russians": Arlazarov, Dinic, Kronrod & Faradzhev, 1970). Every value is the same sum as
 * a product with floats would make, in another order.
 *
 * Packed twice: bit k % 32 of word (k / 32, j) and bit j % 32 of word (j / 32, k) for feature k and code j, since
 * forward sums run over features and backward ones over codes.
 *
 * In double precision, for tests, a stretch of codes is unpacked at a time and multiplied by the BLAS.
 */
#include "engine/cpu/codes.h"

#include <cblas.h>
#include <omp.h>
#include <string.h>

enum { WORD = 32, PADDING = 16 };

/* One of the two packings: words (deep, wide), a bit for each of 32 elements along the first dimension. */
typedef struct packing {
    uint32_t *words;
    int64_t deep, wide;
} packing;

/* A few words more than the row needs: rows a power of two apart would share few lines of the cache. */
static packing packing_of(const tensor *t, bool transposed) {
    int64_t rows = t->shape[0], cols = t->shape[1];
    uint32_t *words = (uint32_t *)(void *)t->data;
    packing across = {words, (rows + WORD - 1) / WORD, cols + PADDING};
    if (!transposed) return across;
    return (packing){words + across.deep * across.wide, (cols + WORD - 1) / WORD, rows + PADDING};
}

int64_t signs_layout(int64_t rows, int64_t cols) {
    tensor t = {.shape = {rows, cols}};
    packing a = packing_of(&t, false), b = packing_of(&t, true);
    return (int64_t)(((size_t)(a.deep * a.wide + b.deep * b.wide) * sizeof(uint32_t) + sizeof(real) - 1) /
                     sizeof(real));
}

void signs_write(tensor *t, int64_t first, int64_t count, const float *host) {
    packing a = packing_of(t, false), b = packing_of(t, true);
    int64_t cols = t->shape[1];
    if (first == 0) memset(t->data, 0, (size_t)signs_layout(t->shape[0], cols) * sizeof(real));
#pragma omp parallel for schedule(static) if (count * cols > 65536)
    for (int64_t column = 0; column < cols; column += WORD) {
        int64_t width = cols - column < WORD ? cols - column : WORD;
        uint32_t *down = a.words + first / WORD * a.wide + column, *along = b.words + column / WORD * b.wide + first;
        for (int64_t i = 0; i < count; i++) {
            const float *row = host + i * cols + column;
            uint32_t word = 0;
            for (int64_t j = 0; j < width; j++) {
                uint32_t plus = row[j] >= 0;
                word |= plus << j;
                down[i / WORD * a.wide + j] |= plus << i % WORD;
            }
            along[i] = word;
        }
    }
}

static real sign_at(packing p, int64_t along, int64_t at) {
    return p.words[along / WORD * p.wide + at] >> along % WORD & 1 ? 1 : -1;
}

void signs_read(const tensor *t, float *host) {
    packing p = packing_of(t, false);
    for (int64_t k = 0; k < t->shape[0]; k++)
        for (int64_t j = 0; j < t->shape[1]; j++) host[k * t->shape[1] + j] = (float)sign_at(p, k, j);
}

#ifndef MEWS_DOUBLE

typedef float vec __attribute__((vector_size(BLOCK_LANES * sizeof(float)), aligned(BLOCK_LANES * sizeof(float))));
typedef float loose __attribute__((vector_size(BLOCK_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/*
 *   BITS     signs that a table is looked up by
 *   PART     vectors of rows that share the lookups
 *   TOGETHER tables that are looked up before a sum is written back
 *   COLUMNS  whose sums stay in the second-level cache
 */
enum {
    BITS = 8,
    PATTERNS = 1 << BITS,
    PART = BLOCK_LANES == 16 ? 1 : 2,
    ROWS = PART * BLOCK_LANES,
    TOGETHER = 2,
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
#if defined(__AVX512F__)
#define EACH_LANE(of, h)                                                                                               \
    of(0, h), of(1, h), of(2, h), of(3, h), of(4, h), of(5, h), of(6, h), of(7, h), of(8, h), of(9, h), of(10, h),     \
        of(11, h), of(12, h), of(13, h), of(14, h), of(15, h)
#elif defined(__AVX2__)
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
#if defined(__AVX2__)
    EXCHANGE(v, 4)
#endif
#if defined(__AVX512F__)
    EXCHANGE(v, 8)
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
                   real *scratch, int64_t per_thread) {
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

#else

enum { STRETCH = 256, ROWS_AT_ONCE = 64 };

int64_t signs_scratch(int64_t length) { return length * STRETCH; }

/* Rows are shared out by hand, in parts that do not depend on the threads: the BLAS would cut them by the threads. */
void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread) {
    (void)per_thread;
    packing p = packing_of(w, transposed);
    for (int64_t j = 0; j < count; j += STRETCH) {
        int64_t n = count - j < STRETCH ? count - j : STRETCH;
#pragma omp parallel
        {
#pragma omp for schedule(static)
            for (int64_t k = 0; k < length; k++)
                for (int64_t i = 0; i < n; i++) scratch[k * n + i] = sign_at(p, from + k, first + j + i);
#pragma omp for schedule(static)
            for (int64_t r = 0; r < rows; r += ROWS_AT_ONCE) {
                int64_t some = rows - r < ROWS_AT_ONCE ? rows - r : ROWS_AT_ONCE;
                cblas_rgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)some, (blasint)n, (blasint)length,
                            scale, x + r * ldx, (blasint)ldx, scratch, (blasint)n, add ? 1 : 0, out + r * ldo + j,
                            (blasint)ldo);
            }
        }
    }
}

#endif

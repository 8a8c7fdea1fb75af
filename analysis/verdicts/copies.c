#include "analysis/verdicts/copies.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Distinct rows up to this many bytes come into memory; beyond, they are read again in every pass. */
static const double IN_MEMORY = 1 << 28;
/* Outlying rows: squared distance over the median's, their share at most, and the share of variance they carry. */
static const double OUTLYING = 25, OUTLIERS_MOST = 0.05, OUTLIERS_CARRY = 0.3;
/* Values of bfloat16's bits or fewer may be that, or counts, pixels and signs, whose differences are no rounding. */
enum { BITS_LEAST = 8 };
static const double OF_BFLOAT16 = 0x1p-8, OF_COUNTS = 0x1p-24;

typedef struct marked {
    uint64_t hash;
    uint32_t row;
} marked;

static int by_hash(const void *a, const void *b) {
    const marked *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Four lanes of multiply and fold, so that a row is hashed at the speed that it is read; *bits collects the mantissas'
 * bits in use. 0 for a row of zeros, of either sign. */
static uint64_t hash_row(const double *row, size_t d, uint64_t *bits) {
    uint64_t lane[4] = {1, 2, 3, 4}, used = 0, any = 0;
    for (size_t j = 0; j < d; j++) {
        double value = row[j] + 0.0; /* −0 is 0 */
        uint64_t x;
        memcpy(&x, &value, sizeof x);
        any |= x, used |= x;
        uint64_t h = (lane[j & 3] ^ x) * 0x9E3779B97F4A7C15u;
        lane[j & 3] = h ^ (h >> 29);
    }
    *bits |= used & 0xFFFFFFFFFFFFFu;
    if (!any) return 0;
    uint64_t h = 0;
    for (int i = 0; i < 4; i++) h = (h ^ lane[i]) * 0xBF58476D1CE4E5B9u, h ^= h >> 31;
    return h ? h : 1;
}

static double precision_of(uint64_t bits) {
    int mantissa = 52;
    for (; mantissa > BITS_LEAST - 1 && !(bits & 1); mantissa--) bits >>= 1;
    /* Widths that files have: float64, float32, float16, bfloat16. */
    int width = mantissa > 23 ? 53 : mantissa > 10 ? 24 : mantissa > 7 ? 11 : 8;
    return 1 / (double)((uint64_t)1 << width);
}

/* Whether all values are multiples of one step, and the largest less than 2^BITS_LEAST of them: bfloat16 of a network's
 * values, which differ in size, spans more. */
static bool are_counts(const row_source *s, double *tile, size_t height) {
    int least = INT_MAX, most = INT_MIN;
    for (size_t start = 0; start < s->rows && (most == INT_MIN || most - least <= BITS_LEAST); start += height) {
        size_t rows = smaller(height, s->rows - start);
        rows_block(s, start, rows, NULL, tile);
        for (size_t i = 0; i < rows * s->cols; i++) {
            if (tile[i] == 0) continue;
            int exponent;
            uint64_t mantissa = (uint64_t)ldexp(fabs(frexp(tile[i], &exponent)), 53);
            int step = exponent - 53 + __builtin_ctzll(mantissa); /* the value is an odd multiple of 2^step */
            least = step < least ? step : least, most = exponent > most ? exponent : most;
        }
    }
    return most != INT_MIN && most - least <= BITS_LEAST;
}

bool copies_find(const row_source *s, copies *out, error *err) {
    size_t n = s->rows, d = s->cols, height = rows_tile_height(d);
    *out = (copies){.rows = n};
    double *tile = malloc(height * d * sizeof *tile);
    marked *list = malloc(n * sizeof *list);
    uint64_t bits = 0;
    bool ok = (tile && list) || error_memory(err, height * d * sizeof *tile + n * sizeof *list, "hashes of rows");
    for (size_t start = 0; ok && start < n; start += height) {
        size_t rows = smaller(height, n - start);
        rows_block(s, start, rows, NULL, tile);
#pragma omp parallel for schedule(static) reduction(| : bits)
        for (size_t i = 0; i < rows; i++)
            list[start + i] = (marked){hash_row(tile + i * d, d, &bits), (uint32_t)(start + i)};
    }
    out->precision = precision_of(bits);
    if (ok && out->precision == OF_BFLOAT16 && are_counts(s, tile, height)) out->precision = OF_COUNTS;
    free(tile);
    if (!ok) return free(list), false;
    qsort(list, n, sizeof *list, by_hash);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && list[end].hash == list[i].hash;) end++;
        if (list[i].hash == 0) out->zero_rows = end - i;
        if (end - i > out->largest) out->largest = end - i;
        list[out->distinct++].row = list[i].row;
    }
    if (out->distinct < n) {
        out->first = malloc(out->distinct * sizeof *out->first);
        ok = out->first || error_memory(err, out->distinct * sizeof *out->first, "row numbers");
        for (size_t i = 0; ok && i < out->distinct; i++) out->first[i] = list[i].row;
        if (ok) qsort(out->first, out->distinct, sizeof *out->first, ascending);
    }
    free(list);
    return ok;
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool copies_leave_outliers(copies *c, const row_source *s, const double *means, error *err) {
    size_t n = s->rows, d = s->cols, height = rows_tile_height(d), kept = 0, some = 0;
    double *tile = malloc(height * d * sizeof *tile), *square = malloc(2 * n * sizeof *square), all = 0, out = 0;
    bool ok = (tile && square) || error_memory(err, height * d * sizeof *tile, "distances of rows");
    for (size_t start = 0; ok && start < n; start += height) {
        size_t rows = smaller(height, n - start);
        rows_block(s, start, rows, means, tile);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < rows; i++) {
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (size_t j = 0; j < d; j++) sum += tile[i * d + j] * tile[i * d + j];
            square[start + i] = sum;
        }
    }
    if (ok) {
        double *sorted = square + n;
        size_t count = c->distinct;
        for (size_t i = 0; i < count; i++) all += sorted[i] = square[c->first ? c->first[i] : i];
        qsort(sorted, count, sizeof *sorted, rising);
        double most = OUTLYING * sorted[count / 2];
        for (size_t i = 0; i < count; i++)
            if (sorted[i] > most) some++, out += sorted[i];
        if (some && sorted[count / 2] > 0 && (double)some <= OUTLIERS_MOST * (double)count &&
            out > OUTLIERS_CARRY * all) {
            uint32_t *left = malloc(count * sizeof *left);
            ok = left || error_memory(err, count * sizeof *left, "row numbers");
            for (size_t i = 0; ok && i < count; i++) {
                uint32_t row = c->first ? c->first[i] : (uint32_t)i;
                if (square[row] <= most) left[kept++] = row;
            }
            free(c->first);
            c->first = left;
            if (ok) c->outliers = some, c->distinct = kept;
        }
    }
    free(tile);
    free(square);
    return ok;
}

void copies_free(copies *c) {
    free(c->first);
    c->first = NULL;
}

static void read_distinct(void *context, size_t first, size_t count, double *out) {
    const distinct_rows *d = context;
    size_t cols = d->all->cols;
    for (size_t i = 0, run; i < count; i += run) {
        const uint32_t *row = d->first + first + i;
        for (run = 1; i + run < count && row[run] == row[0] + run;) run++;
        rows_block(d->all, row[0], run, NULL, out + i * cols);
    }
}

bool copies_source(const copies *c, const row_source *all, distinct_rows *out, error *err) {
    size_t d = all->cols;
    *out = (distinct_rows){.all = all, .first = c->first};
    out->source = (row_source){.rows = c->distinct, .cols = d, .read = read_distinct, .context = out};
    double bytes = (double)c->distinct * (double)d * sizeof(double);
    if (c->distinct >= d && bytes > IN_MEMORY) return true;
    out->own = malloc((size_t)bytes);
    if (!out->own) return error_memory(err, (size_t)bytes, "distinct rows");
    read_distinct(out, 0, c->distinct, out->own);
    out->source = (row_source){.rows = c->distinct, .cols = d, .doubles = out->own};
    return true;
}

void copies_source_free(distinct_rows *d) { free(d->own); }

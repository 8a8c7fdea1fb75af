/*
 * Contrast, on pairs of rows drawn by the seed.
 */
#include "analysis/verdicts/contrast.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>

enum { PAIRS = 128, SOME_COLUMNS = 64 }; /* of many columns, every so many */
/* Up to a tenth of the rows may be outliers: a pair has two. The 95 % interval of a quantile lies between those a
 * normal deviate away: 1.96 √(0.8 · 0.2 / PAIRS) = 0.07. */
static const double DECILE = 0.8, MARGIN = 0.07, COLUMNS = 0.1;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *x, size_t n, double at) {
    qsort(x, n, sizeof *x, ascending);
    return x[(size_t)(at * (double)(n - 1))];
}

/* With the quantile `at` of the pairs: rows (2 · PAIRS, d), pair p the rows 2p and 2p + 1. */
static double contrast_at(const double *rows, size_t d, double at, double *work) {
    double *apart = work, *size = apart + PAIRS, *columns = size + 2 * PAIRS, whole;
    size_t count = 0, stride = (d + SOME_COLUMNS - 1) / SOME_COLUMNS;
    for (size_t p = 0; p < PAIRS; p++) {
        const double *x = rows + 2 * p * d, *y = x + d;
        double square = 0, sizes[2] = {0};
        for (size_t j = 0; j < d; j++)
            square += (x[j] - y[j]) * (x[j] - y[j]) / 2, sizes[0] += x[j] * x[j], sizes[1] += y[j] * y[j];
        size[2 * p] = sizes[0], size[2 * p + 1] = sizes[1], apart[p] = square;
    }
    double norm = quantile(size, 2 * PAIRS, 0.5), distance = quantile(apart, PAIRS, at);
    whole = norm > 0 ? sqrt(distance / norm) : distance > 0 ? 1 : 0;
    for (size_t j = 0; j < d; j += stride) {
        for (size_t p = 0; p < PAIRS; p++) {
            double x = rows[2 * p * d + j], y = rows[(2 * p + 1) * d + j];
            size[2 * p] = x * x, size[2 * p + 1] = y * y, apart[p] = (x - y) * (x - y) / 2;
        }
        double most = quantile(size, 2 * PAIRS, 0.5), between = quantile(apart, PAIRS, at);
        if (most > 0) columns[count++] = sqrt(between / most);
    }
    return count ? fmax(whole, quantile(columns, count, COLUMNS)) : whole;
}

bool contrast_take(const row_source *s, const uint32_t *among, size_t count, uint64_t seed, contrast *out, error *err) {
    size_t d = s->cols;
    *out = (contrast){NAN, NAN, NAN};
    if (count < 2) return true;
    double *rows = malloc(2 * PAIRS * d * sizeof *rows), work[3 * PAIRS + SOME_COLUMNS];
    if (!rows) return error_memory(err, 2 * PAIRS * d * sizeof *rows, "pairs of rows");
    rng r = rng_stream(seed, RNG_SUBSET, 3, 0, 0);
    for (size_t p = 0; p < PAIRS; p++) {
        size_t x = rng_below(&r, (uint32_t)count), y = rng_below(&r, (uint32_t)(count - 1));
        y += y >= x;
        rows_block(s, among ? among[x] : x, 1, NULL, rows + 2 * p * d);
        rows_block(s, among ? among[y] : y, 1, NULL, rows + (2 * p + 1) * d);
    }
    out->value = contrast_at(rows, d, DECILE, work);
    out->low = contrast_at(rows, d, DECILE - MARGIN, work), out->high = contrast_at(rows, d, DECILE + MARGIN, work);
    free(rows);
    return true;
}

/*
 * Contrast: the figure behind representation collapse, on a few hundred pairs of rows.
 */
#include "analysis/verdicts/jackknife.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 128, SOME_COLUMNS = 64 }; /* of many columns, every so many */
/* Up to a tenth of the rows may be outliers: a pair has two. */
static const double DECILE = 0.8, COLUMNS = 0.1;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *x, size_t n, double at) {
    qsort(x, n, sizeof *x, ascending);
    return x[(size_t)(at * (double)(n - 1))];
}

/* Of the pairs that are not in block `without` (−1: of all): rows (2 · pairs, d), pair p the rows 2p and 2p + 1. */
static double contrast_of(const double *rows, size_t pairs, size_t d, int without, double *work) {
    double *apart = work, *size = apart + PAIRS, *columns = size + 2 * PAIRS, whole;
    size_t kept = 0, count = 0;
    for (size_t p = 0; p < pairs; p++) {
        const double *x = rows + 2 * p * d, *y = x + d;
        double square = 0, sizes[2] = {0};
        if ((int)(p % JACKKNIFE_BLOCKS) == without) continue;
        for (size_t j = 0; j < d; j++)
            square += (x[j] - y[j]) * (x[j] - y[j]) / 2, sizes[0] += x[j] * x[j], sizes[1] += y[j] * y[j];
        size[2 * kept] = sizes[0], size[2 * kept + 1] = sizes[1], apart[kept++] = square;
    }
    double norm = quantile(size, 2 * kept, 0.5), distance = quantile(apart, kept, DECILE);
    whole = norm > 0 ? sqrt(distance / norm) : distance > 0 ? 1 : 0;
    size_t stride = (d + SOME_COLUMNS - 1) / SOME_COLUMNS;
    for (size_t j = 0; j < d; j += stride) {
        size_t k = 0;
        for (size_t p = 0; p < pairs; p++) {
            double x = rows[2 * p * d + j], y = rows[(2 * p + 1) * d + j];
            if ((int)(p % JACKKNIFE_BLOCKS) == without) continue;
            size[2 * k] = x * x, size[2 * k + 1] = y * y, apart[k++] = (x - y) * (x - y) / 2;
        }
        double most = quantile(size, 2 * k, 0.5), between = quantile(apart, k, DECILE);
        if (most > 0) columns[count++] = sqrt(between / most);
    }
    return count ? fmax(whole, quantile(columns, count, COLUMNS)) : whole;
}

bool jackknife_contrast(const row_source *s, const uint32_t *among, size_t count, uint64_t seed, bool parts,
                        jackknife *out, error *err) {
    size_t d = s->cols;
    *out = jackknife_alone(count > 1 ? 0 : NAN);
    if (count < 2) return true;
    double *rows = malloc(2 * PAIRS * d * sizeof *rows);
    double *work = malloc((JACKKNIFE_BLOCKS + 1) * (3 * PAIRS + d) * sizeof *work);
    if (!rows || !work) {
        free(rows);
        free(work);
        return error_memory(err, 2 * PAIRS * d * sizeof *rows, "pairs of rows");
    }
    rng r = rng_stream(seed, RNG_SUBSET, 3, 0, 0);
    for (size_t p = 0; p < PAIRS; p++) {
        size_t x = rng_below(&r, (uint32_t)count), y = rng_below(&r, (uint32_t)(count - 1));
        y += y >= x;
        rows_block(s, among ? among[x] : x, 1, NULL, rows + 2 * p * d);
        rows_block(s, among ? among[y] : y, 1, NULL, rows + (2 * p + 1) * d);
    }
#pragma omp parallel for schedule(static)
    for (int b = -1; b < JACKKNIFE_BLOCKS; b++) {
        if (b >= 0 && !parts) continue;
        double x = contrast_of(rows, PAIRS, d, b, work + (size_t)(b + 1) * (3 * PAIRS + d));
        if (b < 0)
            out->value = x;
        else
            out->without[b] = x;
    }
    free(rows);
    free(work);
    return true;
}

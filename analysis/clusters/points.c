#include "analysis/clusters/points.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Squared distances are counted in quarters of an octave, from 2^-28 to 2^12 of what is typical. */
enum { BINS = 160, PER_OCTAVE = 4, LOWEST = -28 };
/* The shell: from ρ² to 2^3.25 ρ², 3.1 times as far. */
enum { SHELL = 13 };
/* Rows that have to be inside, besides the one looked at; and the share of them that may stray into the shell. */
enum { INSIDE = 3 };
static const double STRAY = 0.02;
/* ρ² over the squared distance of two rows (its eighth decile, which outliers do not stretch): a point's radius is at
 * most a seventh of the cloud's. And the share of all rows that may be one point: beyond, the others are outliers. */
static const double RADIUS = 0.02, DECILE = 0.8, LARGEST = 0.8;

/* Rows about their mean, without the skipped columns, and their squared lengths: out (n, *width). */
static bool centred_rows(matrix m, const bool *skip, float **out, double **square, size_t *width, error *err) {
    size_t n = m.rows, d = m.cols, kept = 0;
    double *means = malloc(d * sizeof *means);
    size_t *columns = malloc(d * sizeof *columns);
    *out = malloc(n * d * sizeof **out), *square = malloc(n * sizeof **square);
    bool ok = (means && columns && *out && *square) || error_memory(err, n * d * sizeof **out, "centred rows");
    ok = ok && matrix_means(m, means, err);
    for (size_t j = 0; ok && j < d; j++)
        if (!skip || !skip[j]) columns[kept++] = j;
    *width = kept;
#pragma omp parallel for schedule(static) if (ok)
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; ok && k < kept; k++) {
            float x = (float)((double)m.data[i * d + columns[k]] - means[columns[k]]);
            (*out)[i * kept + k] = x, sum += (double)x * (double)x;
        }
        if (ok) (*square)[i] = sum;
    }
    free(means);
    free(columns);
    return ok;
}

/* Quarters of an octave by a float's own bits: its exponent and the mantissa's first two. */
static inline size_t bin_of(float ratio) {
    enum { BIAS = 127, MANTISSA = 21 };
    int32_t bits;
    memcpy(&bits, &ratio, sizeof bits);
    int32_t bin = (bits >> MANTISSA) - (BIAS + LOWEST) * PER_OCTAVE;
    return bits <= 0 || bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (size_t)bin;
}

/* Rows of the point around one row, itself included; 0: it is in none. counts (BINS) are of the other rows. */
static size_t point_size(const uint32_t *counts, size_t others) {
    size_t inside = 0, size = 0, last = (size_t)((log2(RADIUS) - LOWEST) * PER_OCTAVE);
    for (size_t b = 0; b < last; b++) {
        inside += counts[b];
        size_t shell = 0;
        for (size_t s = b + 1; s <= b + SHELL; s++) shell += counts[s];
        if (inside >= INSIDE && (double)shell <= STRAY * (double)inside && (double)inside <= LARGEST * (double)others)
            size = inside + 1;
    }
    return size;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The eighth decile of the squared distances of pairs drawn by the seed. */
static double typical_distance(const float *rows, size_t n, size_t width, uint64_t seed) {
    enum { PAIRS = 512 };
    double apart[PAIRS];
    rng r = rng_stream(seed, RNG_SUBSET, 4, 0, 0);
    for (size_t p = 0; p < PAIRS; p++) {
        size_t x = rng_below(&r, (uint32_t)n), y = rng_below(&r, (uint32_t)(n - 1));
        y += y >= x;
        apart[p] = 0;
        for (size_t k = 0; k < width; k++) {
            double step = (double)rows[x * width + k] - (double)rows[y * width + k];
            apart[p] += step * step;
        }
    }
    qsort(apart, PAIRS, sizeof *apart, ascending);
    return apart[(size_t)(DECILE * PAIRS)];
}

/* Takes the first principal direction out of the centred rows, by a few rounds of power iteration; squares anew. */
static bool deflate(float *rows, double *square, size_t n, size_t width, error *err) {
    enum { ROUNDS = 12 };
    float *v = malloc((width + n) * sizeof *v), *along = v ? v + width : NULL;
    if (!v) return error_memory(err, (width + n) * sizeof *v, "a principal direction");
    for (size_t k = 0; k < width; k++) v[k] = rows[k] + rows[(n - 1) * width + k] + 1e-3f * (float)(k % 7);
    for (int round = 0; round < ROUNDS; round++) {
        float norm = cblas_snrm2((int)width, v, 1);
        if (norm > 0) cblas_sscal((int)width, 1 / norm, v, 1);
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, (int)width, 1, rows, (int)width, v, 1, 0, along, 1);
        if (round + 1 < ROUNDS)
            cblas_sgemv(CblasRowMajor, CblasTrans, (int)n, (int)width, 1, rows, (int)width, along, 1, 0, v, 1);
    }
    for (size_t i = 0; i < n; i++) {
        cblas_saxpy((int)width, -along[i], v, 1, rows + i * width, 1);
        square[i] = cblas_dsdot((int)width, rows + i * width, 1, rows + i * width, 1);
    }
    free(v);
    return true;
}

bool points_find(matrix m, const bool *skip, bool without_first, uint64_t seed, points *out, error *err) {
    enum { HEIGHT = 32 };
    size_t n = m.rows, wanted = smaller(n, POINTS_QUERIES), width, sizes[POINTS_QUERIES] = {0};
    uint32_t queries[POINTS_QUERIES];
    float *rows = NULL;
    double *square = NULL;
    *out = (points){.share = NAN, .size = NAN, .queries = wanted};
    for (int b = 0; b < POINTS_BLOCKS; b++) out->without[b] = NAN;
    if (n < POINTS_LEAST) return true;
    bool ok = centred_rows(m, skip, &rows, &square, &width, err);
    ok = ok && (!without_first || deflate(rows, square, n, width, err));
    matrix_choose(n, wanted, seed, 5, queries);
    double mean = ok ? typical_distance(rows, n, width, seed) : 0;
    bool done = ok && mean > 0 && width > 0;
#pragma omp parallel for schedule(static) reduction(&& : ok) if (done)
    for (size_t start = 0; start < wanted; start += HEIGHT) {
        size_t count = smaller(HEIGHT, wanted - start);
        float *block = malloc(count * (width + n) * sizeof *block), *dots = block ? block + count * width : NULL;
        if (!done || !block) {
            ok = ok && (!done || block);
            free(block);
            continue;
        }
        for (size_t q = 0; q < count; q++)
            for (size_t k = 0; k < width; k++) block[q * width + k] = rows[queries[start + q] * width + k];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)n, (int)width, 1, block, (int)width, rows,
                    (int)width, 0, dots, (int)n);
        for (size_t q = 0; q < count; q++) {
            uint32_t counts[BINS + SHELL + 1] = {0}, self = queries[start + q];
            for (size_t i = 0; i < n; i++) {
                float ratio = (float)((square[self] + square[i] - 2 * (double)dots[q * n + i]) / mean);
                counts[bin_of(ratio)]++;
            }
            counts[bin_of((float)((2 * square[self] - 2 * (double)dots[q * n + self]) / mean))]--;
            sizes[start + q] = point_size(counts, n - 1);
        }
        free(block);
    }
    if (!ok) error_memory(err, HEIGHT * n * sizeof(float), "distances");
    free(rows);
    free(square);
    if (!done) return ok;
    double in = 0, inverse = 0, part[POINTS_BLOCKS] = {0}, sum[POINTS_BLOCKS] = {0};
    for (size_t q = 0; q < wanted; q++) {
        in += sizes[q] > 0, inverse += sizes[q] ? 1 / (double)sizes[q] : 0;
        part[q % POINTS_BLOCKS] += sizes[q] > 0, sum[q % POINTS_BLOCKS]++;
    }
    out->share = in / (double)wanted;
    out->size = in > 0 ? in / inverse : NAN, out->clusters = inverse * (double)n / (double)wanted;
    for (int b = 0; b < POINTS_BLOCKS; b++) out->without[b] = (in - part[b]) / ((double)wanted - sum[b]);
    return ok;
}

/*
 * The effective rank without each block: its rows leave by arithmetic on Gram matrices, not by another pass.
 */
#include "analysis/spectrum/spectrum.h"
#include "analysis/verdicts/jackknife.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the parts are of: the columns that stay, and the rows of each block. */
typedef struct deal {
    const uint8_t *blocks;
    const size_t *columns; /* (kept) */
    size_t kept, counts[JACKKNIFE_BLOCKS];
} deal;

/* The ten blocks' Gram matrices about the means of all rows, upper halves: grams (blocks, kept, kept), and their rows'
 * sums: sums (blocks, kept). One pass over the rows. */
static bool block_grams(const row_source *s, const deal *w, const double *means, double *grams, double *sums,
                        error *err) {
    enum { HEIGHT = 4096 }; /* tall, for each block adds a tenth of a tile to its Gram matrix at once */
    size_t n = s->rows, d = s->cols, k = w->kept, height = smaller(n, HEIGHT);
    double *tile = malloc(height * d * sizeof *tile), *block = malloc(height * k * sizeof *block);
    bool ok = (tile && block) || error_memory(err, 2 * height * d * sizeof *tile, "a tile of the matrix");
    for (size_t i = 0; i < JACKKNIFE_BLOCKS * k; i++) sums[i] = 0;
    for (size_t i = 0; i < JACKKNIFE_BLOCKS * k * k; i++) grams[i] = 0;
    for (size_t first = 0; ok && first < n; first += height) {
        size_t rows = smaller(height, n - first);
        rows_block(s, first, rows, means, tile);
        for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
            size_t count = 0;
            for (size_t i = 0; i < rows; i++) {
                if (w->blocks[first + i] != g) continue;
                double *to = block + count++ * k;
                for (size_t j = 0; j < k; j++) to[j] = tile[i * d + w->columns[j]], sums[g * k + j] += to[j];
            }
            if (count == 0) continue;
            cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)k, (int)count, 1, block, (int)k, 1,
                        grams + g * k * k, (int)k);
        }
    }
    free(tile);
    free(block);
    return ok;
}

/* Columns: what is left of CᵀC when a block's rows go, about the mean of those that stay; in the block's own place. */
static void columns_without(size_t left, size_t k, const double *all, double *gram, const double *sum) {
    for (size_t i = 0; i < k; i++)
        for (size_t j = i; j < k; j++)
            gram[i * k + j] = gram[j * k + i] = all[i * k + j] - gram[i * k + j] - sum[i] * sum[j] / (double)left;
}

/* Rows: CCᵀ without the block's rows and columns, centred again. */
static void rows_without(size_t n, const deal *w, size_t g, const double *all, double *gram, double *mean) {
    size_t left = n - w->counts[g], at = 0;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        if (w->blocks[i] == g) continue;
        double *row = gram + at * left;
        size_t to = 0;
        for (size_t j = 0; j < n; j++)
            if (w->blocks[j] != g) row[to++] = all[i * n + j];
        mean[at++] = 0;
    }
    for (size_t i = 0; i < left; i++) {
        for (size_t j = 0; j < left; j++) mean[i] += gram[i * left + j] / (double)left;
        total += mean[i] / (double)left;
    }
    for (size_t i = 0; i < left; i++)
        for (size_t j = 0; j < left; j++) gram[i * left + j] += total - mean[i] - mean[j];
}

/* Parts of a tall matrix: all ten Gram matrices at once, their sum is that of all rows. */
static bool tall_parts(const row_source *s, const deal *w, const double *means, jackknife *out, error *err) {
    size_t n = s->rows, k = w->kept;
    double *grams = malloc((JACKKNIFE_BLOCKS + 1) * k * k * sizeof *grams);
    double *sums = malloc(JACKKNIFE_BLOCKS * k * sizeof *sums);
    bool ok = (grams && sums) || error_memory(err, 11 * k * k * sizeof *grams, "the jackknife's Gram matrices");
    ok = ok && block_grams(s, w, means, grams, sums, err);
    double *all = grams + JACKKNIFE_BLOCKS * k * k;
    for (size_t i = 0; ok && i < k * k; i++) {
        all[i] = 0;
        for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) all[i] += grams[g * k * k + i];
    }
    error failed[JACKKNIFE_BLOCKS] = {{0}};
    /* A block a thread: threads that share one of these small problems would do nothing but wait for each other. */
#pragma omp parallel for schedule(static)
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        if (!ok) continue;
        size_t left = n - w->counts[g];
        double *sigma = sums + g * k; /* where the block's sums stood */
        columns_without(left, k, all, grams + g * k * k, sums + g * k);
        if (!spectrum_of_gram(grams + g * k * k, k, sigma, &failed[g])) continue;
        /* Beyond that many, σ is the root of a rounding error. */
        out->without[g] = spectrum_effective_rank(sigma, smaller(k, left - 1));
    }
    for (size_t g = 0; ok && g < JACKKNIFE_BLOCKS; g++)
        if (failed[g].code != ERROR_NONE) *err = failed[g], ok = false;
    free(grams);
    free(sums);
    return ok;
}

static bool wide_parts(const row_source *s, const deal *w, const double *means, jackknife *out, error *err) {
    size_t n = s->rows;
    double *all = malloc(2 * n * n * sizeof *all), *sigma = malloc(2 * n * sizeof *sigma);
    bool ok = (all && sigma) || error_memory(err, 2 * n * n * sizeof *all, "the jackknife's Gram matrices");
    ok = ok && rows_gram_wide(s, means, all, err);
    for (size_t g = 0; ok && g < JACKKNIFE_BLOCKS; g++) {
        size_t size = n - w->counts[g];
        rows_without(n, w, g, all, all + n * n, sigma + n);
        ok = spectrum_of_gram(all + n * n, size, sigma, err);
        if (ok) out->without[g] = spectrum_effective_rank(sigma, size - 1);
    }
    free(all);
    free(sigma);
    return ok;
}

bool jackknife_rank(const row_source *s, const uint8_t *blocks, const bool *keep, double value, jackknife *out,
                    error *err) {
    size_t n = s->rows, d = s->cols;
    deal w = {.blocks = blocks};
    *out = jackknife_alone(value);
    jackknife_count(blocks, n, w.counts);
    bool tall = n >= d, some = false;
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) some = some || n < w.counts[g] + 3;
    if (smaller(n, d) > JACKKNIFE_SIDE || n < 2 * JACKKNIFE_BLOCKS || some || (keep && !tall)) return true;
    double *means = malloc(d * sizeof *means);
    size_t *columns = malloc(d * sizeof *columns);
    bool ok = (means && columns) || error_memory(err, d * sizeof *means, "column means");
    for (size_t j = 0; ok && j < d; j++)
        if (!keep || keep[j]) columns[w.kept++] = j;
    w.columns = columns;
    ok = ok && rows_means(s, means, err) && (tall ? tall_parts : wide_parts)(s, &w, means, out, err);
    free(means);
    free(columns);
    return ok;
}

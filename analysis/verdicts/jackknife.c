#include "analysis/verdicts/jackknife.h"
#include "engine/rng.h"

#include "analysis/spectrum/spectrum.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 97.5 % point of Student's t with JACKKNIFE_BLOCKS − 1 = 9 degrees of freedom. */
static const double STUDENT_9 = 2.2622;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void count_blocks(const uint8_t *blocks, size_t n, size_t *counts) {
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) counts[g] = 0;
    for (size_t i = 0; i < n; i++) counts[blocks[i]]++;
}

jackknife jackknife_alone(double value) {
    jackknife j = {.value = value};
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) j.without[g] = NAN;
    return j;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct member {
    int64_t group;
    uint32_t row;
} member;

static int by_group(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

bool jackknife_draw(size_t n, const int64_t *groups, uint64_t seed, uint8_t *blocks, error *err) {
    uint32_t *order = malloc(n * sizeof *order);
    member *members = groups ? malloc(n * sizeof *members) : NULL;
    bool ok = (order && (members || !groups)) || error_memory(err, n * sizeof *members, "blocks of rows");
    size_t distinct = 0;
    for (size_t i = 0; ok && groups && i < n; i++) members[i] = (member){groups[i], (uint32_t)i};
    if (ok && groups) qsort(members, n, sizeof *members, by_group);
    for (size_t i = 0; ok && i < n; i++) distinct += !groups || i == 0 || members[i].group != members[i - 1].group;
    for (size_t i = 0; ok && i < distinct; i++) order[i] = (uint32_t)i;
    rng r = rng_stream(seed, RNG_SUBSET, 2, 0, 0);
    if (ok) rng_shuffle(&r, order, distinct); /* order[i]: the place of group i in the deal */
    for (size_t i = 0, g = 0; ok && i < n; i++) {
        if (groups && i > 0) g += members[i].group != members[i - 1].group;
        if (!groups) g = i;
        blocks[groups ? members[i].row : i] = (uint8_t)(order[g] % JACKKNIFE_BLOCKS);
    }
    free(order);
    free(members);
    return ok;
}

void jackknife_interval(const jackknife *e, double *low, double *high) {
    double mean = 0, sum = 0, groups = JACKKNIFE_BLOCKS;
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) mean += e->without[g] / groups;
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) sum += (e->without[g] - mean) * (e->without[g] - mean);
    double margin = STUDENT_9 * sqrt((groups - 1) / groups * sum);
    *low = isnan(margin) ? NAN : fmax(e->value - margin, 0);
    *high = e->value + margin;
}

/* ---- spread -------------------------------------------------------------------------------------------------------
 */

/* The mean cosine of two rows drawn with replacement is ‖Σ u‖²/n², to which pairs of zero rows add theirs. */
static double spread(const double *sum, size_t d, double zeros, double n) {
    double square = 0;
    for (size_t j = 0; j < d; j++) square += sum[j] * sum[j];
    return n > 0 ? fmax(1 - (square + zeros * zeros) / (n * n), 0) : NAN;
}

/* A tile's rows put to unit length in place, zero rows left alone: zeros (JACKKNIFE_BLOCKS) counts those. */
static void to_unit(double *tile, const uint8_t *blocks, size_t rows, size_t d, double *zeros) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        double *x = tile + i * d, square = 0;
#pragma omp simd reduction(+ : square)
        for (size_t j = 0; j < d; j++) square += x[j] * x[j];
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t j = 0; j < d; j++) x[j] *= scale;
        if (scale == 0) x[0] = NAN; /* marked for the count, which is not the threads' */
    }
    for (size_t i = 0; i < rows; i++)
        if (isnan(tile[i * d])) zeros[blocks[i]]++, tile[i * d] = 0;
}

bool jackknife_spread(const row_source *s, const uint8_t *blocks, jackknife *out, error *err) {
    size_t n = s->rows, d = s->cols, height = rows_tile_height(d), counts[JACKKNIFE_BLOCKS];
    double *tile = malloc(height * d * sizeof *tile), *sums = calloc((JACKKNIFE_BLOCKS + 2) * d, sizeof *sums);
    double zeros[JACKKNIFE_BLOCKS] = {0}, all_zeros = 0;
    bool ok = (tile && sums) || error_memory(err, (height + 12) * d * sizeof *sums, "mean directions");
    if (!ok) goto done;
    enum { SLICE = 128 };
    double *all = sums + JACKKNIFE_BLOCKS * d, *rest = all + d;
    count_blocks(blocks, n, counts);
    for (size_t first = 0; first < n; first += height) {
        size_t rows = smaller(height, n - first);
        rows_block(s, first, rows, NULL, tile);
        to_unit(tile, blocks + first, rows, d, zeros);
#pragma omp parallel for schedule(static)
        for (size_t slice = 0; slice < d; slice += SLICE)
            for (size_t i = 0; i < rows; i++) {
                double *to = sums + blocks[first + i] * d;
                for (size_t j = slice; j < smaller(slice + SLICE, d); j++) to[j] += tile[i * d + j];
            }
    }
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        all_zeros += zeros[g];
        for (size_t j = 0; j < d; j++) all[j] += sums[g * d + j];
    }
    out->value = spread(all, d, all_zeros, (double)n);
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        for (size_t j = 0; j < d; j++) rest[j] = all[j] - sums[g * d + j];
        out->without[g] = spread(rest, d, all_zeros - zeros[g], (double)(n - counts[g]));
    }
done:
    free(tile);
    free(sums);
    return ok;
}

/* ---- rank ---------------------------------------------------------------------------------------------------------
 */

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
    double *sums = malloc((JACKKNIFE_BLOCKS + 1) * k * sizeof *sums);
    bool ok = (grams && sums) || error_memory(err, 11 * k * k * sizeof *grams, "the jackknife's Gram matrices");
    ok = ok && block_grams(s, w, means, grams, sums, err);
    double *all = grams + JACKKNIFE_BLOCKS * k * k, *sigma = sums + JACKKNIFE_BLOCKS * k;
    for (size_t i = 0; ok && i < k * k; i++) {
        all[i] = 0;
        for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) all[i] += grams[g * k * k + i];
    }
    for (size_t g = 0; ok && g < JACKKNIFE_BLOCKS; g++) {
        size_t left = n - w->counts[g];
        columns_without(left, k, all, grams + g * k * k, sums + g * k);
        ok = spectrum_of_gram(grams + g * k * k, k, sigma, err);
        /* Beyond that many, σ is the root of a rounding error. */
        if (ok) out->without[g] = spectrum_effective_rank(sigma, smaller(k, left - 1));
    }
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
    count_blocks(blocks, n, w.counts);
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

/* ---- inside clusters ----------------------------------------------------------------------------------------------
 */

static double within_share(double ssw, double sst, double n, double clusters) {
    if (n - clusters < 1) return NAN;
    return sst > 0 ? ssw / (n - clusters) / (sst / (n - 1)) : 0;
}

/* Renumbers the codes in use 0 … K − 1: number (codes), −1 for the others. Returns K. */
static size_t used_codes(const int32_t *assignment, size_t n, int32_t *number, size_t codes) {
    size_t used = 0;
    for (size_t c = 0; c < codes; c++) number[c] = -1;
    for (size_t i = 0; i < n; i++)
        if (number[assignment[i]] < 0) number[assignment[i]] = (int32_t)used++;
    return used;
}

/* Cluster means (K, d) about the overall ones; a thread owns columns. */
static void cluster_means(matrix m, const int32_t *assignment, const int32_t *number, const double *means,
                          const double *counts, size_t clusters, double *centres) {
    enum { SLICE = 64 };
    size_t n = m.rows, d = m.cols;
#pragma omp parallel for schedule(static)
    for (size_t slice = 0; slice < d; slice += SLICE) {
        size_t end = smaller(slice + SLICE, d);
        for (size_t i = 0; i < n; i++) {
            double *centre = centres + (size_t)number[assignment[i]] * d;
            for (size_t j = slice; j < end; j++) centre[j] += m.data[i * d + j] - means[j];
        }
        for (size_t k = 0; k < clusters; k++)
            for (size_t j = slice; j < end; j++) centres[k * d + j] /= counts[k];
    }
}

bool jackknife_within(matrix m, const int32_t *assignment, size_t codes, const uint8_t *blocks, within *out,
                      error *err) {
    size_t n = m.rows, d = m.cols, clusters = 0;
    int32_t *number = malloc(codes * sizeof *number);
    double *means = malloc(d * sizeof *means), *centres = NULL, *counts = NULL, *inner = malloc(2 * n * sizeof *inner);
    bool ok = number && means && inner;
    if (ok) {
        clusters = used_codes(assignment, n, number, codes);
        centres = calloc(clusters * d, sizeof *centres);
        counts = calloc(clusters, sizeof *counts);
    }
    ok = ok && centres && counts;
    if (!ok) {
        error_memory(err, (clusters * d + 2 * n) * sizeof(double), "cluster means");
        goto done;
    }
    if (!(ok = matrix_means(m, means, err))) goto done;
    for (size_t i = 0; i < n; i++) counts[number[assignment[i]]]++;
    cluster_means(m, assignment, number, means, counts, clusters, centres);
    double *outer = inner + n, ssw[JACKKNIFE_BLOCKS] = {0}, sst[JACKKNIFE_BLOCKS] = {0}, all_w = 0, all_t = 0;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        const double *centre = centres + (size_t)number[assignment[i]] * d;
        double w = 0, t = 0;
        for (size_t j = 0; j < d; j++) {
            double x = m.data[i * d + j] - means[j], y = x - centre[j];
            t += x * x, w += y * y;
        }
        inner[i] = w, outer[i] = t;
    }
    size_t sizes[JACKKNIFE_BLOCKS];
    count_blocks(blocks, n, sizes);
    for (size_t i = 0; i < n; i++) ssw[blocks[i]] += inner[i], sst[blocks[i]] += outer[i];
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) all_w += ssw[g], all_t += sst[g];
    out->clusters = clusters;
    out->share.value = within_share(all_w, all_t, (double)n, (double)clusters);
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        /* With the centres held, the clusters' n − K goes down as the rows do: by the same share. */
        double left = 1 - (double)sizes[g] / (double)n;
        out->share.without[g] = within_share(all_w - ssw[g], all_t - sst[g], left * (double)n, left * (double)clusters);
    }
done:
    free(number);
    free(means);
    free(centres);
    free(counts);
    free(inner);
    return ok;
}

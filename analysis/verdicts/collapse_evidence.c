#include "analysis/verdicts/collapse_evidence.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 97.5 % point of Student's t with EVIDENCE_GROUPS − 1 = 9 degrees of freedom. */
static const double STUDENT_9 = 2.2622;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Rows in group g of n. */
static size_t group_rows(size_t n, size_t g) { return n > g ? (n - g - 1) / EVIDENCE_GROUPS + 1 : 0; }

static void no_parts(evidence *e) {
    for (int g = 0; g < EVIDENCE_GROUPS; g++) e->without[g] = NAN;
}

void evidence_interval(const evidence *e, double *low, double *high) {
    double mean = 0, sum = 0, groups = EVIDENCE_GROUPS;
    for (int g = 0; g < EVIDENCE_GROUPS; g++) mean += e->without[g] / groups;
    for (int g = 0; g < EVIDENCE_GROUPS; g++) sum += (e->without[g] - mean) * (e->without[g] - mean);
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

/* A block's rows put to unit length in place, zero rows left alone: zeros (EVIDENCE_GROUPS) counts those. */
static void to_unit(double *tile, size_t first, size_t rows, size_t d, double *zeros) {
    for (size_t i = 0; i < rows; i++) {
        double *x = tile + i * d, norm = cblas_dnrm2((int)d, x, 1);
        zeros[(first + i) % EVIDENCE_GROUPS] += norm == 0;
        for (size_t j = 0; norm > 0 && j < d; j++) x[j] /= norm;
    }
}

bool evidence_spread(const row_source *s, evidence *out, error *err) {
    size_t n = s->rows, d = s->cols, height = rows_tile_height(d);
    double *tile = malloc(height * d * sizeof *tile), *sums = calloc((EVIDENCE_GROUPS + 2) * d, sizeof *sums);
    double zeros[EVIDENCE_GROUPS] = {0}, all_zeros = 0;
    bool ok = (tile && sums) || error_memory(err, (height + 12) * d * sizeof *sums, "mean directions");
    if (!ok) goto done;
    double *all = sums + EVIDENCE_GROUPS * d, *rest = all + d;
    for (size_t first = 0; first < n; first += height) {
        size_t rows = smaller(height, n - first);
        rows_block(s, first, rows, NULL, tile);
        to_unit(tile, first, rows, d, zeros);
#pragma omp parallel for schedule(static)
        for (size_t g = 0; g < EVIDENCE_GROUPS; g++)
            for (size_t i = (g + EVIDENCE_GROUPS - first % EVIDENCE_GROUPS) % EVIDENCE_GROUPS; i < rows;
                 i += EVIDENCE_GROUPS)
                for (size_t j = 0; j < d; j++) sums[g * d + j] += tile[i * d + j];
    }
    for (size_t g = 0; g < EVIDENCE_GROUPS; g++) {
        all_zeros += zeros[g];
        for (size_t j = 0; j < d; j++) all[j] += sums[g * d + j];
    }
    out->value = spread(all, d, all_zeros, (double)n);
    for (size_t g = 0; g < EVIDENCE_GROUPS; g++) {
        for (size_t j = 0; j < d; j++) rest[j] = all[j] - sums[g * d + j];
        out->without[g] = spread(rest, d, all_zeros - zeros[g], (double)(n - group_rows(n, g)));
    }
done:
    free(tile);
    free(sums);
    return ok;
}

/* ---- rank ---------------------------------------------------------------------------------------------------------
 */

/* The ten groups' Gram matrices about the means of all rows, upper halves: grams (groups, d, d), and their rows' sums:
 * sums (groups, d). One pass over the rows. */
static bool group_grams(const row_source *s, const double *means, double *grams, double *sums, error *err) {
    enum { HEIGHT = 4096 }; /* tall, for each group adds a tenth of a block to its Gram matrix at once */
    size_t n = s->rows, d = s->cols, height = smaller(n, HEIGHT), most = height / EVIDENCE_GROUPS + 1;
    double *tile = malloc(height * d * sizeof *tile), *group = malloc(most * d * sizeof *group);
    bool ok = (tile && group) || error_memory(err, (height + most) * d * sizeof *tile, "a tile of the matrix");
    for (size_t i = 0; i < EVIDENCE_GROUPS * d; i++) sums[i] = 0;
    for (size_t i = 0; i < EVIDENCE_GROUPS * d * d; i++) grams[i] = 0;
    for (size_t first = 0; ok && first < n; first += height) {
        size_t rows = smaller(height, n - first);
        rows_block(s, first, rows, means, tile);
        for (size_t g = 0; g < EVIDENCE_GROUPS; g++) {
            size_t count = 0, start = (g + EVIDENCE_GROUPS - first % EVIDENCE_GROUPS) % EVIDENCE_GROUPS;
            for (size_t i = start; i < rows; i += EVIDENCE_GROUPS) {
                memcpy(group + count++ * d, tile + i * d, d * sizeof *group);
                for (size_t j = 0; j < d; j++) sums[g * d + j] += tile[i * d + j];
            }
            if (count == 0) continue;
            cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)count, 1, group, (int)d, 1,
                        grams + g * d * d, (int)d);
        }
    }
    free(tile);
    free(group);
    return ok;
}

/* Columns: what is left of CᵀC when a group's rows go, about the mean of those that stay; in the group's own place. */
static void columns_without(size_t n, size_t d, size_t g, const double *all, double *gram, const double *sum) {
    double left = (double)(n - group_rows(n, g));
    for (size_t i = 0; i < d; i++)
        for (size_t j = i; j < d; j++)
            gram[i * d + j] = gram[j * d + i] = all[i * d + j] - gram[i * d + j] - sum[i] * sum[j] / left;
}

/* Rows: CCᵀ without the group's rows and columns, centred again. Returns how many rows are left. */
static size_t rows_without(size_t n, size_t g, const double *all, double *gram, double *mean) {
    size_t left = 0;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % EVIDENCE_GROUPS == g) continue;
        size_t to = 0;
        double *row = gram + left * (n - group_rows(n, g));
        for (size_t j = 0; j < n; j++)
            if (j % EVIDENCE_GROUPS != g) row[to++] = all[i * n + j];
        mean[left++] = 0;
    }
    for (size_t i = 0; i < left; i++) {
        for (size_t j = 0; j < left; j++) mean[i] += gram[i * left + j] / (double)left;
        total += mean[i] / (double)left;
    }
    for (size_t i = 0; i < left; i++)
        for (size_t j = 0; j < left; j++) gram[i * left + j] += total - mean[i] - mean[j];
    return left;
}

/* Parts of a tall matrix: all ten Gram matrices at once, their sum is that of all rows. */
static bool tall_parts(const row_source *s, const double *means, double null, evidence *out, error *err) {
    size_t n = s->rows, d = s->cols;
    double *grams = malloc((EVIDENCE_GROUPS + 1) * d * d * sizeof *grams);
    double *sums = malloc((EVIDENCE_GROUPS + 1) * d * sizeof *sums);
    bool ok = (grams && sums) || error_memory(err, 11 * d * d * sizeof *grams, "the jackknife's Gram matrices");
    ok = ok && group_grams(s, means, grams, sums, err);
    double *all = grams + EVIDENCE_GROUPS * d * d, *sigma = sums + EVIDENCE_GROUPS * d;
    for (size_t i = 0; ok && i < d * d; i++) {
        all[i] = 0;
        for (size_t g = 0; g < EVIDENCE_GROUPS; g++) all[i] += grams[g * d * d + i];
    }
    for (size_t g = 0; ok && g < EVIDENCE_GROUPS; g++) {
        columns_without(n, d, g, all, grams + g * d * d, sums + g * d);
        ok = spectrum_of_gram(grams + g * d * d, d, sigma, err);
        size_t most = smaller(d, n - group_rows(n, g) - 1); /* beyond that, σ is the root of a rounding error */
        if (ok) out->without[g] = spectrum_effective_rank(sigma, most) / null;
    }
    free(grams);
    free(sums);
    return ok;
}

static bool wide_parts(const row_source *s, const double *means, double null, evidence *out, error *err) {
    size_t n = s->rows;
    double *all = malloc(2 * n * n * sizeof *all), *sigma = malloc(2 * n * sizeof *sigma);
    bool ok = (all && sigma) || error_memory(err, 2 * n * n * sizeof *all, "the jackknife's Gram matrices");
    ok = ok && rows_gram_wide(s, means, all, err);
    for (size_t g = 0; ok && g < EVIDENCE_GROUPS; g++) {
        size_t size = rows_without(n, g, all, all + n * n, sigma + n);
        ok = spectrum_of_gram(all + n * n, size, sigma, err);
        if (ok) out->without[g] = spectrum_effective_rank(sigma, size - 1) / null;
    }
    free(all);
    free(sigma);
    return ok;
}

bool evidence_rank(const row_source *s, double value, evidence *out, error *err) {
    size_t n = s->rows, d = s->cols;
    out->value = value;
    no_parts(out);
    if (smaller(n, d) > EVIDENCE_RANK_SIDE || n < 2 * EVIDENCE_GROUPS) return true;
    double *means = malloc(d * sizeof *means);
    noise_ranks null;
    bool ok = means || error_memory(err, d * sizeof *means, "column means");
    /* All groups are of one size, up to a row: one null serves them. */
    ok = ok && spectrum_noise(n - n / EVIDENCE_GROUPS, d, &null, err) && rows_means(s, means, err) &&
         (n >= d ? tall_parts : wide_parts)(s, means, null.effective_rank, out, err);
    free(means);
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

bool evidence_within(matrix m, const int32_t *assignment, size_t codes, within *out, error *err) {
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
    double *outer = inner + n, ssw[EVIDENCE_GROUPS] = {0}, sst[EVIDENCE_GROUPS] = {0}, all_w = 0, all_t = 0;
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
    for (size_t i = 0; i < n; i++) ssw[i % EVIDENCE_GROUPS] += inner[i], sst[i % EVIDENCE_GROUPS] += outer[i];
    for (int g = 0; g < EVIDENCE_GROUPS; g++) all_w += ssw[g], all_t += sst[g];
    out->clusters = clusters;
    out->share.value = within_share(all_w, all_t, (double)n, (double)clusters);
    for (size_t g = 0; g < EVIDENCE_GROUPS; g++) {
        /* With the centres held, the clusters' n − K goes down as the rows do: by the same share. */
        double left = 1 - (double)group_rows(n, g) / (double)n;
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

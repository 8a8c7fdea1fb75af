#include "analysis/collapse_evidence.h"

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

bool evidence_spread(matrix m, evidence *out, error *err) {
    size_t n = m.rows, d = m.cols;
    double *norms = malloc(n * sizeof *norms), *sums = calloc((EVIDENCE_GROUPS + 2) * d, sizeof *sums);
    double zeros[EVIDENCE_GROUPS] = {0}, all_zeros = 0;
    bool ok = (norms && sums) || error_memory(err, (n + 12 * d) * sizeof *sums, "mean directions");
    if (!ok) goto done;
    double *all = sums + EVIDENCE_GROUPS * d, *rest = all + d;
    matrix_row_norms(m, norms);
#pragma omp parallel for schedule(static)
    for (size_t g = 0; g < EVIDENCE_GROUPS; g++)
        for (size_t i = g; i < n; i += EVIDENCE_GROUPS) {
            zeros[g] += norms[i] == 0;
            for (size_t j = 0; norms[i] > 0 && j < d; j++) sums[g * d + j] += m.data[i * d + j] / norms[i];
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
    free(norms);
    free(sums);
    return ok;
}

/* ---- rank ---------------------------------------------------------------------------------------------------------
 */

/* Gram matrix (d, d) of one group's centred rows, and their sum (d). */
static bool group_gram(matrix m, size_t g, const double *means, double *gram, double *sum, error *err) {
    size_t d = m.cols, rows = group_rows(m.rows, g), height = smaller(rows ? rows : 1, 1024);
    double *tile = malloc(height * d * sizeof *tile);
    if (!tile) return error_memory(err, height * d * sizeof *tile, "a tile of the matrix");
    memset(gram, 0, d * d * sizeof *gram);
    memset(sum, 0, d * sizeof *sum);
    for (size_t start = 0; start < rows; start += height) {
        size_t count = smaller(height, rows - start);
        for (size_t i = 0; i < count; i++) matrix_block(m, g + (start + i) * EVIDENCE_GROUPS, 1, means, tile + i * d);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < d; j++) sum[j] += tile[i * d + j];
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)count, 1, tile, (int)d, 1, gram, (int)d);
    }
    free(tile);
    return true;
}

/* Columns: what is left of CᵀC when a group's rows go, about the mean of those that stay. */
static bool columns_without(matrix m, size_t g, const double *means, const double *all, double *gram, double *sum,
                            error *err) {
    size_t d = m.cols;
    double left = (double)(m.rows - group_rows(m.rows, g));
    if (!group_gram(m, g, means, gram, sum, err)) return false;
    for (size_t i = 0; i < d; i++)
        for (size_t j = i; j < d; j++)
            gram[i * d + j] = gram[j * d + i] = all[i * d + j] - gram[i * d + j] - sum[i] * sum[j] / left;
    return true;
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

bool evidence_rank(matrix m, double value, evidence *out, error *err) {
    size_t n = m.rows, d = m.cols, side = smaller(n, d);
    out->value = value;
    no_parts(out);
    if (side > EVIDENCE_RANK_SIDE || n < 2 * EVIDENCE_GROUPS) return true;
    double *means = malloc(d * sizeof *means), *all = malloc(side * side * sizeof *all);
    double *gram = malloc(side * side * sizeof *gram), *sum = malloc(side * sizeof *sum);
    double *sigma = malloc(side * sizeof *sigma);
    noise_ranks null;
    bool ok = means && all && gram && sum && sigma;
    if (!ok) error_memory(err, 2 * side * side * sizeof *all, "the jackknife's Gram matrices");
    /* All groups are of one size, up to a row: one null serves them. */
    ok = ok && spectrum_noise(n - n / EVIDENCE_GROUPS, d, &null, err) && matrix_means(m, means, err) &&
         (n >= d ? matrix_gram(m, 0, n, means, all, err) : matrix_gram_rows(m, means, all, err));
    for (size_t g = 0; ok && g < EVIDENCE_GROUPS; g++) {
        size_t size = d;
        if (n >= d)
            ok = columns_without(m, g, means, all, gram, sum, err);
        else
            size = rows_without(n, g, all, gram, sum);
        ok = ok && spectrum_of_gram(gram, size, sigma, err);
        size_t most = smaller(size, n - group_rows(n, g) - 1); /* beyond that, σ is the root of a rounding error */
        if (ok) out->without[g] = spectrum_effective_rank(sigma, most) / null.effective_rank;
    }
    free(means);
    free(all);
    free(gram);
    free(sum);
    free(sigma);
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

/*
 * The variance inside clusters, and without each block's rows.
 */
#include "analysis/verdicts/jackknife.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    jackknife_count(blocks, n, sizes);
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

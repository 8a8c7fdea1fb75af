#include "analysis/clusters/clusters.h"
#include "analysis/spectrum/spectrum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Keeps the list sorted by rows, equal ones in the order of their numbers. */
static void keep(cluster_spectra *c, const cluster_spectrum *s) {
    if (c->count == CLUSTERS_SHOWN && s->rows <= c->list[c->count - 1].rows) return;
    size_t at = c->count < CLUSTERS_SHOWN ? c->count++ : c->count - 1;
    for (; at > 0 && s->rows > c->list[at - 1].rows; at--) c->list[at] = c->list[at - 1];
    c->list[at] = *s;
}

static void describe(cluster_spectrum *s, const double *sigma, size_t seen, size_t d) {
    size_t side = smaller(seen, d);
    s->effective_rank = spectrum_effective_rank(sigma, side);
    s->share = s->effective_rank / (double)smaller(seen - 1, d);
    s->count = smaller(side, CLUSTERS_VALUES);
    memcpy(s->singular_values, sigma, s->count * sizeof *sigma);
    for (size_t i = 0; i < side; i++) s->variance += sigma[i] * sigma[i] / (double)seen;
}

bool cluster_spectra_compute(matrix m, const int32_t *assignment, cluster_spectra *out, error *err) {
    size_t n = m.rows, d = m.cols;
    *out = (cluster_spectra){.effective_rank = NAN, .share = NAN};
    uint32_t *order = malloc(n * sizeof *order);
    float *rows = malloc(n * d * sizeof *rows);
    double *sigma = malloc(smaller(n, d) * sizeof *sigma), weight = 0, ranks = 0, shares = 0;
    out->list = malloc(CLUSTERS_SHOWN * sizeof *out->list);
    bool ok = (order && rows && sigma && out->list) || error_memory(err, n * d * sizeof *rows, "clusters");
    ok = ok && matrix_order(assignment, n, order, err);
    for (size_t start = 0, end; ok && start < n; start = end) {
        for (end = start; end < n && assignment[order[end]] == assignment[order[start]];) end++;
        cluster_spectrum s = {.cluster = assignment[order[start]], .rows = end - start};
        if (s.rows < 3) continue;
        size_t seen = smaller(s.rows, CLUSTERS_ROWS); /* evenly out of all */
        for (size_t i = 0; i < seen; i++)
            memcpy(rows + i * d, m.data + order[start + i * s.rows / seen] * d, d * sizeof *rows);
        ok = spectrum_singular_values((matrix){rows, seen, d}, true, sigma, NULL, err);
        if (!ok) break;
        describe(&s, sigma, seen, d);
        weight += (double)s.rows, ranks += (double)s.rows * s.effective_rank, shares += (double)s.rows * s.share;
        keep(out, &s);
    }
    if (weight > 0) out->effective_rank = ranks / weight, out->share = shares / weight;
    free(order);
    free(rows);
    free(sigma);
    if (!ok) cluster_spectra_free(out);
    return ok;
}

void cluster_spectra_free(cluster_spectra *c) {
    free(c->list);
    c->list = NULL, c->count = 0;
}

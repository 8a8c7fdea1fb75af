#include "analysis/diagnose/label_probes.h"
#include "analysis/clusters/kmeans.h"
#include "analysis/probes/knn.h"
#include "analysis/probes/probe.h"
#include "analysis/verdicts/jackknife.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fewer rows than this, or than two a class, score by accident. */
enum { ROWS_LEAST = 40 };

typedef struct half {
    float *values;
    int32_t *labels;
    size_t rows;
} half;

static double most_frequent(const half *h, int classes, error *err) {
    size_t *counts = calloc((size_t)classes, sizeof *counts), most = 0;
    if (!counts) return error_memory(err, (size_t)classes * sizeof *counts, "class counts"), NAN;
    for (size_t i = 0; i < h->rows; i++)
        if (++counts[h->labels[i]] > most) most = counts[h->labels[i]];
    free(counts);
    return (double)most / (double)h->rows;
}

static bool measure(const half *fit, const half *score, size_t d, int classes, uint64_t seed, label_probes *out,
                    error *err) {
    matrix train = {fit->values, fit->rows, d}, test = {score->values, score->rows, d};
    knn_result near;
    probe_result line;
    kmeans k;
    kmeans_options clusters = {
        .clusters = (size_t)classes, .restarts = 2, .iterations = 50, .normalise = true, .seed = seed};
    probe_options probe = {.penalty = 1e-3, .iterations = 100, .tolerance = 1e-4};
    if (!knn_evaluate(train, fit->labels, test, score->labels, classes, NULL, NULL, &near, err) ||
        !probe_evaluate(train, fit->labels, test, score->labels, classes, &probe, NULL, &line, err) ||
        !kmeans_compute(test, &clusters, &k, err))
        return false;
    out->knn = near.top1, out->linear = line.test_top1, out->chance = most_frequent(score, classes, err);
    bool ok = agreement_compute(score->labels, k.assignment, score->rows, seed, &out->kmeans, err);
    kmeans_free(&k);
    return ok;
}

bool label_probes_compute(matrix m, const int32_t *labels, int classes, const int64_t *groups, uint64_t seed,
                          label_probes *out, error *err) {
    size_t n = m.rows < PROBES_ROWS ? m.rows : PROBES_ROWS, d = m.cols;
    *out = (label_probes){.knn = NAN, .linear = NAN, .chance = NAN};
    out->kmeans.nmi = out->kmeans.ami = out->kmeans.nmi_chance = NAN;
    if (classes < 2 || n < ROWS_LEAST || n < 4 * (size_t)classes) return true;
    uint32_t *rows = malloc(n * sizeof *rows);
    uint8_t *blocks = malloc(m.rows);
    half halves[2] = {{0}};
    bool ok = rows && blocks;
    for (int h = 0; h < 2; h++) {
        halves[h].values = malloc(n * d * sizeof(float)), halves[h].labels = malloc(n * sizeof(int32_t));
        ok = ok && halves[h].values && halves[h].labels;
    }
    if (!ok) error_memory(err, 2 * n * d * sizeof(float), "halves for probes");
    ok = ok && jackknife_draw(m.rows, groups, seed, blocks, err);
    if (ok) matrix_choose(m.rows, n, seed, 8, rows);
    for (size_t i = 0; ok && i < n; i++) {
        half *h = &halves[blocks[rows[i]] % 2];
        h->labels[h->rows] = labels[rows[i]];
        memcpy(h->values + h->rows++ * d, m.data + rows[i] * d, d * sizeof(float));
    }
    out->fitted = halves[0].rows, out->scored = halves[1].rows;
    if (ok && out->fitted > 1 && out->scored >= (size_t)classes)
        ok = measure(&halves[0], &halves[1], d, classes, seed, out, err);
    for (int h = 0; h < 2; h++) {
        free(halves[h].values);
        free(halves[h].labels);
    }
    free(rows);
    free(blocks);
    return ok;
}

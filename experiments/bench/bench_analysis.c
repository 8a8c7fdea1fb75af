/*
 * The yardsticks of the analysis, on unit noise: it has no structure that would end k-means early or let neighbours be
 * found fast, and its spectrum is as flat as they come; --decades makes it steep.
 */
#include "experiments/bench/bench_analysis.h"
#include "analysis/clusters/kmeans.h"
#include "analysis/probes/knn.h"
#include "analysis/spectrum/spectrum.h"
#include "experiments/bench/bench_measure.h"

#include <math.h>
#include <stdlib.h>

enum { CLASSES = 10 };

typedef struct analysis_bench {
    matrix x;
    double *sigma, figure;
    bool by_qr;
    int32_t *labels;
    size_t clusters, queries;
    int iterations;
} analysis_bench;

static void put(json_t *to, const char *key, int64_t value) {
    json_object_set_new(to, key, json_integer((json_int_t)value));
}

/* The matrix; its columns' scales fall by 10^decades in all. */
static bool begin(analysis_bench *b, const bench_options *o, error *err) {
    size_t n = (size_t)o->rows, d = (size_t)o->cols;
    float *values = bench_noise(n * d, err);
    *b = (analysis_bench){.x = {values, n, d}};
    b->sigma = malloc((n < d ? n : d) * sizeof *b->sigma);
    b->labels = malloc(n * sizeof *b->labels);
    if (!values || !b->sigma || !b->labels) return error_memory(err, n * d * sizeof *values, "the benchmark's input");
    for (size_t i = 0; i < n; i++) {
        b->labels[i] = (int32_t)(i % CLASSES);
        for (size_t j = 0; o->decades && d > 1 && j < d; j++)
            values[i * d + j] *= (float)pow(10, -(double)o->decades * (double)j / (double)(d - 1));
    }
    return true;
}

/* The timing as an object, with the matrix's shape; all memory goes. */
static json_t *finish(analysis_bench *b, const char *name, bench_body body, const bench_options *o, double flops,
                      error *err) {
    bench_timing t;
    json_t *out = bench_measure(body, b, o->repeats, &t, err) ? bench_report(name, t, flops, false) : NULL;
    if (out) put(out, "rows", o->rows), put(out, "cols", o->cols);
    return out;
}

static void end(analysis_bench *b) {
    free((float *)b->x.data);
    free(b->sigma);
    free(b->labels);
}

static bool spectrum_body(void *context, error *err) {
    analysis_bench *b = context;
    size_t count = b->x.rows < b->x.cols ? b->x.rows : b->x.cols;
    if (!spectrum_singular_values(b->x, false, b->sigma, &b->by_qr, err)) return false;
    b->figure = spectrum_rankme(b->sigma, count);
    return true;
}

json_t *bench_spectrum(const bench_options *o, error *err) {
    analysis_bench b;
    json_t *out = begin(&b, o, err) ? finish(&b, "spectrum", spectrum_body, o, 0, err) : NULL;
    if (out) {
        put(out, "decades", o->decades);
        json_object_set_new(out, "by_qr", json_boolean(b.by_qr));
        json_object_set_new(out, "rankme", json_real(b.figure));
    }
    end(&b);
    return out;
}

static bool kmeans_body(void *context, error *err) {
    analysis_bench *b = context;
    kmeans k;
    if (!kmeans_compute(b->x, &(kmeans_options){.clusters = b->clusters, .restarts = 1}, &k, err)) return false;
    b->figure = k.inertia, b->iterations = k.iterations;
    kmeans_free(&k);
    return true;
}

json_t *bench_kmeans(const bench_options *o, error *err) {
    analysis_bench b;
    bool ok = begin(&b, o, err);
    b.clusters = (size_t)o->clusters;
    json_t *out = ok ? finish(&b, "kmeans", kmeans_body, o, 0, err) : NULL;
    if (out) {
        put(out, "clusters", o->clusters);
        put(out, "iterations", b.iterations);
        json_object_set_new(out, "inertia", json_real(b.figure));
    }
    end(&b);
    return out;
}

static bool knn_body(void *context, error *err) {
    analysis_bench *b = context;
    knn_result got;
    matrix queries = {b->x.data, b->queries, b->x.cols};
    if (!knn_evaluate(b->x, b->labels, queries, b->labels, CLASSES, NULL, NULL, &got, err)) return false;
    b->figure = got.top1;
    return true;
}

json_t *bench_knn(const bench_options *o, error *err) {
    analysis_bench b;
    bool ok = begin(&b, o, err);
    b.queries = (size_t)(o->queries < o->rows ? o->queries : o->rows);
    json_t *out =
        ok ? finish(&b, "knn", knn_body, o, 2 * (double)b.queries * (double)o->rows * (double)o->cols, err) : NULL;
    if (out) {
        put(out, "queries", (int64_t)b.queries);
        json_object_set_new(out, "top1", json_real(b.figure));
    }
    end(&b);
    return out;
}

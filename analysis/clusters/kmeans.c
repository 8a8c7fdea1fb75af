#include "analysis/clusters/few.h"
#include "analysis/clusters/lloyd.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED_ROWS_BASE = 4096, SEED_ROWS_PER_CLUSTER = 8 };

/* ---- k-means++ ----------------------------------------------------------------------------------------------------
 */

/* A sample to seed on, scaled and centred: with many clusters, seeding on all rows costs more than Lloyd does. */
typedef struct seeding {
    size_t count;
    float *points;     /* (count, d) */
    double *nearest;   /* (count) squared distance to the nearest seed */
    double *candidate; /* (trials, count) the same if that candidate joined */
    float *dots;       /* (count, stride) */
    double *square;    /* (count) */
    uint32_t *order;   /* (n) */
} seeding;

static size_t draw_by_weight(const double *weight, size_t count, double total, rng *r) {
    double target = total * rng_uniform(r), sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += weight[i];
        if (sum > target) return i;
    }
    return rng_below(r, (uint32_t)count); /* all points are seeds already, or rounding at the very end */
}

static void sample_points(const lloyd *l, seeding *s, rng *r) {
    size_t n = l->m.rows, d = l->m.cols;
    for (size_t i = 0; i < n; i++) s->order[i] = (uint32_t)i;
    if (s->count < n) rng_shuffle(r, s->order, n);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->count; i++) {
        size_t row = s->order[i];
        s->square[i] = l->square[row];
        s->nearest[i] = INFINITY;
        for (size_t j = 0; j < d; j++)
            s->points[i * d + j] = (float)((double)l->scale[row] * l->m.data[row * d + j] - l->mean[j]);
    }
}

/* Distances of all points to `trials` chosen ones, cut at the nearest seed so far; returns the trial of least sum. */
static size_t best_candidate(seeding *s, const size_t *chosen, float *packed, size_t trials, size_t d, double *total) {
    double sums[64];
    size_t stride = few_stride(trials);
    for (size_t t = 0; t < trials; t++) few_pack(s->points + chosen[t] * d, t, d, packed);
#pragma omp parallel for schedule(static) if (s->count * d > 1 << 16)
    for (size_t start = 0; start < s->count; start += LLOYD_BLOCK_ROWS)
        few_multiply(s->points + start * d, smaller(LLOYD_BLOCK_ROWS, s->count - start), d, packed, trials,
                     s->dots + start * stride);
#pragma omp parallel for schedule(static) if (s->count * trials > 1 << 14)
    for (size_t t = 0; t < trials; t++) {
        double *to = s->candidate + t * s->count, sum = 0;
        for (size_t i = 0; i < s->count; i++) {
            double distance = s->square[i] + s->square[chosen[t]] - 2 * (double)s->dots[i * stride + t];
            distance = distance > 0 && i != chosen[t] ? distance : 0;
            to[i] = distance < s->nearest[i] ? distance : s->nearest[i];
            sum += to[i];
        }
        sums[t] = sum;
    }
    size_t best = 0;
    for (size_t t = 1; t < trials; t++)
        if (sums[t] < sums[best]) best = t;
    *total = sums[best];
    memcpy(s->nearest, s->candidate + best * s->count, s->count * sizeof *s->nearest);
    return best;
}

/* Each next seed is the best of 2 + ln k points drawn with probability by squared distance. */
static bool seed_centres(lloyd *l, rng *r, error *err) {
    size_t n = l->m.rows, d = l->m.cols, k = l->k, trials = 2 + (size_t)log((double)k), chosen[64];
    seeding s = {.count = smaller(n, SEED_ROWS_BASE + SEED_ROWS_PER_CLUSTER * k)};
    s.points = malloc(s.count * d * sizeof *s.points);
    s.nearest = malloc(s.count * sizeof *s.nearest);
    s.candidate = malloc(trials * s.count * sizeof *s.candidate);
    s.dots = malloc(few_stride(trials) * s.count * sizeof *s.dots);
    s.square = malloc(s.count * sizeof *s.square);
    s.order = malloc(n * sizeof *s.order);
    float *packed = calloc(few_stride(trials) * d, sizeof *packed);
    bool ok = s.points && s.nearest && s.candidate && s.dots && s.square && s.order && packed;
    if (!ok) {
        error_memory(err, s.count * (d + 3 * trials) * sizeof(float), "seeds of k-means");
        goto done;
    }
    sample_points(l, &s, r);
    double total = 0;
    for (size_t c = 0; c < k; c++) {
        size_t tries = c ? trials : 1;
        for (size_t t = 0; t < tries; t++)
            chosen[t] = c ? draw_by_weight(s.nearest, s.count, total, r) : rng_below(r, (uint32_t)s.count);
        size_t best = best_candidate(&s, chosen, packed, tries, d, &total);
        memcpy(l->centres + c * d, s.points + chosen[best] * d, d * sizeof *l->centres);
    }
done:
    free(s.points);
    free(s.nearest);
    free(s.candidate);
    free(s.dots);
    free(s.square);
    free(s.order);
    free(packed);
    return ok;
}

bool kmeans_compute(matrix m, const kmeans_options *options, kmeans *out, error *err) {
    *out = (kmeans){.clusters = options->clusters, .dims = m.cols, .inertia = INFINITY};
    if (options->clusters == 0 || options->clusters > m.rows)
        return error_set(err, ERROR_RUN, "k-means: %zu clusters of %zu points; there have to be 1 to %zu",
                         options->clusters, m.rows, m.rows);
    int restarts = options->restarts ? options->restarts : 10, limit = options->iterations ? options->iterations : 300;
    size_t n = m.rows, d = m.cols, k = options->clusters;
    lloyd l = {0};
    bool ok = lloyd_make(&l, m, options, err);
    double spread = 0;
    for (size_t i = 0; ok && i < n; i++) spread += l.square[i];
    /* A NaN or infinity is in it; which entry it was is looked for only then. */
    ok = ok && (isfinite(spread) || matrix_check(m, "k-means", err));
    double tolerance = (options->tolerance > 0 ? options->tolerance : 1e-4) * spread / ((double)n * (double)d);
    if (ok) {
        out->assignment = malloc(n * sizeof *out->assignment);
        out->centres = malloc(k * d * sizeof *out->centres);
        if (!out->assignment || !out->centres) ok = error_memory(err, 4 * (n + k * d), "clusters");
    }
    for (int restart = 0; ok && restart < restarts; restart++) {
        rng r = rng_stream(options->seed, RNG_KMEANS, 0, k, (uint32_t)restart);
        int used = 0;
        ok = seed_centres(&l, &r, err) && lloyd_descend(&l, limit, tolerance, &used, err);
        double sum = ok ? lloyd_inertia(&l) : INFINITY;
        if (!(sum < out->inertia)) continue;
        out->inertia = sum, out->iterations = used;
        memcpy(out->assignment, l.assignment, n * sizeof *out->assignment);
        for (size_t i = 0; i < k * d; i++) out->centres[i] = (float)(l.centres[i] + l.mean[i % d]);
    }
    lloyd_free(&l);
    if (!ok) kmeans_free(out);
    return ok;
}

void kmeans_free(kmeans *k) {
    free(k->assignment);
    free(k->centres);
    k->assignment = NULL, k->centres = NULL;
}

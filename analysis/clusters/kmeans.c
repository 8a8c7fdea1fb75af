#include "analysis/clusters/kmeans.h"
#include "analysis/clusters/few.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 256, SEED_ROWS_BASE = 4096, SEED_ROWS_PER_CLUSTER = 8 };
/* Up to this many centres are met without BLAS, which spends the time of a product this thin on packing the rows. */
enum { FEW = 64 };

/*
 * Points and centres live about the mean of all points: a product of two small vectors keeps the digits that a product
 * of two nearly equal large ones loses in float32. ‖x − c‖² = ‖x‖² + offset_c − 2 s x·c, with x as it is stored, s its
 * scale to unit length (or 1) and offset_c = ‖c‖² + 2 μ·c.
 */
typedef struct lloyd {
    matrix m;
    size_t k;
    float *scale;        /* (n) */
    double *mean;        /* (d) of the scaled rows */
    double *square;      /* (n) ‖s x − μ‖² */
    float *centres;      /* (k, d) minus μ */
    float *offset;       /* (k), with infinities up to its stride */
    float *packed;       /* few centres, as few.h has them */
    double *sums;        /* (k, d) of the rows as `summed` has them */
    size_t *counts;      /* (k) */
    int32_t *assignment; /* (n) */
    int32_t *summed;     /* (n) the assignment that sums are of; −1: not yet in any */
    double *distance;    /* (n) squared, to the nearest centre */
} lloyd;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void lloyd_free(lloyd *l) {
    free(l->scale);
    free(l->mean);
    free(l->square);
    free(l->centres);
    free(l->offset);
    free(l->packed);
    free(l->summed);
    free(l->sums);
    free(l->counts);
    free(l->assignment);
    free(l->distance);
}

/* Columns a thread owns: rows are read in as long pieces as there are threads, and no sum has two owners. */
static size_t slice_cols(size_t d) {
    size_t threads = (size_t)omp_get_max_threads(), share = (d + threads - 1) / threads;
    return (share + 15) / 16 * 16;
}

static bool lloyd_make(lloyd *l, matrix m, const kmeans_options *options, error *err) {
    size_t n = m.rows, d = m.cols, k = options->clusters, step = slice_cols(d);
    *l = (lloyd){.m = m, .k = k};
    l->scale = malloc(n * sizeof *l->scale);
    l->mean = calloc(d, sizeof *l->mean);
    l->square = malloc(n * sizeof *l->square);
    l->centres = malloc(k * d * sizeof *l->centres);
    l->offset = malloc(few_stride(k) * sizeof *l->offset);
    l->packed = calloc(k <= FEW ? few_stride(k) * d : 1, sizeof *l->packed);
    l->summed = malloc(n * sizeof *l->summed);
    l->sums = malloc(k * d * sizeof *l->sums);
    l->counts = malloc(k * sizeof *l->counts);
    l->assignment = malloc(n * sizeof *l->assignment);
    l->distance = malloc(n * sizeof *l->distance);
    if (!l->scale || !l->mean || !l->square || !l->centres || !l->offset || !l->packed || !l->summed || !l->sums ||
        !l->counts || !l->assignment || !l->distance)
        return error_memory(err, 28 * n + 12 * k * d, "k-means");
    if (options->normalise) matrix_row_norms(m, l->square);
    for (size_t i = 0; i < n; i++)
        l->scale[i] = !options->normalise ? 1 : l->square[i] > 0 ? (float)(1 / l->square[i]) : 0;
#pragma omp parallel for schedule(static)
    for (size_t slice = 0; slice < d; slice += step) {
        size_t end = smaller(slice + step, d);
        for (size_t i = 0; i < n; i++)
            for (size_t j = slice; j < end; j++) l->mean[j] += (double)l->scale[i] * m.data[i * d + j] / (double)n;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        l->square[i] = 0;
        for (size_t j = 0; j < d; j++) {
            double x = (double)l->scale[i] * m.data[i * d + j] - l->mean[j];
            l->square[i] += x * x;
        }
    }
    return true;
}

/* ---- Lloyd --------------------------------------------------------------------------------------------------------
 */

/* Products of `rows` rows with all centres: dots (rows, its stride). Returns its stride. */
static size_t multiply(const lloyd *l, size_t start, size_t rows, float *dots) {
    size_t d = l->m.cols, k = l->k;
    const float *x = l->m.data + start * d;
    if (k <= FEW) {
        few_multiply(x, rows, d, l->packed, k, dots);
        return few_stride(k);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)k, (int)d, 1, x, (int)d, l->centres, (int)d, 0,
                dots, (int)k);
    return k;
}

static void set_offsets(lloyd *l) {
    size_t d = l->m.cols;
    for (size_t c = 0; c < l->k; c++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            double x = l->centres[c * d + j];
            sum += x * (x + 2 * l->mean[j]);
        }
        l->offset[c] = (float)sum;
    }
    for (size_t c = l->k; c < few_stride(l->k); c++) l->offset[c] = INFINITY;
    for (size_t c = 0; l->k <= FEW && c < l->k; c++) few_pack(l->centres + c * d, c, d, l->packed);
}

/* The index of the least score offset + scale·dot, the first of equals; dot is overwritten. */
static size_t least(const float *offset, float scale, float *dot, size_t k, float *value) {
    float most = INFINITY;
    size_t at = 0;
#pragma omp simd reduction(min : most)
    for (size_t c = 0; c < k; c++) {
        dot[c] = offset[c] + scale * dot[c];
        most = dot[c] < most ? dot[c] : most;
    }
    while (at + 1 < k && dot[at] != most) at++;
    *value = most;
    return at;
}

/* Every point to its nearest centre; *changed: how many are in another cluster than before. */
static bool assign(lloyd *l, size_t *changed, error *err) {
    size_t n = l->m.rows, k = l->k, moved = 0;
    bool ok = true;
    set_offsets(l);
#pragma omp parallel reduction(+ : moved) reduction(&& : ok)
    {
        float *dots = malloc(BLOCK_ROWS * few_stride(k) * sizeof *dots);
        ok = dots != NULL;
#pragma omp for schedule(static)
        for (size_t start = 0; start < n; start += BLOCK_ROWS) {
            size_t rows = smaller(BLOCK_ROWS, n - start);
            if (!ok) continue;
            size_t stride = multiply(l, start, rows, dots);
            for (size_t i = start; i < start + rows; i++) {
                float nearest;
                int32_t best = (int32_t)least(l->offset, -2 * l->scale[i], dots + (i - start) * stride, k, &nearest);
                moved += l->assignment[i] != best;
                l->assignment[i] = best;
                l->distance[i] = fmax(l->square[i] + (double)nearest, 0);
            }
        }
        free(dots);
    }
    *changed = moved;
    return ok || error_memory(err, BLOCK_ROWS * k * sizeof(float), "distances");
}

/* A cluster that ran empty takes the point farthest from its centre, out of a cluster that can spare it. */
static void fill_empty(lloyd *l) {
    size_t d = l->m.cols;
    memset(l->counts, 0, l->k * sizeof *l->counts);
    for (size_t i = 0; i < l->m.rows; i++) l->counts[l->assignment[i]]++;
    for (size_t c = 0; c < l->k; c++) {
        if (l->counts[c] > 0) continue;
        size_t farthest = l->m.rows;
        for (size_t i = 0; i < l->m.rows; i++)
            if (l->counts[l->assignment[i]] > 1 && (farthest == l->m.rows || l->distance[i] > l->distance[farthest]))
                farthest = i;
        l->counts[l->assignment[farthest]]--;
        l->assignment[farthest] = (int32_t)c;
        l->distance[farthest] = 0;
        l->counts[c] = 1;
        for (size_t j = 0; j < d; j++)
            l->centres[c * d + j] = (float)((double)l->scale[farthest] * l->m.data[farthest * d + j] - l->mean[j]);
    }
}

/* Centres to the means of their points. Only points that changed clusters move from sum to sum; a thread owns columns,
 * so the order of every sum is the rows'. Returns Σ of the squared moves. */
static double update(lloyd *l) {
    size_t n = l->m.rows, d = l->m.cols, step = slice_cols(d);
#pragma omp parallel for schedule(static)
    for (size_t slice = 0; slice < d; slice += step) {
        size_t end = smaller(slice + step, d);
        for (size_t i = 0; i < n; i++) {
            if (l->summed[i] == l->assignment[i]) continue;
            const float *x = l->m.data + i * d;
            double *to = l->sums + (size_t)l->assignment[i] * d, scale = (double)l->scale[i];
            double *from = l->summed[i] < 0 ? NULL : l->sums + (size_t)l->summed[i] * d;
            for (size_t j = slice; j < end; j++) to[j] += scale * (double)x[j];
            for (size_t j = slice; from && j < end; j++) from[j] -= scale * (double)x[j];
        }
    }
    memcpy(l->summed, l->assignment, n * sizeof *l->summed);
    double moved = 0;
    for (size_t c = 0; c < l->k; c++)
        for (size_t j = 0; j < d; j++) {
            float centre = (float)(l->sums[c * d + j] / (double)l->counts[c] - l->mean[j]);
            double step = (double)centre - l->centres[c * d + j];
            moved += step * step;
            l->centres[c * d + j] = centre;
        }
    return moved;
}

/* The inertia of the assignment as it stands, from the differences themselves. distance is overwritten. */
static double inertia(lloyd *l) {
    size_t n = l->m.rows, d = l->m.cols;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        const float *centre = l->centres + (size_t)l->assignment[i] * d;
        l->distance[i] = 0;
        for (size_t j = 0; j < d; j++) {
            double x = (double)l->scale[i] * l->m.data[i * d + j] - l->mean[j] - centre[j];
            l->distance[i] += x * x;
        }
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += l->distance[i];
    return sum;
}

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
    for (size_t start = 0; start < s->count; start += BLOCK_ROWS)
        few_multiply(s->points + start * d, smaller(BLOCK_ROWS, s->count - start), d, packed, trials,
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

/* -------------------------------------------------------------------------------------------------------------------
 */

static bool descend(lloyd *l, int iterations, double tolerance, int *done, error *err) {
    for (size_t i = 0; i < l->m.rows; i++) l->assignment[i] = l->summed[i] = -1;
    memset(l->sums, 0, l->k * l->m.cols * sizeof *l->sums);
    size_t changed;
    for (*done = 1; *done <= iterations; ++*done) {
        if (!assign(l, &changed, err)) return false;
        fill_empty(l);
        if (changed == 0) return true;
        if (update(l) <= tolerance) break;
    }
    if (!assign(l, &changed, err)) return false;
    fill_empty(l);
    return true;
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
        ok = seed_centres(&l, &r, err) && descend(&l, limit, tolerance, &used, err);
        double sum = ok ? inertia(&l) : INFINITY;
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

/*
 * One iteration is two matrix products over blocks of rows. With y = [x, x²] the log-density of component k is linear
 * in y: c_k + y·[μ/σ², −1/(2σ²)], and what the next parameters need is Σ r_ik y_i. Nothing of size rows × components is
 * kept. Sums over rows go block after block, so the same threads give the same bits.
 */
#include "analysis/clusters/mixture.h"
#include "analysis/clusters/kmeans.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };
static const double REGULARISATION = 1e-6, TOLERANCE = 1e-3; /* scikit-learn's */
static const double LOG_2PI = 1.8378770664093454836;

typedef struct fit {
    size_t n, d, k;
    double *rows;     /* (n, 2d): x and x² */
    double *loadings; /* (k, 2d): μ/σ² and −1/(2σ²) */
    double *constant; /* (k) */
    double *sums;     /* (k, 2d): Σ r x, Σ r x² */
    double *mass;     /* (k): Σ r */
    double *scores;   /* (BLOCK, k): log-densities, then responsibilities */
    double regularisation;
} fit;

static void fit_free(fit *f) {
    free(f->rows);
    free(f->loadings);
    free(f->constant);
    free(f->sums);
    free(f->mass);
    free(f->scores);
}

static bool fit_make(fit *f, matrix m, const mixture_options *o, error *err) {
    size_t n = m.rows, d = m.cols, k = o->components;
    double scale = o->scale != 0 ? o->scale : 1;
    *f = (fit){.n = n, .d = d, .k = k};
    f->regularisation = o->regularisation > 0 ? o->regularisation : REGULARISATION;
    f->rows = malloc(n * 2 * d * sizeof *f->rows);
    f->loadings = malloc(k * 2 * d * sizeof *f->loadings);
    f->constant = malloc(k * sizeof *f->constant);
    f->sums = malloc(k * 2 * d * sizeof *f->sums);
    f->mass = malloc(k * sizeof *f->mass);
    f->scores = malloc(BLOCK * k * sizeof *f->scores);
    if (!f->rows || !f->loadings || !f->constant || !f->sums || !f->mass || !f->scores)
        return error_memory(err, 16 * (n * d + 2 * k * d), "a Gaussian mixture");
    matrix_tile(m, 0, n, 0, d, NULL, f->rows, 2 * d);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double *x = f->rows + i * 2 * d;
        for (size_t j = 0; j < d; j++) {
            x[j] = (x[j] - o->shift) * scale;
            x[d + j] = x[j] * x[j];
        }
    }
    return true;
}

/* Σ r y of hard assignments. */
static void sum_hard(fit *f, const int32_t *start) {
    size_t width = 2 * f->d;
    memset(f->sums, 0, f->k * width * sizeof *f->sums);
    memset(f->mass, 0, f->k * sizeof *f->mass);
    for (size_t i = 0; i < f->n; i++) {
        double *to = f->sums + (size_t)start[i] * width;
        f->mass[start[i]]++;
        for (size_t j = 0; j < width; j++) to[j] += f->rows[i * width + j];
    }
}

/* Weights, means and variances from the sums; a component without rows keeps scikit-learn's ten epsilons. */
static void maximise(const fit *f, mixture *x) {
    size_t d = f->d;
    double total = 0;
    for (size_t k = 0; k < f->k; k++) total += x->weights[k] = f->mass[k] + 10 * DBL_EPSILON;
    for (size_t k = 0; k < f->k; k++) {
        const double *sum = f->sums + k * 2 * d;
        double mass = x->weights[k];
        for (size_t j = 0; j < d; j++) {
            double mean = sum[j] / mass;
            x->means[k * d + j] = mean;
            x->variances[k * d + j] = fmax(sum[d + j] / mass - mean * mean, 0) + f->regularisation;
        }
        x->weights[k] = mass / total;
    }
}

static void prepare(fit *f, const mixture *x) {
    size_t d = f->d;
    for (size_t k = 0; k < f->k; k++) {
        double *loading = f->loadings + k * 2 * d, constant = log(x->weights[k]) - 0.5 * (double)d * LOG_2PI;
        for (size_t j = 0; j < d; j++) {
            double mean = x->means[k * d + j], variance = x->variances[k * d + j];
            loading[j] = mean / variance, loading[d + j] = -0.5 / variance;
            constant -= 0.5 * (log(variance) + mean * mean / variance);
        }
        f->constant[k] = constant;
    }
}

/* Log-densities of one row's components become responsibilities; returns the row's log-likelihood. */
static double respond(double *score, const double *constant, size_t k) {
    double most = -INFINITY, sum = 0;
    for (size_t c = 0; c < k; c++) most = fmax(most, score[c] += constant[c]);
    for (size_t c = 0; c < k; c++) sum += score[c] = exp(score[c] - most);
    for (size_t c = 0; c < k; c++) score[c] /= sum;
    return most + log(sum);
}

/* The mean log-likelihood under `x`, and for the next step Σ r y. */
static double expect(fit *f, const mixture *x, bool sums) {
    size_t width = 2 * f->d, k = f->k;
    double likelihood[BLOCK], total = 0;
    prepare(f, x);
    if (sums) memset(f->mass, 0, k * sizeof *f->mass);
    for (size_t start = 0; start < f->n; start += BLOCK) {
        size_t rows = smaller(BLOCK, f->n - start);
        const double *y = f->rows + start * width;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)k, (int)width, 1, y, (int)width,
                    f->loadings, (int)width, 0, f->scores, (int)k);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < rows; i++) likelihood[i] = respond(f->scores + i * k, f->constant, k);
        for (size_t i = 0; i < rows; i++) total += likelihood[i];
        if (!sums) continue;
        for (size_t i = 0; i < rows; i++)
            for (size_t c = 0; c < k; c++) f->mass[c] += f->scores[i * k + c];
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)k, (int)width, (int)rows, 1, f->scores, (int)k, y,
                    (int)width, start ? 1 : 0, f->sums, (int)width);
    }
    return total / (double)f->n;
}

static bool start_by_kmeans(fit *f, matrix m, const mixture_options *o, error *err) {
    kmeans clusters;
    kmeans_options with = {.clusters = o->components, .restarts = 1, .iterations = 20, .seed = o->seed};
    if (!kmeans_compute(m, &with, &clusters, err)) return false;
    sum_hard(f, clusters.assignment);
    kmeans_free(&clusters);
    return true;
}

bool mixture_fit(matrix m, const mixture_options *o, mixture *out, error *err) {
    size_t n = m.rows, d = m.cols, k = o->components;
    *out = (mixture){.components = k, .dims = d};
    if (k == 0 || k > n)
        return error_set(err, ERROR_RUN, "a mixture of %zu components for %zu rows; there have to be 1 to %zu", k, n,
                         n);
    if (!matrix_check(m, "a mixture's rows", err) ||
        (o->start && !labels_check(o->start, n, (int)k, "a mixture's start", err)))
        return false;
    fit f;
    double tolerance = o->tolerance > 0 ? o->tolerance : TOLERANCE, last = -INFINITY;
    int limit = o->iterations > 0 ? o->iterations : 100;
    out->weights = malloc(k * sizeof *out->weights);
    out->means = malloc(k * d * sizeof *out->means);
    out->variances = malloc(k * d * sizeof *out->variances);
    bool ok = fit_make(&f, m, o, err);
    if (ok && (!out->weights || !out->means || !out->variances)) ok = error_memory(err, 16 * k * d, "a mixture");
    if (ok && o->start)
        sum_hard(&f, o->start);
    else
        ok = ok && start_by_kmeans(&f, m, o, err);
    if (ok) {
        maximise(&f, out);
        for (bool moving = true; moving && out->iterations < limit; out->iterations++) {
            double now = expect(&f, out, true);
            maximise(&f, out);
            moving = !(fabs(now - last) < tolerance);
            last = now;
        }
        out->log_likelihood = expect(&f, out, false);
        ok = mixture_entropy(out, &out->entropy, err);
    }
    fit_free(&f);
    if (!ok) mixture_free(out);
    return ok;
}

void mixture_free(mixture *x) {
    free(x->weights);
    free(x->means);
    free(x->variances);
    x->weights = x->means = x->variances = NULL;
}

/* KL of two diagonal Gaussians, nats, less what their log-variances add: ½ Σ (log spread − log variance). */
static double divergence(const double *mean, const double *variance, const double *other, const double *precision,
                         size_t d) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < d; j++) {
        double step = mean[j] - other[j];
        sum += (variance[j] + step * step) * precision[j];
    }
    return 0.5 * (sum - (double)d);
}

bool mixture_entropy(const mixture *x, double *entropy, error *err) {
    size_t d = x->dims, k = x->components;
    double total = 0, *parts = malloc((2 * k + k * d) * sizeof *parts);
    if (!parts) return error_memory(err, (2 * k + k * d) * sizeof *parts, "a mixture's entropy");
    double *logs = parts + k, *precisions = logs + k;
    for (size_t a = 0; a < k; a++) {
        logs[a] = 0;
        for (size_t j = 0; j < d; j++)
            logs[a] += 0.5 * log(x->variances[a * d + j]), precisions[a * d + j] = 1 / x->variances[a * d + j];
    }
#pragma omp parallel for schedule(static)
    for (size_t a = 0; a < k; a++) {
        const double *mean = x->means + a * d, *variance = x->variances + a * d;
        double own = 0.5 * (double)d * (1 + LOG_2PI) + logs[a], others = 0;
        for (size_t b = 0; b < k; b++)
            others +=
                x->weights[b] *
                (a == b ? 1
                        : exp(logs[a] - logs[b] - divergence(mean, variance, x->means + b * d, precisions + b * d, d)));
        parts[a] = x->weights[a] * (own - log(others));
    }
    for (size_t a = 0; a < k; a++) total += parts[a];
    free(parts);
    *entropy = total;
    return true;
}

/* ---- the curve -------------------------------------------------------------------------------------------------- */

/* Least and largest entry, and how many columns vary. */
static bool measure_range(matrix m, mixture_curve *c, error *err) {
    float *ends = malloc(2 * m.cols * sizeof *ends);
    if (!ends) return error_memory(err, 2 * m.cols * sizeof *ends, "columns' ranges");
    for (size_t j = 0; j < m.cols; j++) ends[2 * j] = INFINITY, ends[2 * j + 1] = -INFINITY;
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < m.cols; j++) {
            float x = m.data[i * m.cols + j];
            ends[2 * j] = fminf(ends[2 * j], x), ends[2 * j + 1] = fmaxf(ends[2 * j + 1], x);
        }
    c->low = INFINITY, c->high = -INFINITY;
    for (size_t j = 0; j < m.cols; j++) {
        c->low = fmin(c->low, ends[2 * j]), c->high = fmax(c->high, ends[2 * j + 1]);
        c->varying += ends[2 * j] < ends[2 * j + 1];
    }
    free(ends);
    return true;
}

static bool measure_point(matrix sample, const mixture_curve *c, uint64_t seed, mixture_point *p, error *err) {
    /* A thousandth of a nat a column: between hundreds of columns, a fit that still moves by less has its clusters. */
    mixture_options with = {.components = p->components,
                            .shift = c->low,
                            .scale = 1 / (c->high - c->low),
                            .tolerance = 1e-3 * (double)sample.cols,
                            .iterations = MIXTURE_ITERATIONS,
                            .seed = seed};
    mixture x;
    if (!mixture_fit(sample, &with, &x, err)) return false;
    p->log_likelihood += x.log_likelihood / MIXTURE_SEEDS;
    p->entropy += x.entropy / MIXTURE_SEEDS;
    p->log_likelihood_sd += x.log_likelihood * x.log_likelihood / MIXTURE_SEEDS;
    p->entropy_sd += x.entropy * x.entropy / MIXTURE_SEEDS;
    mixture_free(&x);
    return true;
}

static double deviation(double squares, double mean) {
    return sqrt(fmax(squares - mean * mean, 0) * MIXTURE_SEEDS / (MIXTURE_SEEDS - 1.0));
}

bool mixture_curve_compute(matrix m, uint64_t seed, mixture_curve *out, error *err) {
    static const size_t components[MIXTURE_POINTS] = {10, 20, 50, 100, 200};
    size_t d = m.cols, most = MIXTURE_VALUES / d, n = smaller(m.rows, MIXTURE_ROWS);
    n = smaller(n, most < MIXTURE_ROWS_LEAST ? MIXTURE_ROWS_LEAST : most);
    *out = (mixture_curve){.rows = n};
    float *rows = malloc(n * d * sizeof *rows);
    bool ok = rows || error_memory(err, n * d * sizeof *rows, "a sample of the rows");
    ok = ok && measure_range(m, out, err);
    while (ok && out->high > out->low && out->count < MIXTURE_POINTS && 4 * components[out->count] <= n) {
        out->points[out->count].components = components[out->count];
        out->count++;
    }
    for (uint32_t s = 0; ok && s < MIXTURE_SEEDS && out->count; s++) {
        ok = matrix_sample(m, n, seed, s, rows, err);
        for (size_t i = 0; ok && i < out->count; i++)
            ok = measure_point((matrix){rows, n, d}, out, seed + s, &out->points[i], err);
    }
    /* A column without variance adds this much to any component's entropy. */
    double flat = 0.5 * (1 + LOG_2PI + log(REGULARISATION));
    for (size_t i = 0; i < out->count; i++) {
        mixture_point *p = &out->points[i];
        p->log_likelihood_sd = deviation(p->log_likelihood_sd, p->log_likelihood);
        p->entropy_sd = deviation(p->entropy_sd, p->entropy);
        p->entropy_per_dimension = (p->entropy - flat * (double)(d - out->varying)) / (double)out->varying;
        p->entropy_padded = p->entropy + flat * (d < MIXTURE_PADDED ? (double)(MIXTURE_PADDED - d) : 0);
    }
    free(rows);
    return ok;
}

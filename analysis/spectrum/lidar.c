/*
 * Both covariances are summed from the differences themselves, tile by tile: taking one from the other would lose the
 * digits of a Σ_w that is small beside Σ_b, which is just where LiDAR looks.
 */
#include "analysis/spectrum/eigenvalues.h"
#include "analysis/spectrum/lidar.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 1024 };
static const double DELTA = 1e-4, EPSILON = 1e-8; /* the paper's */
/* Of the mean variance inside groups: less would leave Σ_w singular to double precision, as at a scale of 1e6. */
static const double ROUNDING = 1e-10;

/* What both kinds of groups need; all of it is one piece of memory. */
typedef struct covariances {
    double *between, *within, *values, *means, *tile, *other; /* (d, d), (d, d), (d), (d), (BLOCK, d), (BLOCK, d) */
    double *work[2];                                          /* (d, d): what the solver destroys */
} covariances;

static bool covariances_make(covariances *c, size_t d, error *err) {
    size_t count = 4 * d * d + 2 * d + 2 * BLOCK * d;
    c->between = calloc(count, sizeof *c->between);
    if (!c->between) return error_memory(err, count * sizeof *c->between, "LiDAR's covariances");
    c->within = c->between + d * d, c->values = c->within + d * d, c->means = c->values + d;
    c->tile = c->means + d, c->other = c->tile + BLOCK * d;
    c->work[0] = c->other + BLOCK * d, c->work[1] = c->work[0] + d * d;
    return true;
}

static void add_rows(const double *rows, size_t count, size_t d, double scale, double *to) {
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)count, scale, rows, (int)d, 1, to, (int)d);
}

/* exp of the entropy, with Σ_w times `scale`. */
static bool solve(covariances *c, size_t d, double scale, double *value, error *err) {
    double trace = 0;
    for (size_t j = 0; j < d * d; j++) c->work[0][j] = c->between[j], c->work[1][j] = scale * c->within[j];
    for (size_t j = 0; j < d; j++) trace += c->work[1][j * d + j];
    double delta = fmax(DELTA, ROUNDING * trace / (double)d);
    for (size_t j = 0; j < d; j++) c->work[1][j * d + j] += delta;
    if (!eigenvalues_of_pair(c->work[0], c->work[1], d, c->values))
        return error_set(err, ERROR_RUN, "LiDAR's eigenvalues of two %zu×%zu covariances did not converge", d, d);
    double sum = 0, entropy = 0;
    for (size_t j = 0; j < d; j++) sum += c->values[j] = fmax(c->values[j], 0);
    for (size_t j = 0; j < d && sum > 0; j++) {
        double p = c->values[j] / sum + EPSILON;
        entropy -= p * log(p);
    }
    *value = sum > 0 ? exp(entropy) : 0;
    return true;
}

/* Σ_w was summed over all `rows` and divided by them. */
static bool finish(covariances *c, size_t rows, size_t d, lidar *out, error *err) {
    double unbiased = (double)rows / (double)(rows - out->groups);
    if (!solve(c, d, 1, &out->value, err) || !solve(c, d, unbiased, &out->unbiased, err)) return false;
    out->share = out->value / (double)smaller(d, out->groups - 1);
    return true;
}

bool lidar_of_views(matrix first, matrix second, lidar *out, error *err) {
    size_t n = first.rows, d = first.cols;
    *out = (lidar){.value = NAN, .unbiased = NAN, .share = NAN, .groups = n};
    if (first.rows != second.rows || first.cols != second.cols)
        return error_set(err, ERROR_RUN, "two views of %zu×%zu and %zu×%zu; they have one shape", n, d, second.rows,
                         second.cols);
    if (n < 2 || d > LIDAR_COLUMNS) return true;
    covariances c;
    double *means = malloc(2 * d * sizeof *means);
    bool ok = means || error_memory(err, 2 * d * sizeof *means, "column means");
    ok = ok && matrix_means(first, means, err) && matrix_means(second, means + d, err);
    if (!ok || !covariances_make(&c, d, err)) {
        free(means);
        return false;
    }
    for (size_t j = 0; j < d; j++) c.means[j] = 0.5 * (means[j] + means[d + j]);
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t rows = smaller(BLOCK, n - start);
        matrix_block(first, start, rows, c.means, c.tile);
        matrix_block(second, start, rows, c.means, c.other);
        for (size_t i = 0; i < rows * d; i++) {
            double x = c.tile[i], y = c.other[i];
            c.tile[i] = 0.5 * (x + y), c.other[i] = 0.5 * (x - y);
        }
        add_rows(c.tile, rows, d, 1 / (double)n, c.between);
        add_rows(c.other, rows, d, 1 / (double)n, c.within); /* both views lie as far from their mean */
    }
    ok = finish(&c, 2 * n, d, out, err);
    free(c.between);
    free(means);
    return ok;
}

/* Class means (classes, d), and their own mean in c->means. Returns the classes in use. */
static size_t class_means(matrix m, const int32_t *labels, size_t classes, double *counts, double *centres,
                          covariances *c) {
    size_t d = m.cols, used = 0;
    for (size_t start = 0; start < m.rows; start += BLOCK) {
        size_t rows = smaller(BLOCK, m.rows - start);
        matrix_block(m, start, rows, NULL, c->tile);
        for (size_t i = 0; i < rows; i++) {
            double *centre = centres + (size_t)labels[start + i] * d;
            counts[labels[start + i]]++;
            for (size_t j = 0; j < d; j++) centre[j] += c->tile[i * d + j];
        }
    }
    for (size_t k = 0; k < classes; k++) used += counts[k] > 0;
    for (size_t k = 0; k < classes; k++)
        for (size_t j = 0; counts[k] > 0 && j < d; j++) {
            centres[k * d + j] /= counts[k];
            c->means[j] += centres[k * d + j] / (double)used;
        }
    return used;
}

bool lidar_of_classes(matrix m, const int32_t *labels, int classes, lidar *out, error *err) {
    size_t n = m.rows, d = m.cols, all = (size_t)classes;
    *out = (lidar){.value = NAN, .unbiased = NAN, .share = NAN};
    if (!labels_check(labels, n, classes, "labels", err)) return false;
    if (d > LIDAR_COLUMNS) return true;
    covariances c = {0};
    double *counts = calloc(all, sizeof *counts), *centres = calloc(all * d, sizeof *centres);
    bool ok = (counts && centres) || error_memory(err, all * d * sizeof *centres, "class means");
    ok = ok && covariances_make(&c, d, err);
    if (!ok) goto done;
    out->groups = class_means(m, labels, all, counts, centres, &c);
    if (out->groups < 2 || out->groups == n) goto done; /* each row its own class: there are no views */
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t rows = smaller(BLOCK, n - start);
        matrix_block(m, start, rows, NULL, c.tile);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < d; j++) c.tile[i * d + j] -= centres[(size_t)labels[start + i] * d + j];
        add_rows(c.tile, rows, d, 1 / (double)n, c.within);
    }
    for (size_t k = 0; k < all; k++) {
        if (counts[k] == 0) continue;
        for (size_t j = 0; j < d; j++) centres[k * d + j] -= c.means[j];
        add_rows(centres + k * d, 1, d, 1 / (double)out->groups, c.between);
    }
    ok = finish(&c, n, d, out, err);
done:
    free(counts);
    free(centres);
    free(c.between);
    return ok;
}

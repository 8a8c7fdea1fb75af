/*
 * The kinds of matrices. Each is drawn in double, altered as files are (an offset, a scale, float16, copies, an order),
 * and says what is true of it.
 */
#include "tests/verdicts/draw.h"
#include "tests/verdicts/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void healthy(drawing *g) {
    g->truths[COLLAPSE_REPRESENTATION] = TRUTH_HEALTHY;
    /* Twice the effective rank, which is at most d: with fewer rows nobody can tell. */
    if ((double)g->n >= 2.2 * (double)g->d) g->truths[COLLAPSE_DIMENSIONAL] = TRUTH_HEALTHY;
    if (g->n >= 50) g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_HEALTHY;
}

/* ---- healthy ----------------------------------------------------------------------------------------------------- */

static void draw_healthy(drawing *g, rng *r, uint32_t kind) {
    size_t n = g->n, d = g->d, k;
    double a, spread[64] = {0};
    int32_t *number = malloc(n * sizeof *number);
    healthy(g);
    switch (kind) {
    case 0: g->values = drawn_white(r, n, d), snprintf(g->what, 100, "white"); break;
    case 1: /* covariance i^-a */
        a = PICK_NUMBER(r, 0.5, 1, 1.5, 2);
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n * d; i++) g->values[i] *= pow((double)(i % d + 1), -a / 2);
        drawn_turn(r, g->values, n, d), snprintf(g->what, 100, "power law %g", a);
        break;
    case 2: {
        double *scale = malloc(d * sizeof *scale);
        a = PICK_NUMBER(r, 0.5, 1);
        for (size_t j = 0; j < d; j++) scale[j] = exp(a * drawn_normal(r));
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n * d; i++) g->values[i] *= scale[i % d];
        drawn_turn(r, g->values, n, d), snprintf(g->what, 100, "log-normal spectrum %g", a);
        free(scale);
        break;
    }
    case 3:
        k = PICK(r, 5, 10, 20), a = PICK_NUMBER(r, 1, 2, 3, 4);
        for (size_t c = 0; c < k; c++) spread[c] = 1;
        g->values = drawn_clusters(r, n, d, k, a, spread, number);
        snprintf(g->what, 100, "%zu classes %g apart", k, a);
        break;
    case 4: /* ReLU features */
        g->values = drawn_low_rank(r, n, d, d, 0.1);
        for (size_t i = 0; i < n * d; i++) g->values[i] = fmax(g->values[i] + 0.2, 0);
        snprintf(g->what, 100, "ReLU");
        break;
    case 5:
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n * d; i++) g->values[i] *= pow((double)(i % d + 1), -0.5);
        drawn_turn(r, g->values, n, d), drawn_layer_norm(g->values, n, d), snprintf(g->what, 100, "LayerNorm");
        break;
    case 6:
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n; i++) {
            a = drawn_student(r, 3);
            for (size_t j = 0; j < d; j++) g->values[i * d + j] *= g->n % 2 ? a : drawn_student(r, 3);
        }
        snprintf(g->what, 100, "t3");
        break;
    case 7:
        k = 1 + rng_below(r, d >= 64 ? 3 : 1), a = PICK_NUMBER(r, 10, 40, 100);
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n; i++)
            for (size_t c = 0; c < k; c++) g->values[i * d + (c * 7) % d] *= a;
        snprintf(g->what, 100, "%zu outlier columns of %g", k, a);
        break;
    case 8:
        g->values = drawn_white(r, n, d);
        for (size_t i = 0; i < n; i++) {
            double square = 0;
            for (size_t j = 0; j < d; j++) square += pow(g->values[i * d + j], 2);
            for (size_t j = 0; j < d; j++) g->values[i * d + j] /= sqrt(square);
        }
        snprintf(g->what, 100, "sphere");
        break;
    case 9: /* a linear head of a narrower network: all that was attainable */
        k = d / 8 ? d / 8 : 1;
        g->values = drawn_low_rank(r, n, d, k, 0), g->attainable = (double)k;
        snprintf(g->what, 100, "rank %zu, attainable", k);
        if (k < 4) g->truths[COLLAPSE_DIMENSIONAL] = g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_OPEN;
        break;
    case 10: { /* ten views of each input */
        double *base = drawn_white(r, n / 10 + 1, d);
        g->values = drawn_white(r, n, d), g->groups = malloc(n * sizeof *g->groups);
        a = PICK_NUMBER(r, 0.1, 0.3);
        for (size_t i = 0; i < n; i++) {
            g->groups[i] = (int64_t)(i / 10);
            for (size_t j = 0; j < d; j++) g->values[i * d + j] = base[i / 10 * d + j] + a * g->values[i * d + j];
        }
        free(base);
        if (n < 22 * d) g->truths[COLLAPSE_DIMENSIONAL] = TRUTH_OPEN;
        if (n < 500) g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_OPEN;
        snprintf(g->what, 100, "ten views %g", a);
        break;
    }
    default: { /* some rows again and again */
        g->values = drawn_white(r, n, d);
        a = PICK_NUMBER(r, 0.05, 0.15);
        for (size_t i = 0; (double)i < a * (double)n; i++)
            memcpy(g->values + (n - 1 - i) * d, g->values + (kind % 2 ? 0 : i) * d, d * sizeof(double));
        if ((double)n < 3 * (double)d) g->truths[COLLAPSE_DIMENSIONAL] = TRUTH_OPEN;
        snprintf(g->what, 100, "%g copies", a);
    }
    }
    free(number);
}

/* ---- collapsed --------------------------------------------------------------------------------------------------- */

static void draw_low_rank(drawing *g, rng *r) {
    size_t d = g->d, most = d / 8 > 2 ? d / 8 : 2, k = 1 + rng_below(r, (uint32_t)most);
    double floor = PICK_NUMBER(r, 0, 1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1);
    g->values = drawn_low_rank(r, g->n, d, k, floor);
    snprintf(g->what, 100, "rank %zu, floor %g", k, floor);
    g->truths[COLLAPSE_REPRESENTATION] = TRUTH_HEALTHY;
    /* The rows have to show the directions and what is behind them. */
    if (g->n >= 3 * k + 8) g->truths[COLLAPSE_DIMENSIONAL] = TRUTH_COLLAPSED;
    if (g->n >= 50 && k > 3) g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_HEALTHY;
}

static void draw_point(drawing *g, rng *r) {
    double noise = PICK_NUMBER(r, 0, 1e-8, 6e-8, 1e-7, 1e-6), *base = drawn_white(r, 1, g->d);
    g->values = drawn_white(r, g->n, g->d);
    for (size_t i = 0; i < g->n * g->d; i++) g->values[i] = base[i % g->d] * (1 + noise * g->values[i]);
    free(base);
    snprintf(g->what, 100, "one point, %g", noise);
    for (int m = 0; m < COLLAPSE_MODES; m++)
        if (m != COLLAPSE_CLUSTER) g->truths[m] = TRUTH_COLLAPSED;
}

static void draw_majority(drawing *g, rng *r) {
    bool zeros = rng_below(r, 2);
    g->values = drawn_white(r, g->n, g->d);
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; i % 10 && j < g->d; j++) g->values[i * g->d + j] = zeros ? 0 : g->values[j];
    snprintf(g->what, 100, "nine rows in ten %s", zeros ? "zeros" : "one row");
    g->truths[COLLAPSE_REPRESENTATION] = TRUTH_COLLAPSED;
}

static void draw_clusters(drawing *g, rng *r) {
    size_t most = g->n / 25 < 100 ? g->n / 25 : 100, k = most < 3 ? 3 : 3 + rng_below(r, (uint32_t)(most - 2));
    double spread[128] = {0}, tight = PICK_NUMBER(r, 0, 1e-3, 0.01, 0.03, 0.05);
    int32_t *number = malloc(g->n * sizeof *number);
    bool some = k >= 10 && rng_below(r, 3) == 0, nuisance = g->d >= 16 && rng_below(r, 4) == 0;
    for (size_t c = 0; c < k; c++) spread[c] = some && c % 10 == 0 ? 1 : tight;
    g->values = drawn_clusters(r, g->n, g->d, k, 1, spread, number);
    for (size_t i = 0; nuisance && i < g->n; i++) g->values[i * g->d + 3] = 20 * drawn_normal(r);
    snprintf(g->what, 100, "%zu point clusters %g%s%s", k, tight, some ? ", one in ten diffuse" : "",
             nuisance ? ", a nuisance column" : "");
    free(number);
    g->truths[COLLAPSE_REPRESENTATION] = TRUTH_HEALTHY;
    if (g->n >= 50) g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_COLLAPSED;
}

/* Curves and sheets: low dimension, and no clusters in them. */
static void draw_manifold(drawing *g, rng *r) {
    bool sheet = rng_below(r, 2);
    g->values = drawn_white(r, g->n, g->d);
    for (size_t i = 0; i < g->n; i++) {
        double t = 6.283 * rng_uniform(r), u = 6.283 * rng_uniform(r), *x = g->values + i * g->d;
        for (size_t j = 0; j < g->d; j++) x[j] *= 0.01;
        for (size_t j = 0; j < 8; j++) x[j] += sin(t * (double)(j / 2 + 1) + (double)(j % 2) * 1.57 + (sheet ? u : 0));
        for (size_t j = 8; sheet && j < 16 && j < g->d; j++) x[j] += cos(u * (double)(j - 7));
    }
    drawn_turn(r, g->values, g->n, g->d);
    snprintf(g->what, 100, "a %s", sheet ? "sheet" : "curve");
    g->truths[COLLAPSE_REPRESENTATION] = TRUTH_HEALTHY;
    if (g->n >= 50) g->truths[COLLAPSE_INTRACLUSTER] = TRUTH_HEALTHY;
}

/* Held against a reference: the same narrow thing is no change, an eighth of it is a collapse. */
static void draw_reference(drawing *g, rng *r) {
    bool lost = rng_below(r, 2);
    size_t k = g->d / 4 > 4 ? g->d / 4 : 4;
    g->reference = drawn_low_rank(r, g->n, g->d, k, 0.02);
    g->values = lost ? drawn_low_rank(r, g->n, g->d, k / 8 ? k / 8 : 1, 0.02) : drawn_low_rank(r, g->n, g->d, k, 0.02);
    snprintf(g->what, 100, "rank %zu of a reference's %zu", lost ? k / 8 : k, k);
    if (g->n >= 4 * k && g->n >= 2 * g->d) g->truths[COLLAPSE_DIMENSIONAL] = lost ? TRUTH_COLLAPSED : TRUTH_HEALTHY;
}

/* ---- codes ------------------------------------------------------------------------------------------------------- */

/* n draws of codes with weight(c): assignment. */
static void draw_codes(drawing *g, rng *r, const double *weight) {
    double total = 0, *sum = malloc(g->codes * sizeof *sum);
    for (size_t c = 0; c < g->codes; c++) sum[c] = total += weight[c];
    for (size_t i = 0; i < g->n; i++) {
        double at = total * rng_uniform(r);
        size_t low = 0, high = g->codes - 1;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (sum[middle] <= at)
                low = middle + 1;
            else
                high = middle;
        }
        g->assignment[i] = (int32_t)low;
    }
    free(sum);
}

static void draw_use(drawing *g, rng *r, uint32_t kind) {
    g->n = PICK(r, 200, 1000, 5000, 20000), g->d = 8;
    g->values = drawn_white(r, g->n, g->d);
    g->codes = PICK(r, 10, 64, 512, 1000, 4096);
    g->assignment = malloc(g->n * sizeof *g->assignment);
    double *weight = malloc(g->codes * sizeof *weight), zipf = PICK_NUMBER(r, 0.5, 1);
    size_t alive = g->codes / 10 ? g->codes / 10 : 1, c = g->codes;
    for (size_t j = 0; j < c; j++)
        weight[j] = kind == 0   ? 1
                    : kind == 1 ? pow((double)(j + 1), -zipf)
                    : kind == 2 ? exp(drawn_normal(r))
                    : kind == 3 ? j % 10 == 3
                    : kind == 4 ? j == c / 2
                                : (j == 1 ? 99 * (double)c : 1);
    if (kind == 3 && c < 10) weight[0] = 1;
    draw_codes(g, r, weight);
    static const char *const names[] = {
        "even", "Zipf", "log-normal", "nine in ten dead", "one code", "99 % on one code"};
    snprintf(g->what, 100, "%zu codes, %s, %zu rows", c, names[kind], g->n);
    truth *t = &g->truths[COLLAPSE_CLUSTER];
    if (kind < 3) *t = g->n >= c ? TRUTH_HEALTHY : TRUTH_OPEN;
    if (kind == 3) *t = g->n >= 4 * alive ? TRUTH_COLLAPSED : TRUTH_OPEN; /* each live code seen a few times */
    if (kind > 3) *t = TRUTH_COLLAPSED;
    free(weight);
}

/* Soft: uniform rows, clear probabilities, cosines before a temperature; mild or clear ones of as many codes as rows.
 */
static void draw_soft(drawing *g, rng *r, uint32_t kind) {
    enum { WIDTH = 32 };
    g->n = PICK(r, 500, 2000), g->d = WIDTH, g->codes = PICK(r, 16, 64, 256);
    if (kind > 2) g->n = g->codes = PICK(r, 64, 128, 256, 512);
    size_t c = g->codes;
    double *codes = drawn_white(r, c, WIDTH);
    g->values = drawn_white(r, g->n, WIDTH), g->scores = malloc(g->n * c * sizeof *g->scores);
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; j < c; j++) {
            double dot = 0, x = 0, y = 0;
            for (size_t k = 0; k < WIDTH; k++) {
                double a = g->values[i * WIDTH + k], b = codes[j * WIDTH + k];
                dot += a * b, x += a * a, y += b * b;
            }
            double cosine = dot / sqrt(x * y);
            g->scores[i * c + j] = (float)(kind == 0   ? 0.002 * drawn_normal(r)
                                           : kind == 2 ? cosine
                                           : kind == 3 ? 0.7 * drawn_normal(r)
                                                       : cosine / 0.07);
        }
    g->are_scores = kind == 2;
    if (kind != 2) /* as probabilities, whose logs these are */
        for (size_t i = 0; i < g->n; i++) {
            double sum = 0;
            for (size_t j = 0; j < c; j++) sum += exp((double)g->scores[i * c + j]);
            for (size_t j = 0; j < c; j++) g->scores[i * c + j] -= (float)log(sum);
        }
    free(codes);
    static const char *const names[] = {"uniform rows", "probabilities", "cosines", "mild, a row a code",
                                        "probabilities, a row a code"};
    snprintf(g->what, 100, "%zu codes, %s", c, names[kind]);
    g->truths[COLLAPSE_CLUSTER] = kind ? TRUTH_HEALTHY : TRUTH_COLLAPSED;
}

/* ---- what files do to a matrix ----------------------------------------------------------------------------------- */

/* As float16 stores it: 11 bits, the smallest of which is 2^-24. */
static double half_of(double x) {
    if (x == 0) return 0;
    int e;
    frexp(x, &e);
    double step = ldexp(1, e - 11 > -24 ? e - 11 : -24);
    return rint(x / step) * step;
}

static void store(drawing *g, int bits) {
    for (size_t i = 0; i < g->n * g->d; i++)
        g->values[i] = bits == 16 ? half_of(g->values[i]) : bits == 32 ? (double)(float)g->values[i] : g->values[i];
}

static void alter(drawing *g, rng *r) {
    double offsets[] = {0, 0, 8, 30, 100}, scale = PICK_NUMBER(r, 1, 1, 1e-4, 1e4);
    double offset = offsets[rng_below(r, 5)];
    int bits = (int)PICK(r, 16, 32, 32, 64);
    bool point = g->truths[COLLAPSE_REPRESENTATION] == TRUTH_COLLAPSED;
    double size = 0; /* a typical entry, so that float16 holds it */
    for (size_t i = 0; i < g->n * g->d; i++) size += fabs(g->values[i]) / (double)(g->n * g->d);
    if (bits == 16) offset = fmin(offset, 8), scale = 1 / fmax(size, 1e-9);
    if (point || g->attainable > 0 || g->codes) offset = 0;
    for (size_t i = 0; i < g->n * g->d; i++) g->values[i] = g->values[i] * scale + offset * scale * size;
    store(g, bits);
    size_t length = strlen(g->what);
    snprintf(g->what + length, sizeof g->what - length, "; %zu×%zu float%d, offset %g, scale %.2g", g->n, g->d, bits,
             offset, scale);
}

void drawing_make(drawing *g, uint32_t i) {
    rng r = rng_stream(77, RNG_TEST, 0, i, 0);
    *g = (drawing){0};
    g->n = PICK(&r, 20, 50, 200, 600, 2000, 2000, 5000), g->d = PICK(&r, 16, 32, 64, 64, 128, 256);
    if (i % 97 == 5) g->n = 50000, g->d = 32; /* a few that are large */
    if (i % 31 == 7) g->n = 3000, g->d = 512;
    switch (i % 18) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6: draw_healthy(g, &r, (i / 18 * 7 + i % 18) % 12); break;
    case 7:
    case 8:
    case 9: draw_low_rank(g, &r); break;
    case 10: draw_point(g, &r); break;
    case 11: draw_majority(g, &r); break;
    case 12:
    case 13: draw_clusters(g, &r); break;
    case 14:
        if (i / 18 % 2)
            draw_manifold(g, &r);
        else
            draw_reference(g, &r);
        break;
    case 15:
    case 16: draw_use(g, &r, i / 18 % 6); break;
    default: draw_soft(g, &r, i / 18 % 5);
    }
    alter(g, &r);
}

/* ---- what may not change a word ---------------------------------------------------------------------------------- */

void drawing_variant(drawing *g, uint32_t base, int variant) {
    rng r = rng_stream(78, RNG_TEST, 0, base, 0), other = rng_stream(79, RNG_TEST, 0, base, 0);
    *g = (drawing){.n = 1600, .d = PICK(&r, 32, 64, 128)};
    switch (base % 8) {
    case 0:
    case 1:
    case 2: draw_healthy(g, &r, base / 8 % 9); break;
    case 3:
    case 4: draw_low_rank(g, &r); break;
    case 5: draw_clusters(g, &r); break;
    case 6: draw_manifold(g, &r); break;
    default: { /* what is open: a rank between, clusters between */
        double spread[8] = {0};
        int32_t *number = malloc(g->n * sizeof *number);
        for (size_t c = 0; c < 8; c++) spread[c] = 0.15;
        g->values = base % 16 < 8 ? drawn_low_rank(&r, g->n, g->d, g->d / 6, 0.2)
                                  : drawn_clusters(&r, g->n, g->d, 8, 1, spread, number);
        free(number);
        snprintf(g->what, 100, "between");
    }
    }
    size_t n = g->n, d = g->d;
    if (variant == 1) /* backwards */
        for (size_t i = 0; i < n / 2; i++)
            for (size_t j = 0; j < d; j++) {
                double x = g->values[i * d + j];
                g->values[i * d + j] = g->values[(n - 1 - i) * d + j], g->values[(n - 1 - i) * d + j] = x;
            }
    if (variant == 2) drawn_turn(&other, g->values, n, d);
    for (size_t i = 0; variant == 3 && i < n * d; i++) g->values[i] *= 1e-5;
    for (size_t j = 0; variant == 4 && j < d; j++) {
        double shift = 10 * drawn_normal(&other);
        for (size_t i = 0; i < n; i++) g->values[i * d + j] += shift;
    }
    if (variant == 5) g->n = n / 2;
    store(g, 32);
    size_t length = strlen(g->what);
    snprintf(g->what + length, sizeof g->what - length, "; variant %d", variant);
}

void drawing_free(drawing *g) {
    free(g->values);
    free(g->reference);
    free(g->groups);
    free(g->assignment);
    free(g->scores);
}

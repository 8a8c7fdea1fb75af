/*
 * The verdicts' thresholds on matrices whose state is known by construction. Clear cases are those whose state nobody
 * would dispute: a rank under a fifth of what fits or over nine tenths, one code in ten alive or all of them, clusters
 * of a radius under a fiftieth of their distance or none at all. At least 95 in 100 of them have to be judged right,
 * and no clear healthy one may be called collapsed. CONFUSION=1 in the environment prints the table.
 */
#include "analysis/verdicts/collapse.h"
#include "engine/rng.h"

#include <cblas.h>
#include <check.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rng source;

static matrix noise(size_t n, size_t d, double scale, double offset) {
    float *x = malloc(n * d * sizeof *x);
    for (size_t i = 0; i < n * d; i++) x[i] = (float)(offset + scale * rng_normal(&source));
    return (matrix){x, n, d};
}

static float *values(matrix m) { return (float *)m.data; }

/* Counts of what was expected (collapsed, healthy) against what was said, per mode. */
typedef struct confusion {
    int count[COLLAPSE_MODES][2][4];
} confusion;

static void judge(confusion *t, collapse_mode mode, bool collapsed, const collapse_input *input, const char *what) {
    collapse c;
    error err = {0};
    ck_assert_msg(collapse_compute(input, &c, &err), "%s: %s", what, err.text);
    verdict said = c.verdicts[mode].verdict;
    t->count[mode][collapsed ? 0 : 1][said]++;
    if (getenv("CONFUSION") && said != (collapsed ? VERDICT_COLLAPSED : VERDICT_HEALTHY))
        fprintf(stderr, "%s: %s, said %s (%.3g)\n", what, collapsed ? "collapsed" : "healthy", verdict_name(said),
                c.verdicts[mode].statistic);
    collapse_free(&c);
}

/* As many again of one matrix, scaled, turned, and with one row (no outlier) many times: no state changes. */
enum { COPIES = 4 };
static matrix altered(matrix m, int copy) {
    matrix y = noise(m.rows, m.cols, 0, 0);
    memcpy(values(y), m.data, m.rows * m.cols * sizeof(float));
    if (copy == 1 || copy == 2)
        for (size_t i = 0; i < m.rows * m.cols; i++) values(y)[i] *= copy == 1 ? 1e-5f : 3e4f;
    if (copy == 2) { /* a reflection, I − 2vvᵀ */
        matrix v = noise(1, m.cols, 1, 0);
        double norm = 0;
        for (size_t j = 0; j < m.cols; j++) norm += (double)v.data[j] * (double)v.data[j];
        for (size_t i = 0; i < m.rows; i++) {
            double dot = 0;
            for (size_t j = 0; j < m.cols; j++) dot += (double)y.data[i * m.cols + j] * (double)v.data[j];
            for (size_t j = 0; j < m.cols; j++)
                values(y)[i * m.cols + j] -= (float)(2 * dot / norm * (double)v.data[j]);
        }
        free(values(v));
    }
    for (size_t i = 0; copy == 3 && i < m.rows / 20; i++) /* one row in twenty is the second once more */
        memcpy(values(y) + (m.rows - 1 - i) * m.cols, m.data + m.cols, m.cols * sizeof(float));
    return y;
}

static void judge_copies(confusion *t, collapse_mode mode, bool collapsed, matrix m, const collapse_input *with,
                         const char *what) {
    for (int copy = 0; copy < COPIES; copy++) {
        collapse_input input = *with;
        input.embeddings = altered(m, copy);
        input.quick = true;
        int32_t *doubled = malloc(m.rows * sizeof *doubled);
        for (size_t i = 0; with->assignment && i < m.rows; i++)
            doubled[i] = with->assignment[copy == 3 && i >= m.rows - m.rows / 20 ? 1 : i];
        if (with->assignment) input.assignment = doubled;
        judge(t, mode, collapsed, &input, what);
        free(values(input.embeddings));
        free(doubled);
    }
}

/* ---- what is built ---------------------------------------------------------------------------------------------- */

static matrix low_rank(size_t n, size_t d, size_t r, double scale) {
    matrix a = noise(n, r, 1, 0), b = noise(r, d, 1 / sqrt((double)r), 0), x = noise(n, d, scale, 0);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r; k++)
            for (size_t j = 0; j < d; j++) values(x)[i * d + j] += a.data[i * r + k] * b.data[k * d + j];
    free(values(a));
    free(values(b));
    return x;
}

/* Points about k random centres: assignment[i] = i % k. */
static matrix mixture(size_t n, size_t d, size_t k, double spread, int32_t *assignment) {
    matrix centres = noise(k, d, 1, 0), x = noise(n, d, spread, 0);
    for (size_t i = 0; i < n; i++) {
        assignment[i] = (int32_t)(i % k);
        for (size_t j = 0; j < d; j++) values(x)[i * d + j] += centres.data[i % k * d + j];
    }
    free(values(centres));
    return x;
}

static void heavy_tails(matrix m) {
    for (size_t i = 0; i < m.rows; i++) { /* Student's t with 5 degrees of freedom: rows share a scale */
        double chi = 0;
        for (int k = 0; k < 5; k++) chi += pow(rng_normal(&source), 2);
        for (size_t j = 0; j < m.cols; j++) values(m)[i * m.cols + j] *= (float)sqrt(5 / chi);
    }
}

static void outlier(matrix m, double size) {
    for (size_t j = 0; j < m.cols; j++) values(m)[j] = (float)(size * rng_normal(&source));
}

/* ---- the modes -------------------------------------------------------------------------------------------------- */

static void rank_cases(confusion *t) {
    static const size_t shapes[][2] = {{1000, 64}, {400, 128}, {60, 200}, {2000, 16}};
    static const double shares[] = {0.05, 0.1, 0.15, 0.2, 1}, ratios[] = {0, 1e-3, 1e-2};
    const collapse_input none = {0};
    char what[128];
    for (size_t s = 0; s < 4; s++)
        for (size_t k = 0; k < 5; k++)
            for (size_t r = 0; r < 3; r++) {
                size_t n = shapes[s][0], d = shapes[s][1], most = n - 1 < d ? n - 1 : d;
                size_t rank = (size_t)(shares[k] * (double)most);
                if (rank < 1) continue;
                matrix m = low_rank(n, d, rank, ratios[r]);
                snprintf(what, sizeof what, "rank %zu of %zu×%zu, noise %g", rank, n, d, ratios[r]);
                if (k == 4) free(values(m)), m = noise(n, d, 1, 0); /* the product of squares is not round */
                if (k == 4 && r == 1) heavy_tails(m);
                if (k == 4 && r == 2) outlier(m, 3);
                judge_copies(t, COLLAPSE_DIMENSIONAL, k < 4, m, &none, what);
                free(values(m));
            }
}

static void spread_cases(confusion *t) {
    static const double offsets[] = {0, 0.3, 1, 10, 30, 1000};
    const collapse_input none = {0};
    char what[128];
    for (size_t d = 4; d <= 64; d *= 16)
        for (size_t k = 0; k < 6; k++)
            for (int tails = 0; tails < 3; tails++) {
                matrix m = noise(500, d, 1, 0);
                if (tails == 1) heavy_tails(m);
                if (tails == 2) outlier(m, 1e3);
                for (size_t i = tails == 2 ? d : 0; i < 500 * d; i++) values(m)[i] += (float)offsets[k];
                snprintf(what, sizeof what, "noise about %g in %zu columns, kind %d", offsets[k], d, tails);
                judge_copies(t, COLLAPSE_REPRESENTATION, k > 2, m, &none, what);
                free(values(m));
            }
}

static void usage_cases(confusion *t) {
    static const size_t codes[] = {10, 50, 500, 5000};
    enum { N = 2000 };
    static int32_t assignment[N];
    matrix m = noise(N, 4, 1, 0);
    char what[128];
    for (size_t k = 0; k < 4; k++)
        for (int kind = 0; kind < 6; kind++)
            for (int repeat = 0; repeat < 4; repeat++) {
                /* 0: one code; 1: a tenth alive; 2: all rows but one in a hundred in one code; 3: even; 4: uneven by a
                   factor of two; 5: pairs of codes merged into one */
                size_t c = codes[k], alive = kind == 0 ? 1 : kind == 1 ? c / 10 : c;
                if (kind == 1 && alive * 10 > N) continue; /* few rows a code: dead ones cannot be told */
                for (int i = 0; i < N; i++) {
                    size_t code = rng_below(&source, (uint32_t)alive);
                    if (kind == 2 && i % 100) code = 3;
                    if (kind == 4 && code % 2 && rng_below(&source, 2)) code--;
                    if (kind == 5 && code % 4 == 1) code--;
                    assignment[i] = (int32_t)code;
                }
                snprintf(what, sizeof what, "%zu codes, kind %d", c, kind);
                judge(t, COLLAPSE_CLUSTER, kind < 3,
                      &(collapse_input){.embeddings = m, .assignment = assignment, .codes = c, .quick = true}, what);
            }
    free(values(m));
}

static void cluster_cases(confusion *t) {
    static const double spreads[] = {0, 0.005, 0.02, 1, 2};
    static int32_t assignment[1500];
    char what[128];
    for (size_t d = 4; d <= 64; d *= 4)
        for (size_t k = 5; k <= 50; k += 45)
            for (size_t s = 0; s < 5; s++)
                for (int given = 0; given < 2; given++) {
                    matrix m = mixture(1500, d, k, spreads[s], assignment);
                    if (s == 4) heavy_tails(m);
                    collapse_input with = {.clusters = k};
                    if (given) with.assignment = assignment, with.codes = k;
                    snprintf(what, sizeof what, "%zu clusters in %zu columns, spread %g, %s", k, d, spreads[s],
                             given ? "given" : "by k-means");
                    judge_copies(t, COLLAPSE_INTRACLUSTER, s < 3, m, &with, what);
                    free(values(m));
                }
}

/* Too little to judge by: never healthy, never collapsed, but for one point. */
START_TEST(test_too_few_rows_are_never_judged) {
    for (size_t n = 1; n < 10; n++)
        for (int repeat = 0; repeat < 5; repeat++) {
            matrix m = noise(n, 8, 1, 0);
            collapse c;
            error err = {0};
            ck_assert(collapse_compute(&(collapse_input){.embeddings = m, .quick = true}, &c, &err));
            ck_assert_int_eq(c.verdicts[COLLAPSE_DIMENSIONAL].verdict, VERDICT_UNKNOWN);
            ck_assert_int_eq(c.verdicts[COLLAPSE_INTRACLUSTER].verdict, VERDICT_UNKNOWN);
            collapse_free(&c);
            free(values(m));
        }
}
END_TEST

START_TEST(test_clear_cases_are_judged_right) {
    confusion t = {0};
    source = rng_stream(21, RNG_TEST, 0, 0, 0);
    omp_set_num_threads(1); /* matrices this small are done before a second thread wakes */
    openblas_set_num_threads(1);
    static void (*const cases[])(confusion *) = {
        [COLLAPSE_REPRESENTATION] = spread_cases,
        [COLLAPSE_DIMENSIONAL] = rank_cases,
        [COLLAPSE_CLUSTER] = usage_cases,
        [COLLAPSE_INTRACLUSTER] = cluster_cases,
    };
    cases[_i](&t);
    const int *sick = t.count[_i][0], *well = t.count[_i][1];
    int total = 0, right = sick[VERDICT_COLLAPSED] + well[VERDICT_HEALTHY];
    for (int v = 0; v < 4; v++) total += sick[v] + well[v];
    if (getenv("CONFUSION"))
        for (int state = 0; state < 2; state++)
            fprintf(stderr, "%-15s %-10s said collapsed %4d, warning %4d, healthy %4d, unknown %4d\n",
                    collapse_mode_name((collapse_mode)_i), state ? "healthy" : "collapsed",
                    t.count[_i][state][VERDICT_COLLAPSED], t.count[_i][state][VERDICT_WARNING],
                    t.count[_i][state][VERDICT_HEALTHY], t.count[_i][state][VERDICT_UNKNOWN]);
    ck_assert_int_gt(total, 80);
    ck_assert_int_gt(sick[VERDICT_COLLAPSED], 30);
    ck_assert_int_gt(well[VERDICT_HEALTHY], 20);
    ck_assert_msg(right >= 0.95 * total, "%d of %d right", right, total);
    ck_assert_int_eq(well[VERDICT_COLLAPSED], 0);
}
END_TEST

Suite *suite_thresholds(void) {
    Suite *s = suite_create("thresholds");
    TCase *t = tcase_create("thresholds");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_clear_cases_are_judged_right, 0, COLLAPSE_MODES);
    tcase_add_test(t, test_too_few_rows_are_never_judged);
    suite_add_tcase(s, t);
    return s;
}

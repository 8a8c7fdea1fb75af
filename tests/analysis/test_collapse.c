/*
 * Matrices whose state is known because they were built that way. Each mode is held against clear cases on both sides
 * of its thresholds, and against what must not be mistaken for it.
 */
#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/jackknife.h"
#include "engine/rng.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rng source;

static void restart(void) { source = rng_stream(11, RNG_TEST, 0, 0, 0); }

static matrix noise(size_t n, size_t d, double scale, double offset) {
    float *x = malloc(n * d * sizeof *x);
    for (size_t i = 0; i < n * d; i++) x[i] = (float)(offset + scale * rng_normal(&source));
    return (matrix){x, n, d};
}

/* (n, r)·(r, d) + scale · noise: rank r, give or take. */
static matrix low_rank(size_t n, size_t d, size_t r, double scale) {
    matrix a = noise(n, r, 1, 0), b = noise(r, d, 1 / sqrt((double)r), 0), x = noise(n, d, scale, 0);
    float *out = (float *)x.data;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r; k++)
            for (size_t j = 0; j < d; j++) out[i * d + j] += a.data[i * r + k] * b.data[k * d + j];
    return x;
}

/* Points about `k` random centres with the given spread inside; assignment[i] = i % k. Unit rows on request. */
static matrix mixture(size_t n, size_t d, size_t k, double spread, bool unit, int32_t *assignment) {
    matrix centres = noise(k, d, 1, 0), x = noise(n, d, spread, 0);
    float *out = (float *)x.data;
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) out[i * d + j] += centres.data[i % k * d + j];
        for (size_t j = 0; j < d; j++) square += out[i * d + j] * out[i * d + j];
        for (size_t j = 0; unit && j < d; j++) out[i * d + j] /= (float)sqrt(square);
        if (assignment) assignment[i] = (int32_t)(i % k);
    }
    return x;
}

static collapse diagnose(collapse_input input) {
    collapse c;
    error err = {0};
    ck_assert_msg(collapse_compute(&input, &c, &err), "%s", err.text);
    for (int i = 0; i < COLLAPSE_MODES; i++) {
        const collapse_verdict *v = &c.verdicts[i];
        ck_assert_msg(strlen(v->sentence) > 20 && strlen(v->sentence) < sizeof v->sentence - 1, "%s", v->sentence);
        if (!isnan(v->low)) ck_assert_msg(v->low <= v->statistic && v->statistic <= v->high, "mode %d", i);
    }
    return c;
}

static void assert_verdict(const collapse *c, collapse_mode mode, verdict expected) {
    const collapse_verdict *v = &c->verdicts[mode];
    ck_assert_msg(v->verdict == expected, "%s: %s, expected %s; %s = %g [%g, %g], null %g: %s",
                  collapse_mode_name(mode), verdict_name(v->verdict), verdict_name(expected), v->statistic_name,
                  v->statistic, v->low, v->high, v->expected, v->sentence);
}

static void assert_not_healthy(const collapse *c, collapse_mode mode) {
    ck_assert_msg(c->verdicts[mode].verdict > VERDICT_HEALTHY, "%s: %s", collapse_mode_name(mode),
                  c->verdicts[mode].sentence);
}

START_TEST(test_isotropic_noise_shows_no_collapse) {
    static const size_t shapes[][2] = {{1000, 64}, {900, 400}, {140, 60}, {2000, 2}, {5000, 16}};
    for (size_t i = 0; i < 5; i++) {
        collapse c = diagnose((collapse_input){.embeddings = noise(shapes[i][0], shapes[i][1], 3, 0)});
        assert_verdict(&c, COLLAPSE_REPRESENTATION, VERDICT_HEALTHY);
        assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_HEALTHY);
        assert_verdict(&c, COLLAPSE_CLUSTER, VERDICT_UNKNOWN); /* k-means clusters are not codes */
        assert_verdict(&c, COLLAPSE_INTRACLUSTER, VERDICT_HEALTHY);
        ck_assert_double_gt(c.verdicts[COLLAPSE_DIMENSIONAL].statistic, 0.9);
        ck_assert(c.clusters_by_kmeans);
    }
}
END_TEST

START_TEST(test_constant_matrix_is_fully_collapsed) {
    matrix m = noise(300, 20, 0, 0.7);
    int32_t labels[300];
    for (int i = 0; i < 300; i++) labels[i] = i % 3;
    collapse c = diagnose((collapse_input){.embeddings = m, .labels = labels, .classes = 3});
    ck_assert_double_eq(c.class_within_share, 0);
    assert_verdict(&c, COLLAPSE_REPRESENTATION, VERDICT_COLLAPSED);
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
    assert_verdict(&c, COLLAPSE_INTRACLUSTER, VERDICT_COLLAPSED);
    ck_assert_double_lt(c.spread, 1e-6);
    ck_assert_double_eq(c.variance_share, 0);
    ck_assert_double_eq(c.verdicts[COLLAPSE_DIMENSIONAL].statistic, 0);
}
END_TEST

START_TEST(test_zero_matrix_is_fully_collapsed) {
    collapse c = diagnose((collapse_input){.embeddings = noise(100, 8, 0, 0)});
    assert_verdict(&c, COLLAPSE_REPRESENTATION, VERDICT_COLLAPSED);
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
    ck_assert_double_eq(c.spread, 0);
}
END_TEST

START_TEST(test_rounding_around_one_point_is_a_collapse_and_an_offset_is_none) {
    collapse rounding = diagnose((collapse_input){.embeddings = noise(500, 32, 1e-7, 1)});
    collapse on_the_way = diagnose((collapse_input){.embeddings = noise(500, 32, 1e-4, 1)});
    collapse offset = diagnose((collapse_input){.embeddings = noise(500, 32, 1, 30)});
    assert_verdict(&rounding, COLLAPSE_REPRESENTATION, VERDICT_COLLAPSED);
    assert_verdict(&rounding, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
    assert_verdict(&rounding, COLLAPSE_INTRACLUSTER, VERDICT_COLLAPSED);
    assert_verdict(&on_the_way, COLLAPSE_REPRESENTATION, VERDICT_WARNING);
    assert_verdict(&offset, COLLAPSE_REPRESENTATION, VERDICT_HEALTHY);
    assert_verdict(&offset, COLLAPSE_DIMENSIONAL, VERDICT_HEALTHY); /* about its mean it is a round cloud */
    ck_assert(strstr(offset.verdicts[COLLAPSE_REPRESENTATION].sentence, "share an offset") != NULL);
}
END_TEST

START_TEST(test_float16_rounding_around_one_point_is_a_collapse) {
    matrix m = noise(500, 32, 0, 0);
    float *x = (float *)m.data;
    for (int i = 0; i < 500 * 32; i++) { /* neighbours in float16, by chance */
        double base = 1 + 0.03 * (i % 32), step = 0x1p-10;
        x[i] = (float)(floor(base / step + rng_uniform(&source)) * step);
    }
    collapse c = diagnose((collapse_input){.embeddings = m});
    ck_assert_double_eq(c.evidence.precision, 0x1p-11);
    assert_verdict(&c, COLLAPSE_REPRESENTATION, VERDICT_COLLAPSED);
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
}
END_TEST

START_TEST(test_one_huge_outlier_hides_no_collapse) {
    matrix m = noise(500, 16, 1e-7, 1);
    float *x = (float *)m.data;
    for (int j = 0; j < 16; j++) x[j] = (float)(j % 2 ? 1e4 : -1e4);
    collapse c = diagnose((collapse_input){.embeddings = m});
    assert_verdict(&c, COLLAPSE_REPRESENTATION, VERDICT_COLLAPSED);
    ck_assert_double_gt(c.variance_share, 0.9); /* which is fooled */
}
END_TEST

START_TEST(test_rank_r_plus_small_noise_is_dimensional_collapse) {
    static const struct {
        size_t r;
        double scale;
        verdict expected;
    } cases[] = {{1, 0, VERDICT_COLLAPSED},   {4, 1e-3, VERDICT_COLLAPSED}, {8, 1e-2, VERDICT_COLLAPSED},
                 {14, 1e-3, VERDICT_WARNING}, {48, 1e-3, VERDICT_HEALTHY},  {64, 0, VERDICT_HEALTHY},
                 {4, 1, VERDICT_HEALTHY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        collapse c = diagnose((collapse_input){.embeddings = low_rank(1500, 64, cases[i].r, cases[i].scale)});
        assert_verdict(&c, COLLAPSE_DIMENSIONAL, cases[i].expected);
    }
}
END_TEST

START_TEST(test_few_prototypes_in_many_dimensions_are_dimensional_collapse) {
    int32_t assignment[3000];
    matrix few = mixture(3000, 128, 16, 0.03, true, assignment);
    collapse c = diagnose((collapse_input){.embeddings = few, .assignment = assignment, .codes = 16});
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
    assert_verdict(&c, COLLAPSE_CLUSTER, VERDICT_HEALTHY);
    collapse more = diagnose((collapse_input){.embeddings = mixture(3000, 128, 30, 0.01, true, assignment)});
    assert_not_healthy(&more, COLLAPSE_DIMENSIONAL);
}
END_TEST

START_TEST(test_too_few_rows_hide_a_healthy_rank_but_no_cliff) {
    collapse c = diagnose((collapse_input){.embeddings = noise(40, 512, 1, 0)});
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_UNKNOWN);
    ck_assert_double_lt(c.spectrum.effective_rank.value / 512, 0.1);
    ck_assert(strstr(c.verdicts[COLLAPSE_DIMENSIONAL].sentence, "too few") != NULL);
    collapse thin = diagnose((collapse_input){.embeddings = low_rank(40, 512, 3, 1e-3)});
    assert_verdict(&thin, COLLAPSE_DIMENSIONAL, VERDICT_COLLAPSED);
}
END_TEST

START_TEST(test_two_rows_are_too_few_to_judge_a_rank) {
    collapse c = diagnose((collapse_input){.embeddings = noise(2, 16, 1, 0)});
    assert_verdict(&c, COLLAPSE_DIMENSIONAL, VERDICT_UNKNOWN);
    assert_verdict(&c, COLLAPSE_INTRACLUSTER, VERDICT_UNKNOWN);
    collapse one = diagnose((collapse_input){.embeddings = noise(1, 16, 1, 0)});
    assert_verdict(&one, COLLAPSE_REPRESENTATION, VERDICT_UNKNOWN);
}
END_TEST

START_TEST(test_scale_and_duplicated_rows_change_no_verdict) {
    matrix m = low_rank(600, 64, 8, 0.01), tiny = noise(600, 64, 0, 0), twice = noise(1200, 64, 0, 0);
    for (size_t i = 0; i < 600 * 64; i++) ((float *)tiny.data)[i] = 1e-6f * m.data[i];
    for (size_t i = 0; i < 1200 * 64; i++) ((float *)twice.data)[i] = m.data[i % (600 * 64)];
    collapse a = diagnose((collapse_input){.embeddings = m}), b = diagnose((collapse_input){.embeddings = tiny});
    collapse c = diagnose((collapse_input){.embeddings = twice});
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        assert_verdict(&b, (collapse_mode)mode, a.verdicts[mode].verdict);
        assert_verdict(&c, (collapse_mode)mode, a.verdicts[mode].verdict);
    }
}
END_TEST

START_TEST(test_labels_of_one_class_leave_the_number_of_clusters_to_the_data) {
    int32_t labels[300] = {0};
    collapse c = diagnose((collapse_input){.embeddings = noise(300, 8, 1, 0), .labels = labels, .classes = 1});
    ck_assert_uint_ge(c.clusters_used, 2);
    ck_assert_int_eq(c.verdicts[COLLAPSE_INTRACLUSTER].verdict, VERDICT_HEALTHY);
    collapse_free(&c);
}
END_TEST

START_TEST(test_dead_codes_are_cluster_collapse) {
    enum { N = 2000, C = 50 };
    matrix m = noise(N, 8, 1, 0);
    static const struct {
        uint32_t alive;
        verdict expected;
    } cases[] = {{1, VERDICT_COLLAPSED}, {5, VERDICT_COLLAPSED}, {20, VERDICT_WARNING}, {50, VERDICT_HEALTHY}};
    int32_t assignment[N];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (int i = 0; i < N; i++) assignment[i] = (int32_t)rng_below(&source, cases[k].alive);
        collapse c = diagnose((collapse_input){.embeddings = m, .assignment = assignment, .codes = C});
        assert_verdict(&c, COLLAPSE_CLUSTER, cases[k].expected);
        ck_assert_double_eq(c.usage.used, cases[k].alive);
        ck_assert_uint_ge(c.code_counts[0], c.code_counts[1]);
    }
}
END_TEST

START_TEST(test_more_codes_than_rows_is_not_cluster_collapse_but_no_ground_to_judge_clusters) {
    enum { N = 500, C = 16384 };
    int32_t assignment[N];
    for (int i = 0; i < N; i++) assignment[i] = (int32_t)rng_below(&source, C);
    collapse c = diagnose((collapse_input){.embeddings = noise(N, 8, 1, 0), .assignment = assignment, .codes = C});
    assert_verdict(&c, COLLAPSE_CLUSTER, VERDICT_UNKNOWN);
    assert_verdict(&c, COLLAPSE_INTRACLUSTER, VERDICT_UNKNOWN);
    ck_assert_uint_eq(c.code_counts_shown, COLLAPSE_CODES_SHOWN);
}
END_TEST

static collapse diagnose_logits(size_t n, size_t codes, double scale) {
    float *logits = malloc(n * codes * sizeof *logits);
    int32_t *best = malloc(n * sizeof *best);
    for (size_t i = 0; i < n * codes; i++) logits[i] = (float)(scale * rng_normal(&source));
    error err = {0};
    usage *u = usage_new(codes, &err);
    ck_assert(usage_add(u, logits, n, best, &err));
    return diagnose((collapse_input){.embeddings = noise(n, 8, 1, 0), .assignment = best, .codes = codes, .usage = u});
}

START_TEST(test_uniform_rows_are_cluster_collapse_though_every_code_is_used) {
    collapse vague = diagnose_logits(1000, 40, 0.02), sharp = diagnose_logits(1000, 40, 5);
    ck_assert_double_gt(vague.usage.perplexity_share, 0.99);
    ck_assert_double_gt(vague.usage.used_share, 0.99);
    assert_verdict(&vague, COLLAPSE_CLUSTER, VERDICT_COLLAPSED);
    ck_assert_str_eq(vague.verdicts[COLLAPSE_CLUSTER].statistic_name, "information_share");
    assert_verdict(&sharp, COLLAPSE_CLUSTER, VERDICT_HEALTHY);
}
END_TEST

START_TEST(test_points_that_shrink_inside_clusters_are_intracluster_collapse) {
    static const struct {
        double spread;
        verdict expected;
    } cases[] = {{0, VERDICT_COLLAPSED},  {0.01, VERDICT_COLLAPSED}, {0.05, VERDICT_COLLAPSED},
                 {0.15, VERDICT_WARNING}, {0.6, VERDICT_HEALTHY},    {2, VERDICT_HEALTHY}};
    int32_t assignment[1200];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        matrix m = mixture(1200, 32, 10, cases[i].spread, false, assignment);
        collapse given = diagnose((collapse_input){.embeddings = m, .assignment = assignment, .codes = 10});
        collapse found = diagnose((collapse_input){.embeddings = m, .clusters = 10});
        assert_verdict(&given, COLLAPSE_INTRACLUSTER, cases[i].expected);
        assert_verdict(&found, COLLAPSE_INTRACLUSTER, cases[i].expected);
    }
}
END_TEST

START_TEST(test_a_cloud_cut_into_many_clusters_in_a_plane_is_not_intracluster_collapse) {
    collapse c = diagnose((collapse_input){.embeddings = noise(3000, 2, 1, 0), .clusters = 60});
    ck_assert_double_lt(c.within_share, 0.1); /* the bare figure would have warned */
    assert_verdict(&c, COLLAPSE_INTRACLUSTER, VERDICT_HEALTHY);
}
END_TEST

START_TEST(test_rows_sorted_by_class_give_the_same_figures) {
    int32_t assignment[1000], sorted[1000];
    matrix m = mixture(1000, 16, 10, 0.5, false, assignment);
    float *x = malloc(1000 * 16 * sizeof *x);
    uint32_t order[1000];
    error err = {0};
    ck_assert(matrix_order(assignment, 1000, order, &err));
    for (size_t i = 0; i < 1000; i++) {
        memcpy(x + i * 16, m.data + order[i] * 16, 16 * sizeof *x);
        sorted[i] = assignment[order[i]];
    }
    collapse a = diagnose((collapse_input){.embeddings = m, .assignment = assignment, .codes = 10});
    collapse b = diagnose((collapse_input){.embeddings = {x, 1000, 16}, .assignment = sorted, .codes = 10});
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        ck_assert_int_eq(a.verdicts[mode].verdict, b.verdicts[mode].verdict);
        /* Pairs are drawn by their places, everything else is of all rows. */
        ck_assert_double_lt(fabs(a.verdicts[mode].statistic - b.verdicts[mode].statistic),
                            mode == COLLAPSE_REPRESENTATION ? 0.05 : 1e-9);
        /* Its groups see every class: the interval stays narrow. */
        ck_assert_double_lt(b.verdicts[mode].high - b.verdicts[mode].low, mode == COLLAPSE_REPRESENTATION ? 0.6 : 0.25);
    }
}
END_TEST

/* Over many samples of one population, 95 % intervals cover its value about that often. */
START_TEST(test_intervals_cover_what_they_estimate) {
    enum { SAMPLES = 60 };
    matrix shape = noise(12, 12, 1, 0);
    double values[3][SAMPLES], low[3][SAMPLES], high[3][SAMPLES], mean[3] = {0};
    static const collapse_mode modes[] = {COLLAPSE_REPRESENTATION, COLLAPSE_DIMENSIONAL, COLLAPSE_CLUSTER};
    for (int s = 0; s < SAMPLES; s++) {
        matrix m = noise(400, 12, 1, 0.3), y = noise(400, 12, 0, 0);
        int32_t assignment[400];
        for (int i = 0; i < 400; i++) {
            for (int k = 0; k < 12; k++)
                for (int j = 0; j < 12; j++)
                    ((float *)y.data)[i * 12 + j] += m.data[i * 12 + k] * shape.data[k * 12 + j];
            assignment[i] = (int32_t)(12 * pow(rng_uniform(&source), 2));
        }
        collapse c = diagnose((collapse_input){.embeddings = y, .assignment = assignment, .codes = 12});
        for (int i = 0; i < 3; i++) {
            const collapse_verdict *v = &c.verdicts[modes[i]];
            values[i][s] = v->statistic, low[i][s] = v->low, high[i][s] = v->high;
            mean[i] += v->statistic / SAMPLES;
        }
        collapse_free(&c);
    }
    for (int i = 0; i < 3; i++) {
        int covered = 0;
        for (int s = 0; s < SAMPLES; s++) covered += low[i][s] <= mean[i] + 1e-9 && mean[i] <= high[i][s] + 1e-9;
        ck_assert_msg(covered >= SAMPLES * 85 / 100, "%s: %d of %d", collapse_mode_name(modes[i]), covered, SAMPLES);
        double widest = 0;
        for (int s = 0; s < SAMPLES; s++) widest = fmax(widest, (high[i][s] - low[i][s]) / values[i][s]);
        ck_assert_msg(widest < 0.6, "%s: %g", collapse_mode_name(modes[i]), widest);
    }
}
END_TEST

/* Leaving a group out by arithmetic on Gram matrices is leaving its rows out. */
START_TEST(test_jackknife_leaves_out_the_rows_it_says) {
    static const size_t shapes[][2] = {{97, 6}, {45, 60}};
    for (int k = 0; k < 2; k++) {
        size_t n = shapes[k][0], d = shapes[k][1], left = 0;
        matrix m = noise(n, d, 1, 0);
        uint8_t blocks[100], others[100];
        error err = {0};
        ck_assert(jackknife_draw(n, NULL, 5, blocks, &err));
        float *x = (float *)m.data, *rest = malloc(n * d * sizeof *rest);
        for (size_t i = 0; i < n; i++)
            if (blocks[i] == 4) x[i * d] += 30; /* the block's mean stands apart */
        for (size_t i = 0; i < n; i++) {
            if (blocks[i] == 4) continue;
            others[left] = blocks[i];
            memcpy(rest + left++ * d, x + i * d, d * sizeof *rest);
        }
        matrix without = {rest, left, d};
        jackknife rank, spread, spread_without;
        spectrum s;
        row_source all = rows_of(m), part = rows_of(without);
        ck_assert(jackknife_rank(&all, blocks, NULL, 1, &rank, &err));
        ck_assert(jackknife_spread(&all, blocks, &spread, &err));
        ck_assert(jackknife_spread(&part, others, &spread_without, &err));
        ck_assert(spectrum_compute(without, false, &s, &err));
        ck_assert_double_lt(fabs(rank.without[4] / s.effective_rank.value - 1), 1e-9);
        ck_assert_double_lt(fabs(spread.without[4] - spread_without.value), 1e-12);
    }
}
END_TEST

static void read_half(void *context, size_t first, size_t count, double *out) {
    const matrix *m = context;
    for (size_t i = 0; i < count * m->cols; i++) out[i] = 0.5 * (double)m->data[first * m->cols + i];
}

/* Spread and rank are those of all rows, whoever hands them out; clusters are the sample's. */
START_TEST(test_all_rows_may_come_from_elsewhere_than_the_clusters) {
    int32_t assignment[5000];
    matrix m = mixture(5000, 24, 8, 0.7, false, assignment), half = {m.data, 2500, 24};
    row_source all = {.rows = 5000, .cols = 24, .read = read_half, .context = &m};
    collapse a = diagnose((collapse_input){.embeddings = m, .clusters = 8});
    collapse b = diagnose((collapse_input){.embeddings = half, .all = &all, .clusters = 8});
    for (int mode = 0; mode < 2; mode++) {
        ck_assert_double_lt(fabs(b.verdicts[mode].statistic - a.verdicts[mode].statistic), 1e-9);
        ck_assert_double_lt(fabs(b.verdicts[mode].low - a.verdicts[mode].low), 1e-9);
    }
    ck_assert_double_lt(fabs(2 * b.spectrum.singular_values[0] / a.spectrum.singular_values[0] - 1), 1e-9);
    ck_assert_uint_eq(b.spectrum.n, 5000);
    ck_assert_uint_eq(b.cluster_rows, 2500);
}
END_TEST

START_TEST(test_quick_gives_the_same_figures_without_intervals) {
    int32_t assignment[600];
    matrix m = mixture(600, 16, 6, 0.5, false, assignment);
    collapse_input input = {.embeddings = m, .assignment = assignment, .codes = 6};
    collapse a = diagnose(input);
    input.quick = true;
    collapse b = diagnose(input);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        ck_assert_double_eq(a.verdicts[mode].statistic, b.verdicts[mode].statistic);
        ck_assert(!isnan(a.verdicts[mode].low) && isnan(b.verdicts[mode].low));
    }
}
END_TEST

START_TEST(test_json_carries_every_figure_by_name) {
    static const char *const numbers[] = {"n",
                                          "d",
                                          "rankme",
                                          "rankme_share",
                                          "rankme_noise_share",
                                          "effective_rank",
                                          "participation_ratio",
                                          "numerical_rank",
                                          "condition_number",
                                          "alpha_req",
                                          "correlation_off_diagonal",
                                          "spread",
                                          "variance_share",
                                          "codes",
                                          "codes_used",
                                          "perplexity",
                                          "information",
                                          "within_share",
                                          "class_within_share"};
    int32_t assignment[300];
    matrix m = mixture(300, 24, 5, 0.5, false, assignment);
    collapse c = diagnose(
        (collapse_input){.embeddings = m, .assignment = assignment, .codes = 7, .labels = assignment, .classes = 7});
    json_t *root = collapse_to_json(&c);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ck_assert_msg(json_is_number(json_object_get(root, numbers[i])), "%s", numbers[i]);
    ck_assert_double_eq(json_number_value(json_object_get(root, "rankme")), c.spectrum.rankme.value);
    ck_assert_double_eq(json_number_value(json_object_get(root, "class_within_share")), c.within_share);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        json_t *v = json_object_get(json_object_get(root, "verdicts"), collapse_mode_name((collapse_mode)mode));
        ck_assert_str_eq(json_string_value(json_object_get(v, "verdict")), verdict_name(c.verdicts[mode].verdict));
        ck_assert(json_is_number(json_object_get(v, "statistic")));
        ck_assert(json_is_string(json_object_get(v, "sentence")));
    }
    ck_assert_uint_eq(json_array_size(json_object_get(root, "singular_values")), 24);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "singular_values_centred")), 24);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "singular_values_noise")), 24);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "code_usage")), 7);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(root, "code_usage"), 0)), 60);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(root, "code_usage"), 6)), 0);
    json_decref(root);
}
END_TEST

START_TEST(test_what_is_not_a_number_is_null_in_json) {
    collapse c = diagnose((collapse_input){.embeddings = noise(50, 4, 0, 1)});
    json_t *root = collapse_to_json(&c);
    ck_assert(json_is_null(json_object_get(root, "alpha_req")));
    ck_assert(json_is_null(json_object_get(root, "condition_number")));
    ck_assert(json_is_null(json_object_get(root, "class_within_share")));
    char *text = json_dumps(root, 0);
    ck_assert_ptr_nonnull(text);
    free(text);
    json_decref(root);
}
END_TEST

START_TEST(test_bad_input_is_one_clear_line) {
    matrix m = noise(20, 4, 1, 0);
    int32_t wrong[20] = {0};
    wrong[7] = 3;
    collapse c;
    error err = {0};
    ck_assert(!collapse_compute(&(collapse_input){.embeddings = m, .assignment = wrong, .codes = 3}, &c, &err));
    ck_assert_msg(strstr(err.text, "row 7") != NULL, "%s", err.text);
    err = (error){0};
    usage *u = usage_new(3, &err);
    ck_assert(usage_add_hard(u, wrong, 7, &err));
    ck_assert(!collapse_compute(&(collapse_input){.embeddings = m, .usage = u}, &c, &err));
    ck_assert_msg(strstr(err.text, "7 rows") != NULL, "%s", err.text);
    collapse_mode mode;
    err = (error){0};
    ck_assert(!collapse_mode_parse("dimensionel", &mode, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_msg(strstr(err.text, "did you mean `dimensional`") != NULL, "%s", err.text);
    ck_assert(collapse_mode_parse("cluster", &mode, &err));
    ck_assert_int_eq(mode, COLLAPSE_CLUSTER);
}
END_TEST

Suite *suite_collapse(void) {
    Suite *s = suite_create("collapse");
    TCase *t = tcase_create("verdicts");
    tcase_add_checked_fixture(t, restart, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_isotropic_noise_shows_no_collapse);
    tcase_add_test(t, test_constant_matrix_is_fully_collapsed);
    tcase_add_test(t, test_zero_matrix_is_fully_collapsed);
    tcase_add_test(t, test_rounding_around_one_point_is_a_collapse_and_an_offset_is_none);
    tcase_add_test(t, test_float16_rounding_around_one_point_is_a_collapse);
    tcase_add_test(t, test_one_huge_outlier_hides_no_collapse);
    tcase_add_test(t, test_rank_r_plus_small_noise_is_dimensional_collapse);
    tcase_add_test(t, test_few_prototypes_in_many_dimensions_are_dimensional_collapse);
    tcase_add_test(t, test_too_few_rows_hide_a_healthy_rank_but_no_cliff);
    tcase_add_test(t, test_two_rows_are_too_few_to_judge_a_rank);
    tcase_add_test(t, test_scale_and_duplicated_rows_change_no_verdict);
    tcase_add_test(t, test_labels_of_one_class_leave_the_number_of_clusters_to_the_data);
    tcase_add_test(t, test_dead_codes_are_cluster_collapse);
    tcase_add_test(t, test_more_codes_than_rows_is_not_cluster_collapse_but_no_ground_to_judge_clusters);
    tcase_add_test(t, test_uniform_rows_are_cluster_collapse_though_every_code_is_used);
    tcase_add_test(t, test_points_that_shrink_inside_clusters_are_intracluster_collapse);
    tcase_add_test(t, test_a_cloud_cut_into_many_clusters_in_a_plane_is_not_intracluster_collapse);
    tcase_add_test(t, test_rows_sorted_by_class_give_the_same_figures);
    tcase_add_test(t, test_intervals_cover_what_they_estimate);
    tcase_add_test(t, test_jackknife_leaves_out_the_rows_it_says);
    tcase_add_test(t, test_all_rows_may_come_from_elsewhere_than_the_clusters);
    tcase_add_test(t, test_quick_gives_the_same_figures_without_intervals);
    suite_add_tcase(s, t);
    t = tcase_create("words");
    tcase_add_checked_fixture(t, restart, NULL);
    tcase_add_test(t, test_json_carries_every_figure_by_name);
    tcase_add_test(t, test_what_is_not_a_number_is_null_in_json);
    tcase_add_test(t, test_bad_input_is_one_clear_line);
    suite_add_tcase(s, t);
    return s;
}

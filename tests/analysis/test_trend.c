/*
 * When a figure may be said to move with what was varied.
 */
#include "analysis/report/study/trend.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { SETTINGS = 6, SEEDS = 3 };

/* A series over 1, 2, 3, … whose metric "m" takes the given values, `seeds` in a row for each setting. */
typedef struct made {
    record records[SETTINGS * SEEDS];
    const record *seeds[SETTINGS * SEEDS];
    study_point points[SETTINGS];
    study_series series;
} made;

static const study_series *make(made *m, const char *metric, const double *values, size_t settings, size_t seeds) {
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < settings * seeds; i++) {
        m->records[i].run = json_pack("{s:{s:f}}", "final", metric, values[i]);
        m->seeds[i] = &m->records[i];
    }
    for (size_t i = 0; i < settings; i++)
        m->points[i] = (study_point){.x = (double)i + 1, .records = m->seeds + i * seeds, .count = seeds};
    m->series.points = m->points, m->series.count = settings;
    return &m->series;
}

static trend measure(const char *metric, const double *values, size_t settings, size_t seeds) {
    static made m; /* the trend points into it */
    trend t = trend_measure(make(&m, metric, values, settings, seeds), metric);
    for (size_t i = 0; i < settings * seeds; i++) json_decref(m.records[i].run);
    return t;
}

START_TEST(test_spearman_is_that_of_ranks) {
    const double x[5] = {1, 2, 3, 4, 5}, up[5] = {1, 10, 100, 1000, 1e9}, tied[5] = {2, 2, 1, 5, 5};
    const double flat[5] = {3, 3, 3, 3, 3};
    ck_assert_double_eq(trend_spearman(x, up, 5), 1);
    ck_assert_double_eq_tol(trend_spearman(x, tied, 5), 0.6324555320336759, 1e-12); /* scipy.stats.spearmanr */
    ck_assert(isnan(trend_spearman(x, flat, 5)));
}
END_TEST

START_TEST(test_one_seed_and_less_than_the_margin_is_no_trend) {
    const double values[5] = {0.500, 0.505, 0.510, 0.515, 0.519};
    trend t = measure("linear", values, 5, 1);
    ck_assert_int_eq(t.shape, TREND_NONE);
    ck_assert(!t.tested);
}
END_TEST

START_TEST(test_a_steady_rise_beyond_the_margin_rises) {
    const double values[5] = {0.50, 0.55, 0.62, 0.66, 0.70}, fall[4] = {0.7, 0.6, 0.5, 0.2};
    ck_assert_int_eq(measure("linear", values, 5, 1).shape, TREND_RISES);
    ck_assert_int_eq(measure("linear", fall, 4, 1).shape, TREND_FALLS);
}
END_TEST

START_TEST(test_a_difference_without_order_is_no_trend) {
    const double values[5] = {0.50, 0.53, 0.48, 0.51, 0.525};
    ck_assert_int_eq(measure("linear", values, 5, 1).shape, TREND_NONE);
}
END_TEST

START_TEST(test_the_seeds_spread_can_drown_a_difference_and_allow_a_small_one) {
    const double wide[12] = {0.40, 0.50, 0.60, 0.42, 0.52, 0.62, 0.44, 0.54, 0.64, 0.46, 0.56, 0.66};
    const double tight[12] = {.500, .501, .502, .504, .505, .506, .508, .509, .510, .512, .513, .514};
    trend t = measure("linear", wide, 4, 3);
    ck_assert_int_eq(t.shape, TREND_NONE);
    ck_assert(t.tested);
    /* t(8) at 5 % over 6 pairs and 7 figures, from scipy.stats.t.isf; sd; √(2/3) */
    ck_assert_double_eq_tol(t.margin, 4.90218705628 * 0.1 * sqrt(2.0 / 3), 1e-9);
    ck_assert_int_eq(measure("linear", tight, 4, 3).shape, TREND_RISES);
}
END_TEST

START_TEST(test_a_hill_peaks_and_a_valley_dips) {
    const double hill[5] = {0.3, 0.4, 0.5, 0.42, 0.33}, valley[4] = {0.5, 0.3, 0.3, 0.5};
    trend t = measure("prototype_ami", hill, 5, 1);
    ck_assert_int_eq(t.shape, TREND_PEAKS);
    ck_assert_double_eq(t.turn->x, 3);
    ck_assert_double_eq(t.at_turn, 0.5);
    ck_assert_int_eq(measure("prototype_ami", valley, 4, 1).shape, TREND_DIPS);
}
END_TEST

START_TEST(test_a_rise_levels_off_only_where_that_was_tested) {
    const double once[6] = {10, 40, 90, 100, 101, 100.5};
    double sure[18], wide[18];
    for (int i = 0; i < 18; i++) {
        sure[i] = once[i / 3] + (i % 3 - 1) * 0.5;
        wide[i] = once[i / 3] + (i % 3 - 1) * 4;
    }
    trend t = measure("rankme", once, 6, 1);
    ck_assert_int_eq(t.shape, TREND_RISES);
    ck_assert_ptr_null(t.level);
    t = measure("rankme", sure, 6, 3);
    ck_assert_int_eq(t.shape, TREND_RISES);
    ck_assert(t.level && t.levels);
    ck_assert_double_eq(t.level->x, 4);
    t = measure("rankme", wide, 6, 3); /* the last four are not told apart, and what they may differ by is much */
    ck_assert_int_eq(t.shape, TREND_RISES);
    ck_assert(t.level && !t.levels);
    ck_assert_double_eq(t.level->x, 3);
}
END_TEST

START_TEST(test_two_seeds_are_no_test) {
    const double values[8] = {0.50, 0.51, 0.60, 0.61, 0.70, 0.71, 0.80, 0.81};
    ck_assert(!measure("linear", values, 4, 2).tested);
}
END_TEST

START_TEST(test_a_missing_figure_leaves_its_setting_out) {
    const double values[4] = {0.1, NAN, 0.5, NAN};
    trend t = measure("linear", values, 4, 1);
    ck_assert_uint_eq(t.settings, 2);
    ck_assert_int_eq(t.shape, TREND_RISES);
    ck_assert_int_eq(measure("linear", values, 2, 1).shape, TREND_UNKNOWN);
}
END_TEST

Suite *suite_trend(void) {
    Suite *s = suite_create("trend");
    TCase *t = tcase_create("trend");
    tcase_add_test(t, test_spearman_is_that_of_ranks);
    tcase_add_test(t, test_one_seed_and_less_than_the_margin_is_no_trend);
    tcase_add_test(t, test_a_steady_rise_beyond_the_margin_rises);
    tcase_add_test(t, test_a_difference_without_order_is_no_trend);
    tcase_add_test(t, test_the_seeds_spread_can_drown_a_difference_and_allow_a_small_one);
    tcase_add_test(t, test_a_hill_peaks_and_a_valley_dips);
    tcase_add_test(t, test_a_rise_levels_off_only_where_that_was_tested);
    tcase_add_test(t, test_two_seeds_are_no_test);
    tcase_add_test(t, test_a_missing_figure_leaves_its_setting_out);
    suite_add_tcase(s, t);
    return s;
}

/* Statistics of repeated runs, held against scipy's. */
#include "analysis/statistics.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

static safetensors *file;

static double *values(const char *name, size_t *count) {
    error err = {0};
    if (!file) file = safetensors_open("tests/golden/statistics.safetensors", &err);
    ck_assert_msg(file != NULL, "%s", err.text);
    const safetensors_entry *entry = safetensors_find(file, name);
    ck_assert_msg(entry != NULL, "no golden %s", name);
    double *x = malloc(entry->count * sizeof *x);
    ck_assert(safetensors_read_double(file, name, x, entry->count, &err));
    if (count) *count = entry->count;
    return x;
}

START_TEST(test_paired_tests_agree_with_scipy) {
    static const char *const cases[] = {"2-0.1", "3-0.5", "5-0.0", "5-1.0", "10-0.3", "40-0.2"};
    for (size_t i = 0; i < 6; i++) {
        char a[64], b[64], expected[64];
        size_t n;
        snprintf(a, sizeof a, "paired-%s.a", cases[i]);
        snprintf(b, sizeof b, "paired-%s.b", cases[i]);
        snprintf(expected, sizeof expected, "paired-%s.expected", cases[i]);
        double *x = values(a, &n), *y = values(b, NULL), *want = values(expected, NULL);
        if (n >= STATISTICS_LEAST) assert_near(statistics_paired_p(x, y, n), want[0], 1e-10, cases[i]);
        assert_near(statistics_mean(x, n), want[1], 1e-12, cases[i]);
        assert_near(statistics_sd(x, n), want[2], 1e-12, cases[i]);
    }
}
END_TEST

START_TEST(test_students_tail_agrees_with_scipy) {
    static const int degrees[] = {1, 2, 4, 9, 30, 500};
    size_t n;
    double *t = values("student.t", &n);
    for (size_t d = 0; d < 6; d++) {
        char name[32];
        snprintf(name, sizeof name, "student.%d", degrees[d]);
        double *want = values(name, NULL);
        for (size_t i = 0; i < n; i++) {
            double p = statistics_student_p(t[i], degrees[d]);
            ck_assert_msg(fabs(p - want[i]) <= 1e-9 * want[i] + 1e-300, "%s at %g: %g, expected %g", name, t[i], p,
                          want[i]);
        }
    }
}
END_TEST

START_TEST(test_fishers_tail_agrees_with_scipy) {
    static const int degrees[][2] = {{1, 1}, {1, 4}, {2, 2}, {4, 8}, {9, 60}, {3, 500}};
    size_t n;
    double *f = values("fisher.f", &n);
    for (size_t d = 0; d < 6; d++) {
        char name[32];
        snprintf(name, sizeof name, "fisher.%d.%d", degrees[d][0], degrees[d][1]);
        double *want = values(name, NULL);
        for (size_t i = 0; i < n; i++) {
            double p = statistics_f_p(f[i], degrees[d][0], degrees[d][1]);
            ck_assert_msg(fabs(p - want[i]) <= 1e-9 * want[i] + 1e-300, "%s at %g: %g, expected %g", name, f[i], p,
                          want[i]);
        }
    }
    ck_assert(isnan(statistics_f_p((double)NAN, 2, 2)) && statistics_f_p(INFINITY, 2, 2) == 0);
}
END_TEST

START_TEST(test_holm_agrees_with_sorting_and_passes_over_what_was_not_tested) {
    size_t n;
    double *p = values("holm.p", &n), *want = values("holm.expected", NULL), with_gap[8];
    memcpy(with_gap + 1, p, n * sizeof *p);
    with_gap[0] = (double)NAN;
    statistics_holm(p, n);
    statistics_holm(with_gap, n + 1);
    for (size_t i = 0; i < n; i++) {
        assert_near(p[i], want[i], 1e-14, "Holm");
        ck_assert(with_gap[i + 1] == p[i]);
    }
    ck_assert(isnan(with_gap[0]));
    double zeros[3] = {0, 0, 0.5};
    statistics_holm(zeros, 3);
    ck_assert(zeros[0] == 0 && zeros[1] == 0 && zeros[2] == 0.5);
}
END_TEST

START_TEST(test_analyses_of_variance_agree_with_scipy) {
    double *table = values("blocks.table", NULL), *want = values("blocks.expected", NULL);
    variance v = statistics_blocks(table, 4, 3);
    assert_near(v.error, want[0], 1e-12, "error of blocks");
    ck_assert(v.degrees == want[1]);
    assert_near(v.p, want[2], 1e-12, "p of blocks");
    double *x = values("groups", NULL);
    want = values("groups.expected", NULL);
    size_t group[15];
    for (size_t i = 0; i < 15; i++) group[i] = (i >= 5) + (i >= 8);
    v = statistics_groups(x, group, 15, 3);
    assert_near(v.error, want[0], 1e-12, "error of groups");
    ck_assert(v.degrees == want[1]);
    assert_near(v.p, want[2], 1e-12, "p of groups");
}
END_TEST

START_TEST(test_blocks_of_two_columns_are_the_paired_test) {
    const double a[4] = {0.1, 0.5, 0.2, 0.9}, b[4] = {0.3, 0.6, 0.1, 1.4};
    double table[8];
    for (int i = 0; i < 4; i++) table[2 * i] = a[i], table[2 * i + 1] = b[i];
    assert_near(statistics_blocks(table, 4, 2).p, statistics_paired_p(a, b, 4), 1e-12, "p");
    ck_assert(isnan(statistics_blocks(table, 1, 4).p) && isnan(statistics_blocks(table, 1, 4).error));
}
END_TEST

START_TEST(test_what_one_run_cannot_tell_is_no_number) {
    double a[] = {1, 2};
    ck_assert(isnan(statistics_sd(a, 1)) && isnan(statistics_mean(a, 0)));
}
END_TEST

START_TEST(test_two_pairs_and_equal_differences_have_no_p) {
    double a[] = {0.1, 0.2, 0.7}, b[] = {0.3, 0.4, 0.9}, c[] = {0.3, 0.5, 0.9};
    ck_assert(isnan(statistics_paired_p(a, b, 1)) && isnan(statistics_paired_p(a, b, 2)));
    ck_assert(isnan(statistics_paired_p(a, c, 2)) && statistics_paired_p(a, c, 3) > 0);
    ck_assert(isnan(statistics_paired_p(a, b, 3))); /* all -0.2, but for rounding */
    ck_assert(statistics_paired_p(a, a, 3) == 1);
    double table[6];
    for (int i = 0; i < 3; i++) table[2 * i] = a[i], table[2 * i + 1] = b[i];
    ck_assert(isnan(statistics_blocks(table, 3, 2).p));
}
END_TEST

START_TEST(test_quantiles_of_student_give_their_p_back) {
    static const double degrees[] = {1, 2, 3.5, 10, 1000}, p[] = {0.9, 0.05, 0.05 / 28, 1e-6};
    for (int d = 0; d < 5; d++)
        for (int i = 0; i < 4; i++) {
            double t = statistics_student_quantile(p[i], degrees[d]);
            ck_assert_double_eq_tol(statistics_student_p(t, degrees[d]) / p[i], 1, 1e-9);
        }
    ck_assert_double_eq_tol(statistics_student_quantile(0.05, 2), 4.302653, 1e-6);
}
END_TEST

/* What the promised repetitions come to: pilots of three to ten repetitions of three settings, each promise tried by
 * paired tests of two groups that differ by as much as the promise was made for. */
static double kept_promises(int pilot, double difference) {
    enum { PILOTS = 400, TRIALS = 25, SETTINGS = 3, MOST = 400 };
    rng r = rng_stream(7, RNG_TEST, (uint32_t)pilot, (uint32_t)(100 * difference), 0);
    double told = 0, table[10 * SETTINGS], a[MOST], b[MOST];
    for (int i = 0; i < PILOTS; i++) {
        for (int k = 0; k < pilot * SETTINGS; k++) table[k] = rng_normal(&r);
        variance v = statistics_blocks(table, (size_t)pilot, SETTINGS);
        size_t n = statistics_repetitions(difference, v.error, v.degrees);
        ck_assert(n >= STATISTICS_LEAST && n <= MOST);
        for (int trial = 0; trial < TRIALS; trial++) {
            for (size_t k = 0; k < n; k++) a[k] = rng_normal(&r), b[k] = rng_normal(&r) + difference;
            told += statistics_paired_p(a, b, n) < 0.05;
        }
    }
    return told / (PILOTS * TRIALS);
}

START_TEST(test_promised_repetitions_tell_apart_four_times_in_five) {
    static const int pilots[] = {3, 5, 10};
    static const double differences[] = {1, 2, 4};
    for (int p = 0; p < 3; p++)
        for (int d = 0; d < 3; d++) {
            double share = kept_promises(pilots[p], differences[d]);
            ck_assert_msg(share >= 0.79, "%d repetitions, difference of %g sd: %.3f", pilots[p], differences[d], share);
        }
    ck_assert_uint_eq(statistics_repetitions(0, 1, 4), 0);
    ck_assert_uint_eq(statistics_repetitions(1, NAN, 4), 0);
    ck_assert_uint_eq(statistics_repetitions(1, 0, 4), 3);
    ck_assert_uint_eq(statistics_repetitions(1e-9, 1, 4), 1000000);
}
END_TEST

Suite *suite_statistics(void) {
    Suite *suite = suite_create("statistics");
    TCase *tests = tcase_create("statistics");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_paired_tests_agree_with_scipy);
    tcase_add_test(tests, test_students_tail_agrees_with_scipy);
    tcase_add_test(tests, test_fishers_tail_agrees_with_scipy);
    tcase_add_test(tests, test_holm_agrees_with_sorting_and_passes_over_what_was_not_tested);
    tcase_add_test(tests, test_analyses_of_variance_agree_with_scipy);
    tcase_add_test(tests, test_blocks_of_two_columns_are_the_paired_test);
    tcase_add_test(tests, test_what_one_run_cannot_tell_is_no_number);
    tcase_add_test(tests, test_two_pairs_and_equal_differences_have_no_p);
    tcase_add_test(tests, test_quantiles_of_student_give_their_p_back);
    tcase_add_test(tests, test_promised_repetitions_tell_apart_four_times_in_five);
    suite_add_tcase(suite, tests);
    return suite;
}

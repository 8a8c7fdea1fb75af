#include "analysis/clusters/usage.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <check.h>

static usage *new_usage(size_t codes) {
    error err = {0};
    usage *u = usage_new(codes, &err);
    ck_assert_ptr_nonnull(u);
    return u;
}

START_TEST(test_usage_is_numpys) {
    golden g = golden_open("usage");
    matrix logits = golden_matrix(g, "logits");
    int32_t *want_argmax = golden_ints(g, "argmax", NULL), argmax[57];
    const double *want = golden_doubles(g, "figures"), *want_mean = golden_doubles(g, "mean");
    double mean[13];
    error err = {0};
    usage *u = new_usage(13);
    /* In uneven blocks: how the rows come must not matter. */
    ck_assert(usage_add(u, logits.data, 7, argmax, &err));
    ck_assert(usage_add(u, logits.data + 7 * 13, 33, argmax + 7, &err));
    ck_assert(usage_add(u, logits.data + 40 * 13, 17, argmax + 40, &err));
    usage_figures f = usage_summary(u, -1);
    usage_mean(u, mean);
    for (int i = 0; i < 57; i++) ck_assert_int_eq(argmax[i], want_argmax[i]);
    for (int j = 0; j < 13; j++) assert_near(mean[j], want_mean[j], 1e-12, "mean assignment");
    ck_assert_uint_eq(f.n, 57);
    assert_near(f.perplexity, want[0], 1e-9, "perplexity");
    assert_near(f.row_entropy, want[1], 1e-9, "row entropy");
    assert_near(f.information, want[2], 1e-9, "information");
    ck_assert_double_eq(f.used, want[3]);
    assert_near(f.used_expected, want[4], 1e-12, "expected codes");
    assert_near(f.hard_perplexity_expected, want[5], 0.005, "expected perplexity"); /* 100,000 draws, and Jensen */
    usage_free(u);
}
END_TEST

START_TEST(test_folds_partition_the_rows) {
    matrix logits = golden_matrix(golden_open("usage"), "logits");
    error err = {0};
    usage *u = new_usage(13), *part = new_usage(13);
    uint8_t folds[57];
    for (size_t i = 0; i < 57; i++) folds[i] = (uint8_t)(i % USAGE_FOLDS);
    usage_deal(u, folds);
    ck_assert(usage_add(u, logits.data, 24, NULL, &err));
    ck_assert(usage_add(u, logits.data + 24 * 13, 33, NULL, &err));
    for (size_t i = 0; i < 57; i++)
        if (i % USAGE_FOLDS != 3) ck_assert(usage_add(part, logits.data + 13 * i, 1, NULL, &err));
    usage_figures a = usage_summary(u, 3), b = usage_summary(part, -1);
    ck_assert_uint_eq(a.n, b.n);
    assert_near(a.perplexity, b.perplexity, 1e-12, "perplexity");
    assert_near(a.information, b.information, 1e-12, "information");
    ck_assert_double_eq(a.used, b.used);
}
END_TEST

START_TEST(test_uniform_rows_carry_no_information) {
    float logits[40 * 8] = {0};
    error err = {0};
    usage *u = new_usage(8);
    ck_assert(usage_add(u, logits, 40, NULL, &err));
    usage_figures f = usage_summary(u, -1);
    assert_near(f.perplexity, 8, 1e-12, "perplexity");
    ck_assert_double_lt(f.information, 1e-12);
    ck_assert_double_eq(f.used, 1);
}
END_TEST

START_TEST(test_equal_use_of_hard_codes_is_full_use) {
    int32_t assignment[80];
    error err = {0};
    usage *u = new_usage(8);
    for (int i = 0; i < 80; i++) assignment[i] = i / 10;
    ck_assert(usage_add_hard(u, assignment, 80, &err));
    usage_figures f = usage_summary(u, -1);
    uint64_t counts[8];
    usage_counts(u, counts);
    for (int j = 0; j < 8; j++) ck_assert_uint_eq(counts[j], 10);
    assert_near(f.perplexity_share, 1, 1e-12, "perplexity");
    assert_near(f.information_share, 1, 1e-12, "information");
    ck_assert_double_eq(f.used_share, 1);
    ck_assert_double_eq(f.row_entropy, 0);
}
END_TEST

START_TEST(test_more_codes_than_rows_are_judged_by_the_rows) {
    enum { N = 100, C = 5000 };
    int32_t assignment[N];
    error err = {0};
    usage *u = new_usage(C);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N; i++) assignment[i] = (int32_t)rng_below(&r, C);
    ck_assert(usage_add_hard(u, assignment, N, &err));
    usage_figures f = usage_summary(u, -1);
    assert_near(f.used_of_expected, 1, 0.03, "codes used");
    assert_near(f.hard_perplexity / f.hard_perplexity_expected, 1, 0.03, "perplexity");
    ck_assert_double_gt(f.used_share, 0.9);
}
END_TEST

START_TEST(test_huge_logits_do_not_overflow) {
    const float logits[] = {1e30f, -1e30f, 0, -1e30f, 1e30f, 0};
    error err = {0};
    usage *u = new_usage(3);
    ck_assert(usage_add(u, logits, 2, NULL, &err));
    assert_near(usage_summary(u, -1).perplexity, 2, 1e-12, "perplexity");
}
END_TEST

START_TEST(test_bad_assignments_are_named_by_row) {
    float logits[3 * 4] = {0};
    const int32_t wrong[] = {0, 3, 4};
    error err = {0};
    usage *u = new_usage(4);
    logits[9] = INFINITY;
    ck_assert(!usage_add(u, logits, 3, NULL, &err));
    ck_assert_msg(strstr(err.text, "row 2") != NULL, "%s", err.text);
    err = (error){0};
    usage *v = new_usage(4);
    ck_assert(!usage_add_hard(v, wrong, 3, &err));
    ck_assert_msg(strstr(err.text, "row 2") != NULL && strstr(err.text, "code 4") != NULL, "%s", err.text);
}
END_TEST

Suite *suite_usage(void) {
    Suite *s = suite_create("usage");
    TCase *t = tcase_create("usage");
    tcase_add_test(t, test_usage_is_numpys);
    tcase_add_test(t, test_folds_partition_the_rows);
    tcase_add_test(t, test_uniform_rows_carry_no_information);
    tcase_add_test(t, test_equal_use_of_hard_codes_is_full_use);
    tcase_add_test(t, test_more_codes_than_rows_are_judged_by_the_rows);
    tcase_add_test(t, test_huge_logits_do_not_overflow);
    tcase_add_test(t, test_bad_assignments_are_named_by_row);
    suite_add_tcase(s, t);
    return s;
}

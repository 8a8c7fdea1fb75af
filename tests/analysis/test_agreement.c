#include "analysis/clusters/agreement.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <check.h>
#include <time.h>

static agreement compute(const int32_t *labels, const int32_t *clusters, size_t n) {
    agreement a;
    error err = {0};
    ck_assert_msg(agreement_compute(labels, clusters, n, 0, &a, &err), "%s", err.text);
    return a;
}

static const char *const cases[] = {"good",          "many_codes", "few_clusters", "constant_cluster",
                                    "both_constant", "perfect"};

START_TEST(test_agreement_is_scikit_learns) {
    golden g = golden_open(cases[_i]);
    size_t n;
    int32_t *labels = golden_ints(g, "labels", &n), *clusters = golden_ints(g, "clusters", NULL);
    const double *want = golden_doubles(g, "figures");
    agreement a = compute(labels, clusters, n);
    assert_near(a.nmi, want[0], 1e-10, "NMI");
    assert_near(a.ami, want[1], 1e-9, "AMI");
    assert_near(a.ari, want[2], 1e-10, "ARI");
    assert_near(a.accuracy, want[3], 1e-12, "Hungarian accuracy");
    assert_near(a.information, want[4], 1e-10, "mutual information");
    assert_near(a.expected_information, want[5], 1e-10, "expected mutual information");
}
END_TEST

START_TEST(test_matching_is_scipys) {
    golden g = golden_open("match");
    const double *weight = golden_doubles(g, "weight"), *best = golden_doubles(g, "best");
    error err = {0};
    int32_t match[45];
    bool taken[45] = {false};
    double sum = 0, turned[45 * 30];
    ck_assert(agreement_match(weight, 30, 45, match, &err));
    for (int i = 0; i < 30; i++) {
        ck_assert(!taken[match[i]]);
        taken[match[i]] = true;
        sum += weight[i * 45 + match[i]];
        for (int j = 0; j < 45; j++) turned[j * 30 + i] = weight[i * 45 + j];
    }
    assert_near(sum, best[0], 1e-12, "total");
    ck_assert(agreement_match(turned, 45, 30, match, &err));
    sum = 0;
    int without = 0;
    for (int j = 0; j < 45; j++) match[j] < 0 ? (void)without++ : (void)(sum += turned[j * 30 + match[j]]);
    ck_assert_int_eq(without, 15);
    assert_near(sum, best[0], 1e-12, "total, turned");
}
END_TEST

/* DESIGN's warning about Table 1: 10 random labels against 16,384 random codes at n = 10,000. */
START_TEST(test_random_codes_score_nmi_by_chance_and_no_ami) {
    enum { N = 10000 };
    static int32_t labels[N], codes[N];
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N; i++) labels[i] = i % 10, codes[i] = (int32_t)rng_below(&r, 16384);
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    agreement a = compute(labels, codes, N);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_near(a.nmi, 0.354, 0.005, "NMI");
    assert_near(a.nmi_chance, a.nmi, 0.002, "chance level");
    assert_near(a.ami, 0, 0.005, "AMI");
    ck_assert_double_lt((double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec), 2);
}
END_TEST

START_TEST(test_renaming_clusters_changes_nothing) {
    golden g = golden_open("good");
    size_t n;
    int32_t *labels = golden_ints(g, "labels", &n), *clusters = golden_ints(g, "clusters", NULL);
    agreement a = compute(labels, clusters, n);
    for (size_t i = 0; i < n; i++) clusters[i] = 1000000 - 77 * clusters[i];
    agreement b = compute(labels, clusters, n);
    assert_near(b.ami, a.ami, 1e-12, "AMI");
    assert_near(b.accuracy, a.accuracy, 1e-12, "accuracy");
}
END_TEST

START_TEST(test_chance_level_forgets_the_labels) {
    int32_t labels[600];
    for (int i = 0; i < 600; i++) labels[i] = i / 100;
    agreement a = compute(labels, labels, 600);
    assert_near(a.nmi, 1, 1e-12, "NMI");
    ck_assert_double_lt(a.nmi_chance, 0.05);
    ck_assert_double_gt(a.nmi_chance, 0.005);
    ck_assert_double_lt(a.nmi_chance_sd, 0.02);
}
END_TEST

START_TEST(test_no_points_is_an_error) {
    agreement a;
    error err = {0};
    ck_assert(!agreement_compute(NULL, NULL, 0, 0, &a, &err));
}
END_TEST

Suite *suite_agreement(void) {
    Suite *s = suite_create("agreement");
    TCase *t = tcase_create("agreement");
    tcase_add_loop_test(t, test_agreement_is_scikit_learns, 0, sizeof cases / sizeof *cases);
    tcase_add_test(t, test_matching_is_scipys);
    tcase_add_test(t, test_random_codes_score_nmi_by_chance_and_no_ami);
    tcase_add_test(t, test_renaming_clusters_changes_nothing);
    tcase_add_test(t, test_chance_level_forgets_the_labels);
    tcase_add_test(t, test_no_points_is_an_error);
    suite_add_tcase(s, t);
    return s;
}

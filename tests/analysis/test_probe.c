#include "analysis/probes/probe.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <check.h>

START_TEST(test_probe_is_scikit_learns_logistic_regression) {
    golden g = golden_open("probe");
    int32_t *train_labels = golden_ints(g, "train_labels", NULL), *test_labels = golden_ints(g, "test_labels", NULL);
    matrix train = golden_matrix(g, "train"), test = golden_matrix(g, "test");
    const double *want = golden_doubles(g, "figures");
    for (int i = 0; i < 2; i++) {
        probe_result r;
        error err = {0};
        probe_options options = {.penalty = i ? 1e-2 : 0, .tolerance = 1e-6};
        ck_assert_msg(probe_evaluate(train, train_labels, test, test_labels, 7, &options, NULL, &r, &err), "%s",
                      err.text);
        assert_near(r.loss, want[4 * i], 1e-6, "loss");
        assert_near(r.train_top1, want[4 * i + 1], 1e-3, "training accuracy");
        assert_near(r.test_top1, want[4 * i + 2], 1e-3, "test accuracy");
        assert_near(r.test_top5, want[4 * i + 3], 1e-3, "top 5");
        ck_assert_msg(r.converged && r.iterations < 100, "%d iterations", r.iterations);
    }
}
END_TEST

START_TEST(test_separable_classes_are_separated) {
    enum { N = 200 };
    float x[N * 2];
    int32_t labels[N], predicted[N];
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        labels[i] = i % 2;
        x[2 * i] = (float)(1e4 + rng_normal(&r) + 20 * labels[i]); /* an offset that standardising takes away */
        x[2 * i + 1] = (float)(1e-3 * rng_normal(&r));
    }
    probe_result result;
    error err = {0};
    matrix m = {x, N, 2};
    ck_assert(probe_evaluate(m, labels, m, labels, 2, NULL, predicted, &result, &err));
    ck_assert_double_eq(result.train_top1, 1);
    ck_assert_double_eq(result.test_top1, 1);
    ck_assert_mem_eq(predicted, labels, sizeof labels);
}
END_TEST

START_TEST(test_constant_features_leave_the_largest_class) {
    enum { N = 100 };
    float x[N * 3];
    int32_t labels[N];
    for (int i = 0; i < N; i++) labels[i] = i % 10 < 6 ? 2 : i % 3;
    for (int i = 0; i < N * 3; i++) x[i] = 0.3f;
    int count = 0;
    for (int i = 0; i < N; i++) count += labels[i] == 2;
    probe_result result;
    error err = {0};
    matrix m = {x, N, 3};
    ck_assert_msg(probe_evaluate(m, labels, m, labels, 3, NULL, NULL, &result, &err), "%s", err.text);
    assert_near(result.test_top1, count / 100.0, 1e-12, "share of the largest class");
    ck_assert(result.converged);
}
END_TEST

START_TEST(test_repeated_columns_without_penalty_still_fit) {
    golden g = golden_open("probe");
    int32_t *labels = golden_ints(g, "train_labels", NULL);
    matrix m = golden_matrix(g, "train");
    float *twice = malloc(2 * m.rows * m.cols * sizeof *twice);
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < 2 * m.cols; j++) twice[i * 2 * m.cols + j] = m.data[i * m.cols + j % m.cols];
    probe_result a, b;
    error err = {0};
    matrix mm = {twice, m.rows, 2 * m.cols};
    probe_options none = {.penalty = -1};
    ck_assert(probe_evaluate(m, labels, m, labels, 7, &none, NULL, &a, &err));
    ck_assert(probe_evaluate(mm, labels, mm, labels, 7, &none, NULL, &b, &err));
    assert_near(b.loss, a.loss, 1e-4, "loss");
}
END_TEST

START_TEST(test_mismatched_columns_are_refused) {
    const float x[6] = {0, 1, 2, 3, 4, 5};
    const int32_t labels[] = {0, 1, 0};
    probe_result r;
    error err = {0};
    ck_assert(!probe_evaluate((matrix){x, 3, 2}, labels, (matrix){x, 2, 3}, labels, 2, NULL, NULL, &r, &err));
    ck_assert_msg(strstr(err.text, "2 columns, test rows 3") != NULL, "%s", err.text);
}
END_TEST

Suite *suite_probe(void) {
    Suite *s = suite_create("probe");
    TCase *t = tcase_create("probe");
    tcase_add_test(t, test_probe_is_scikit_learns_logistic_regression);
    tcase_add_test(t, test_separable_classes_are_separated);
    tcase_add_test(t, test_constant_features_leave_the_largest_class);
    tcase_add_test(t, test_repeated_columns_without_penalty_still_fit);
    tcase_add_test(t, test_mismatched_columns_are_refused);
    suite_add_tcase(s, t);
    return s;
}

#include "analysis/probes/knn.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <check.h>

START_TEST(test_votes_are_numpys) {
    golden labels = golden_open("probe"), g = golden_open("knn");
    int32_t *train_labels = golden_ints(labels, "train_labels", NULL);
    int32_t *test_labels = golden_ints(labels, "test_labels", NULL), *want = golden_ints(g, "predicted", NULL);
    const double *figures = golden_doubles(g, "figures");
    int32_t predicted[250];
    knn_result r;
    error err = {0};
    ck_assert_msg(knn_evaluate(golden_matrix(g, "train"), train_labels, golden_matrix(g, "test"), test_labels, 7, NULL,
                               predicted, &r, &err),
                  "%s", err.text);
    for (int i = 0; i < 250; i++) ck_assert_int_eq(predicted[i], want[i]);
    assert_near(r.top1, figures[0], 1e-12, "top 1");
    assert_near(r.top5, figures[1], 1e-12, "top 5");
}
END_TEST

START_TEST(test_one_neighbour_finds_the_row_itself_across_blocks) {
    enum { N = 5000, D = 6 }; /* more training rows than a block */
    float *x = malloc(N * D * sizeof *x);
    int32_t *labels = malloc(N * sizeof *labels);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N * D; i++) x[i] = (float)rng_normal(&r);
    for (int i = 0; i < N; i++) labels[i] = (int32_t)rng_below(&r, 50);
    matrix train = {x, N, D}, test = {x + 4050 * D, 200, D};
    knn_result result;
    error err = {0};
    ck_assert(
        knn_evaluate(train, labels, test, labels + 4050, 50, &(knn_options){.neighbours = 1}, NULL, &result, &err));
    ck_assert_double_eq(result.top1, 1);
}
END_TEST

START_TEST(test_length_does_not_matter) {
    const float train[] = {1, 0, 0, 1}, test[] = {100, 1, 1e-3f, 1e-1f};
    const int32_t train_labels[] = {0, 1}, test_labels[] = {0, 1};
    knn_result r;
    error err = {0};
    ck_assert(
        knn_evaluate((matrix){train, 2, 2}, train_labels, (matrix){test, 2, 2}, test_labels, 2, NULL, NULL, &r, &err));
    ck_assert_double_eq(r.top1, 1);
}
END_TEST

START_TEST(test_class_without_a_vote_is_not_among_the_best_five) {
    const float x[] = {1, 0, 1, 0.1f};
    const int32_t train_labels[] = {0, 0}, test_labels[] = {1, 0};
    knn_result r;
    error err = {0};
    ck_assert(knn_evaluate((matrix){x, 2, 2}, train_labels, (matrix){x, 2, 2}, test_labels, 3, NULL, NULL, &r, &err));
    ck_assert_double_eq(r.top5, 0.5);
}
END_TEST

START_TEST(test_labels_out_of_range_are_named) {
    const float x[] = {1, 0, 1, 0.1f};
    const int32_t labels[] = {0, 3};
    knn_result r;
    error err = {0};
    ck_assert(!knn_evaluate((matrix){x, 2, 2}, labels, (matrix){x, 2, 2}, labels, 3, NULL, NULL, &r, &err));
    ck_assert_msg(strstr(err.text, "row 1 has label 3") != NULL, "%s", err.text);
}
END_TEST

Suite *suite_knn(void) {
    Suite *s = suite_create("knn");
    TCase *t = tcase_create("knn");
    tcase_add_test(t, test_votes_are_numpys);
    tcase_add_test(t, test_one_neighbour_finds_the_row_itself_across_blocks);
    tcase_add_test(t, test_length_does_not_matter);
    tcase_add_test(t, test_class_without_a_vote_is_not_among_the_best_five);
    tcase_add_test(t, test_labels_out_of_range_are_named);
    suite_add_tcase(s, t);
    return s;
}

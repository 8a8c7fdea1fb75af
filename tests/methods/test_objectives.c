/*
 * What the losses say of batches whose answer is known by hand, and which settings cannot work. PyTorch's values are in
 * test_methods_golden.c.
 */
#include "tests/methods/method_bench.h"

enum { D = 4, N = 8 };

static method_bench bench(const char *method, const char *settings) {
    error err = {0};
    method_bench m = method_bench_create(method, settings, D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s", err.text);
    return m;
}

/* Representations of N samples whose two views are the same. */
static array same_views(float *values) {
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N * D; i++) values[i] = values[N * D + i] = (float)rng_normal(&r);
    return (array){values, 2 * N * D, 2, {2 * N, D}};
}

static double loss_of_same_views(method_bench *m) {
    float values[2 * N * D];
    tensor *leaf;
    return method_bench_loss(m, same_views(values), 0, &leaf);
}

START_TEST(test_losses_that_only_draw_views_together_are_least_on_identical_views) {
    static const struct {
        const char *method, *settings;
        double least;
    } cases[] = {
        {"vicreg", "hidden 8 features 6 mu 0 nu 0", 0},
        {"barlow_twins", "hidden 8 features 6 lambda 0", 0},
        {"simsiam", "hidden 8 features 6 predictor false", -1},
        {"simsiam", "hidden 8 features 6 predictor false stop_gradient false", -1},
        {"wmse", "hidden 8 features 3 whitening_size 4", 0},
        {"wmse", "hidden 8 features 3 whitening_size 8 distance euclidean", 0},
    };
    method_bench m = bench(cases[_i].method, cases[_i].settings);
    ck_assert_double_eq_tol(loss_of_same_views(&m), cases[_i].least, 1e-5);
    method_bench_destroy(&m);
}
END_TEST

/* Every sample at the same place: no spread at all, so both views pay γ − √ε, and nothing else is left to pay. */
START_TEST(test_vicreg_charges_a_point_its_missing_variance) {
    method_bench m = bench("vicreg", _i ? "hidden 8 features 6 halve_variance true" : "hidden 8 features 6");
    float values[2 * N * D];
    for (int i = 0; i < 2 * N * D; i++) values[i] = 1;
    tensor *leaf;
    double loss = method_bench_loss(&m, (array){values, 2 * N * D, 2, {2 * N, D}}, 0, &leaf);
    ck_assert_double_eq_tol(loss, 25 * (_i ? 1 : 2) * (1 - 0.01), 1e-4);
    method_bench_destroy(&m);
}
END_TEST

/* When nothing tells views apart, each of the other 2n − 1 is as likely as the partner. */
START_TEST(test_simclr_on_a_point_is_the_log_of_the_number_of_others) {
    method_bench m = bench("simclr", "hidden 8 features 6");
    float zeros[64] = {0};
    method_bench_set(&m, "head.projector.0.weight", (array){zeros, 8 * D, 2, {8, D}});
    ck_assert_double_eq_tol(loss_of_same_views(&m), log(2 * N - 1), 1e-5);
    method_bench_destroy(&m);
}
END_TEST

/* Both views of sample i in class `labels[i]`, as far as the temperatures allow. */
static double labelling_costs(const char *method, const char *settings, const int labels[N], int classes) {
    error err = {0};
    method_bench m = bench(method, settings);
    float classifier[16 * 16] = {0}, rows[2 * N * 16] = {0};
    for (int i = 0; i < classes; i++) classifier[i * classes + i] = 1;
    for (int i = 0; i < 2 * N; i++) rows[i * classes + labels[i % N]] = 1;
    array weight = {classifier, (int64_t)classes * classes, 2, {classes, classes}};
    if (strcmp(method, "gedi") == 0) {
        float bias[16] = {0};
        method_bench_set(&m, "head.projector.3.weight", weight);
        method_bench_set(&m, "head.projector.3.bias", (array){bias, classes, 2, {1, classes}});
    } else
        method_bench_set(&m, "head.classifier.weight", weight);
    tape_set_recording(m.tape, false);
    method_context context = {0};
    double cost =
        tape_scalar(m.tape, m.method->objective(&m.model, &context, m.tape, tape_matrix(m.tape, rows, 2 * N, classes)));
    bool ok = tape_check(m.tape, &err);
    ck_assert_msg(ok, "%s", err.text);
    method_bench_destroy(&m);
    return cost;
}

static const int balanced[N] = {0, 1, 2, 3, 0, 1, 2, 3}, degenerate[N] = {1, 1, 1, 1, 1, 1, 1, 1};

START_TEST(test_self_classifier_asks_nothing_for_balanced_classes_and_log_c_for_a_single_one) {
    const char *settings = "hidden 8 features 4 classes 4 row_temperature 0.02 column_temperature 0.02";
    ck_assert_double_eq_tol(labelling_costs("self_classifier", settings, balanced, 4), 0, 1e-6);
    ck_assert_double_eq_tol(labelling_costs("self_classifier", settings, degenerate, 4), log(4), 1e-6);
}
END_TEST

/* ½·c·log c is the least that the prior can come to. */
START_TEST(test_gedi_prior_is_least_on_balanced_clusters) {
    const char *settings = "hidden 4 clusters 4 temperature 0.2 beta 0";
    ck_assert_double_eq_tol(labelling_costs("gedi", settings, balanced, 4), 2 * log(4), 1e-5);
    ck_assert_double_gt(labelling_costs("gedi", settings, degenerate, 4), 2 * log(4) + 1);
}
END_TEST

/* Settings that cannot work ---------------------------------------------------------------------------------------- */

START_TEST(test_wmse_refuses_parts_that_do_not_fit) {
    static const struct {
        const char *settings, *keys[2];
    } cases[] = {
        {"features 2 whitening_size 3", {"method.whitening_size 3", "train.batch 8"}},
        {"features 2 whitening_size 16", {"method.whitening_size 16", "train.batch 8"}},
        {"features 4 whitening_size 4", {"method.whitening_size 4", "method.features 4"}},
        {"features 64 whitening_size 8", {"method.whitening_size 8", "method.features 64"}},
    };
    error err = {0};
    method_bench m = method_bench_create("wmse", cases[_i].settings, D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert(!built);
    ck_assert_int_eq(err.code, ERROR_USAGE);
    for (int k = 0; k < 2; k++) ck_assert_msg(strstr(err.text, cases[_i].keys[k]) != NULL, "%s", err.text);
    method_bench_destroy(&m);
}
END_TEST

START_TEST(test_wmse_says_when_a_batch_has_collapsed_too_far_to_whiten) {
    error err = {0};
    method_bench m = bench("wmse", "hidden 8 features 3 whitening_size 8");
    float zeros[64] = {0}, values[2 * N * D];
    method_bench_set(&m, "head.projector.3.weight", (array){zeros, 3 * 8, 2, {3, 8}});
    array z = same_views(values);
    method_context context = {0};
    m.method->loss(&m.model, &context, m.tape, tape_matrix(m.tape, z.values, 2 * N, D));
    bool ok = tape_check(m.tape, &err);
    ck_assert(!ok);
    ck_assert_msg(strstr(err.text, "cholesky") && strstr(err.text, "not positive definite"), "%s", err.text);
    method_bench_destroy(&m);
}
END_TEST

Suite *suite_objectives(void) {
    Suite *s = suite_create("objectives");
    TCase *t = tcase_create("known answers");
    tcase_add_loop_test(t, test_losses_that_only_draw_views_together_are_least_on_identical_views, 0, 6);
    tcase_add_loop_test(t, test_vicreg_charges_a_point_its_missing_variance, 0, 2);
    tcase_add_test(t, test_simclr_on_a_point_is_the_log_of_the_number_of_others);
    tcase_add_test(t, test_self_classifier_asks_nothing_for_balanced_classes_and_log_c_for_a_single_one);
    tcase_add_test(t, test_gedi_prior_is_least_on_balanced_clusters);
    suite_add_tcase(s, t);
    t = tcase_create("refused");
    tcase_add_loop_test(t, test_wmse_refuses_parts_that_do_not_fit, 0, 4);
    tcase_add_test(t, test_wmse_says_when_a_batch_has_collapsed_too_far_to_whiten);
    suite_add_tcase(s, t);
    return s;
}

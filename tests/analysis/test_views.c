/*
 * Alignment, uniformity and NC1 against NumPy's definitions spelled out, and at the ends of their scales.
 */
#include "analysis/clusters/neural_collapse.h"
#include "analysis/diagnose/views.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

START_TEST(test_alignment_and_uniformity_are_numpys) {
    static const char *const cases[] = {"tall", "wide", "zero_row"};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        golden g = golden_open_in("views", cases[c]);
        const double *want = golden_doubles(g, "figures");
        uniformity u;
        alignment a;
        error err = {0};
        ck_assert(uniformity_compute(golden_matrix(g, "x"), 0, &u, &err));
        ck_assert(alignment_compute(golden_matrix(g, "x"), golden_matrix(g, "y"), &a, &err));
        assert_near(u.value, want[0], 1e-12, cases[c]);
        assert_near(a.value, want[1], 1e-12, cases[c]);
        assert_near(a.chance, want[2], 1e-12, cases[c]);
        assert_near(a.invariance, want[3], 1e-12, cases[c]);
    }
}
END_TEST

START_TEST(test_uniformity_of_the_sphere_is_its_integral) {
    const double *want = golden_doubles(golden_open_in("views", "sphere"), "expected");
    uniformity u;
    error err = {0};
    ck_assert(uniformity_compute(noise(4, 1, 0), 0, &u, &err));
    assert_near(u.expected, want[0], 1e-12, "d = 1");
    ck_assert(uniformity_compute(noise(4, 3, 0), 0, &u, &err));
    assert_near(u.expected, want[1], 1e-12, "d = 3");
    ck_assert(uniformity_compute(noise(1500, 3, 0), 0, &u, &err));
    assert_near(u.value, want[1], 0.02, "1500 points");
}
END_TEST

START_TEST(test_uniformity_of_many_rows_looks_at_a_sample_of_them) {
    matrix m = noise(UNIFORMITY_ROWS + 500, 2, 1);
    uniformity a, b, c;
    error err = {0};
    ck_assert(uniformity_compute(m, 0, &a, &err) && uniformity_compute(m, 0, &b, &err) &&
              uniformity_compute(m, 1, &c, &err));
    ck_assert_uint_eq(a.rows, UNIFORMITY_ROWS);
    ck_assert(a.value == b.value && a.value != c.value);
    assert_near(a.value, a.expected, 0.02, "noise");
}
END_TEST

START_TEST(test_one_point_is_aligned_but_not_invariant) {
    float same[60];
    for (int i = 0; i < 60; i++) same[i] = 0.3f;
    matrix m = {same, 20, 3};
    uniformity u;
    alignment a;
    error err = {0};
    ck_assert(uniformity_compute(m, 0, &u, &err) && alignment_compute(m, m, &a, &err));
    assert_near(u.value, 0, 1e-12, "uniformity");
    assert_near(a.value, 0, 1e-12, "alignment");
    ck_assert(isnan(a.invariance));
}
END_TEST

START_TEST(test_a_single_row_has_no_pairs) {
    uniformity u;
    alignment a;
    error err = {0};
    matrix m = noise(1, 5, 0);
    ck_assert(uniformity_compute(m, 0, &u, &err) && alignment_compute(m, m, &a, &err));
    ck_assert(isnan(u.value) && isnan(a.chance) && isnan(a.invariance));
}
END_TEST

START_TEST(test_unrelated_views_are_not_invariant) {
    alignment a;
    error err = {0};
    ck_assert(alignment_compute(noise(2000, 8, 1), noise(2000, 8, 2), &a, &err));
    assert_near(a.invariance, 0, 0.05, "invariance");
    ck_assert(!alignment_compute(noise(10, 8, 1), noise(10, 7, 2), &a, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "10 × 7"));
}
END_TEST

START_TEST(test_nc1_is_numpys_trace_with_a_pseudo_inverse) {
    static const char *const cases[] = {"nc_balanced", "nc_uneven", "nc_wide", "nc_more_classes"};
    static const size_t classes[] = {5, 4, 12, 9};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        golden g = golden_open_in("views", cases[c]);
        int32_t *labels = golden_ints(g, "labels", NULL);
        neural_collapse nc;
        error err = {0};
        ck_assert(neural_collapse_compute(golden_matrix(g, "x"), labels, 15, 0, &nc, &err));
        ck_assert_uint_eq(nc.classes, classes[c]);
        assert_near(nc.nc1, *golden_doubles(g, "nc1"), 1e-9, cases[c]);
        ck_assert_msg(nc.chance > 2 * nc.nc1, "%s: %g by chance, %g", cases[c], nc.chance, nc.nc1);
    }
}
END_TEST

START_TEST(test_nc1_of_points_is_zero_and_of_random_labels_its_chance) {
    matrix m = noise(600, 10, 4);
    float points[600 * 3];
    int32_t labels[600];
    neural_collapse nc;
    error err = {0};
    for (int i = 0; i < 600; i++) {
        labels[i] = i % 6;
        for (int j = 0; j < 3; j++) points[i * 3 + j] = (float)((i % 6) * (j + 1) % 5);
    }
    ck_assert(neural_collapse_compute(m, labels, 6, 0, &nc, &err));
    ck_assert_msg(fabs(log(nc.nc1 / nc.chance)) < log(2), "%g, by chance %g", nc.nc1, nc.chance);
    ck_assert(neural_collapse_compute((matrix){points, 600, 3}, labels, 6, 0, &nc, &err));
    assert_near(nc.nc1, 0, 1e-12, "points");
}
END_TEST

START_TEST(test_nc1_of_many_rows_does_not_take_rounding_for_a_direction) {
    enum { ROWS = 20000, COLS = 16, CLASSES = 10 };
    matrix m = noise(ROWS, COLS, 6);
    int32_t labels[ROWS];
    neural_collapse nc;
    error err = {0};
    for (int i = 0; i < ROWS; i++) {
        labels[i] = i / (ROWS / CLASSES);
        for (int j = 0; j < COLS; j++) ((float *)m.data)[i * COLS + j] += 100;
    }
    ck_assert(neural_collapse_compute(m, labels, CLASSES, 0, &nc, &err));
    /* Means of n/K rows of noise: Σ_B is Σ_W·K/n times a Wishart matrix of K − 1 degrees of freedom over K. */
    double scale = (double)ROWS / CLASSES;
    ck_assert_msg(nc.nc1 > scale / 2 && nc.nc1 < 20 * scale, "%g, by chance %g", nc.nc1, nc.chance);
    ck_assert_msg(nc.chance > scale / 2 && nc.chance < 20 * scale, "%g, by chance %g", nc.nc1, nc.chance);
}
END_TEST

START_TEST(test_nc1_is_unknown_where_classes_have_no_pairs) {
    matrix m = noise(10, 3, 5);
    int32_t each[10], one[10] = {0}, bad[10] = {0};
    neural_collapse nc;
    error err = {0};
    for (int i = 0; i < 10; i++) each[i] = i;
    ck_assert(neural_collapse_compute(m, each, 10, 0, &nc, &err) && isnan(nc.nc1));
    ck_assert(neural_collapse_compute(m, one, 1, 0, &nc, &err) && isnan(nc.nc1));
    bad[3] = -1;
    ck_assert(!neural_collapse_compute(m, bad, 2, 0, &nc, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "row 3"));
}
END_TEST

Suite *suite_views(void) {
    Suite *s = suite_create("views");
    TCase *t = tcase_create("views");
    tcase_add_test(t, test_alignment_and_uniformity_are_numpys);
    tcase_add_test(t, test_uniformity_of_the_sphere_is_its_integral);
    tcase_add_test(t, test_uniformity_of_many_rows_looks_at_a_sample_of_them);
    tcase_add_test(t, test_one_point_is_aligned_but_not_invariant);
    tcase_add_test(t, test_a_single_row_has_no_pairs);
    tcase_add_test(t, test_unrelated_views_are_not_invariant);
    tcase_add_test(t, test_nc1_is_numpys_trace_with_a_pseudo_inverse);
    tcase_add_test(t, test_nc1_of_points_is_zero_and_of_random_labels_its_chance);
    tcase_add_test(t, test_nc1_of_many_rows_does_not_take_rounding_for_a_direction);
    tcase_add_test(t, test_nc1_is_unknown_where_classes_have_no_pairs);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Mixtures, silhouettes, LiDAR, blocks of the adjacency matrix, spectra inside clusters and duplicate prototypes: held
 * to scikit-learn's and NumPy's values, and to what must hold for matrices built for it.
 */
#include "analysis/diagnose/blocks.h"
#include "analysis/clusters/clusters.h"
#include "analysis/diagnose/duplicates.h"
#include "analysis/spectrum/lidar.h"
#include "analysis/clusters/mixture.h"
#include "analysis/clusters/silhouette.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

/* `k` clusters in turn, points at `spread` about their centres. */
static matrix clustered(size_t rows, size_t cols, size_t k, double spread, int32_t *assignment) {
    matrix centres = noise(k, cols, 7), x = noise(rows, cols, 8);
    for (size_t i = 0; i < rows; i++) {
        assignment[i] = (int32_t)(i % k);
        for (size_t j = 0; j < cols; j++) {
            float *to = (float *)x.data + i * cols + j;
            *to = (float)(centres.data[i % k * cols + j] + spread * *to);
        }
    }
    return x;
}

/* ---- mixtures --------------------------------------------------------------------------------------------------- */

START_TEST(test_mixture_is_scikit_learns_from_the_same_start) {
    static const struct {
        const char *name;
        size_t components;
        double tolerance;
        int iterations;
    } cases[] = {{"blobs", 6, 0, 0}, {"long", 10, 1e-9, 60}, {"flat", 12, 0, 0}, {"wide", 4, 0, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        golden g = golden_open_in("structure", cases[c].name);
        matrix m = golden_matrix(g, "x");
        const double *figures = golden_doubles(g, "figures"), *weights = golden_doubles(g, "weights");
        const double *means = golden_doubles(g, "means"), *variances = golden_doubles(g, "variances");
        mixture_options with = {.components = cases[c].components,
                                .start = golden_ints(g, "start", NULL),
                                .tolerance = cases[c].tolerance,
                                .iterations = cases[c].iterations};
        mixture x;
        error err = {0};
        ck_assert_msg(mixture_fit(m, &with, &x, &err), "%s", err.text);
        ck_assert_double_lt(fabs(x.log_likelihood / figures[0] - 1), 1e-9);
        ck_assert_int_eq(x.iterations, (int)figures[1]);
        for (size_t k = 0; k < x.components; k++) assert_near(x.weights[k], weights[k], 1e-6, cases[c].name);
        for (size_t i = 0; i < x.components * m.cols; i++) {
            assert_near(x.means[i], means[i], 1e-6, cases[c].name);
            ck_assert_double_lt(fabs(x.variances[i] / variances[i] - 1), 1e-6);
        }
        mixture_free(&x);
    }
}
END_TEST

static double entropy_of(const mixture *x) {
    double entropy = 0;
    error err = {0};
    ck_assert(mixture_entropy(x, &entropy, &err));
    return entropy;
}

START_TEST(test_entropy_of_one_gaussian_and_of_far_ones_is_exact) {
    double weights[] = {0.25, 0.75}, means[] = {0, 0, 1e3, 0}, variances[] = {1, 4, 1, 4}, h;
    h = 1 + log(2 * M_PI) + 0.5 * log(4);
    mixture one = {.components = 1, .dims = 2, .weights = (double[]){1}, .means = means, .variances = variances};
    mixture far = {.components = 2, .dims = 2, .weights = weights, .means = means, .variances = variances};
    assert_near(entropy_of(&one), h, 1e-12, "one");
    assert_near(entropy_of(&far), h - 0.25 * log(0.25) - 0.75 * log(0.75), 1e-12, "far");
    means[2] = 0;
    assert_near(entropy_of(&far), h, 1e-12, "the same twice");
}
END_TEST

/* Padding and columns that do not vary change neither the entropy of the others nor what is said of each of them. */
START_TEST(test_entropy_per_dimension_leaves_out_constant_columns) {
    matrix m = noise(600, 4, 1);
    float *wider = calloc(600 * 6, sizeof *wider);
    for (size_t i = 0; i < 600; i++) memcpy(wider + 6 * i, m.data + 4 * i, 4 * sizeof *wider);
    mixture_curve plain, padded;
    error err = {0};
    ck_assert(mixture_curve_compute(m, 0, &plain, &err));
    ck_assert(mixture_curve_compute((matrix){wider, 600, 6}, 0, &padded, &err));
    ck_assert_uint_eq(plain.count, 4); /* 200 components would get three rows each */
    ck_assert_uint_eq(padded.varying, 4);
    for (size_t i = 0; i < plain.count; i++) {
        const mixture_point *a = &plain.points[i], *b = &padded.points[i];
        assert_near(b->entropy_per_dimension, a->entropy_per_dimension, 1e-9, "a dimension");
        assert_near(b->entropy_padded, a->entropy_padded, 1e-9, "padded");
        assert_near(a->entropy_padded - a->entropy, (MIXTURE_PADDED - 4) * -5.488817, 1e-6, "2,044 columns of zeros");
        ck_assert_double_gt(a->entropy_sd, 0);
        ck_assert_double_lt(a->entropy_sd, 0.5);
    }
}
END_TEST

START_TEST(test_points_that_shrink_inside_clusters_lose_entropy) {
    static int32_t unused[800];
    double last = INFINITY;
    for (double spread = 0.5; spread > 0.001; spread /= 4) {
        mixture_curve c;
        error err = {0};
        ck_assert(mixture_curve_compute(clustered(800, 8, 10, spread, unused), 0, &c, &err));
        ck_assert_double_lt(c.points[1].entropy, last - 1);
        last = c.points[1].entropy;
    }
}
END_TEST

START_TEST(test_a_constant_matrix_has_no_mixture) {
    static float x[200];
    mixture_curve c;
    error err = {0};
    ck_assert(mixture_curve_compute((matrix){x, 50, 4}, 0, &c, &err));
    ck_assert_uint_eq(c.count, 0);
    mixture m;
    ck_assert(!mixture_fit((matrix){x, 50, 4}, &(mixture_options){.components = 51}, &m, &err));
    ck_assert_msg(strstr(err.text, "51 components for 50 rows") != NULL, "%s", err.text);
}
END_TEST

/* ---- silhouettes ------------------------------------------------------------------------------------------------ */

START_TEST(test_silhouette_is_scikit_learns) {
    static const char *const cases[] = {"sil_blobs", "sil_random", "sil_single"};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        golden g = golden_open_in("structure", cases[c]);
        silhouette s;
        error err = {0};
        ck_assert(silhouette_compute(golden_matrix(g, "x"), golden_ints(g, "labels", NULL), 0, &s, &err));
        ck_assert_double_lt(fabs(s.value / *golden_doubles(g, "silhouette") - 1), 1e-6);
    }
}
END_TEST

START_TEST(test_silhouette_of_one_cluster_is_unknown_and_of_many_rows_sampled) {
    static int32_t assignment[SILHOUETTE_ROWS + 900];
    silhouette s, again;
    error err = {0};
    ck_assert(silhouette_compute(noise(30, 4, 0), assignment, 0, &s, &err));
    ck_assert(isnan(s.value) && s.clusters == 1);
    matrix m = clustered(SILHOUETTE_ROWS + 900, 4, 3, 0.1, assignment);
    ck_assert(silhouette_compute(m, assignment, 0, &s, &err) && silhouette_compute(m, assignment, 1, &again, &err));
    ck_assert_uint_eq(s.rows, SILHOUETTE_ROWS);
    ck_assert_double_gt(s.value, 0.7);
    ck_assert_double_ne(s.value, again.value);
    assert_near(again.value, s.value, 0.01, "another sample");
}
END_TEST

/* ---- LiDAR ------------------------------------------------------------------------------------------------------ */

START_TEST(test_lidar_is_numpys) {
    static const char *const cases[] = {"lidar_views", "lidar_wide"};
    lidar l;
    error err = {0};
    for (size_t c = 0; c < 2; c++) {
        golden g = golden_open_in("structure", cases[c]);
        ck_assert(lidar_of_views(golden_matrix(g, "x"), golden_matrix(g, "y"), &l, &err));
        ck_assert_double_lt(fabs(l.value / golden_doubles(g, "lidar")[0] - 1), 1e-6);
        ck_assert_double_lt(fabs(l.unbiased / golden_doubles(g, "lidar")[1] - 1), 1e-6);
    }
    golden g = golden_open_in("structure", "lidar_classes");
    ck_assert(lidar_of_classes(golden_matrix(g, "x"), golden_ints(g, "labels", NULL), 7, &l, &err));
    ck_assert_double_lt(fabs(l.value / golden_doubles(g, "lidar")[0] - 1), 1e-6);
    ck_assert_double_lt(fabs(l.unbiased / golden_doubles(g, "lidar")[1] - 1), 1e-6);
    ck_assert_uint_eq(l.groups, 7);
}
END_TEST

/* What RankMe cannot tell: columns that are only the views' noise. */
START_TEST(test_lidar_does_not_count_what_only_views_differ_in) {
    matrix x = noise(2000, 16, 1), y = noise(2000, 16, 2);
    for (size_t i = 0; i < 2000; i++)
        for (size_t j = 0; j < 4; j++) ((float *)y.data)[i * 16 + j] = x.data[i * 16 + j] + 0.01f * y.data[i * 16 + j];
    lidar l;
    error err = {0};
    ck_assert(lidar_of_views(x, y, &l, &err));
    ck_assert_double_gt(l.value, 3.9);
    ck_assert_double_lt(l.value, 4.5);
    static float zero[64];
    ck_assert(lidar_of_views((matrix){zero, 16, 4}, (matrix){zero, 16, 4}, &l, &err));
    ck_assert_double_eq(l.value, 0);
    ck_assert(!lidar_of_views(x, (matrix){y.data, 1999, 16}, &l, &err));
}
END_TEST

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

START_TEST(test_cosines_within_and_between_clusters_are_numpys) {
    golden g = golden_open_in("structure", "blocks");
    const double *want = golden_doubles(g, "figures");
    block_structure b;
    error err = {0};
    ck_assert(blocks_compute(golden_matrix(g, "x"), golden_ints(g, "labels", NULL), 0, &b, &err));
    assert_near(b.within, want[0], 1e-6, "within");
    assert_near(b.between, want[1], 1e-6, "between");
    ck_assert_double_gt(b.contrast, 20 * b.chance_sd);
}
END_TEST

START_TEST(test_clusters_dealt_at_random_have_no_blocks) {
    static int32_t assignment[3000];
    int beyond = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        rng r = rng_stream(seed, RNG_TEST, 1, 0, 0);
        for (int i = 0; i < 3000; i++) assignment[i] = (int32_t)rng_below(&r, 20);
        block_structure b;
        error err = {0};
        ck_assert(blocks_compute(noise(3000, 8, 50 + seed), assignment, seed, &b, &err));
        beyond += fabs(b.contrast - b.chance) > 3 * b.chance_sd;
    }
    ck_assert_int_le(beyond, 1);
}
END_TEST

/* ---- clusters --------------------------------------------------------------------------------------------------- */

START_TEST(test_each_cluster_has_its_own_rank) {
    enum { N = 900 };
    static int32_t assignment[N];
    matrix m = noise(N, 6, 1); /* cluster 0: half the rows, a line; cluster 1: the others, round; cluster 2: two rows */
    for (size_t i = 0; i < N; i++) {
        assignment[i] = i < 2 ? 2 : i % 2 ? 1 : 0;
        for (size_t j = 1; assignment[i] == 0 && j < 6; j++) ((float *)m.data)[i * 6 + j] = 3;
    }
    cluster_spectra c;
    error err = {0};
    ck_assert(cluster_spectra_compute(m, assignment, &c, &err));
    ck_assert_uint_eq(c.count, 2); /* two rows have no spectrum to speak of */
    const cluster_spectrum *line = &c.list[c.list[0].cluster != 0], *round = &c.list[c.list[0].cluster == 0];
    ck_assert_uint_eq(line->rows, N / 2 - 1);
    assert_near(line->effective_rank, 1, 1e-9, "a line");
    ck_assert_double_gt(round->effective_rank, 5.9);
    assert_near(c.effective_rank, (line->effective_rank + round->effective_rank) / 2, 1e-9, "their mean");
    ck_assert_uint_eq(round->count, 6);
    ck_assert_double_eq(line->singular_values[1], 0);
    assert_near(round->variance, 6, 0.1, "of unit noise in six columns");
    cluster_spectra_free(&c);
}
END_TEST

/* ---- prototypes ------------------------------------------------------------------------------------------------- */

START_TEST(test_prototypes_that_point_the_same_way_are_found) {
    enum { C = 700, D = 32 };
    matrix m = noise(C, D, 1);
    float *x = (float *)m.data;
    for (size_t j = 0; j < D; j++) {
        x[650 * D + j] = 4 * x[3 * D + j]; /* three of one direction, far apart in the list */
        x[651 * D + j] = x[3 * D + j];
        x[20 * D + j] = -x[21 * D + j]; /* opposite is not the same */
        x[40 * D + j] = 0;
        x[41 * D + j] = 0;
    }
    duplicates s;
    error err = {0};
    ck_assert(duplicates_compute(m, &s, &err));
    ck_assert_uint_eq(s.twins, 3);
    ck_assert_uint_eq(s.distinct, C - 2);
    assert_near(s.cosine_largest, 1, 1e-6, "cosine");
    ck_assert_double_lt(s.twins_expected, 1e-6);
}
END_TEST

START_TEST(test_random_directions_have_the_twins_that_are_expected) {
    static const size_t shapes[][2] = {{40, 2}, {30, 3}, {2000, 6}, {20, 1}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        double mean = 0, expected = 0;
        for (uint64_t seed = 0; seed < 20; seed++) {
            duplicates s;
            error err = {0};
            ck_assert(duplicates_compute(noise(shapes[k][0], shapes[k][1], seed), &s, &err));
            mean += (double)s.twins / 20, expected = s.twins_expected;
        }
        ck_assert_msg(fabs(mean - expected) < 0.15 * expected, "%zu in %zu: %g, expected %g", shapes[k][0],
                      shapes[k][1], mean, expected);
    }
}
END_TEST

Suite *suite_structure(void) {
    Suite *s = suite_create("structure");
    TCase *t = tcase_create("structure");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_mixture_is_scikit_learns_from_the_same_start);
    tcase_add_test(t, test_entropy_of_one_gaussian_and_of_far_ones_is_exact);
    tcase_add_test(t, test_entropy_per_dimension_leaves_out_constant_columns);
    tcase_add_test(t, test_points_that_shrink_inside_clusters_lose_entropy);
    tcase_add_test(t, test_a_constant_matrix_has_no_mixture);
    tcase_add_test(t, test_silhouette_is_scikit_learns);
    tcase_add_test(t, test_silhouette_of_one_cluster_is_unknown_and_of_many_rows_sampled);
    tcase_add_test(t, test_lidar_is_numpys);
    tcase_add_test(t, test_lidar_does_not_count_what_only_views_differ_in);
    tcase_add_test(t, test_cosines_within_and_between_clusters_are_numpys);
    tcase_add_test(t, test_clusters_dealt_at_random_have_no_blocks);
    tcase_add_test(t, test_each_cluster_has_its_own_rank);
    tcase_add_test(t, test_prototypes_that_point_the_same_way_are_found);
    tcase_add_test(t, test_random_directions_have_the_twins_that_are_expected);
    suite_add_tcase(s, t);
    return s;
}

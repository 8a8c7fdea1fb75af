#include "analysis/clusters/kmeans.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <check.h>

static kmeans compute(matrix m, kmeans_options options) {
    kmeans k;
    error err = {0};
    ck_assert_msg(kmeans_compute(m, &options, &k, &err), "%s", err.text);
    return k;
}

/* Σ of squared distances of the (scaled) rows to the centres of their clusters, worked out plainly. */
static double plain_inertia(matrix m, const kmeans *k, bool normalise) {
    double sum = 0;
    for (size_t i = 0; i < m.rows; i++) {
        double square = 0, distance = 0;
        for (size_t j = 0; j < m.cols; j++) square += (double)m.data[i * m.cols + j] * m.data[i * m.cols + j];
        for (size_t j = 0; j < m.cols; j++) {
            double x = m.data[i * m.cols + j] / (normalise ? sqrt(square) : 1);
            distance += pow(x - k->centres[(size_t)k->assignment[i] * m.cols + j], 2);
        }
        sum += distance;
    }
    return sum;
}

/* Every row is where its nearest centre is, give or take float32. */
static void assert_nearest(matrix m, const kmeans *k, bool normalise) {
    for (size_t i = 0; i < m.rows; i++) {
        double square = 0, own = 0, nearest = INFINITY;
        for (size_t j = 0; j < m.cols; j++) square += (double)m.data[i * m.cols + j] * m.data[i * m.cols + j];
        for (size_t c = 0; c < k->clusters; c++) {
            double distance = 0;
            for (size_t j = 0; j < m.cols; j++)
                distance +=
                    pow(m.data[i * m.cols + j] / (normalise ? sqrt(square) : 1) - k->centres[c * m.cols + j], 2);
            nearest = fmin(nearest, distance);
            if ((int32_t)c == k->assignment[i]) own = distance;
        }
        ck_assert_double_le(own, nearest + 1e-4 * nearest + 1e-6);
    }
}

START_TEST(test_inertia_is_scikit_learns_within_a_hundredth) {
    golden g = golden_open("kmeans");
    matrix m = golden_matrix(g, "x");
    const double *want = golden_doubles(g, "inertia");
    kmeans six = compute(m, (kmeans_options){.clusters = 6});
    kmeans twenty = compute(m, (kmeans_options){.clusters = 20});
    kmeans unit = compute(m, (kmeans_options){.clusters = 6, .normalise = true});
    assert_near(six.inertia / want[0], 1, 1e-6, "6 clusters"); /* far apart: both find the same */
    assert_near(unit.inertia / want[2], 1, 1e-3, "6 clusters on the sphere");
    ck_assert_double_lt(twenty.inertia, 1.01 * want[1]);
    assert_nearest(m, &twenty, false);
    kmeans fine = compute(m, (kmeans_options){.clusters = 30, .normalise = true});
    assert_nearest(m, &fine, true);
    assert_near(six.inertia, plain_inertia(m, &six, false), 1e-6, "inertia");
    assert_near(unit.inertia, plain_inertia(m, &unit, true), 1e-6, "inertia on the sphere");
}
END_TEST

START_TEST(test_a_large_offset_changes_no_cluster) {
    matrix m = golden_matrix(golden_open("kmeans"), "x");
    float *moved = malloc(m.rows * m.cols * sizeof *moved);
    for (size_t i = 0; i < m.rows * m.cols; i++) moved[i] = m.data[i] + 4096;
    kmeans a = compute(m, (kmeans_options){.clusters = 6}),
           b = compute((matrix){moved, m.rows, m.cols}, (kmeans_options){.clusters = 6});
    assert_near(b.inertia / a.inertia, 1, 1e-3, "inertia"); /* 4096 costs the floats 9 of their bits */
}
END_TEST

/* Noise has no clusters: centres wander for many rounds, and few rows follow each time. In few columns centres move far
 * beside each other. */
START_TEST(test_rows_that_were_not_looked_at_are_at_their_nearest_centre) {
    enum { N = 3000, MOST = 24 };
    static const size_t sizes[][2] = {{MOST, 17}, {3, 5}, {2, 2}}; /* columns, clusters */
    static float x[N * MOST];
    rng r = rng_stream(5, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < (size_t)N * MOST; i++) x[i] = (float)rng_normal(&r);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t d = sizes[s][0], clusters = sizes[s][1];
        kmeans k = compute((matrix){x, N, d}, (kmeans_options){.clusters = clusters, .restarts = 1, .seed = 2});
        ck_assert_int_gt(k.iterations, 4);
        for (size_t i = 0; i < N; i++) {
            double own = 0, nearest = INFINITY;
            for (size_t c = 0; c < clusters; c++) {
                double distance = 0;
                for (size_t j = 0; j < d; j++) distance += pow((double)x[i * d + j] - k.centres[c * d + j], 2);
                nearest = fmin(nearest, distance);
                if ((int32_t)c == k.assignment[i]) own = distance;
            }
            ck_assert_double_le(own, nearest * (1 + 2e-6) + 2e-6); /* float32's own error */
        }
        kmeans_free(&k);
    }
}
END_TEST

START_TEST(test_same_seed_gives_the_same_bits) {
    matrix m = golden_matrix(golden_open("kmeans"), "x");
    kmeans a = compute(m, (kmeans_options){.clusters = 9, .seed = 4, .restarts = 2});
    kmeans b = compute(m, (kmeans_options){.clusters = 9, .seed = 4, .restarts = 2});
    ck_assert_mem_eq(a.centres, b.centres, 9 * m.cols * sizeof(float));
    ck_assert_mem_eq(a.assignment, b.assignment, m.rows * sizeof(int32_t));
}
END_TEST

START_TEST(test_no_cluster_is_left_empty) {
    /* Three distinct points (then one), many times over, and five clusters; the zero row has no direction. */
    float x[60 * 2] = {0};
    for (int distinct = 3; distinct > 0; distinct -= 2) {
        int normalise = distinct == 1;
        for (int i = 0; i < 60; i++) x[2 * i] = (float)(i % distinct);
        kmeans k = compute((matrix){x, 60, 2}, (kmeans_options){.clusters = 5, .normalise = normalise});
        int counts[5] = {0};
        for (int i = 0; i < 60; i++) counts[k.assignment[i]]++;
        for (int c = 0; c < 5; c++) ck_assert_int_gt(counts[c], 0);
        ck_assert_double_lt(k.inertia, 1e-10);
    }
}
END_TEST

START_TEST(test_as_many_clusters_as_points_leave_no_inertia) {
    matrix m = golden_matrix(golden_open("kmeans"), "x");
    kmeans k = compute((matrix){m.data, 30, m.cols}, (kmeans_options){.clusters = 30});
    ck_assert_double_lt(k.inertia, 1e-8);
}
END_TEST

START_TEST(test_impossible_numbers_of_clusters_are_refused) {
    float x[4] = {0, 1, 2, 3};
    kmeans k;
    error err = {0};
    ck_assert(!kmeans_compute((matrix){x, 4, 1}, &(kmeans_options){.clusters = 5}, &k, &err));
    ck_assert(!kmeans_compute((matrix){x, 4, 1}, &(kmeans_options){.clusters = 0}, &k, &err));
}
END_TEST

Suite *suite_kmeans(void) {
    Suite *s = suite_create("kmeans");
    TCase *t = tcase_create("kmeans");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_inertia_is_scikit_learns_within_a_hundredth);
    tcase_add_test(t, test_a_large_offset_changes_no_cluster);
    tcase_add_test(t, test_rows_that_were_not_looked_at_are_at_their_nearest_centre);
    tcase_add_test(t, test_same_seed_gives_the_same_bits);
    tcase_add_test(t, test_no_cluster_is_left_empty);
    tcase_add_test(t, test_as_many_clusters_as_points_leave_no_inertia);
    tcase_add_test(t, test_impossible_numbers_of_clusters_are_refused);
    suite_add_tcase(s, t);
    return s;
}

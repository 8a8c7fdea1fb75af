#include "analysis/spectrum/spectrum.h"
#include "engine/rng.h"
#include "tests/analysis/golden.h"

#include <cblas.h>
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static matrix noise_matrix(size_t n, size_t d) {
    float *x = malloc(n * d * sizeof *x);
    rng r = rng_stream(1, RNG_TEST, 0, n, 0);
    for (size_t i = 0; i < n * d; i++) x[i] = (float)rng_normal(&r);
    return (matrix){x, n, d};
}

static matrix constant_matrix(size_t n, size_t d) {
    float *x = malloc(n * d * sizeof *x);
    for (size_t i = 0; i < n * d; i++) x[i] = 0.1f + (float)(i % d);
    return (matrix){x, n, d};
}

static spectrum compute(matrix m) {
    spectrum s;
    error err = {0};
    ck_assert_msg(spectrum_compute(m, true, &s, &err), "%s", err.text);
    return s;
}

static const struct {
    const char *name;
    bool by_qr;
} cases[] = {{"tall", false}, {"wide", false},    {"square", false},   {"dead", false},
             {"steep", true}, {"low_rank", true}, {"steep_wide", true}};

START_TEST(test_figures_are_numpys) {
    golden g = golden_open(cases[_i].name);
    matrix m = golden_matrix(g, "x");
    spectrum s = compute(m);
    const double *want = golden_doubles(g, "figures"), *sigma = golden_doubles(g, "sigma");
    const double *centred = golden_doubles(g, "centred");
    for (size_t i = 0; i < s.count; i++) {
        /* Both are right to a few roundings of the largest; nothing below that is anybody's to compare. */
        ck_assert_double_le(fabs(s.singular_values[i] - sigma[i]), 1e-8 * sigma[i] + 1e-13 * sigma[0]);
        ck_assert_double_le(fabs(s.singular_values_centred[i] - centred[i]), 1e-8 * centred[i] + 1e-13 * sigma[0]);
    }
    /* QR would mend a wrong Gram matrix, so which road was taken is part of the answer. */
    ck_assert_int_eq(s.by_qr, cases[_i].by_qr);
    assert_near(s.rankme.value, want[0], 1e-9, "RankMe");
    assert_near(s.effective_rank.value, want[1], 1e-9, "effective rank");
    assert_near(s.participation_ratio.value, want[2], 1e-9, "participation ratio");
    assert_near(s.correlation_off_diagonal, want[3], 1e-9, "correlation");
    assert_near(s.mean_squared_norm, want[4], 1e-12, "mean squared norm");
    assert_near(s.total_variance, want[5], 1e-12, "total variance");
    spectrum_free(&s);
}
END_TEST

START_TEST(test_blocks_of_qr_see_every_row) {
    /* Far more rows than a block; the last column is 1e-7 of the first. */
    matrix m = noise_matrix(3001, 7);
    float *x = (float *)m.data;
    for (size_t i = 0; i < m.rows; i++) x[i * 7 + 6] *= 1e-7f;
    spectrum s = compute(m);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < m.rows; i++) sum += x[i * 7 + 6];
    for (size_t i = 0; i < m.rows; i++) squares += pow(x[i * 7 + 6] - sum / 3001, 2);
    ck_assert(s.by_qr);
    /* Nearly orthogonal to the others, by 1/√n: its length is the smallest singular value up to 1/n. */
    assert_near(s.singular_values_centred[6] / sqrt(squares), 1, 5e-3, "smallest singular value");
    double energy = 0, uncentred = 0;
    for (int i = 0; i < 7; i++) {
        energy += s.singular_values_centred[i] * s.singular_values_centred[i] / 3001;
        uncentred += s.singular_values[i] * s.singular_values[i] / 3001;
    }
    assert_near(energy / s.total_variance, 1, 1e-12, "energy");
    assert_near(uncentred / s.mean_squared_norm, 1, 1e-12, "energy with the mean");
}
END_TEST

/* Large enough for the single-precision Gram matrix; column j scaled by 10^(−decades j/(d − 1)). */
static matrix large_matrix(double decades, double offset) {
    enum { ROWS = 17000, COLS = 256 };
    matrix m = noise_matrix(ROWS, COLS);
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
        float *x = (float *)m.data + i;
        *x = (float)((double)*x * pow(10, -decades * (double)(i % COLS) / (COLS - 1)) + offset);
    }
    return m;
}

START_TEST(test_single_precision_is_used_only_where_it_is_as_good) {
    static const struct { double decades, offset; } cases[] = {{0, 0}, {0, 30}, {1.5, 0}, {3.5, 1}, {4.5, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        matrix m = large_matrix(cases[c].decades, cases[c].offset);
        size_t d = m.cols;
        double *means = malloc(d * sizeof *means), *want = malloc(d * d * sizeof *want),
               *fast = malloc(d * d * sizeof *fast), *square = malloc(d * d * sizeof *square);
        double *got = malloc(d * sizeof *got), *sigma = malloc(d * sizeof *sigma), doubt;
        error err = {0};
        ck_assert(matrix_means(m, means, &err) && matrix_gram(m, 0, m.rows, means, want, &err));
        row_source rows = rows_of(m);
        ck_assert(rows_gram_fast(&rows, means, fast, &doubt, &err));
        for (size_t i = 0; i < d * d; i++) fast[i] -= want[i];
        cblas_dsymm(CblasRowMajor, CblasLeft, CblasUpper, (int)d, (int)d, 1, fast, (int)d, fast, (int)d, 0, square,
                    (int)d);
        ck_assert(spectrum_of_gram(square, d, sigma, &err));
        ck_assert_double_gt(sigma[0], 0); /* the difference's largest eigenvalue */
        ck_assert_msg(sigma[0] < doubt && doubt < 40 * sigma[0], "%g, doubted %g", sigma[0], doubt);
        bool by_qr;
        ck_assert(spectrum_of_gram(want, d, sigma, &err) && spectrum_singular_values(m, true, got, &by_qr, &err));
        for (size_t i = 0; i < d; i++) ck_assert_double_lt(fabs(got[i] / sigma[i] - 1), 1e-4);
        assert_near(spectrum_effective_rank(got, d), spectrum_effective_rank(sigma, d), 1e-7, "effective rank");
        ck_assert(!by_qr);
    }
}
END_TEST

START_TEST(test_twelve_decades_keep_their_singular_values) {
    matrix m = large_matrix(12, 0);
    size_t d = m.cols;
    double *sigma = malloc(d * sizeof *sigma);
    bool by_qr;
    error err = {0};
    ck_assert(spectrum_singular_values(m, false, sigma, &by_qr, &err));
    ck_assert(by_qr);
    /* Nearly orthogonal columns: their norms, 17000^½ times their scales, give or take what noise mixes in. */
    for (size_t i = 0; i < d; i++)
        ck_assert_double_lt(fabs(log(sigma[i] / (sqrt(17000) * pow(10, -12 * (double)i / (double)(d - 1))))), 0.2);
}
END_TEST

START_TEST(test_more_rows_make_no_direction_empty) {
    enum { ROWS = 200000, COLS = 4 };
    float *x = malloc(sizeof *x * ROWS * COLS);
    rng r = rng_stream(3, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) x[i * COLS + j] = (float)(rng_normal(&r) * (j == 2 ? 0.001 : 1));
    for (int i = 0; i < ROWS; i++) x[i * COLS + 3] = x[i * COLS] / 3 + x[i * COLS + 1] / 7;
    spectrum s = compute((matrix){x, ROWS, COLS});
    ck_assert_double_eq(s.numerical_rank.value, 3);
    spectrum_free(&s);
    free(x);
}
END_TEST

START_TEST(test_rankme_of_constant_matrix_is_one) {
    spectrum s = compute(constant_matrix(100, 16));
    assert_near(s.rankme.value, 1, 1e-4, "RankMe");
    ck_assert_double_eq(s.effective_rank.value, 0);
    ck_assert_double_eq(s.effective_rank.share, 0);
    ck_assert_double_eq(s.effective_rank.noise_share, 0);
    ck_assert_double_eq(s.participation_ratio.value, 0);
    ck_assert_double_eq(s.numerical_rank.value, 0);
    ck_assert_double_eq(s.correlation_off_diagonal, 0);
    ck_assert_uint_eq(s.constant_columns, 16);
    ck_assert_double_eq(s.total_variance, 0);
    ck_assert(isnan(s.alpha));
    for (size_t i = 0; i < s.count; i++) ck_assert_double_eq(s.singular_values_centred[i], 0);
}
END_TEST

/* A column that only rounding moves is constant on either road; its neighbours are not. */
START_TEST(test_rounding_of_a_constant_column_is_no_direction) {
    for (int steep = 0; steep < 2; steep++) {
        matrix m = noise_matrix(200, 4);
        float *x = (float *)m.data;
        for (int i = 0; i < 200; i++) {
            x[4 * i + 3] = i % 2 ? 0.1f : nextafterf(0.1f, 1);
            if (steep) x[4 * i] *= 1e-10f;
        }
        spectrum s = compute(m);
        ck_assert_int_eq(s.by_qr, steep);
        ck_assert_uint_eq(s.constant_columns, 1);
        ck_assert_double_eq(s.singular_values_centred[3], 0);
        ck_assert_double_gt(s.singular_values_centred[2], 0);
        if (steep) assert_near(s.singular_values_centred[2] / 1e-10, sqrt(200), 0.15, "the steep column");
    }
}
END_TEST

START_TEST(test_constant_wide_matrix_has_no_centred_rank) {
    spectrum s = compute(constant_matrix(5, 40));
    assert_near(s.rankme.value, 1, 1e-4, "RankMe");
    ck_assert_double_eq(s.effective_rank.value, 0);
}
END_TEST

START_TEST(test_zero_matrix_has_rank_zero) {
    float zero[30] = {0};
    spectrum s = compute((matrix){zero, 10, 3});
    ck_assert_double_eq(s.rankme.value, 0);
    ck_assert_double_eq(s.effective_rank.noise_share, 0);
}
END_TEST

START_TEST(test_two_distinct_points_have_all_the_rank_two_points_can) {
    const float x[] = {1, 2, 3, 4, -1, 0, 2, 9};
    spectrum s = compute((matrix){x, 2, 4});
    assert_near(s.effective_rank.value, 1, 1e-12, "effective rank");
    assert_near(s.effective_rank.share, 1, 1e-12, "share");
    assert_near(s.effective_rank.noise_share, 1, 1e-12, "noise share");
}
END_TEST

START_TEST(test_one_point_has_no_share_to_speak_of) {
    const float x[] = {1, 2, 3, 4};
    spectrum s = compute((matrix){x, 1, 4});
    ck_assert_double_eq(s.effective_rank.value, 0);
    ck_assert(isnan(s.effective_rank.share));
}
END_TEST

START_TEST(test_gaussian_noise_scores_what_noise_scores) {
    static const size_t shapes[][2] = {{400, 50}, {50, 400}, {100, 100}, {3000, 20}};
    for (size_t i = 0; i < 4; i++) {
        spectrum s = compute(noise_matrix(shapes[i][0], shapes[i][1]));
        assert_near(s.rankme.noise_share, 1, 0.015, "RankMe");
        assert_near(s.effective_rank.noise_share, 1, 0.015, "effective rank");
        assert_near(s.participation_ratio.noise_share, 1, 0.03, "participation ratio");
        ck_assert_double_eq(s.numerical_rank.noise_share, 1);
    }
}
END_TEST

START_TEST(test_noise_spectrum_carries_the_matrix_energy) {
    double sigma[100], energy = 0;
    noise_ranks ranks;
    error err = {0};
    ck_assert(spectrum_noise(100, 100, &ranks, sigma, &err));
    for (int i = 0; i < 100; i++) {
        energy += sigma[i] * sigma[i];
        if (i) ck_assert_double_le(sigma[i], sigma[i - 1]);
    }
    assert_near(energy / (100 * 100), 1, 0.005, "energy");
    assert_near(sigma[0], 10 + 10, 0.05, "largest"); /* √n + √d */
}
END_TEST

/* NumPy's weighted polyfit over ranks 11 to 100, and RankMe's entropy without its ε. */
START_TEST(test_the_authors_exponent_is_numpys_weighted_fit) {
    static const char *const cases[] = {"power", "power_short"};
    golden g = golden_open(cases[_i]);
    spectrum s = compute(golden_matrix(g, "x"));
    const double *figures = golden_doubles(g, "figures");
    assert_near(s.alpha_authors, figures[0], 1e-9, "alpha");
    ck_assert_uint_eq(s.alpha_authors_first, 11);
    ck_assert_uint_eq(s.alpha_authors_last, (size_t)figures[1]);
    assert_near(s.rankme_without_epsilon, figures[2], 1e-9, "RankMe");
    ck_assert_double_gt(s.rankme.value, s.rankme_without_epsilon); /* ε adds its 1e-7 to every term */
}
END_TEST

/* Twelve ranks leave two of those that the authors fit. */
START_TEST(test_the_authors_exponent_is_unknown_where_their_ranks_are_not_there) {
    spectrum s = compute(noise(200, 12, 4));
    ck_assert(isnan(s.alpha_authors) && !isnan(s.alpha));
    s = compute(noise(200, 13, 4));
    ck_assert(!isnan(s.alpha_authors));
    ck_assert_uint_eq(s.alpha_authors_last, 13);
}
END_TEST

START_TEST(test_power_law_exponent_is_found) {
    /* Orthogonal columns of a Hadamard matrix, scaled so that λ_i = i^−1.5. */
    enum { N = 64, D = 63 };
    float *x = malloc(N * D * sizeof *x);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            x[i * D + j] = (float)((__builtin_popcount(i & (j + 1)) & 1 ? -1 : 1) * pow(j + 1, -0.75));
    spectrum s = compute((matrix){x, N, D});
    assert_near(s.alpha, 1.5, 1e-5, "alpha");
    ck_assert_double_gt(s.alpha_r2, 0.9999);
    ck_assert_uint_eq(s.alpha_first, 5);
    ck_assert_uint_eq(s.alpha_last, 31);
}
END_TEST

START_TEST(test_not_a_number_is_named_by_row_and_column) {
    float x[12] = {0};
    x[7] = NAN;
    spectrum s;
    error err = {0};
    ck_assert(!spectrum_compute((matrix){x, 4, 3}, true, &s, &err));
    ck_assert_msg(strstr(err.text, "row 2, column 1") != NULL, "%s", err.text);
    ck_assert_int_eq(err.code, ERROR_RUN);
}
END_TEST

START_TEST(test_empty_matrix_is_an_error) {
    float x[1] = {0};
    spectrum s;
    error err = {0};
    ck_assert(!spectrum_compute((matrix){x, 0, 3}, true, &s, &err));
}
END_TEST

START_TEST(test_rotation_and_scale_change_no_figure) {
    matrix m = golden_matrix(golden_open("tall"), "x");
    float *turned = malloc(m.rows * m.cols * sizeof *turned);
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < m.cols; j += 2) { /* a rotation by atan(3/4) in each plane, and a factor of 5 · 2 */
            turned[i * m.cols + j] = 8 * m.data[i * m.cols + j] - 6 * m.data[i * m.cols + j + 1];
            turned[i * m.cols + j + 1] = 6 * m.data[i * m.cols + j] + 8 * m.data[i * m.cols + j + 1];
        }
    spectrum a = compute(m), b = compute((matrix){turned, m.rows, m.cols});
    assert_near(b.rankme.value, a.rankme.value, 1e-6, "RankMe");
    assert_near(b.effective_rank.value, a.effective_rank.value, 1e-6, "effective rank");
    assert_near(b.condition_number / a.condition_number, 1, 1e-5, "condition number");
}
END_TEST

START_TEST(test_adjacency_means_are_means_of_cosines) {
    matrix m = noise_matrix(30, 5);
    double map[9], largest[9];
    size_t k;
    error err = {0};
    uint32_t order[30];
    int32_t keys[30];
    for (int i = 0; i < 30; i++) keys[i] = (7 * i) % 3;
    ck_assert(matrix_order(keys, 30, order, &err));
    for (int i = 1; i < 30; i++) {
        ck_assert_int_le(keys[order[i - 1]], keys[order[i]]);
        if (keys[order[i - 1]] == keys[order[i]]) ck_assert_uint_lt(order[i - 1], order[i]);
    }
    ck_assert(matrix_adjacency(m, order, 3, MATRIX_MEAN, map, &k, &err));
    ck_assert(matrix_adjacency(m, order, 3, MATRIX_MAX_ABS, largest, &k, &err));
    ck_assert_uint_eq(k, 3);
    double norms[30], sum = 0, top = 0;
    matrix_row_norms(m, norms);
    for (int a = 0; a < 30; a++)
        for (int b = 0; b < 30; b++) {
            if (keys[a] != 0 || keys[b] != 2) continue;
            double dot = 0;
            for (int j = 0; j < 5; j++) dot += (double)m.data[a * 5 + j] * m.data[b * 5 + j];
            sum += dot / (norms[a] * norms[b]);
            if (fabs(dot / (norms[a] * norms[b])) > fabs(top)) top = dot / (norms[a] * norms[b]);
        }
    assert_near(map[2], sum / 100, 1e-6, "mean");
    assert_near(map[6], sum / 100, 1e-6, "mean, mirrored");
    assert_near(largest[2], top, 1e-6, "largest");
    assert_near(largest[4], 1, 1e-6, "a row with itself");
}
END_TEST

START_TEST(test_pooling_keeps_the_mean_and_the_line) {
    double square[25] = {0}, out[4];
    for (int i = 0; i < 5; i++) square[i * 5 + i] = i == 4 ? -3 : 1;
    ck_assert_uint_eq(matrix_pool(square, 5, 2, MATRIX_MEAN, out), 2);
    assert_near(out[0], 0.5, 1e-15, "2×2 corner");
    assert_near(out[3], -1.0 / 9, 1e-15, "3×3 corner");
    matrix_pool(square, 5, 2, MATRIX_MAX_ABS, out);
    ck_assert_double_eq(out[3], -3);
    ck_assert_double_eq(out[1], 0);
}
END_TEST

Suite *suite_spectrum(void) {
    Suite *s = suite_create("spectrum");
    TCase *t = tcase_create("values");
    tcase_add_loop_test(t, test_figures_are_numpys, 0, sizeof cases / sizeof *cases);
    tcase_add_test(t, test_blocks_of_qr_see_every_row);
    tcase_add_test(t, test_gaussian_noise_scores_what_noise_scores);
    tcase_add_test(t, test_noise_spectrum_carries_the_matrix_energy);
    tcase_add_loop_test(t, test_the_authors_exponent_is_numpys_weighted_fit, 0, 2);
    tcase_add_test(t, test_the_authors_exponent_is_unknown_where_their_ranks_are_not_there);
    tcase_add_test(t, test_power_law_exponent_is_found);
    tcase_add_test(t, test_rotation_and_scale_change_no_figure);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_single_precision_is_used_only_where_it_is_as_good);
    tcase_add_test(t, test_twelve_decades_keep_their_singular_values);
    suite_add_tcase(s, t);
    t = tcase_create("edges");
    tcase_add_test(t, test_more_rows_make_no_direction_empty);
    tcase_add_test(t, test_rankme_of_constant_matrix_is_one);
    tcase_add_test(t, test_rounding_of_a_constant_column_is_no_direction);
    tcase_add_test(t, test_constant_wide_matrix_has_no_centred_rank);
    tcase_add_test(t, test_zero_matrix_has_rank_zero);
    tcase_add_test(t, test_two_distinct_points_have_all_the_rank_two_points_can);
    tcase_add_test(t, test_one_point_has_no_share_to_speak_of);
    tcase_add_test(t, test_not_a_number_is_named_by_row_and_column);
    tcase_add_test(t, test_empty_matrix_is_an_error);
    suite_add_tcase(s, t);
    t = tcase_create("heat maps");
    tcase_add_test(t, test_adjacency_means_are_means_of_cosines);
    tcase_add_test(t, test_pooling_keeps_the_mean_and_the_line);
    suite_add_tcase(s, t);
    return s;
}

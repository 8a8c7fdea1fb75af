/*
 * Layers, tokens and attention whose figures are known because they were built so: matrices of a known rank, patches
 * that are all alike, attention that prefers no token.
 */
#include "analysis/layers/layers.h"
#include "tests/analysis/golden.h"

/* Rows ±e_0, …, ±e_{rank−1} in turn: `rank` equal singular values and a mean of 0. */
static matrix axes(size_t rows, size_t cols, size_t rank) {
    float *x = calloc(rows * cols, sizeof *x);
    for (size_t i = 0; i < rows; i++) x[i * cols + i / 2 % rank] = i % 2 ? -1 : 1;
    return (matrix){x, rows, cols};
}

START_TEST(test_ranks_of_a_layer_are_those_that_it_was_built_with) {
    error err = {0};
    static const size_t ranks[] = {1, 3, 8, 16};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        layer_figures f;
        ck_assert(layer_take(axes(96, 16, ranks[i]), NULL, NULL, 0, &f, &err));
        ck_assert_double_eq_tol(f.rankme, (double)ranks[i], 1e-3);
        ck_assert_double_eq_tol(f.effective_rank, (double)ranks[i], 1e-9);
        ck_assert_double_eq(f.numerical_rank, (double)ranks[i]);
        ck_assert_ptr_null(f.dimensional.rule);
    }
}
END_TEST

static double mean_cosine(const float *x, size_t rows, size_t cols) {
    error err = {0};
    double out = -2;
    ck_assert(layer_mean_cosine((matrix){x, rows, cols}, &out, &err));
    return out;
}

START_TEST(test_mean_cosine_is_one_for_equal_rows_and_zero_for_orthogonal_ones) {
    float equal[4 * 3] = {1, 2, 3, 1, 2, 3, 2, 4, 6, 0, 0, 0}, apart[3 * 3] = {1, 0, 0, 0, 5, 0, 0, 0, 2};
    float one[2 * 2] = {1, 1, 0, 0}, opposed[2 * 2] = {1, 1, -1, -1};
    ck_assert_double_eq_tol(mean_cosine(equal, 4, 3), 1, 1e-12); /* the row of zeros is left out */
    ck_assert_double_eq_tol(mean_cosine(apart, 3, 3), 0, 1e-12);
    ck_assert_double_eq_tol(mean_cosine(opposed, 2, 2), -1, 1e-12);
    ck_assert(isnan(mean_cosine(one, 2, 2)));
}
END_TEST

START_TEST(test_a_layer_that_lost_its_directions_is_collapsed_against_the_untrained_one) {
    error err = {0};
    layer_figures before, kept, lost;
    matrix wide = noise(400, 32, 1), flat = noise(400, 32, 2);
    for (size_t i = 0; i < 400; i++)
        for (size_t j = 2; j < 32; j++) ((float *)flat.data)[i * 32 + j] *= 1e-3F;
    ck_assert(layer_take(wide, NULL, NULL, 0, &before, &err));
    ck_assert(layer_take(noise(400, 32, 3), &before, "the untrained network", 0, &kept, &err));
    ck_assert(layer_take(flat, &before, "the untrained network", 0, &lost, &err));
    ck_assert_int_eq(kept.dimensional.verdict, VERDICT_HEALTHY);
    ck_assert_int_eq(kept.representation.verdict, VERDICT_HEALTHY);
    ck_assert_int_eq(lost.dimensional.verdict, VERDICT_COLLAPSED);
}
END_TEST

/* All but a few rows about one point: those few are left out of the ranks that a verdict rests on, and hide it. */
START_TEST(test_a_few_rows_far_out_do_not_hide_that_the_others_have_lost_their_directions) {
    error err = {0};
    layer_figures before, lost;
    matrix wide = noise(400, 32, 1), point = noise(400, 32, 2);
    float *x = (float *)point.data;
    for (size_t i = 0; i < 400; i++)
        for (size_t j = 0; j < 32; j++) x[i * 32 + j] = 5 + (i < 12 ? (j ? 0 : 50 + x[i * 32]) : 0.05F * x[i * 32 + j]);
    ck_assert(layer_take(wide, NULL, NULL, 0, &before, &err));
    ck_assert(layer_take(point, &before, "the untrained network", 0, &lost, &err));
    ck_assert_int_eq(lost.dimensional.verdict, VERDICT_COLLAPSED);
    ck_assert_str_eq(lost.dimensional.rule, "reference_all_rows");
}
END_TEST

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

enum { IMAGES = 12, TOKENS = 10, PATCHES = 9, D = 24 };

/* Each patch: `own` times noise of its own, `shared` times its image's, and an offset that all have. */
static float *states(double own, double shared, double offset) {
    matrix each = noise(IMAGES * TOKENS, D, 4), image = noise(IMAGES, D, 5);
    float *x = malloc(IMAGES * TOKENS * D * sizeof *x);
    for (size_t i = 0; i < IMAGES * TOKENS; i++)
        for (size_t j = 0; j < D; j++)
            x[i * D + j] =
                (float)(own * (double)each.data[i * D + j] + shared * (double)image.data[i / TOKENS * D + j] + offset);
    return x;
}

static token_figures figures_of(const float *x) {
    error err = {0};
    token_sums sums;
    ck_assert(token_sums_begin(&sums, PATCHES, D, &err));
    ck_assert(token_sums_add(&sums, x, 5, TOKENS, &err)); /* as batches bring them */
    ck_assert(token_sums_add(&sums, x + 5 * TOKENS * D, IMAGES - 5, TOKENS, &err));
    return token_sums_end(&sums);
}

START_TEST(test_tokens_that_are_equal_are_a_token_collapse) {
    token_figures f = figures_of(states(0, 1, 0));
    collapse_verdict v;
    ck_assert_uint_eq(f.images, IMAGES);
    ck_assert_double_eq_tol(f.rank, 1, 1e-3);
    ck_assert_double_eq_tol(f.mean_cosine, 1, 1e-9);
    ck_assert_double_eq_tol(f.within_share, 0, 1e-9);
    tokens_judge(&f, &v);
    ck_assert_int_eq(v.verdict, VERDICT_COLLAPSED);
}
END_TEST

START_TEST(test_tokens_that_differ_within_an_image_are_none) {
    token_figures f = figures_of(states(1, 0, 0)), mixed = figures_of(states(1, 1, 0));
    collapse_verdict v;
    ck_assert_double_gt(f.rank, 8);
    ck_assert_double_eq_tol(f.within_share, 1, 0.1);
    ck_assert_double_eq_tol(mixed.within_share, 0.5, 0.1);
    tokens_judge(&f, &v);
    ck_assert_int_eq(v.verdict, VERDICT_HEALTHY);
}
END_TEST

START_TEST(test_an_offset_that_all_patches_share_hides_no_token_collapse_and_makes_none) {
    token_figures here = figures_of(states(1, 1, 0)), far = figures_of(states(1, 1, 100));
    token_figures collapsed = figures_of(states(0.01, 1, 100));
    collapse_verdict v;
    ck_assert_double_gt(far.mean_cosine, 0.99);
    ck_assert_double_eq_tol(far.within_share, here.within_share, 1e-4);
    tokens_judge(&collapsed, &v);
    ck_assert_int_eq(v.verdict, VERDICT_COLLAPSED);
    token_figures point = figures_of(states(0, 0, 3));
    tokens_judge(&point, &v);
    ck_assert_int_eq(v.verdict, VERDICT_COLLAPSED);
    ck_assert_str_eq(v.rule, "one_point");
}
END_TEST

START_TEST(test_one_huge_value_is_a_massive_activation) {
    float *x = malloc(IMAGES * TOKENS * D * sizeof *x);
    for (size_t i = 0; i < IMAGES * TOKENS * D; i++) x[i] = i % 2 ? 1 : -1;
    ck_assert_double_eq(figures_of(x).massive_share, 0);
    ck_assert_double_eq(figures_of(x).largest_over_median, 1);
    for (size_t i = 0; i < IMAGES; i++) x[i * TOKENS * D + 3] = -1000;
    ck_assert_double_eq_tol(figures_of(x).massive_share, 1.0 / (TOKENS * D), 1e-12);
    ck_assert_double_eq_tol(figures_of(x).largest_over_median, 1000, 1e-9);
}
END_TEST

START_TEST(test_of_one_patch_an_image_nothing_is_said_about_differences_within_it) {
    error err = {0};
    token_sums sums;
    collapse_verdict v;
    ck_assert(token_sums_begin(&sums, 1, D, &err) && token_sums_add(&sums, states(1, 1, 0), IMAGES, 2, &err));
    token_figures f = token_sums_end(&sums);
    ck_assert(isnan(f.within_share));
    tokens_judge(&f, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
    ck_assert_str_eq(v.rule, "too_few");
}
END_TEST

START_TEST(test_tokens_that_are_no_numbers_are_called_that) {
    error err = {0};
    token_sums sums;
    float *x = states(1, 1, 0);
    x[(3 * TOKENS + 2) * D + 1] = NAN;
    ck_assert(token_sums_begin(&sums, PATCHES, D, &err));
    ck_assert(!token_sums_add(&sums, x, IMAGES, TOKENS, &err));
    ck_assert_msg(strstr(err.text, "NaN at row 1, column 1") && !strstr(err.text, "memory"), "%s", err.text);
    token_sums_end(&sums);
}
END_TEST

/* ---- attention --------------------------------------------------------------------------------------------------- */

enum { HEADS = 2, WIDTH = 16 };

static attention_figures attention_of(const float *qkv, bool class_token) {
    error err = {0};
    attention_sums sums = {0};
    ck_assert(attention_sums_add(&sums, qkv, 1, TOKENS, WIDTH, HEADS, &err));
    ck_assert(attention_sums_add(&sums, qkv + TOKENS * 3 * WIDTH, 2, TOKENS, WIDTH, HEADS, &err));
    return attention_sums_end(&sums, class_token);
}

START_TEST(test_entropy_of_uniform_attention_is_the_logarithm_of_the_tokens) {
    matrix m = noise(3 * TOKENS, 3 * WIDTH, 6);
    float *qkv = (float *)m.data;
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < WIDTH; j++) qkv[i * m.cols + j] = 0; /* a query of zeros prefers nobody */
    attention_figures f = attention_of(qkv, true);
    ck_assert_uint_eq(f.images, 3);
    ck_assert_double_eq_tol(f.entropy, log(TOKENS), 1e-9);
    ck_assert_double_eq_tol(f.entropy_first, log(TOKENS), 1e-9);
    ck_assert_double_eq_tol(f.uniform, log(TOKENS), 1e-12);
    ck_assert(isnan(attention_of(qkv, false).entropy_first));
}
END_TEST

START_TEST(test_entropy_of_attention_to_one_token_is_zero) {
    float *qkv = calloc(3 * TOKENS * 3 * WIDTH, sizeof *qkv);
    for (size_t i = 0; i < 3 * TOKENS; i++)
        for (size_t j = 0; j < WIDTH; j++) {
            qkv[i * 3 * WIDTH + j] = 10;
            qkv[i * 3 * WIDTH + WIDTH + j] = i % TOKENS == 4 ? 10 : 0;
        }
    ck_assert_double_eq_tol(attention_of(qkv, true).entropy, 0, 1e-9);
}
END_TEST

START_TEST(test_entropy_of_attention_is_that_of_its_probabilities) {
    matrix m = noise(3 * TOKENS, 3 * WIDTH, 7);
    double all = 0, first = 0, each = WIDTH / HEADS;
    for (size_t n = 0; n < 3; n++)
        for (size_t h = 0; h < HEADS; h++)
            for (size_t i = 0; i < TOKENS; i++) {
                double p[TOKENS], z = 0, entropy = 0;
                const float *q = m.data + (n * TOKENS + i) * m.cols + h * WIDTH / HEADS;
                for (size_t j = 0; j < TOKENS; j++) {
                    const float *k = m.data + (n * TOKENS + j) * m.cols + WIDTH + h * WIDTH / HEADS;
                    double dot = 0;
                    for (size_t c = 0; c < WIDTH / HEADS; c++) dot += (double)q[c] * (double)k[c];
                    z += p[j] = exp(dot / sqrt(each));
                }
                for (size_t j = 0; j < TOKENS; j++) entropy -= p[j] / z * log(p[j] / z);
                all += entropy, first += i ? 0 : entropy;
            }
    attention_figures f = attention_of(m.data, true);
    ck_assert_double_eq_tol(f.entropy, all / (3 * HEADS * TOKENS), 1e-5);
    ck_assert_double_eq_tol(f.entropy_first, first / (3 * HEADS), 1e-5);
}
END_TEST

Suite *suite_layers(void) {
    Suite *s = suite_create("layers");
    TCase *t = tcase_create("layers");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_ranks_of_a_layer_are_those_that_it_was_built_with);
    tcase_add_test(t, test_mean_cosine_is_one_for_equal_rows_and_zero_for_orthogonal_ones);
    tcase_add_test(t, test_a_layer_that_lost_its_directions_is_collapsed_against_the_untrained_one);
    tcase_add_test(t, test_a_few_rows_far_out_do_not_hide_that_the_others_have_lost_their_directions);
    tcase_add_test(t, test_tokens_that_are_equal_are_a_token_collapse);
    tcase_add_test(t, test_tokens_that_differ_within_an_image_are_none);
    tcase_add_test(t, test_an_offset_that_all_patches_share_hides_no_token_collapse_and_makes_none);
    tcase_add_test(t, test_one_huge_value_is_a_massive_activation);
    tcase_add_test(t, test_of_one_patch_an_image_nothing_is_said_about_differences_within_it);
    tcase_add_test(t, test_tokens_that_are_no_numbers_are_called_that);
    tcase_add_test(t, test_entropy_of_uniform_attention_is_the_logarithm_of_the_tokens);
    tcase_add_test(t, test_entropy_of_attention_to_one_token_is_zero);
    tcase_add_test(t, test_entropy_of_attention_is_that_of_its_probabilities);
    suite_add_tcase(s, t);
    return s;
}

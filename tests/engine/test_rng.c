#include "engine/rng.h"

#include <check.h>
#include <math.h>
#include <string.h>

/* Known answers of Random123's kat_vectors for philox4x32 with 10 rounds. */
START_TEST(test_philox_gives_the_authors_known_answers) {
    const uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
    uint32_t out[4];
    rng_philox(zero, zero, out);
    ck_assert_uint_eq(out[0], 0x6627e8d5);
    ck_assert_uint_eq(out[3], 0x9b00dbd8);
    rng_philox(ones, ones, out);
    ck_assert_uint_eq(out[0], 0x408f276d);
    ck_assert_uint_eq(out[3], 0x6d5451fd);
}
END_TEST

START_TEST(test_streams_with_different_names_differ) {
    rng a = rng_stream(1, RNG_AUGMENT, 2, 3, 0), b = rng_stream(1, RNG_AUGMENT, 2, 3, 1);
    rng c = rng_stream(1, RNG_SHUFFLE, 2, 3, 0), d = rng_stream(1, RNG_AUGMENT, 2, 3, 0);
    uint32_t first = rng_bits(&a);
    ck_assert_uint_ne(first, rng_bits(&b));
    ck_assert_uint_ne(first, rng_bits(&c));
    ck_assert_uint_eq(first, rng_bits(&d));
}
END_TEST

START_TEST(test_normals_have_mean_zero_and_variance_one) {
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);
    double sum = 0, squares = 0, fourth = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r);
        sum += x, squares += x * x, fourth += x * x * x * x;
    }
    ck_assert_double_lt(fabs(sum / N), 0.01);
    ck_assert_double_lt(fabs(squares / N - 1), 0.02);
    ck_assert_double_lt(fabs(fourth / N - 3), 0.15);
}
END_TEST

START_TEST(test_shuffle_is_a_permutation) {
    enum { N = 1000 };
    uint32_t items[N], seen[N] = {0};
    for (uint32_t i = 0; i < N; i++) items[i] = i;
    rng r = rng_stream(3, RNG_SHUFFLE, 0, 0, 0);
    rng_shuffle(&r, items, N);
    int moved = 0;
    for (uint32_t i = 0; i < N; i++) seen[items[i]]++, moved += items[i] != i;
    for (int i = 0; i < N; i++) ck_assert_uint_eq(seen[i], 1);
    ck_assert_int_gt(moved, N / 2);
}
END_TEST

Suite *suite_rng(void) {
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("philox");
    tcase_add_test(t, test_philox_gives_the_authors_known_answers);
    tcase_add_test(t, test_streams_with_different_names_differ);
    tcase_add_test(t, test_normals_have_mean_zero_and_variance_one);
    tcase_add_test(t, test_shuffle_is_a_permutation);
    suite_add_tcase(s, t);
    return s;
}

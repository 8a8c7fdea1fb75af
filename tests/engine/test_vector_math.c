/*
 * The vectorised exp, tanh, sin, cos and normal distribution beside the C library's in double precision, value by
 * value.
 */
#include "engine/cpu/vector_math.h"

#include <check.h>

/* Largest relative error of `mine` over [from, to]. */
static double worst(float (*mine)(float), double (*exact)(double), double from, double to) {
    enum { POINTS = 400000 };
    double most = 0;
    for (int i = 0; i <= POINTS; i++) {
        float x = (float)(from + (to - from) * i / POINTS);
        double expected = exact((double)x), error = expected ? fabs((double)mine(x) / expected - 1) : 0;
        most = error > most ? error : most;
    }
    return most;
}

static float my_exp(float x) { return fast_exp(x); }
static float my_tanh(float x) { return fast_tanh(x); }

START_TEST(test_exp_is_within_two_units_in_the_last_place) {
    ck_assert_double_lt(worst(my_exp, exp, -87, 88.2), 2.4e-7);
    ck_assert_double_lt(worst(my_exp, exp, -1, 1), 1.2e-7);
}
END_TEST

START_TEST(test_exp_has_its_limits) {
    ck_assert_float_eq(fast_exp(0), 1);
    ck_assert_float_eq(fast_exp(-INFINITY), 0);
    ck_assert_float_eq(fast_exp(-100), 0);
    ck_assert(isinf(fast_exp(INFINITY)) && isinf(fast_exp(100)));
    ck_assert(isnan(fast_exp(NAN)));
}
END_TEST

START_TEST(test_tanh_is_within_a_few_units_in_the_last_place) {
    ck_assert_double_lt(worst(my_tanh, tanh, -20, 20), 1e-6);
    ck_assert_double_lt(worst(my_tanh, tanh, -0.2, 0.2), 2e-7);
    ck_assert_float_eq(fast_tanh(INFINITY), 1);
    ck_assert_float_eq(fast_tanh(-INFINITY), -1);
    ck_assert_float_eq(fast_tanh(0), 0);
    ck_assert(isnan(fast_tanh(NAN)));
}
END_TEST

static double tail(double x) { return erfc(x * 0.70710678118654752440) / 2; }
static float my_tail(float x) {
    float density;
    return normal_tail(x, &density);
}
static double gelu(double x) { return x * tail(-x); }
static float my_gelu(float x) {
    float slope;
    return fast_gelu(x, &slope);
}

/* Far out exp(−x²/2) carries the rounding of x²/2. */
START_TEST(test_normal_tail_and_gelu_are_close) {
    ck_assert_double_lt(worst(my_tail, tail, 0, 2), 6e-7);
    ck_assert_double_lt(worst(my_tail, tail, 0, 10), 6e-6);
    ck_assert_double_lt(worst(my_gelu, gelu, -10, 10), 6e-6);
    float slope;
    ck_assert_float_eq(fast_gelu(0, &slope), 0);
    ck_assert_float_eq_tol(slope, 0.5F, 1e-7F);
    ck_assert(isnan(fast_gelu(NAN, &slope)));
}
END_TEST

/* Largest error of sin and cos over [from, to], which is absolute: near their zeros a float has no more to say. */
static double worst_turn(double from, double to) {
    enum { POINTS = 400000 };
    double most = 0;
    for (int i = 0; i <= POINTS; i++) {
        float x = (float)(from + (to - from) * i / POINTS);
        most = fmax(most, fmax(fabs((double)fast_sin(x) - sin((double)x)), fabs((double)fast_cos(x) - cos((double)x))));
    }
    return most;
}

START_TEST(test_sin_and_cos_are_within_a_unit_in_the_last_place_of_one) {
    ck_assert_double_lt(worst_turn(-10, 10), 1.2e-7);
    ck_assert_double_lt(worst_turn(-1e5, 1e5), 1.2e-7);
    ck_assert_double_lt(worst_turn(6e7, 6.1e7), 1.2e-7);
    for (int k = -8; k <= 8; k++) { /* the edges of the quadrants */
        float x = (float)(k * 0.78539816339744831);
        ck_assert_float_eq_tol(fast_sin(x), sinf(x), 1.2e-7F);
        ck_assert_float_eq_tol(fast_cos(x), cosf(x), 1.2e-7F);
    }
}
END_TEST

START_TEST(test_sin_and_cos_stay_bounded_and_notice_what_is_no_number) {
    ck_assert_float_eq(fast_sin(0), 0);
    ck_assert_float_eq(fast_cos(0), 1);
    ck_assert(fabsf(fast_sin(1e30F)) <= 1 && fabsf(fast_cos(-1e38F)) <= 1);
    ck_assert(isnan(fast_sin(NAN)) && isnan(fast_cos(NAN)));
    ck_assert(isnan(fast_sin(INFINITY)) && isnan(fast_cos(-INFINITY)));
}
END_TEST

Suite *suite_vector_math(void) {
    Suite *s = suite_create("vector_math");
    TCase *t = tcase_create("C library");
    tcase_add_test(t, test_exp_is_within_two_units_in_the_last_place);
    tcase_add_test(t, test_exp_has_its_limits);
    tcase_add_test(t, test_tanh_is_within_a_few_units_in_the_last_place);
    tcase_add_test(t, test_normal_tail_and_gelu_are_close);
    tcase_add_test(t, test_sin_and_cos_are_within_a_unit_in_the_last_place_of_one);
    tcase_add_test(t, test_sin_and_cos_stay_bounded_and_notice_what_is_no_number);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Bytes that a step moves, counted, against the same by hand: two convolutions with BatchNorm and a ReLU between.
 */
#include "engine/ops.h"
#include "engine/parameters.h"

#include <check.h>
#include <stdlib.h>

enum { N = 2, SIDE = 4, LANES = 16, PIXELS = N * SIDE * SIDE };

static struct {
    backend *backend;
    parameters *parameters;
    tape *tape;
    traffic counted;
} own;

static void setup(void) {
    error err = {0};
    own.backend = backend_cpu(1, &err);
    own.parameters = parameters_create(own.backend, 0, &err);
    own.tape = tape_create(own.backend, &err);
    own.counted = (traffic){0};
    ck_assert_msg(own.tape != NULL, "%s", err.text);
}

static void teardown(void) {
    tape_destroy(own.tape);
    parameters_destroy(own.parameters);
    own.backend->destroy(own.backend);
}

static void is_moved(op_id op, double moved, double least, int passes) {
    ck_assert_double_eq(own.counted.ops[op].moved, moved);
    ck_assert_double_eq(own.counted.ops[op].least, least);
    ck_assert_int_eq(own.counted.ops[op].passes, passes);
}

/* One step; `forget`: what BatchNorm writes is made a second time. */
static void step(bool bfloat16, bool forget, bool residual) {
    error err = {0};
    float pixels[PIXELS * LANES];
    batchnorm norm;
    for (int i = 0; i < PIXELS * LANES; i++) pixels[i] = (float)(i % 7);
    parameters *p = own.parameters;
    tensor *first = parameters_add(p, "a", ROLE_WEIGHT, 4, (int64_t[]){LANES, LANES, 3, 3}, INIT_UNIFORM, 1, &err);
    tensor *second = parameters_add(p, "b", ROLE_WEIGHT, 4, (int64_t[]){LANES, LANES, 3, 3}, INIT_UNIFORM, 1, &err);
    ck_assert(first && second && parameters_batchnorm(p, "n", LANES, true, &norm, &err));
    own.backend->bfloat16 = bfloat16;
    tape *t = own.tape;
    tape_count_traffic(t, &own.counted);
    tensor *x = tape_images(t, pixels, N, SIDE, SIDE, LANES);
    tensor *h = op_conv2d(t, x, first, NULL, 1, 1);
    tensor *y = op_batchnorm(t, h, &norm, residual ? h : NULL, true, 1, true);
    tensor *z = op_conv2d(t, y, second, NULL, 1, 1);
    if (forget) tape_forget(t, y);
    tape_backward(t, op_sum_squares(t, op_global_pool(t, z)));
    tape_count_traffic(t, NULL);
    tape_reset(t);
    op_conv2d(t, tape_images(t, pixels, N, SIDE, SIDE, LANES), first, NULL, 1, 1); /* no longer counted */
    ck_assert_msg(tape_check(t, &err), "%s", err.text);
}

static const double weights = LANES * LANES * 9 * 4, channels = LANES * 4;

/* x takes no gradient: S are an image's bytes, in float32 the pixels, too. */
START_TEST(test_each_value_crosses_once_for_each_pass_and_statistics_are_a_second_one) {
    double brief = _i ? 2 : 1, pixels = PIXELS * LANES * 4, s = pixels / brief;
    step(_i, false, false);
    double forward = pixels + weights + s + s + weights + s;
    double backward = (s + weights + s) + (s + s + weights) + (s + pixels + weights);
    is_moved(OP_conv2d, forward + backward, forward + backward, 4);
    double own_values = 4 * channels + 2 * channels; /* γ, β, both running statistics; mean and deviation are kept */
    double norm_forward = s + s + own_values, norm_backward = s + s + 2 * channels + channels + s + 2 * channels;
    is_moved(OP_batchnorm, norm_forward + norm_backward + s + 2 * s, norm_forward + norm_backward, 2);
    is_moved(OP_relu, 0, 0, 0);
}
END_TEST

START_TEST(test_a_value_that_is_made_again_moves_bytes_that_none_had_to) {
    double s = PIXELS * LANES * 4;
    step(false, false, false);
    op_traffic kept = own.counted.ops[OP_batchnorm];
    own.counted = (traffic){0};
    teardown(), setup();
    step(false, true, false);
    is_moved(OP_batchnorm, kept.moved + 2 * s + 6 * channels, kept.least, 3);
}
END_TEST

START_TEST(test_the_gradient_of_a_bias_is_a_pass_where_it_is_one) {
    static const struct {
        int rows;
        bool apart;
    } ways[] = {{4, true}, {2048, false}};
    error err = {0};
    float *zeros = calloc(2048 * LANES, sizeof *zeros), pixels[PIXELS * LANES] = {0};
    tensor *w, *bias, *kernel;
    bool made = parameters_linear(own.parameters, "l", LANES, LANES, &w, &bias, &err);
    kernel =
        parameters_add(own.parameters, "c", ROLE_WEIGHT, 4, (int64_t[]){LANES, LANES, 3, 3}, INIT_UNIFORM, 1, &err);
    ck_assert(zeros && made && kernel);
    tape_count_traffic(own.tape, &own.counted);
    for (int i = 0; i < 2; i++) {
        double row = LANES * 4.0, rows = ways[i].rows * row, matrix = LANES * row;
        own.counted = (traffic){0};
        tensor *y = op_linear(own.tape, tape_matrix(own.tape, zeros, ways[i].rows, LANES), w, bias);
        tape_backward(own.tape, op_sum_squares(own.tape, y));
        double least = (rows + matrix + row + rows) + (rows + rows + matrix) + row;
        is_moved(OP_linear, least + (ways[i].apart ? rows : 0), least, 2);
        tape_reset(own.tape);
        parameters_clear_grad(own.parameters);
    }
    double s = PIXELS * LANES * 4, row = LANES * 4;
    tensor *z = op_conv2d(own.tape, tape_images(own.tape, pixels, N, SIDE, SIDE, LANES), kernel, bias, 1, 1);
    tape_backward(own.tape, op_sum_squares(own.tape, op_global_pool(own.tape, z)));
    double least = (s + weights + row + s) + (s + s + weights) + row;
    is_moved(OP_conv2d, least + s, least, 2);
    ck_assert_msg(tape_check(own.tape, &err), "%s", err.text);
    free(zeros);
}
END_TEST

/* An input that is its own residual is one read; its gradient is written, and the second part is added to it. */
START_TEST(test_a_residual_is_read_by_its_mask_too) {
    double s = PIXELS * LANES * 4, own_values = 6 * channels;
    step(false, false, true);
    double forward = s + s + own_values;
    double backward = s + s + s + s + s + (2 + 1 + 2) * channels; /* g, x, y in; both parts of x's gradient */
    is_moved(OP_batchnorm, forward + s + backward + 3 * s, forward + backward, 2);
}
END_TEST

Suite *suite_traffic(void) {
    Suite *suite = suite_create("traffic");
    TCase *tests = tcase_create("traffic");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_each_value_crosses_once_for_each_pass_and_statistics_are_a_second_one, 0, 2);
    tcase_add_test(tests, test_a_value_that_is_made_again_moves_bytes_that_none_had_to);
    tcase_add_test(tests, test_the_gradient_of_a_bias_is_a_pass_where_it_is_one);
    tcase_add_test(tests, test_a_residual_is_read_by_its_mask_too);
    suite_add_tcase(suite, tests);
    return suite;
}

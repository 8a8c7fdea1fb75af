/*
 * What the tape promises: errors that stick and name their place, memory that stops growing, values that live as long
 * as they are needed, and the same bits twice.
 */
#include "engine/backbone.h"
#include "engine/optimizer.h"
#include "engine/rng.h"
#include "methods/method.h"
#include "tests/golden/golden.h"

#include <string.h>

static float *normals(int64_t count) {
    float *v = malloc((size_t)count * sizeof *v);
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (int64_t i = 0; i < count; i++) v[i] = (float)rng_normal(&r);
    return v;
}

/* Errors ---------------------------------------------------------------------------------------------------------- */

START_TEST(test_first_error_sticks_with_op_and_place) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float x[12] = {0};
    tensor *a = tape_matrix(t, x, 3, 4), *c = tape_matrix(t, x, 3, 4);
    const int line = __LINE__ + 1;
    tensor *bad = op_matmul(t, a, false, c, false, 1);
    ck_assert_ptr_null(bad);
    ck_assert_ptr_null(op_linear(t, bad, a, NULL)); /* fails because of the first: adds no message of its own */
    ck_assert_ptr_null(op_add(t, a, c));            /* would do, but later ops do nothing */
    ck_assert(isnan(tape_scalar(t, bad)));
    tape_backward(t, bad);
    ck_assert(!tape_check(t, &err));
    char place[200];
    snprintf(place, sizeof place, "op matmul at %s:%d: ", __FILE__, line);
    ck_assert_msg(strncmp(err.text, place, strlen(place)) == 0, "\"%s\" does not start with \"%s\"", err.text, place);
    ck_assert_ptr_nonnull(strstr(err.text, "the inner dimensions differ"));
    ck_assert_ptr_nonnull(strstr(err.text, "3x4, 3x4"));
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

START_TEST(test_tape_works_again_after_its_error_was_reported) {
    error err = {0}, second = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float x[12] = {1, 2, 3};
    tensor *a = tape_matrix(t, x, 3, 4);
    tape_require_grad(a);
    ck_assert_ptr_null(op_diagonal(t, a));
    ck_assert(!tape_check(t, &err));
    tape_backward(t, op_sum_squares(t, a)); /* not even a reset: what failed left no trace */
    bool ok = tape_check(t, &second);
    ck_assert_msg(ok, "%s", second.text);
    float gradient[12];
    tape_read_grad(t, a, gradient);
    for (int i = 0; i < 12; i++) ck_assert_float_eq(gradient[i], 2 * x[i]);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

static const char *error_of(int which, tape *t, error *err) {
    static const float x[64] = {0};
    tensor *m = tape_matrix(t, x, 3, 4), *row = tape_matrix(t, x, 1, 3), *im = tape_images(t, x, 2, 2, 2, 3);
    batchnorm bn = {.mean = row, .var = row, .momentum = 0.1, .eps = 1e-5};
    switch (which) {
    case 0: op_add(t, m, tape_matrix(t, x, 2, 4)); break;
    case 1: op_conv2d(t, im, m, NULL, 1, 1); break;
    case 2: op_softmax(t, im); break;
    case 3: op_batchnorm(t, m, &bn, NULL, false, 1, true); break;
    case 4: op_batchnorm(t, im, &bn, NULL, false, 3, true); break;
    case 5: op_batchnorm(t, row, &bn, NULL, false, 1, true); break;
    case 6: op_slice_rows(t, m, 2, 2); break;
    case 7: op_concat_rows(t, m, row); break;
    case 8: op_avg_pool(t, im, 99); break;
    case 9: op_max_pool(t, im, 5, 1, 1); break;
    case 10: op_logsumexp(t, m, AXIS_ALL); break;
    case 11: op_linear(t, m, m, row); break; /* one bias per output: this one fits */
    case 12: op_linear(t, m, m, m); break;
    case 13: op_diagonal(t, m); break;
    case 14: op_soft_cross_entropy(t, m, row); break;
    case 15: tape_backward(t, op_exp(t, m)); break;
    default: op_global_pool(t, m); break;
    }
    return tape_check(t, err) ? NULL : err->text;
}

START_TEST(test_shapes_that_do_not_fit_are_refused) {
    static const char *const expected[] = {"op add at",
                                           "op conv2d at",
                                           "op softmax at",
                                           "op batchnorm at",
                                           "the samples do not divide into the groups",
                                           "a group of one sample has no variance",
                                           "the rows asked for do not exist",
                                           "different numbers of columns",
                                           "at least as large as the window",
                                           "the images are smaller than the window",
                                           "goes over rows or over columns",
                                           NULL,
                                           "the bias must be (1, out)",
                                           "needs a square matrix",
                                           "two matrices of the same shape",
                                           "backward needs a 1x1 loss, not 12 values",
                                           "op global_pool at"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        error err = {0};
        backend *b = backend_cpu(1, &err);
        tape *t = tape_create(b, &err);
        const char *text = error_of((int)i, t, &err);
        if (!expected[i])
            ck_assert_msg(text == NULL, "%s", text);
        else
            ck_assert_msg(text && strstr(text, expected[i]), "case %d: \"%s\" lacks \"%s\"", (int)i, text ? text : "",
                          expected[i]);
        tape_destroy(t);
        b->destroy(b);
    }
}
END_TEST

/* Memory ---------------------------------------------------------------------------------------------------------- */

START_TEST(test_a_value_lives_to_the_reset_when_it_is_kept_and_else_reading_it_is_an_error) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    enum { ROWS = 100, COLS = 100 };
    float *x = normals(ROWS * COLS), *y = malloc(ROWS * COLS * sizeof *y);
    for (int keep = 1; keep >= 0; keep--) {
        tape_reset(t);
        tensor *a = tape_matrix(t, x, ROWS, COLS);
        tape_require_grad(a);
        tensor *h = op_scale(t, a, 2);
        if (keep) tape_keep(h);
        tape_backward(t, op_sum_squares(t, op_scale(t, h, 0.5)));
        tape_read(t, h, y);
        ck_assert_int_eq(tape_check(t, &err), keep);
        for (int i = 0; keep && i < ROWS * COLS; i++) ck_assert_float_eq(y[i], 2 * x[i]);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "tape_keep"));
    free(x);
    free(y);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Values that are large enough to be released early reach each of their uses all the same: y = 3x·stop(x) + x². */
START_TEST(test_shared_and_stopped_values_outlive_their_other_uses) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    enum { ROWS = 100, COLS = 100 };
    float *x = normals(ROWS * COLS), *gradient = malloc(ROWS * COLS * sizeof *gradient);
    for (int step = 0; step < 3; step++) {
        tape_reset(t);
        tensor *a = tape_matrix(t, x, ROWS, COLS);
        tape_require_grad(a);
        tensor *h = op_scale(t, a, 1), *stopped = tape_stop_gradient(t, h);
        tensor *product = op_mul(t, op_scale(t, h, 3), stopped), *square = op_mul(t, h, h);
        tape_backward(t, op_sum(t, op_add(t, product, square), AXIS_ALL));
        tape_read_grad(t, a, gradient);
        ck_assert(tape_check(t, &err));
        for (int i = 0; i < ROWS * COLS; i++) ck_assert_float_eq_tol(gradient[i], 5 * x[i], 1e-5F * (1 + fabsf(x[i])));
    }
    free(x);
    free(gradient);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Work ------------------------------------------------------------------------------------------------------------ */

START_TEST(test_work_is_counted_forward_and_for_each_gradient) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float x[2 * 4 * 4 * 3] = {0};
    parameters *p = parameters_create(b, 0, &err);
    tensor *w = parameters_add(p, "w", ROLE_WEIGHT, 4, (int64_t[]){16, 3, 3, 3}, INIT_UNIFORM, 1, &err);
    tensor *images = tape_images(t, x, 2, 4, 4, 3);
    tensor *features = op_global_pool(t, op_conv2d(t, images, w, NULL, 1, 1));
    const double conv = 2.0 * 2 * 4 * 4 * 16 * 3 * 9, product = 2.0 * 2 * 2 * 16; /* a multiplication and an addition */
    ck_assert_double_eq(tape_flops(t), conv);
    tensor *similarity = op_matmul(t, features, false, features, true, 1);
    ck_assert_double_eq(tape_flops(t), conv + product);
    tape_backward(t, op_sum_squares(t, similarity)); /* images take no gradient, both factors do */
    ck_assert_double_eq(tape_flops(t), 2 * conv + 3 * product);
    tape_reset(t);
    ck_assert_double_eq(tape_flops(t), 0);
    tape_set_recording(t, false);
    op_conv2d(t, tape_images(t, x, 2, 4, 4, 3), w, NULL, 1, 1);
    ck_assert_double_eq(tape_flops(t), conv);
    ck_assert(tape_check(t, &err));
    tape_destroy(t);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

START_TEST(test_backward_runs_once_between_resets) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float x[4] = {1, 2, 3, 4};
    for (int step = 0; step < 2; step++) {
        tape_reset(t);
        tensor *a = tape_matrix(t, x, 2, 2);
        tape_require_grad(a);
        tensor *loss = op_sum_squares(t, a);
        tape_backward(t, loss);
        ck_assert(tape_check(t, &err));
        if (step) tape_backward(t, loss);
    }
    ck_assert(!tape_check(t, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "once between resets"));
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Training -------------------------------------------------------------------------------------------------------- */

typedef struct trainer {
    backend *backend;
    parameters *parameters;
    backbone *net;
    tape *tape;
    const method *method;
    method_model model;
    void *method_options;
    backbone_options backbone_options;
    optimizer_options optimizer_options;
    optimizer optimizer;
    float *images;
} trainer;

enum { PAIRS = 8, SIDE = 16 };

/* Small heads: the tests are about the tape, not about the products. */
static void shrink_head(const field_table *table, void *options) {
    error err = {0};
    static const char *const sizes[][2] = {{"features", "64"}, {"hidden", "64"}, {"codes", "256"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const field *row = fields_find(table, sizes[i][0]);
        if (row) ck_assert(field_parse(table, row, options, sizes[i][1], &err));
    }
}

static void trainer_create(trainer *r, const char *backbone_name, const char *method_name, int threads) {
    error err = {0};
    *r = (trainer){.backend = backend_cpu(threads, &err), .method = method_find(method_name)};
    fields_defaults(&backbone_fields, &r->backbone_options);
    fields_defaults(&optimizer_fields, &r->optimizer_options);
    bool ok =
        field_parse(&backbone_fields, fields_find(&backbone_fields, "name"), &r->backbone_options, backbone_name, &err);
    ck_assert_msg(ok, "%s", err.text);
    r->backbone_options.width = 16;
    r->parameters = parameters_create(r->backend, 0, &err);
    r->net = backbone_create(&r->backbone_options, r->parameters, "backbone", &err);
    r->method_options = calloc(1, r->method->fields.size);
    fields_defaults(&r->method->fields, r->method_options);
    shrink_head(&r->method->fields, r->method_options);
    r->model = (method_model){.options = r->method_options,
                              .parameters = r->parameters,
                              .features = backbone_features(r->net),
                              .pairs = PAIRS,
                              .views = 2};
    ok = r->method->build(&r->model, &err) &&
         optimizer_create(&r->optimizer, &r->optimizer_options, r->parameters, &err);
    ck_assert_msg(ok, "%s", err.text);
    r->tape = tape_create(r->backend, &err);
    r->images = normals((int64_t)2 * PAIRS * SIDE * SIDE * 3);
}

static double trainer_step(trainer *r) {
    tape *t = r->tape;
    error err = {0};
    tape_reset(t);
    parameters_clear_grad(r->parameters);
    method_context context = {0};
    tensor *images = tape_images(t, r->images, (int64_t)2 * PAIRS, SIDE, SIDE, 3);
    tensor *loss = r->method->loss(&r->model, &context, t, backbone_forward(r->net, t, images, 2, true));
    tape_backward(t, loss);
    optimizer_step(&r->optimizer, 1e-3, 1, optimizer_gradient_norm(r->parameters));
    double value = tape_scalar(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    return value;
}

static void trainer_destroy(trainer *r) {
    r->method->destroy(&r->model);
    tape_destroy(r->tape);
    backbone_destroy(r->net);
    parameters_destroy(r->parameters);
    r->backend->destroy(r->backend);
    free(r->method_options);
    free(r->images);
}

static const char *const trained[][2] = {{"resnet8", "falcon"}, {"resnet18", "barlow_twins"}, {"falcon8", "falcon"}};

START_TEST(test_memory_stops_growing_after_the_third_step) {
    trainer r;
    trainer_create(&r, trained[_i][0], trained[_i][1], 2);
    backend_memory after_three = {0};
    for (int step = 1; step <= 10; step++) {
        trainer_step(&r);
        backend_memory now = r.backend->memory(r.backend);
        if (step == 3) after_three = now;
        if (step <= 3) continue;
        ck_assert_uint_eq(now.allocations, after_three.allocations);
        ck_assert_uint_eq(now.bytes_held, after_three.bytes_held);
        ck_assert_uint_eq(now.bytes_peak, after_three.bytes_peak);
    }
    trainer_destroy(&r);
}
END_TEST

START_TEST(test_training_twice_gives_the_same_bits) {
    double losses[4];
    float *weights = NULL;
    for (int run = 0; run < 2; run++) {
        trainer r;
        trainer_create(&r, trained[_i][0], trained[_i][1], 2);
        for (int step = 0; step < 4; step++) {
            double loss = trainer_step(&r);
            if (run) ck_assert_msg(loss == losses[step], "step %d: %a, then %a", step, losses[step], loss);
            losses[step] = loss;
        }
        const tensor *last = &parameters_find(r.parameters, "head.projector.0.weight")->value;
        size_t bytes = (size_t)tensor_count(last) * sizeof *weights;
        float *now = malloc(bytes);
        r.backend->read(r.backend, last, now);
        if (run) ck_assert_int_eq(memcmp(now, weights, bytes), 0);
        free(weights);
        weights = now;
        trainer_destroy(&r);
    }
    free(weights);
}
END_TEST

/* What is not a number must reach the loss, where the run looks for it, through activations and pooling alike. */
START_TEST(test_a_pixel_that_is_not_a_number_reaches_the_loss) {
    trainer r;
    trainer_create(&r, trained[_i][0], trained[_i][1], 2);
    ck_assert(isfinite(trainer_step(&r)));
    r.images[100] = NAN;
    ck_assert(isnan(trainer_step(&r)));
    trainer_destroy(&r);
}
END_TEST

START_TEST(test_activations_and_pooling_let_nan_through) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float x[32], y[32];
    for (int i = 0; i < 32; i++) x[i] = i % 2 ? NAN : -1;
    tensor *images = tape_images(t, x, 1, 1, 2, 16), *matrix = tape_matrix(t, x, 1, 32);
    tensor *each[] = {op_relu(t, matrix), op_leaky_relu(t, matrix, 0.2), op_tanh(t, matrix), op_gelu(t, matrix),
                      op_exp(t, matrix)};
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
        tape_read(t, each[k], y);
        for (int i = 0; i < 32; i++) ck_assert_int_eq(isnan(y[i]) != 0, i % 2);
    }
    tape_read(t, op_max_pool(t, images, 1, 1, 0), y);
    for (int i = 0; i < 32; i++) ck_assert_int_eq(isnan(y[i]) != 0, i % 2);
    ck_assert(tape_check(t, &err));
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

Suite *suite_tape(void) {
    Suite *s = suite_create("tape");
    TCase *t = tcase_create("errors and memory");
    tcase_add_test(t, test_first_error_sticks_with_op_and_place);
    tcase_add_test(t, test_tape_works_again_after_its_error_was_reported);
    tcase_add_test(t, test_shapes_that_do_not_fit_are_refused);
    tcase_add_test(t, test_a_value_lives_to_the_reset_when_it_is_kept_and_else_reading_it_is_an_error);
    tcase_add_test(t, test_shared_and_stopped_values_outlive_their_other_uses);
    tcase_add_test(t, test_work_is_counted_forward_and_for_each_gradient);
    tcase_add_test(t, test_backward_runs_once_between_resets);
    tcase_add_test(t, test_activations_and_pooling_let_nan_through);
    suite_add_tcase(s, t);
    TCase *training = tcase_create("training");
    tcase_set_timeout(training, 120);
    tcase_add_loop_test(training, test_memory_stops_growing_after_the_third_step, 0, 3);
    tcase_add_loop_test(training, test_training_twice_gives_the_same_bits, 0, 3);
    tcase_add_loop_test(training, test_a_pixel_that_is_not_a_number_reaches_the_loss, 0, 3);
    suite_add_tcase(s, training);
    return s;
}

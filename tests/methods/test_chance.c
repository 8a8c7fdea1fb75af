/*
 * A method's chance loss is the loss of a head that says nothing: with every weight at zero all codes are alike, so are
 * all partners, and embeddings are one point. Where zeros mean nothing to a loss, it is that of one point on the
 * sphere, or of noise that a head passes on as it is. Settings that can hardly be meant are said.
 */
#include "tests/methods/method_bench.h"

#include "engine/teacher.h"

#include <math.h>

enum { D = 4, N = 8, CLASSES = 5, LATE = 1000 };

static method_bench bench_with(const char *method, const char *settings, int features, int pairs, int locals) {
    error err = {0};
    method_bench m = method_bench_create(method, settings, features, pairs, &err);
    m.model.locals = locals;
    m.model.classes = m.method->labels ? CLASSES : 0;
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s: %s", method, err.text);
    return m;
}

static method_bench bench(const char *method, const char *settings, int features, int pairs) {
    return bench_with(method, settings, features, pairs, 0);
}

/* How many local views a method is tried with: none, and two where it takes them. */
static int most_locals(const char *method) { return method_find(method)->local_views ? 2 : 0; }

static void silence(method_bench *m) {
    for (size_t i = 0; i < m->parameters->count; i++) {
        parameter *one = m->parameters->items[i];
        bool teachers = parameters_is_teacher(one) && parameters_student(m->parameters, one)->value.requires_grad;
        float *zeros = calloc((size_t)tensor_count(&one->value), sizeof *zeros);
        if (one->value.requires_grad || teachers) m->backend->write(m->backend, &one->value, zeros);
        free(zeros);
    }
}

/* Makes the projector the identity: its hidden layers are twice as wide and hold x and −x, of which ReLU keeps half. */
static void pass_on(method_bench *m) {
    error err = {0};
    for (size_t i = 0; i < m->parameters->count; i++) {
        parameter *one = m->parameters->items[i];
        if (!one->value.requires_grad) continue;
        int64_t rows = tensor_rows(&one->value), cols = tensor_cols(&one->value), d = m->model.features;
        float *values = calloc((size_t)(rows * cols), sizeof *values);
        for (int64_t at = 0; at < rows * cols && one->role == ROLE_WEIGHT; at++) {
            int64_t row = at / cols, col = at % cols;
            bool against = rows != cols && (row == col + d || col == row + d);
            values[at] = row == col ? 1 : against ? -1 : 0;
        }
        m->backend->write(m->backend, &one->value, values);
        free(values);
    }
    ck_assert_msg(teacher_copy(m->parameters, &err), "%s", err.text);
}

/* The first is what all representations are when `alike`. Late in training, where what remembers its start has lost it.
 */
static double loss_of(method_bench *m, bool alike) {
    error err = {0};
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);
    int pairs = m->model.pairs, d = m->model.features, locals = m->model.locals;
    size_t globals = (size_t)2 * (size_t)pairs * (size_t)d, marks = (size_t)pairs * CLASSES;
    size_t count = globals + (size_t)locals * (size_t)pairs * (size_t)d;
    float *z = malloc(count * sizeof *z), *labels = calloc(marks, sizeof *labels);
    for (size_t i = 0; i < count; i++) z[i] = alike && i >= (size_t)d ? z[i - (size_t)d] : (float)rng_normal(&r);
    for (int i = 0; i < pairs; i++) labels[i * CLASSES + i % CLASSES] = 1;
    method_context context = {.step = LATE, .steps = LATE + 1, .epochs = 1};
    tape_set_recording(m->tape, false);
    tensor *x = tape_matrix(m->tape, z, 2 * pairs, d);
    if (m->method->teacher) context.teacher = x;
    if (locals) context.local = tape_matrix(m->tape, z + globals, locals * pairs, d);
    if (m->method->labels) context.labels = tape_matrix(m->tape, labels, pairs, CLASSES);
    double loss = tape_scalar(m->tape, m->method->loss(&m->model, &context, m->tape, x));
    ck_assert_msg(tape_check(m->tape, &err), "%s", err.text);
    free(z);
    free(labels);
    return loss;
}

static void is_near(double loss, double expected, double tolerance, const char *method, const char *settings) {
    ck_assert_msg(fabs(loss - expected) < tolerance * (1 + fabs(expected)), "%s %s: %g, not %g", method, settings, loss,
                  expected);
}

static void costs_chance(const char *method, const char *settings) {
    for (int locals = 0; locals <= most_locals(method); locals += 2) {
        method_bench m = bench_with(method, settings, D, N, locals);
        silence(&m);
        is_near(loss_of(&m, false), m.method->chance_loss(&m.model), 1e-4, method, settings);
        method_bench_destroy(&m);
    }
}

/* Whitening finds directions in any noise, a covariance of nothing has none, and zeros cannot be brought to length 1.
 */
static bool knows_zeros(const char *method) {
    static const char *const others[] = {"wmse", "tico", "mmcr", "frossl", NULL};
    for (int i = 0; others[i]; i++)
        if (strcmp(others[i], method) == 0) return false;
    return true;
}

START_TEST(test_a_head_that_says_nothing_costs_the_chance_loss) {
    for (int i = 0; method_names[i]; i++)
        if (method_at(i)->chance_loss && knows_zeros(method_names[i])) costs_chance(method_names[i], "");
    costs_chance("falcon", "codes 100 features 16 prior forward beta 3");
    costs_chance("falcon", "codes 100 features 16 prior reverse beta 0.5 symmetric false");
    costs_chance("gedi", "hidden 8 clusters 7 beta 2");
    costs_chance("swav", "hidden 8 features 6 prototypes 12 sinkhorn false");
    costs_chance("barlow_twins", "hidden 8 features 6 lambda 2 scale 3");
    costs_chance("supervised", "smoothing 0.2");
    costs_chance("vicreg", "hidden 8 features 6 lambda 2 mu 3 nu 5 halve_variance true");
    costs_chance("lejepa", "hidden 8 features 6 lambda 0.3 knots 9 t_max 5 slices 7");
    costs_chance("lejepa", "hidden 8 features 6 sample pooled weights additive slices 7");
    costs_chance("visreg", "hidden 8 features 6 lambda 0.3 scale 2 shape 3 center 5 slices 7");
    costs_chance("corinfomax", "hidden 8 features 6 alpha 3 spread 2 epsilon 1e-4");
    costs_chance("corinfomax", "hidden 8 features 6 forget_covariance 1 initial 0.5");
    costs_chance("corinfomax", "hidden 8 features 6 spread 0");
}
END_TEST

START_TEST(test_every_method_that_trains_has_a_chance_loss) {
    for (int i = 0; method_names[i]; i++)
        ck_assert_msg(!method_at(i)->chance_loss == !method_at(i)->loss, "%s", method_names[i]);
    method_bench m = bench("corinfomax", "hidden 8 features 6 epsilon 0", D, N);
    ck_assert_double_nan(m.method->chance_loss(&m.model)); /* a point costs without end */
    method_bench_destroy(&m);
}
END_TEST

START_TEST(test_whitened_views_that_have_nothing_in_common_cost_the_chance_loss) {
    enum { MANY = 4096 };
    static const char *const settings[] = {"hidden 16 features 3 whitening_size 8 distance euclidean",
                                           "hidden 16 features 3 whitening_size 8"};
    method_bench m = bench("wmse", settings[_i], D, MANY);
    ck_assert_double_eq_tol(loss_of(&m, false), m.method->chance_loss(&m.model), 0.05);
    method_bench_destroy(&m);
}
END_TEST

static const struct {
    const char *method, *settings;
    int features, pairs;
    double tolerance;
} noises[] = {
    {"tico", "features 16 hidden 32 beta 0 batchnorm false", 16, 4096, 0.02},
    {"tico", "features 16 hidden 32 beta 0 rho 3 covariance both batchnorm false", 16, 4096, 0.02},
    {"tico", "features 16 hidden 32 beta 1 batchnorm false", 16, 4096, 0.02},
    {"frossl", "features 16 hidden 32 batchnorm false", 16, 4096, 0.01},
    {"frossl", "features 16 hidden 32 batchnorm false invariance 3", 16, 64, 0.06},
    {"frossl", "features 128 hidden 256 batchnorm false entropy 2", 128, 64, 0.03},
    {"frossl", "features 128 hidden 256 batchnorm false center false", 128, 16, 0.08},
    {"zero_cl", "features 16 hidden 32 batchnorm false", 16, 4096, 0.02},
    {"zero_cl", "features 256 hidden 512 batchnorm false dimension instance", 256, 32, 0.06},
    {"zero_cl", "features 256 hidden 512 batchnorm false dimension both", 256, 32, 0.03},
};

START_TEST(test_views_and_columns_that_have_nothing_in_common_cost_the_chance_loss) {
    method_bench m = bench(noises[_i].method, noises[_i].settings, noises[_i].features, noises[_i].pairs);
    pass_on(&m);
    is_near(loss_of(&m, false), m.method->chance_loss(&m.model), noises[_i].tolerance, noises[_i].method,
            noises[_i].settings);
    method_bench_destroy(&m);
}
END_TEST

/* What README.md says of a point; NaN: the chance loss. */
static const struct {
    const char *method, *settings;
    double loss;
} points[] = {
    {"falcon", "features 6 codes 16", (double)NAN},
    {"mmcr", "features 6 batchnorm false", (double)NAN},
    {"mmcr", "features 6 batchnorm false lambda 2", (double)NAN},
    {"mmcr", "features 6 batchnorm false norm frobenius", (double)NAN},
    {"vicreg", "hidden 8 features 6 mu 3", (double)NAN},
    {"corinfomax", "hidden 8 features 6 forget_mean 0 epsilon 1e-4", (double)NAN},
    {"simclr", "hidden 8 features 6", (double)NAN},
    {"byol", "predictor false", 0},
    {"tico", "features 6 beta 0 rho 3", 3},
    {"tico", "features 6 beta 0 rho 3 covariance both", 0},
};

START_TEST(test_a_point_costs_what_is_said_of_it) {
    for (int locals = 0; locals <= most_locals(points[_i].method); locals += 2) {
        error err = {0};
        method_bench m = bench_with(points[_i].method, points[_i].settings, D, N, locals);
        ck_assert_msg(teacher_copy(m.parameters, &err), "%s", err.text);
        double loss = isnan(points[_i].loss) ? m.method->chance_loss(&m.model) : points[_i].loss;
        is_near(loss_of(&m, true), loss, 1e-4, points[_i].method, points[_i].settings);
        method_bench_destroy(&m);
    }
}
END_TEST

START_TEST(test_a_point_away_from_the_origin_costs_more) {
    static const char *const methods[] = {"lejepa", "visreg"};
    method_bench m = bench(methods[_i], "features 6", D, N);
    ck_assert_double_gt(loss_of(&m, true), m.method->chance_loss(&m.model) + 1e-6);
    method_bench_destroy(&m);
}
END_TEST

static const char *caution_of(const char *method, const char *settings) {
    static char line[512];
    method_bench m = bench(method, settings, D, N);
    *line = '\0';
    m.method->caution(&m.model, line, sizeof line);
    method_bench_destroy(&m);
    return line;
}

START_TEST(test_more_prototypes_than_samples_to_share_out_are_said) {
    ck_assert_str_eq(caution_of("swav", "prototypes 8"), "");
    ck_assert_str_eq(caution_of("swav", "prototypes 24 queue 16"), "");
    ck_assert_str_eq(caution_of("swav", "prototypes 9 sinkhorn false"), "");
    ck_assert_str_eq(
        caution_of("swav", "prototypes 25 queue 16"),
        "method.prototypes 25 are more than the 24 samples (train.batch 8, method.queue 16) that are shared "
        "out among them alike: take fewer, or a method.queue of 24");
    ck_assert_str_eq(caution_of("swav", "prototypes 25 queue 24"), "");
}
END_TEST

/* By another program, which looks for the least loss in the share that a row has on its code. */
START_TEST(test_a_forward_prior_over_more_codes_than_a_batch_fills_is_said) {
    ck_assert_str_eq(caution_of("falcon", "codes 16384"), "");
    ck_assert_str_eq(caution_of("falcon", "codes 8 prior forward"), "");
    ck_assert_str_eq(caution_of("falcon", "codes 32 prior forward"), "");
    ck_assert_str_eq(caution_of("falcon", "codes 128 prior forward beta 0.5"), "");
    ck_assert_str_eq(caution_of("falcon", "codes 128 prior forward"),
                     "method.prior forward, 128 codes, batches of 8: images that all have one code may have a loss of "
                     "7.84, images of a code each 7.61, and outputs that tell nothing 9.70, so little keeps the codes "
                     "in use; `reverse` does");
    ck_assert(strstr(caution_of("falcon", "codes 64 prior forward"), "6.99, images of a code each 6.61"));
}
END_TEST

Suite *suite_chance(void) {
    Suite *s = suite_create("chance");
    TCase *t = tcase_create("chance");
    tcase_add_test(t, test_a_head_that_says_nothing_costs_the_chance_loss);
    tcase_add_test(t, test_every_method_that_trains_has_a_chance_loss);
    tcase_add_loop_test(t, test_views_and_columns_that_have_nothing_in_common_cost_the_chance_loss, 0,
                        (int)(sizeof noises / sizeof *noises));
    tcase_add_loop_test(t, test_a_point_costs_what_is_said_of_it, 0, (int)(sizeof points / sizeof *points));
    tcase_add_loop_test(t, test_a_point_away_from_the_origin_costs_more, 0, 2);
    tcase_add_loop_test(t, test_whitened_views_that_have_nothing_in_common_cost_the_chance_loss, 0, 2);
    tcase_add_test(t, test_more_prototypes_than_samples_to_share_out_are_said);
    tcase_add_test(t, test_a_forward_prior_over_more_codes_than_a_batch_fills_is_said);
    suite_add_tcase(s, t);
    return s;
}

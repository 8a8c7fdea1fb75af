/*
 * A method's chance loss is the loss of a head that says nothing: with every weight at zero all codes are alike, and so
 * are all partners. Settings that can hardly be meant are said.
 */
#include "tests/methods/method_bench.h"

#include <math.h>

enum { D = 4, N = 8, CLASSES = 5 };

static method_bench bench(const char *method, const char *settings, int pairs) {
    error err = {0};
    method_bench m = method_bench_create(method, settings, D, pairs, &err);
    m.model.classes = m.method->labels ? CLASSES : 0;
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s: %s", method, err.text);
    return m;
}

static void silence(method_bench *m) {
    for (size_t i = 0; i < m->parameters->count; i++) {
        parameter *one = m->parameters->items[i];
        bool teachers = parameters_is_teacher(one) && parameters_student(m->parameters, one)->value.requires_grad;
        float *zeros = calloc((size_t)tensor_count(&one->value), sizeof *zeros);
        if (one->value.requires_grad || teachers) m->backend->write(m->backend, &one->value, zeros);
        free(zeros);
    }
}

static double loss_of_noise(method_bench *m, int pairs) {
    error err = {0};
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);
    size_t count = (size_t)2 * (size_t)pairs * D, marks = (size_t)pairs * CLASSES;
    float *z = malloc(count * sizeof *z), *labels = calloc(marks, sizeof *labels);
    for (size_t i = 0; i < count; i++) z[i] = (float)rng_normal(&r);
    for (int i = 0; i < pairs; i++) labels[i * CLASSES + i % CLASSES] = 1;
    method_context context = {.steps = 1, .epochs = 1};
    tape_set_recording(m->tape, false);
    tensor *x = tape_matrix(m->tape, z, 2 * pairs, D);
    if (m->method->teacher) context.teacher = x;
    if (m->method->labels) context.labels = tape_matrix(m->tape, labels, pairs, CLASSES);
    double loss = tape_scalar(m->tape, m->method->loss(&m->model, &context, m->tape, x));
    ck_assert_msg(tape_check(m->tape, &err), "%s", err.text);
    free(z);
    free(labels);
    return loss;
}

static void costs_chance(const char *method, const char *settings) {
    method_bench m = bench(method, settings, N);
    silence(&m);
    double chance = m.method->chance_loss(&m.model), loss = loss_of_noise(&m, N);
    ck_assert_msg(fabs(loss - chance) < 1e-4 * (1 + fabs(chance)), "%s %s: %g, not %g", method, settings, loss, chance);
    method_bench_destroy(&m);
}

/* Whitening finds directions in any noise; there the views have to be told apart instead. */
START_TEST(test_a_head_that_says_nothing_costs_the_chance_loss) {
    int tried = 0;
    for (int i = 0; method_names[i]; i++)
        if (method_at(i)->chance_loss && strcmp(method_names[i], "wmse") != 0)
            costs_chance(method_names[i], ""), tried++;
    ck_assert_int_ge(tried, 10);
    costs_chance("falcon", "codes 100 features 16 prior forward beta 3");
    costs_chance("falcon", "codes 100 features 16 prior reverse beta 0.5 symmetric false");
    costs_chance("gedi", "hidden 8 clusters 7 beta 2");
    costs_chance("swav", "hidden 8 features 6 prototypes 12 sinkhorn false");
    costs_chance("barlow_twins", "hidden 8 features 6 lambda 2 scale 3");
    costs_chance("supervised", "smoothing 0.2");
}
END_TEST

START_TEST(test_whitened_views_that_have_nothing_in_common_cost_the_chance_loss) {
    enum { MANY = 4096 };
    static const char *const settings[] = {"hidden 16 features 3 whitening_size 8 distance euclidean",
                                           "hidden 16 features 3 whitening_size 8"};
    method_bench m = bench("wmse", settings[_i], MANY);
    ck_assert_double_eq_tol(loss_of_noise(&m, MANY), m.method->chance_loss(&m.model), 0.05);
    method_bench_destroy(&m);
}
END_TEST

static const char *caution_of(const char *settings) {
    static char line[512];
    method_bench m = bench("swav", settings, N);
    m.method->caution(&m.model, line, sizeof line);
    method_bench_destroy(&m);
    return line;
}

START_TEST(test_more_prototypes_than_samples_to_share_out_are_said) {
    ck_assert_str_eq(caution_of("prototypes 8"), "");
    ck_assert_str_eq(caution_of("prototypes 24 queue 16"), "");
    ck_assert_str_eq(caution_of("prototypes 9 sinkhorn false"), "");
    ck_assert_str_eq(
        caution_of("prototypes 25 queue 16"),
        "method.prototypes 25 are more than the 24 samples (train.batch 8, method.queue 16) that are shared "
        "out among them alike: take fewer, or a method.queue of 24");
    ck_assert_str_eq(caution_of("prototypes 25 queue 24"), "");
}
END_TEST

Suite *suite_chance(void) {
    Suite *s = suite_create("chance");
    TCase *t = tcase_create("chance");
    tcase_add_test(t, test_a_head_that_says_nothing_costs_the_chance_loss);
    tcase_add_loop_test(t, test_whitened_views_that_have_nothing_in_common_cost_the_chance_loss, 0, 2);
    tcase_add_test(t, test_more_prototypes_than_samples_to_share_out_are_said);
    suite_add_tcase(s, t);
    return s;
}

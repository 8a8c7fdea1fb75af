/*
 * The optimisers beside PyTorch's over 20 steps on given gradients (tests/golden/make_optimizers.py), with warm-up,
 * cosine, clipping and accumulation.
 */
#include "engine/optimizer.h"
#include "tests/golden/golden.h"

#include <string.h>

enum { STEPS = 20, PARAMETERS = 3 };
static const char *const names[PARAMETERS] = {"matrix", "weight", "bias"};

static void set_field(optimizer_options *o, const char *key, const char *value) {
    error err = {0};
    const field *row = fields_require(&optimizer_fields, key, &err);
    bool ok = row && field_parse(&optimizer_fields, row, o, value, &err);
    ck_assert_msg(ok, "%s", err.text);
}

static optimizer_options options_of(const char *settings) {
    optimizer_options o;
    fields_defaults(&optimizer_fields, &o);
    set_field(&o, "lr", "1e-2");
    set_field(&o, "warmup_start", "3e-5");
    set_field(&o, "final_lr", "1e-4");
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *key; (key = strtok_r(rest, " ", &rest));) set_field(&o, key, strtok_r(rest, " ", &rest));
    return o;
}

static void add_parameters(parameters *p, const safetensors *file) {
    error err = {0};
    for (int i = 0; i < PARAMETERS; i++) {
        array start = golden(file, "start", names[i]);
        tensor *t = parameters_add(p, names[i], strcmp(names[i], "bias") ? ROLE_WEIGHT : ROLE_BIAS, start.dims,
                                   start.shape, INIT_VALUE, 0, &err);
        ck_assert_msg(t != NULL, "%s", err.text);
        p->backend->write(p->backend, t, start.values);
    }
}

static void give_gradients(parameters *p, const safetensors *file, int step) {
    for (int i = 0; i < PARAMETERS; i++) {
        array all = golden(file, "grads", names[i]);
        tensor *t = &p->items[i]->value, gradient = *t;
        gradient.data = t->grad;
        p->backend->write(p->backend, &gradient, all.values + step * all.shape[1]);
        t->grad_ready = true;
    }
}

static const struct {
    const char *label, *settings;
    double grad_scale;
    int held; /* steps in which the matrix is held back */
} cases[] = {
    {"sgd", "name sgd weight_decay 1e-2", 1, 0},
    {"sgd_excluded", "name sgd weight_decay 1e-2 exclude yes", 1, 0},
    {"adam", "name adam weight_decay 1e-2", 1, 0},
    {"adam_excluded", "name adam weight_decay 1e-2 exclude yes", 1, 0},
    {"adam_betas", "name adam weight_decay 0 beta1 0.8 beta2 0.95 eps 1e-3", 1, 0},
    {"adamw", "name adamw weight_decay 0.1", 1, 0},
    {"lars", "name lars weight_decay 1e-2 trust 1e-3", 1, 0},
    {"lars_unclipped", "name lars weight_decay 1e-2 exclude no trust_clip false", 1, 0},
    {"clip", "name adam weight_decay 1e-2 clip 2", 1, 0},
    {"clip_sgd", "name sgd weight_decay 1e-2 clip 2", 1, 0},
    {"accumulated", "name sgd weight_decay 1e-2", 0.25, 0},
    {"accumulated_clip", "name sgd weight_decay 1e-2 clip 0.5", 0.25, 0},
    {"accumulated_below_clip", "name sgd weight_decay 1e-2 clip 2", 0.25, 0},
    {"accumulated_lars", "name lars weight_decay 1e-2 trust 1e-3", 0.25, 0},
    {"clip_each", "name adam weight_decay 1e-2 clip_each 1", 1, 0},
    {"held", "name adam weight_decay 1e-2", 1, 5},
    {"held_sgd", "name sgd weight_decay 1e-2", 1, 5},
    {"decay_schedule", "name adamw weight_decay 0.04 final_weight_decay 0.4", 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(test_optimizer_matches_pytorch_over_twenty_steps) {
    const char *label = cases[_i].label;
    error err = {0};
    backend *b = backend_cpu(0, &err);
    parameters *p = parameters_create(b, 0, &err);
    safetensors *file = golden_file("optimizers");
    add_parameters(p, file);
    optimizer_options with = options_of(cases[_i].settings);
    optimizer o;
    bool created = optimizer_create(&o, &with, p, &err);
    ck_assert_msg(created, "%s", err.text);
    array norms = golden_maybe(file, label, "norms");
    for (int step = 0; step < STEPS; step++) {
        give_gradients(p, file, step);
        double norm = optimizer_gradient_norm(p);
        if (norms.values) ck_assert_double_eq_tol(norm * cases[_i].grad_scale, (double)norms.values[step], 1e-5);
        if (step < cases[_i].held) parameters_hold(&p->items[0]->value);
        o.weight_decay = optimizer_decay(&with, (uint64_t)step, STEPS);
        optimizer_step(&o, optimizer_rate(&with, (uint64_t)step, STEPS, 4), cases[_i].grad_scale, norm);
    }
    for (int i = 0; i < PARAMETERS; i++) {
        array expected = golden(file, label, names[i]), start = golden(file, "start", names[i]);
        float host[256];
        b->read(b, &p->items[i]->value, host);
        assert_close(host, expected, 1e-6, label, names[i]);
        /* The way gone, too: down to a thousandth of the values, so that many digits fewer. */
        for (int64_t k = 0; k < expected.count; k++) {
            host[k] -= start.values[k];
            expected.values[k] -= start.values[k];
        }
        assert_close(host, expected, 1e-4, label, names[i]);
    }
    safetensors_close(file);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

START_TEST(test_rate_warms_up_and_falls_by_a_cosine) {
    optimizer_options with = options_of("");
    error err = {0};
    safetensors *file = golden_file("optimizers");
    double rates[STEPS];
    bool ok = safetensors_read_double(file, "schedule.rates", rates, STEPS, &err);
    ck_assert_msg(ok, "%s", err.text);
    for (int step = 0; step < STEPS; step++)
        ck_assert_double_eq_tol(optimizer_rate(&with, (uint64_t)step, STEPS, 4), rates[step], 1e-15);
    ck_assert_double_eq_tol(optimizer_rate(&with, STEPS, STEPS, 4), 1e-4, 1e-15);
    ck_assert_double_eq_tol(optimizer_rate(&with, 0, STEPS, 0), 1e-2, 1e-15);
    set_field(&with, "schedule", "constant");
    ck_assert_double_eq_tol(optimizer_rate(&with, 2, STEPS, 4), 3e-5 + (1e-2 - 3e-5) / 2, 1e-15);
    ck_assert_double_eq_tol(optimizer_rate(&with, STEPS - 1, STEPS, 4), 1e-2, 1e-15);
    safetensors_close(file);
}
END_TEST

/* numpy.linspace(warmup_start, lr, 4), as solo-learn and DINO have it. */
START_TEST(test_the_last_step_of_a_full_warmup_has_the_whole_rate) {
    optimizer_options with = options_of("warmup_full true warmup_start 1e-3");
    for (uint64_t step = 0; step < 4; step++)
        ck_assert_double_eq_tol(optimizer_rate(&with, step, STEPS, 4), 1e-3 + (1e-2 - 1e-3) * (double)step / 3, 1e-15);
    ck_assert_double_eq_tol(optimizer_rate(&with, 4, STEPS, 4), 1e-2, 1e-15);
    ck_assert_double_eq_tol(optimizer_rate(&with, 0, STEPS, 1), 1e-3, 1e-15);
}
END_TEST

START_TEST(test_a_parameter_of_constant_rate_keeps_the_learning_rate_of_the_options) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 0, &err);
    int64_t shape[] = {1, 1};
    tensor *kept = parameters_add(p, "head.predictor.weight", ROLE_WEIGHT, 2, shape, INIT_VALUE, 1, &err);
    tensor *other = parameters_add(p, "head.projector.weight", ROLE_WEIGHT, 2, shape, INIT_VALUE, 1, &err);
    parameters_keep_rate(p, "head.predictor.");
    optimizer_options with = options_of("name sgd lr 0.5 weight_decay 0 momentum 0");
    optimizer o;
    ck_assert(optimizer_create(&o, &with, p, &err));
    for (size_t i = 0; i < p->count; i++) {
        tensor *x = &p->items[i]->value;
        x->grad = b->allocate(b, sizeof(real));
        b->fill(b, x->grad, 1, 1);
        x->grad_ready = true;
    }
    optimizer_step(&o, 0.125, 1, 1);
    float host[1];
    b->read(b, kept, host);
    ck_assert_float_eq(host[0], 0.5f);
    b->read(b, other, host);
    ck_assert_float_eq(host[0], 0.875f);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

/* A whole run of warm-up leaves no room for the cosine, and must not divide by zero. */
START_TEST(test_rate_is_finite_however_the_steps_are_cut) {
    optimizer_options with = options_of("");
    for (uint64_t steps = 0; steps < 4; steps++)
        for (uint64_t step = 0; step < 5; step++)
            for (int warm = 0; warm < 5; warm++) {
                double rate = optimizer_rate(&with, step, steps, warm);
                ck_assert(rate >= 3e-5 && rate <= 1e-2);
            }
}
END_TEST

/* A parameter that is frozen, or that received no gradient, stays where it is. */
START_TEST(test_parameters_without_a_gradient_stay) {
    error err = {0};
    backend *b = backend_cpu(0, &err);
    parameters *p = parameters_create(b, 0, &err);
    safetensors *file = golden_file("optimizers");
    add_parameters(p, file);
    optimizer_options with = options_of("name adam weight_decay 0.1");
    optimizer o;
    bool created = optimizer_create(&o, &with, p, &err);
    ck_assert_msg(created, "%s", err.text);
    give_gradients(p, file, 0);
    parameters_clear_grad(p);
    p->items[0]->value.grad_ready = true;
    optimizer_step(&o, 1e-2, 1, optimizer_gradient_norm(p));
    for (int i = 0; i < PARAMETERS; i++) {
        array start = golden(file, "start", names[i]);
        float host[256];
        b->read(b, &p->items[i]->value, host);
        ck_assert_int_eq(memcmp(host, start.values, (size_t)start.count * sizeof *host) == 0, i != 0);
    }
    safetensors_close(file);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

/* Warm-up may begin at 0: what enters the momentum there is felt when the rate rises. */
START_TEST(test_lars_never_scales_a_step_up_at_a_rate_of_zero) {
    error err = {0};
    backend *b = backend_cpu(0, &err);
    parameters *p = parameters_create(b, 0, &err);
    safetensors *file = golden_file("optimizers");
    add_parameters(p, file);
    optimizer_options with = options_of("name lars weight_decay 0 trust 1");
    optimizer o;
    bool created = optimizer_create(&o, &with, p, &err);
    ck_assert_msg(created, "%s", err.text);
    give_gradients(p, file, 0);
    optimizer_step(&o, 0, 1, optimizer_gradient_norm(p));
    array gradient = golden(file, "grads", names[0]);
    float velocity[256];
    b->read_real(b, velocity, p->items[0]->first, gradient.shape[1]);
    ck_assert_mem_eq(velocity, gradient.values, (size_t)gradient.shape[1] * sizeof *velocity);
    safetensors_close(file);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

START_TEST(test_gradient_norm_shows_a_gradient_that_is_not_a_number) {
    error err = {0};
    backend *b = backend_cpu(0, &err);
    parameters *p = parameters_create(b, 0, &err);
    safetensors *file = golden_file("optimizers");
    add_parameters(p, file);
    give_gradients(p, file, 0);
    ck_assert(isfinite(optimizer_gradient_norm(p)));
    b->fill(b, p->items[1]->value.grad + 17, NAN, 1);
    ck_assert(isnan(optimizer_gradient_norm(p)));
    safetensors_close(file);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

Suite *suite_optimizer(void) {
    Suite *s = suite_create("optimizer");
    TCase *t = tcase_create("pytorch");
    tcase_add_loop_test(t, test_optimizer_matches_pytorch_over_twenty_steps, 0, CASES);
    tcase_add_test(t, test_rate_warms_up_and_falls_by_a_cosine);
    tcase_add_test(t, test_rate_is_finite_however_the_steps_are_cut);
    tcase_add_test(t, test_the_last_step_of_a_full_warmup_has_the_whole_rate);
    tcase_add_test(t, test_a_parameter_of_constant_rate_keeps_the_learning_rate_of_the_options);
    tcase_add_test(t, test_parameters_without_a_gradient_stay);
    tcase_add_test(t, test_lars_never_scales_a_step_up_at_a_rate_of_zero);
    tcase_add_test(t, test_gradient_norm_shows_a_gradient_that_is_not_a_number);
    suite_add_tcase(s, t);
    return s;
}

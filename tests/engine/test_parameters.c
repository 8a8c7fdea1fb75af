/*
 * Parameters: how many a backbone has, how they start, and that a seed decides them.
 */
#include "engine/backbone.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As counted in PyTorch; 11,168,832 is torchvision's resnet18 with a 3×3 stem and no classifier; the
   transformers are timm's, the last vit_small_patch14_reg4_dinov2. */
START_TEST(test_backbones_have_as_many_parameters_as_pytorchs) {
    static const struct {
        backbone_options options;
        int64_t trained;
        int features;
    } cases[] = {{{.name = 0, .width = 16, .stem_padding = 1}, 77392, 64},
                 {{.name = 0, .width = 0, .stem_padding = 1}, 77392, 64},
                 {{.name = 0, .width = 32, .stem_padding = 1}, 307360, 128},
                 {{.name = 1, .width = 0, .stem_padding = 1}, 11168832, 512},
                 {{.name = 1, .width = 0, .stem_padding = 2}, 11168832, 512},
                 {{.name = 2, .width = 0, .stem_padding = 1}, 1037184, 128},
                 {{.name = 1, .width = 0, .stem_padding = 2, .stem = 1}, 11176512, 512},
                 {{.name = 3, .patch = 16, .side = 224}, 5524416, 192},
                 {{.name = 4, .patch = 16, .side = 224}, 21665664, 384},
                 {{.name = 5, .patch = 16, .side = 224}, 85798656, 768},
                 {{.name = 4, .patch = 14, .side = 518, .registers = 4, .layer_scale = 1e-5}, 22057344, 384}};
    error err = {0};
    backend *b = backend_cpu(1, &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parameters *p = parameters_create(b, 0, &err);
        backbone *net = backbone_create(&cases[i].options, p, "backbone", &err);
        ck_assert_msg(net != NULL, "%s", err.text);
        ck_assert_int_eq(parameters_trained(p), cases[i].trained);
        ck_assert_int_eq(backbone_features(net), cases[i].features);
        backbone_destroy(net);
        parameters_destroy(p);
    }
    b->destroy(b);
}
END_TEST

enum { COUNT = 40000 };

static float *start(backend *b, uint64_t seed, int before, init_law law, double amount) {
    error err = {0};
    parameters *p = parameters_create(b, seed, &err);
    char name[16] = "a";
    for (; before-- > 0; name[0]++)
        ck_assert_ptr_nonnull(parameters_add(p, name, ROLE_BIAS, 2, (int64_t[]){1, 3}, INIT_VALUE, 1, &err));
    tensor *t = parameters_add(p, "w", ROLE_WEIGHT, 2, (int64_t[]){COUNT / 100, 100}, law, amount, &err);
    float *host = malloc(COUNT * sizeof *host);
    b->read(b, t, host);
    parameters_destroy(p);
    return host;
}

static void moments(const float *x, double *mean, double *square, double *most) {
    *mean = *square = *most = 0;
    for (int i = 0; i < COUNT; i++) {
        *mean += (double)x[i] / COUNT;
        *square += (double)x[i] * (double)x[i] / COUNT;
        *most = fmax(*most, fabs((double)x[i]));
    }
}

START_TEST(test_parameters_start_with_the_law_asked_for) {
    static const struct {
        init_law law;
        double amount, square, least, most;
    } cases[] = {{INIT_VALUE, 0.5, 0.25, 0.5, 0.5},
                 {INIT_UNIFORM, 0.3, 0.03, 0.299, 0.3},
                 {INIT_NORMAL, 0.2, 0.04, 0.6, 1.2},
                 {INIT_SIGNS, 1, 1, 1, 1}};
    error err = {0};
    backend *b = backend_cpu(1, &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double mean, square, most;
        float *x = start(b, 7, 0, cases[i].law, cases[i].amount);
        moments(x, &mean, &square, &most);
        ck_assert_double_eq_tol(mean, cases[i].law == INIT_VALUE ? 0.5 : 0, 0.015 * cases[i].amount);
        ck_assert_double_eq_tol(square, cases[i].square, 0.03 * cases[i].square);
        ck_assert(most >= cases[i].least - 1e-6 && most <= cases[i].most + 1e-6);
        free(x);
    }
    b->destroy(b);
}
END_TEST

START_TEST(test_seed_and_place_decide_how_a_parameter_starts) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    float *x = start(b, 1, 0, INIT_NORMAL, 1), *same = start(b, 1, 0, INIT_NORMAL, 1);
    float *seed = start(b, 2, 0, INIT_NORMAL, 1), *place = start(b, 1, 1, INIT_NORMAL, 1);
    ck_assert_int_eq(memcmp(x, same, COUNT * sizeof *x), 0);
    ck_assert_int_ne(memcmp(x, seed, COUNT * sizeof *x), 0);
    ck_assert_int_ne(memcmp(x, place, COUNT * sizeof *x), 0);
    free(x);
    free(same);
    free(seed);
    free(place);
    b->destroy(b);
}
END_TEST

START_TEST(test_two_parameters_of_one_name_are_refused) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 0, &err);
    ck_assert_ptr_nonnull(parameters_add(p, "head.w", ROLE_WEIGHT, 2, (int64_t[]){2, 3}, INIT_VALUE, 1, &err));
    ck_assert_ptr_null(parameters_add(p, "head.w", ROLE_WEIGHT, 2, (int64_t[]){2, 3}, INIT_VALUE, 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "head.w"));
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

START_TEST(test_a_parameter_that_the_loss_does_not_use_is_named_and_a_held_one_is_not) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 0, &err);
    tape *t = tape_create(b, &err);
    tensor *values[3];
    static const char *const names[] = {"used", "unused", "held"};
    const char *first = NULL;
    for (int i = 0; i < 3; i++)
        values[i] = parameters_add(p, names[i], ROLE_WEIGHT, 2, (int64_t[]){2, 3}, INIT_NORMAL, 1, &err);
    parameters_clear_grad(p);
    tensor *loss = op_sum_squares(t, op_add(t, values[0], values[2]));
    tape_backward(t, loss);
    parameters_hold(values[2]);
    ck_assert_msg(tape_check(t, &err), "%s", err.text);
    ck_assert_uint_eq(parameters_unreached(p, &first), 1);
    ck_assert_str_eq(first, "unused");
    tape_destroy(t);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

Suite *suite_parameters(void) {
    Suite *s = suite_create("parameters");
    TCase *t = tcase_create("start");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_backbones_have_as_many_parameters_as_pytorchs);
    tcase_add_test(t, test_parameters_start_with_the_law_asked_for);
    tcase_add_test(t, test_seed_and_place_decide_how_a_parameter_starts);
    tcase_add_test(t, test_two_parameters_of_one_name_are_refused);
    tcase_add_test(t, test_a_parameter_that_the_loss_does_not_use_is_named_and_a_held_one_is_not);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Values stored in bfloat16, with the engine in double precision: what is measured is the rounding of what is stored
 * and nothing else. A unit u = 2⁻⁸ is the most that one rounding changes a number by, relative to it; so a result that
 * was rounded once is within u of the exact one in norm, too. Ops are given numbers that bfloat16 has, and gradients
 * that it has arrive at them.
 *
 * In a network errors of R roundings in a row, each below u and of either sign, add up like a random walk: to
 * ε = √(R/3)·u, a uniform error's mean square being u²/3. A ReLU adds another: of values of deviation 1 about 0, a
 * share of arctan(ε)/π ≈ ε/π changes sign with an error of ε, and the gradient of each of these is all there or gone;
 * so one ReLU changes a gradient by √(ε/π) of its norm, and K of them by √(K·ε/π). Twice the sum of both is allowed,
 * for sums that cancel.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/backbone.h"
#include "engine/rng.h"
#include "engine/tokens.h"
#include "tests/gradients/gradients.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double UNIT = 1.0 / 256;
enum { INPUTS = 5 };

/* Ops -------------------------------------------------------------------------------------------------------------- */

typedef struct op_case {
    const char *name;
    tensor *(*make)(tape *t, tensor *const *in);
    unsigned brief;               /* which inputs are stored in bfloat16 */
    int64_t shapes[INPUTS][4];    /* {n,h,w,c}, {rows,cols}, or weights {out,in,-k} */
    double out, gradient[INPUTS]; /* units that the result may be off by, and each gradient */
} op_case;

#define MAKE(name, expression)                                                                                         \
    static tensor *make_##name(tape *t, tensor *const *in) { return expression; }

MAKE(conv2d, op_conv2d(t, in[0], in[1], in[2], 1, 1))
MAKE(relu, op_relu(t, in[0]))
MAKE(leaky_relu, op_leaky_relu(t, in[0], 0.2))
MAKE(tanh, op_tanh(t, in[0]))
MAKE(gelu, op_gelu(t, in[0]))
MAKE(affine, op_affine(t, in[0], -2.5, 0.75))
MAKE(add, op_add(t, in[0], in[1]))
MAKE(avg_pool, op_avg_pool(t, in[0], 2))
MAKE(max_pool, op_max_pool(t, in[0], 2, 2, 0))
MAKE(global_pool, op_global_pool(t, in[0]))
MAKE(mul, op_mul(t, in[0], in[1]))
MAKE(linear, op_linear(t, in[0], in[1], in[2]))
MAKE(branch_norm, op_branch_norm(t, in[0], in[1], in[2], 1e-6))
MAKE(attention, op_attention(t, in[0], 4, 2, 4))
MAKE(class_attention, op_attention(t, in[0], 4, 2, 1))
MAKE(feed_forward, op_feed_forward(t, in[0], in[1], in[2], in[3], in[4], true))
MAKE(feed_forward_again, op_feed_forward(t, in[0], in[1], in[2], in[3], in[4], false))
MAKE(residual, op_residual(t, in[0], in[1], NULL, NULL))
MAKE(scaled_residual, op_residual(t, in[0], in[1], in[2], NULL))

static tensor *normalize(tape *t, tensor *const *in, tensor *residual, bool relu) {
    float zeros[32] = {0}, ones[32];
    for (int i = 0; i < 32; i++) ones[i] = 1;
    batchnorm bn = {in[1], in[2], tape_matrix(t, zeros, 1, 16), tape_matrix(t, ones, 1, 16), 0.1, 1e-5};
    return op_batchnorm(t, in[0], &bn, residual, relu, 2, true);
}
MAKE(batchnorm, normalize(t, in, NULL, false))
MAKE(batchnorm_relu, normalize(t, in, in[3], true))

/* An activation that is stored and made again from what is stored is off by as much twice. */
static const op_case cases[] = {
    {"conv2d", make_conv2d, 1, {{2, 4, 4, 16}, {16, 16, -3}, {1, 16}}, 1, {1, 0, 0}},
    {"conv2d of odd channels", make_conv2d, 1, {{2, 4, 4, 5}, {7, 5, -3}, {1, 7}}, 1, {1, 0, 0}},
    {"relu", make_relu, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"leaky_relu", make_leaky_relu, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"tanh", make_tanh, 1, {{2, 4, 4, 16}}, 1, {3}},
    {"gelu", make_gelu, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"affine", make_affine, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"add", make_add, 3, {{2, 4, 4, 16}, {2, 4, 4, 16}}, 1, {1, 1}},
    {"add of a row", make_add, 3, {{8, 24}, {1, 24}}, 0, {1, 1}},
    {"avg_pool", make_avg_pool, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"max_pool", make_max_pool, 1, {{2, 4, 4, 16}}, 1, {1}},
    {"global_pool", make_global_pool, 1, {{2, 4, 4, 16}}, 0, {1}},
    {"mul", make_mul, 3, {{2, 4, 4, 16}, {2, 4, 4, 16}}, 0, {1, 1}},
    {"batchnorm", make_batchnorm, 1, {{4, 4, 4, 16}, {1, 16}, {1, 16}}, 1, {1, 0, 0}},
    {"batchnorm, residual, relu",
     make_batchnorm_relu,
     9,
     {{4, 4, 4, 16}, {1, 16}, {1, 16}, {4, 4, 4, 16}},
     1,
     {1, 0, 0, 1}},
    {"linear", make_linear, 1, {{8, 24}, {40, 24}, {1, 40}}, 1, {1, 0, 0}},
    {"branch_norm", make_branch_norm, 0, {{8, 24}, {1, 24}, {1, 24}}, 1, {0, 0, 0}},
    {"attention", make_attention, 1, {{8, 96}}, 1, {2}},
    {"attention of a class token", make_class_attention, 1, {{8, 96}}, 1, {2}},
    {"feed_forward", make_feed_forward, 1, {{8, 16}, {48, 16}, {1, 48}, {16, 48}, {1, 16}}, 3, {3, 3, 3, 3, 0}},
    {"feed_forward, made again",
     make_feed_forward_again,
     1,
     {{8, 16}, {48, 16}, {1, 48}, {16, 48}, {1, 16}},
     3,
     {3, 3, 3, 3, 0}},
    {"residual", make_residual, 2, {{8, 24}, {8, 24}}, 0, {0, 1}},
    {"scaled_residual", make_scaled_residual, 2, {{8, 24}, {8, 24}, {1, 24}}, 0, {0, 1, 0}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Values that bfloat16 has, and a copy that is stored so. */
static void leaf_pair(backend *b, const int64_t *shape, int key, tensor *plain, tensor *stored, bool brief) {
    int rank = shape[2] < 0 ? 4 : shape[3] ? 4 : 2;
    int64_t weights[4] = {shape[0], shape[1], -shape[2], -shape[2]};
    tensor_kind kind = rank == 4 && shape[2] > 0 ? TENSOR_IMAGES : TENSOR_PLAIN;
    leaf_create(b, plain, kind, shape[2] < 0 ? weights : shape, rank, key);
    leaf_create(b, stored, kind, shape[2] < 0 ? weights : shape, rank, key);
    stored->bfloat16 = brief;
    for (int64_t i = 0; i < tensor_count(plain); i++) {
        plain->data[i] = bfloat_value(bfloat_round(plain->data[i]));
        value_put(stored->data, i, plain->data[i], brief);
    }
}

/* Σ of the result, or of its means over pixels, times numbers that bfloat16 has. */
static tensor *exact_sum(tape *t, tensor *out) {
    if (out && out->kind == TENSOR_IMAGES) out = op_global_pool(t, out);
    if (!out) return NULL;
    rng r = rng_stream(2, RNG_TEST, 0, 0, 0);
    float *weights = malloc((size_t)tensor_count(out) * sizeof *weights);
    for (int64_t i = 0; i < tensor_count(out); i++)
        weights[i] = (float)bfloat_value(bfloat_round((real)rng_normal(&r)));
    tensor *by = tape_matrix(t, weights, tensor_rows(out), tensor_cols(out));
    free(weights);
    return op_sum(t, op_mul(t, out, by), AXIS_ALL);
}

static void compare(const void *got, bool brief, const real *expected, int64_t count, double units, const char *name,
                    const char *what, int index) {
    double norm = 0, off = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = value_get(got, i, brief) - expected[i];
        norm += expected[i] * expected[i], off += difference * difference;
    }
    ck_assert_msg(sqrt(off) <= (units * UNIT + 1e-12) * sqrt(norm), "%s: %s %d is off by %.3g units, not %.3g", name,
                  what, index, sqrt(off / norm) / UNIT, units);
}

START_TEST(test_an_op_is_off_by_what_it_rounds) {
    const op_case *c = &cases[_i];
    backend *b = counting_backend();
    error err = {0};
    tensor plain[INPUTS], stored[INPUTS], *in[2][INPUTS] = {{NULL}};
    tape *tapes[2];
    tensor *out[2];
    int count = 0;
    for (; count < INPUTS && c->shapes[count][0]; count++) {
        leaf_pair(b, c->shapes[count], count, &plain[count], &stored[count], c->brief >> count & 1);
        in[0][count] = &plain[count], in[1][count] = &stored[count];
    }
    for (int on = 0; on < 2; on++) {
        b->bfloat16 = on;
        tapes[on] = tape_create(b, &err);
        tape_keep(out[on] = c->make(tapes[on], in[on]));
        tape_backward(tapes[on], exact_sum(tapes[on], out[on]));
        bool ok = tape_check(tapes[on], &err);
        ck_assert_msg(ok, "%s: %s", c->name, err.text);
    }
    ck_assert(!out[0]->bfloat16);
    ck_assert_msg(out[1]->bfloat16 == (c->out > 0), "%s is not stored as it should be", c->name);
    compare(out[1]->data, out[1]->bfloat16, out[0]->data, tensor_count(out[0]), c->out, c->name, "result", 0);
    for (int i = 0; i < count; i++)
        compare(stored[i].grad, stored[i].bfloat16, plain[i].grad, tensor_count(&plain[i]), c->gradient[i], c->name,
                "gradient", i);
    for (int on = 0; on < 2; on++) tape_destroy(tapes[on]);
    for (int i = 0; i < count; i++) leaf_destroy(b, &plain[i]), leaf_destroy(b, &stored[i]);
    b->destroy(b);
}
END_TEST

/* Backbones -------------------------------------------------------------------------------------------------------- */

/* Gradients of all parameters, one behind the other. */
static double *gradients(tape *t, const backbone *net, const parameters *p, tensor *images, bool on, int64_t *count) {
    error err = {0};
    tape_backend(t)->bfloat16 = on;
    tape_reset(t);
    for (size_t i = 0; i < p->count; i++) p->items[i]->value.grad_ready = false;
    tape_backward(t, exact_sum(t, backbone_forward(net, t, images, 2, true)));
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    double *all = NULL;
    *count = 0;
    for (size_t i = 0; i < p->count; i++) {
        const tensor *v = &p->items[i]->value;
        if (!v->requires_grad) continue;
        all = realloc(all, (size_t)(*count + tensor_count(v)) * sizeof *all);
        for (int64_t k = 0; k < tensor_count(v); k++) all[(*count)++] = v->grad[k];
    }
    return all;
}

START_TEST(test_a_backbones_gradient_is_off_by_what_its_layers_round) {
    /* roundings: values and gradients that are stored between the pixels and the representation, on the longest way */
    static const struct {
        backbone_options options;
        int roundings, kinks;
    } nets[] = {
        {{.name = 0, .width = 16, .stem_padding = 1}, 2 * 14, 7},
        {{.name = 0, .width = 5, .stem_padding = 1}, 2 * 14, 7},
        {{.name = 2, .width = 16, .stem_padding = 1}, 2 * 18, 8},
        {{.name = 3, .width = 64, .depth = 2, .patch = 4, .side = 8}, 2 * 14, 0},
    };
    backend *b = counting_backend();
    error err = {0};
    parameters *p = parameters_create(b, 3, &err);
    backbone *net = backbone_create(&nets[_i].options, p, "backbone", &err);
    ck_assert_msg(net != NULL, "%s", err.text);
    tensor images;
    leaf_create(b, &images, TENSOR_IMAGES, (int64_t[]){16, 8, 8, 3}, 4, 0);
    images.requires_grad = false;
    tape *t = tape_create(b, &err);
    int64_t count;
    double *exact = gradients(t, net, p, &images, false, &count), *got = gradients(t, net, p, &images, true, &count);
    double norm = 0, off = 0;
    for (int64_t i = 0; i < count; i++) norm += exact[i] * exact[i], off += (got[i] - exact[i]) * (got[i] - exact[i]);
    double units = sqrt(off / norm) / UNIT, walk = sqrt(nets[_i].roundings / 3.0);
    double kinks = sqrt(nets[_i].kinks * walk * UNIT / acos(-1)) / UNIT;
    ck_assert_msg(units > 0 && units <= 2 * (walk + kinks), "%s: off by %.3g units; a walk has %.3g, kinks add %.3g",
                  backbone_names[nets[_i].options.name], units, walk, kinks);
    free(exact);
    free(got);
    leaf_destroy(b, &images);
    tape_destroy(t);
    backbone_destroy(net);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

Suite *suite_bfloat16(void) {
    Suite *s = suite_create("gradients in bfloat16");
    TCase *t = tcase_create("rounding");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_an_op_is_off_by_what_it_rounds, 0, CASES);
    tcase_add_loop_test(t, test_a_backbones_gradient_is_off_by_what_its_layers_round, 0, 4);
    suite_add_tcase(s, t);
    return s;
}

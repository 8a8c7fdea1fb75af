/*
 * Values that were forgotten come back bit for bit: a small residual net whose activations are kept, and the same with
 * all of them forgotten, give equal gradients and equal running statistics from less memory.
 */
#include "engine/ops.h"
#include "engine/parameters.h"
#include "engine/rng.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 64, SIDE = 16, CHANNELS = 16, LAYERS = 4 };

typedef struct outcome {
    double loss;
    uint64_t peak; /* bytes */
    float *values; /* gradients and running statistics of every layer, one behind the other */
    size_t count;
} outcome;

static void note(outcome *o, const backend *b, const real *from, int64_t count) {
    o->values = realloc(o->values, (o->count + (size_t)count) * sizeof *o->values);
    b->read_real((backend *)b, o->values + o->count, from, count);
    o->count += (size_t)count;
}

/* Two blocks x + BN(conv(relu(BN(conv x)))), squashed and squared; `forget` everything between the convolutions. */
static outcome train(bool forget) {
    error err = {0};
    outcome o = {0};
    backend *b = backend_cpu(2, &err);
    parameters *p = parameters_create(b, 0, &err);
    tape *t = tape_create(b, &err);
    tensor *weights[LAYERS];
    batchnorm norms[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "conv%d.weight", i);
        weights[i] =
            parameters_add(p, name, ROLE_WEIGHT, 4, (int64_t[]){CHANNELS, CHANNELS, 3, 3}, INIT_NORMAL, 0.1, &err);
        snprintf(name, sizeof name, "bn%d", i);
        parameters_batchnorm(p, name, CHANNELS, true, &norms[i], &err);
    }
    float *pixels = malloc(N * SIDE * SIDE * CHANNELS * sizeof *pixels);
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N * SIDE * SIDE * CHANNELS; i++) pixels[i] = (float)rng_normal(&r);

    parameters_clear_grad(p);
    tensor *x = tape_images(t, pixels, N, SIDE, SIDE, CHANNELS);
    for (int i = 0; i < LAYERS; i += 2) {
        tensor *c = op_conv2d(t, x, weights[i], NULL, 1, 1);
        tensor *h = op_batchnorm(t, c, &norms[i], NULL, true, 2, true);
        tensor *d = op_conv2d(t, h, weights[i + 1], NULL, 1, 1);
        tensor *y = op_batchnorm(t, d, &norms[i + 1], x, true, 2, true);
        if (forget) {
            tape_forget(t, c); /* a whole convolution again */
            tape_forget(t, h);
            tape_forget(t, x);
        }
        x = y;
    }
    tensor *loss = op_sum_squares(t, op_global_pool(t, op_tanh(t, x)));
    if (forget) tape_forget(t, x);
    o.loss = tape_scalar(t, loss);
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    for (int i = 0; i < LAYERS; i++) {
        note(&o, b, weights[i]->grad, tensor_count(weights[i]));
        note(&o, b, norms[i].mean->data, CHANNELS);
        note(&o, b, norms[i].var->data, CHANNELS);
    }
    o.peak = b->memory(b).bytes_peak;
    free(pixels);
    tape_destroy(t);
    parameters_destroy(p);
    b->destroy(b);
    return o;
}

START_TEST(test_forgotten_values_come_back_bit_for_bit) {
    outcome kept = train(false), forgotten = train(true);
    ck_assert_double_eq(kept.loss, forgotten.loss);
    ck_assert_uint_eq(kept.count, forgotten.count);
    ck_assert_mem_eq(kept.values, forgotten.values, kept.count * sizeof *kept.values);
    free(kept.values);
    free(forgotten.values);
}
END_TEST

START_TEST(test_forgetting_saves_memory) {
    outcome kept = train(false), forgotten = train(true);
    ck_assert_msg(4 * forgotten.peak < 3 * kept.peak, "%llu bytes at most, %llu when all is kept",
                  (unsigned long long)forgotten.peak, (unsigned long long)kept.peak);
    free(kept.values);
    free(forgotten.values);
}
END_TEST

START_TEST(test_without_a_record_forgetting_gives_memory_back_at_once) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float *values = calloc(1 << 20, sizeof *values);
    tape_set_recording(t, false);
    tensor *x = tape_matrix(t, values, 1 << 10, 1 << 10);
    for (int i = 0; i < 20; i++) {
        tensor *y = op_tanh(t, x);
        tape_forget(t, x);
        x = y;
    }
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    ck_assert_uint_lt(b->memory(b).bytes_peak, 3 * (sizeof *values << 20));
    free(values);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

START_TEST(test_what_cannot_be_made_again_is_an_error_not_a_crash) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float *values = calloc(1 << 14, sizeof *values);
    tensor *a = tape_matrix(t, values, 128, 128), *c = tape_matrix(t, values, 128, 128);
    tape_require_grad(a);
    tensor *y = op_add(t, a, c); /* neither of which it keeps */
    tensor *loss = op_sum_squares(t, y);
    tape_forget(t, y);
    tape_forget(t, c);
    tape_backward(t, loss);
    ck_assert(!tape_check(t, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "forgotten"));
    tape_reset(t);
    err = (error){0};
    c = tape_matrix(t, values, 128, 128);
    tape_forget(t, c);
    ck_assert_ptr_null(op_tanh(t, c));
    ck_assert(!tape_check(t, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "tanh"));
    free(values);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

Suite *suite_forget(void) {
    Suite *s = suite_create("forget");
    TCase *t = tcase_create("forget");
    tcase_add_test(t, test_forgotten_values_come_back_bit_for_bit);
    tcase_add_test(t, test_forgetting_saves_memory);
    tcase_add_test(t, test_without_a_record_forgetting_gives_memory_back_at_once);
    tcase_add_test(t, test_what_cannot_be_made_again_is_an_error_not_a_crash);
    suite_add_tcase(s, t);
    return s;
}

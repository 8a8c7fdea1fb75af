/*
 * A method at work on golden representations: its head built from options and filled by name, its loss and gradients
 * beside PyTorch's, and three steps of Adam.
 */
#ifndef MEWS_TESTS_METHODS_METHOD_BENCH_H
#define MEWS_TESTS_METHODS_METHOD_BENCH_H

#include "engine/optimizer.h"
#include "methods/method.h"
#include "tests/golden/golden.h"

#include <string.h>

typedef struct method_bench {
    backend *backend;
    parameters *parameters;
    tape *tape;
    const method *method;
    method_model model;
    void *options;
} method_bench;

/* `settings`: "key value key value …"; the rest stays at its default. */
static inline method_bench method_bench_create(const char *name, const char *settings, int features, int pairs,
                                               error *err) {
    method_bench m = {.backend = backend_cpu(0, err), .method = method_find(name)};
    ck_assert_msg(m.backend && m.method, "%s: %s", name, err->text);
    m.options = calloc(1, m.method->fields.size);
    fields_defaults(&m.method->fields, m.options);
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *key; (key = strtok_r(rest, " ", &rest));) {
        const field *row = fields_require(&m.method->fields, key, err);
        bool ok = row && field_parse(&m.method->fields, row, m.options, strtok_r(rest, " ", &rest), err);
        ck_assert_msg(ok, "%s", err->text);
    }
    m.parameters = parameters_create(m.backend, 0, err);
    m.tape = tape_create(m.backend, err);
    m.model = (method_model){
        .options = m.options, .parameters = m.parameters, .features = features, .pairs = pairs, .views = 2};
    return m;
}

static inline void method_bench_destroy(method_bench *m) {
    m->method->destroy(&m->model);
    tape_destroy(m->tape);
    parameters_destroy(m->parameters);
    m->backend->destroy(m->backend);
    free(m->options);
}

static inline void method_bench_set(method_bench *m, const char *name, array values) {
    const parameter *one = parameters_find(m->parameters, name);
    ck_assert_msg(one != NULL, "no parameter %s", name);
    ck_assert_int_eq(tensor_count(&one->value), values.count);
    m->backend->write(m->backend, (tensor *)&one->value, values.values);
}

/* Every trained parameter "head.X" takes `group`.X; its gradient is to be `result`.grad.X. */
static inline void method_bench_load(method_bench *m, const safetensors *file, const char *group) {
    for (size_t i = 0; i < m->parameters->count; i++) {
        const parameter *one = m->parameters->items[i];
        if (one->value.requires_grad) method_bench_set(m, one->name, golden(file, group, one->name + strlen("head.")));
    }
}

static inline double method_bench_loss(method_bench *m, array z, tensor **leaf) {
    error err = {0};
    tape_reset(m->tape);
    parameters_clear_grad(m->parameters);
    *leaf = tape_matrix(m->tape, z.values, z.shape[0], z.shape[1]);
    tape_require_grad(*leaf);
    method_context context = {0};
    tensor *loss = m->method->loss(&m->model, &context, m->tape, *leaf);
    tape_backward(m->tape, loss);
    double value = tape_scalar(m->tape, loss);
    bool ok = tape_check(m->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
    return value;
}

static inline void method_bench_compare(method_bench *m, const safetensors *file, const char *group,
                                        const char *result) {
    optimizer_options with;
    fields_defaults(&optimizer_fields, &with);
    optimizer adam;
    error err = {0};
    bool created = optimizer_create(&adam, &with, m->parameters, &err);
    ck_assert_msg(created, "%s", err.text);
    array z = golden(file, group, "z"), losses = golden(file, result, "losses");
    float host[4096];
    for (int step = 0; step < 3; step++) {
        tensor *leaf;
        double loss = method_bench_loss(m, z, &leaf), expected = (double)losses.values[step];
        ck_assert_msg(fabs(loss - expected) <= 1e-4 * fabs(expected), "%s: loss %.8g at step %d, expected %.8g", result,
                      loss, step, expected);
        tape_read_grad(m->tape, leaf, host);
        if (step == 0) assert_close(host, golden(file, result, "grad.z"), 1e-4, result, "gradient of z");
        for (size_t i = 0; i < m->parameters->count; i++) {
            const parameter *one = m->parameters->items[i];
            if (!one->value.requires_grad || step > 0) continue;
            char name[160];
            snprintf(name, sizeof name, "grad.%s", one->name + strlen("head."));
            tape_read_grad(m->tape, &one->value, host);
            /* Where BatchNorm follows, a bias' gradient is zero but for rounding: measured against 1, not against 0. */
            array gradient = golden(file, result, name);
            double norm = 0;
            for (int64_t k = 0; k < gradient.count; k++)
                norm += (double)gradient.values[k] * (double)gradient.values[k];
            if (norm < 1e-16)
                for (int64_t k = 0; k < gradient.count; k++) ck_assert_double_lt(fabs((double)host[k]), 1e-6);
            else
                assert_close(host, gradient, 1e-4, result, name);
        }
        optimizer_step(&adam, 1e-3, 1, optimizer_gradient_norm(m->parameters));
    }
}

#endif

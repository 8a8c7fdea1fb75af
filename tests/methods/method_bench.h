/*
 * A method at work on given representations, without backbone or data: its head built from options and filled by name
 * from golden values, and one step of training forward and backward.
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
    char copy[512], *rest = copy;
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

/* A parameter's name in golden files. */
static inline const char *method_bench_name(const parameter *one) {
    return strncmp(one->name, "head.", strlen("head.")) == 0 ? one->name + strlen("head.") : one->name;
}

/* Every parameter takes the value "<group>.init.<name>"; those that are trained must have one. */
static inline void method_bench_load(method_bench *m, const safetensors *file, const char *group) {
    for (size_t i = 0; i < m->parameters->count; i++) {
        const parameter *one = m->parameters->items[i];
        char name[160];
        snprintf(name, sizeof name, "init.%s", method_bench_name(one));
        array values = one->value.requires_grad ? golden(file, group, name) : golden_maybe(file, group, name);
        if (values.values) method_bench_set(m, one->name, values);
    }
}

/* Forward and backward of one training step, as the training loop does it: the one place here that knows how. */
static inline double method_bench_loss(method_bench *m, array z, int step, tensor **leaf) {
    error err = {0};
    tape_reset(m->tape);
    parameters_clear_grad(m->parameters);
    *leaf = tape_matrix(m->tape, z.values, z.shape[0], z.shape[1]);
    tape_require_grad(*leaf);
    method_context context = {.step = (uint64_t)step};
    tensor *loss = m->method->loss(&m->model, &context, m->tape, *leaf);
    tape_backward(m->tape, loss);
    double value = tape_scalar(m->tape, loss);
    bool ok = tape_check(m->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
    return value;
}

#endif

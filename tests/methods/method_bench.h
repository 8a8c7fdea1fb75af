/*
 * A method at work on given representations, without backbone or data: its head built from options and filled by name
 * from golden values, and one step of training: forward and backward, hooks, and the update.
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
    const safetensors *file; /* what a group holds beside z: "<group>.local.<step>", ".teacher.", ".labels." */
    const char *group;
    tensor *local; /* the local views' leaf of the last step, or NULL */
    method_context context;
} method_bench;

/* `settings`: "key value key value …"; the rest stays at its default. The key "train.batchnorm" is no method's own. */
static inline method_bench method_bench_create(const char *name, const char *settings, int features, int pairs,
                                               error *err) {
    method_bench m = {.backend = backend_cpu(0, err), .method = method_find(name)};
    ck_assert_msg(m.backend && m.method, "%s: %s", name, err->text);
    m.options = calloc(1, m.method->fields.size);
    fields_defaults(&m.method->fields, m.options);
    char copy[512], *rest = copy;
    method_batchnorm batchnorm = BATCHNORM_VIEW;
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *key; (key = strtok_r(rest, " ", &rest));) {
        if (strcmp(key, "train.batchnorm") == 0) {
            batchnorm = strcmp(strtok_r(rest, " ", &rest), "all") == 0 ? BATCHNORM_ALL : BATCHNORM_JOINT;
            continue;
        }
        const field *row = fields_require(&m.method->fields, key, err);
        bool ok = row && field_parse(&m.method->fields, row, m.options, strtok_r(rest, " ", &rest), err);
        ck_assert_msg(ok, "%s", err->text);
    }
    m.parameters = parameters_create(m.backend, 0, err);
    m.tape = tape_create(m.backend, err);
    m.model = (method_model){.options = m.options,
                             .parameters = m.parameters,
                             .features = features,
                             .pairs = pairs,
                             .views = 2,
                             .batchnorm = batchnorm};
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

/* What the group holds beside z. Before the method is built. */
static inline array method_bench_beside(const method_bench *m, const char *what, int step) {
    char name[32];
    snprintf(name, sizeof name, "%s.%d", what, step);
    return m->group ? golden_maybe(m->file, m->group, name) : (array){0};
}

static inline void method_bench_group(method_bench *m, const safetensors *file, const char *group) {
    m->file = file;
    m->group = group;
    array local = method_bench_beside(m, "local", 0), labels = method_bench_beside(m, "labels", 0);
    if (local.values) m->model.locals = (int)local.shape[0] / m->model.pairs;
    if (labels.values) m->model.classes = (int)labels.shape[1];
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
    error err = {0};
    bool copied = teacher_copy(m->parameters, &err);
    ck_assert_msg(copied, "%s", err.text);
}

static inline tensor *method_bench_leaf(method_bench *m, array values, bool gradient) {
    tensor *x = values.values ? tape_matrix(m->tape, values.values, values.shape[0], values.shape[1]) : NULL;
    if (gradient) tape_require_grad(x);
    return x;
}

enum { METHOD_BENCH_STEPS = 3 };

/* Forward and backward of one training step, as the training loop does it: the one place here that knows how. Each step
   is an epoch of its own, so that warm-ups end. */
static inline double method_bench_loss(method_bench *m, array z, int step, tensor **leaf) {
    error err = {0};
    tape_reset(m->tape);
    parameters_clear_grad(m->parameters);
    m->context = (method_context){
        .step = (uint64_t)step, .steps = METHOD_BENCH_STEPS, .epoch = (uint32_t)step, .epochs = METHOD_BENCH_STEPS};
    method_call(m->method->before_forward, &m->model, &m->context, m->tape);
    *leaf = method_bench_leaf(m, z, true);
    m->local = m->context.local = method_bench_leaf(m, method_bench_beside(m, "local", step), true);
    m->context.teacher = method_bench_leaf(m, method_bench_beside(m, "teacher", step), false);
    m->context.labels = method_bench_leaf(m, method_bench_beside(m, "labels", step), false);
    tensor *loss = m->method->loss(&m->model, &m->context, m->tape, *leaf);
    tape_backward(m->tape, loss);
    method_call(m->method->after_backward, &m->model, &m->context, m->tape);
    double value = tape_scalar(m->tape, loss);
    bool ok = tape_check(m->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
    return value;
}

static inline void method_bench_update(method_bench *m, optimizer *o, double rate) {
    optimizer_step(o, rate, 1, optimizer_gradient_norm(m->parameters));
    method_call(m->method->after_step, &m->model, &m->context, m->tape);
}

#endif

/*
 * Parameters outlive the tape: their memory is taken from the backend once and given back at the end, and the tape
 * leaves them alone because they are marked `lasting`. Each is drawn from a random stream of its own, numbered by its
 * place in the set, so adding one at the end changes no earlier one. Constants (the dictionary) are redrawn from the
 * seed rather than saved.
 */
#include "engine/parameters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

parameters *parameters_create(backend *b, uint64_t seed, error *err) {
    parameters *p = calloc(1, sizeof *p);
    if (!p) {
        error_memory(err, sizeof *p, "the parameters");
        return NULL;
    }
    p->backend = b;
    p->seed = seed;
    return p;
}

static void parameter_destroy(backend *b, parameter *one) {
    b->release(b, one->value.data);
    b->release(b, one->value.grad);
    b->release(b, one->first);
    b->release(b, one->second);
    free(one);
}

void parameters_destroy(parameters *p) {
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) parameter_destroy(p->backend, p->items[i]);
    free(p->items);
    free(p);
}

static void draw(float *values, int64_t count, init_law law, double amount, rng r) {
    for (int64_t i = 0; i < count; i++) switch (law) {
        case INIT_VALUE: values[i] = (float)amount; break;
        case INIT_UNIFORM: values[i] = (float)rng_between(&r, -amount, amount); break;
        case INIT_NORMAL: values[i] = (float)(amount * rng_normal(&r)); break;
        case INIT_SIGNS: values[i] = rng_bits(&r) & 1 ? 1 : -1; break;
        }
}

static bool initialise(parameters *p, parameter *one, init_law law, double amount, error *err) {
    backend *b = p->backend;
    int64_t count = b->layout(b, &one->value);
    size_t bytes = (size_t)count * sizeof(real);
    one->value.data = b->allocate(b, bytes);
    if (one->value.requires_grad) one->value.grad = b->allocate(b, bytes);
    float *host = malloc((size_t)count * sizeof *host);
    bool ok = one->value.data && host && (one->value.grad || !one->value.requires_grad);
    if (ok) {
        draw(host, count, law, amount,
             rng_stream(p->seed, one->role == ROLE_CONSTANT ? RNG_DICTIONARY : RNG_INIT, 0, p->count, 0));
        b->write(b, &one->value, host);
    } else
        error_memory(err, bytes, one->name);
    free(host);
    return ok;
}

static const char teacher_prefix[] = "teacher.";

bool parameters_is_teacher(const parameter *one) {
    return strncmp(one->name, teacher_prefix, sizeof teacher_prefix - 1) == 0;
}

const parameter *parameters_student(const parameters *p, const parameter *one) {
    return parameters_is_teacher(one) ? parameters_find(p, one->name + sizeof teacher_prefix - 1) : NULL;
}

tensor *parameters_add(parameters *p, const char *name, parameter_role role, int rank, const int64_t *shape,
                       init_law law, double amount, error *err) {
    if (parameters_find(p, name)) {
        error_set(err, ERROR_RUN, "there are two parameters called %s", name);
        return NULL;
    }
    parameter **grown = realloc(p->items, (p->count + 1) * sizeof *grown);
    if (grown) p->items = grown;
    parameter *one = grown ? calloc(1, sizeof *one) : NULL;
    if (!one) {
        error_memory(err, sizeof *one, name);
        return NULL;
    }
    snprintf(one->name, sizeof one->name, "%s", name);
    bool trained = role == ROLE_WEIGHT || role == ROLE_BIAS;
    if (trained && parameters_is_teacher(one)) role = ROLE_BUFFER, trained = false;
    one->role = role;
    one->value = (tensor){.kind = TENSOR_PLAIN, .rank = rank, .lasting = true, .requires_grad = trained};
    memcpy(one->value.shape, shape, (size_t)rank * sizeof *shape);
    if (!initialise(p, one, law, amount, err)) {
        parameter_destroy(p->backend, one);
        return NULL;
    }
    p->items[p->count++] = one;
    return &one->value;
}

const parameter *parameters_find(const parameters *p, const char *name) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i]->name, name) == 0) return p->items[i];
    return NULL;
}

int64_t parameters_trained(const parameters *p) {
    int64_t total = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i]->value.requires_grad) total += tensor_count(&p->items[i]->value);
    return total;
}

void parameters_clear_grad(parameters *p) {
    for (size_t i = 0; i < p->count; i++) p->items[i]->value.grad_ready = false;
}

void parameters_hold(tensor *value) { value->grad_ready = false; }

static tensor *add_part(parameters *p, const char *name, const char *part, parameter_role role, int64_t rows,
                        int64_t cols, init_law law, double amount, error *err) {
    char full[sizeof p->items[0]->name];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return parameters_add(p, full, role, 2, (int64_t[]){rows, cols}, law, amount, err);
}

bool parameters_linear(parameters *p, const char *name, int64_t in, int64_t out, tensor **weight, tensor **bias,
                       error *err) {
    double bound = 1 / sqrt((double)in);
    *weight = add_part(p, name, "weight", ROLE_WEIGHT, out, in, INIT_UNIFORM, bound, err);
    if (bias) *bias = add_part(p, name, "bias", ROLE_BIAS, 1, out, INIT_UNIFORM, bound, err);
    return *weight && (!bias || *bias);
}

bool parameters_batchnorm(parameters *p, const char *name, int64_t channels, bool affine, batchnorm *bn, error *err) {
    *bn = (batchnorm){.momentum = 0.1, .eps = 1e-5}; /* PyTorch's defaults */
    if (affine) {
        bn->gamma = add_part(p, name, "weight", ROLE_BIAS, 1, channels, INIT_VALUE, 1, err);
        bn->beta = add_part(p, name, "bias", ROLE_BIAS, 1, channels, INIT_VALUE, 0, err);
        if (!bn->gamma || !bn->beta) return false;
    }
    bn->mean = add_part(p, name, "running_mean", ROLE_BUFFER, 1, channels, INIT_VALUE, 0, err);
    bn->var = add_part(p, name, "running_var", ROLE_BUFFER, 1, channels, INIT_VALUE, 1, err);
    return bn->mean && bn->var;
}

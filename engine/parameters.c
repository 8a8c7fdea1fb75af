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

/* Distinct integers below `from`: the first places of a shuffle. */
static bool choose(float *values, int64_t count, uint32_t from, rng *r) {
    uint32_t *all = malloc(from * sizeof *all);
    if (!all) return false;
    for (uint32_t i = 0; i < from; i++) all[i] = i;
    rng_shuffle(r, all, from);
    for (int64_t i = 0; i < count; i++) values[i] = (float)all[i];
    free(all);
    return true;
}

/* Blocks of which no column is wanted are drawn, since the next ones' numbers come behind theirs, but not turned. */
static bool rotate(backend *b, float *values, int64_t rows, column_range columns, double amount, rng *r) {
    float *block = malloc((size_t)(rows * rows) * sizeof *block);
    bool ok = block != NULL;
    int64_t end = columns.first + columns.count;
    for (int64_t first = 0; ok && first < end; first += rows) {
        int64_t count = columns.of - first < rows ? columns.of - first : rows;
        for (int64_t i = 0; i < rows * count; i++) block[i] = (float)rng_normal(r);
        if (first + count <= columns.first) continue;
        ok = b->orthonormalize(b, block, rows, count);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < count; j++)
                if (first + j >= columns.first && first + j < end)
                    values[i * columns.count + first + j - columns.first] =
                        (float)(amount * sqrt((double)rows)) * block[i * count + j];
    }
    free(block);
    return ok;
}

static void draw_signs(float *values, int64_t count, rng *r) {
    for (int64_t i = 0; i < count; i++) values[i] = rng_bits(r) & 1 ? 1 : -1;
}

/* rows: of a matrix, for the law that needs to know. */
static bool draw(parameters *p, float *values, int64_t count, int64_t rows, init_law law, double amount, rng *r) {
    switch (law) {
    case INIT_VALUE:
        for (int64_t i = 0; i < count; i++) values[i] = (float)amount;
        return true;
    case INIT_UNIFORM:
        for (int64_t i = 0; i < count; i++) values[i] = (float)rng_between(r, -amount, amount);
        return true;
    case INIT_NORMAL:
        for (int64_t i = 0; i < count; i++) values[i] = (float)(amount * rng_normal(r));
        return true;
    case INIT_SIGNS: draw_signs(values, count, r); return true;
    case INIT_CHOICE: return choose(values, count, (uint32_t)amount, r);
    case INIT_ORTHOGONAL:
        return rotate(p->backend, values, rows, (column_range){0, count / rows, count / rows}, amount, r);
    }
    return false;
}

/* Some rows of a matrix of which these columns are wanted: whole rows are drawn, in order. */
static bool draw_columns(parameters *p, float *values, int64_t rows, column_range columns, init_law law, rng *r) {
    if (law == INIT_ORTHOGONAL) return rotate(p->backend, values, rows, columns, 1, r);
    float *row = malloc((size_t)columns.of * sizeof *row);
    if (!row) return false;
    bool ok = true;
    for (int64_t i = 0; ok && i < rows; i++) {
        ok = draw(p, row, columns.of, 1, law, 1, r);
        memcpy(values + i * columns.count, row + columns.first, (size_t)columns.count * sizeof *row);
    }
    free(row);
    return ok;
}

/* Signs are drawn and packed some rows at a time: as numbers they would take 32 times their memory. */
static bool pack_signs(parameters *p, tensor *t, column_range columns, rng *r) {
    enum { ROWS = 32 };
    float *host = malloc((size_t)(ROWS * columns.count) * sizeof *host);
    bool ok = host != NULL;
    for (int64_t first = 0; ok && first < t->shape[0]; first += ROWS) {
        int64_t count = t->shape[0] - first < ROWS ? t->shape[0] - first : ROWS;
        ok = draw_columns(p, host, count, columns, INIT_SIGNS, r);
        if (ok) p->backend->write_rows(p->backend, t, first, count, host);
    }
    free(host);
    return ok;
}

/* How a new parameter starts; columns: all zero unless it is part of a wider matrix. */
typedef struct start {
    init_law law;
    double amount;
    column_range columns;
} start;

static bool initialise(parameters *p, parameter *one, start how, error *err) {
    backend *b = p->backend;
    tensor *t = &one->value;
    size_t bytes = (size_t)b->layout(b, t) * sizeof(real);
    rng r = rng_stream(p->seed, one->role == ROLE_CONSTANT ? RNG_DICTIONARY : RNG_INIT, 0, p->count, 0);
    t->data = b->allocate(b, bytes);
    if (t->requires_grad) t->grad = b->allocate(b, bytes);
    bool ok = t->data && (t->grad || !t->requires_grad);
    if (ok && t->kind == TENSOR_SIGNS)
        ok = pack_signs(p, t, how.columns, &r);
    else if (ok) {
        int64_t count = tensor_count(t);
        float *host = malloc((size_t)count * sizeof *host);
        ok = host && (how.columns.of ? draw_columns(p, host, t->shape[0], how.columns, how.law, &r)
                                     : draw(p, host, count, t->shape[0], how.law, how.amount, &r));
        if (ok) b->write(b, t, host);
        free(host);
    }
    return ok || error_memory(err, bytes, one->name);
}

static const char teacher_prefix[] = "teacher.";

bool parameters_is_teacher(const parameter *one) {
    return strncmp(one->name, teacher_prefix, sizeof teacher_prefix - 1) == 0;
}

const parameter *parameters_student(const parameters *p, const parameter *one) {
    return parameters_is_teacher(one) ? parameters_find(p, one->name + sizeof teacher_prefix - 1) : NULL;
}

static tensor *add(parameters *p, const char *name, parameter_role role, tensor value, start how, error *err) {
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
    one->value = value;
    one->value.lasting = true;
    one->value.requires_grad = trained;
    if (!initialise(p, one, how, err)) {
        parameter_destroy(p->backend, one);
        return NULL;
    }
    p->items[p->count++] = one;
    return &one->value;
}

tensor *parameters_add(parameters *p, const char *name, parameter_role role, int rank, const int64_t *shape,
                       init_law law, double amount, error *err) {
    tensor value = {.kind = TENSOR_PLAIN, .rank = rank};
    memcpy(value.shape, shape, (size_t)rank * sizeof *shape);
    return add(p, name, role, value, (start){.law = law, .amount = amount}, err);
}

tensor *parameters_add_columns(parameters *p, const char *name, tensor_kind kind, int64_t rows, column_range columns,
                               init_law law, error *err) {
    tensor value = {.kind = kind, .rank = 2, .shape = {rows, columns.count}};
    return add(p, name, ROLE_CONSTANT, value, (start){law, 1, columns}, err);
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
    for (size_t i = 0; i < p->count; i++) p->items[i]->value.grad_ready = p->items[i]->value.held = false;
}

void parameters_hold(tensor *value) { value->grad_ready = false, value->held = true; }

size_t parameters_unreached(const parameters *p, const char **first) {
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        const tensor *x = &p->items[i]->value;
        if (!x->requires_grad || x->grad_ready || x->held) continue;
        if (!count++) *first = p->items[i]->name;
    }
    return count;
}

void parameters_set_layer(parameters *p, size_t first, int layers_above) {
    for (size_t i = first; i < p->count; i++) p->items[i]->layers_above = layers_above;
}

void parameters_batch_dimension(parameters *p, const tensor *value) {
    for (size_t i = 0; i < p->count; i++)
        if (&p->items[i]->value == value) p->items[i]->batch_dimension = true;
}

void parameters_keep_rate(parameters *p, const char *prefix) {
    for (size_t i = 0; i < p->count; i++)
        if (strncmp(p->items[i]->name, prefix, strlen(prefix)) == 0) p->items[i]->constant_rate = true;
}

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

/*
 * Parameters: named tensors that last from step to step, in the order in which they were added (which also keys their
 * initial random numbers). Names are PyTorch's: "backbone.layer1.0.conv1.weight". Besides what is trained there are
 * buffers (BatchNorm's running statistics, saved with the rest) and constants (a frozen dictionary, drawn again from
 * the seed rather than saved). What is called "teacher.X" is the teacher's X: a buffer, whatever role it was added in
 * (engine/teacher.h).
 */
#ifndef MEWS_PARAMETERS_H
#define MEWS_PARAMETERS_H

#include "engine/backend.h"
#include "engine/rng.h"

typedef enum parameter_role {
    ROLE_WEIGHT,   /* decayed, scaled by LARS */
    ROLE_BIAS,     /* biases and norms' scales and shifts: neither decayed nor scaled under `exclude` */
    ROLE_BUFFER,   /* saved, not trained */
    ROLE_CONSTANT, /* neither saved nor trained */
} parameter_role;

typedef struct parameter {
    char name[112];
    parameter_role role;
    tensor value;
    real *first, *second; /* the optimiser's */
    uint64_t steps;       /* that the optimiser took with it: fewer than all when it was frozen at first */
    bool constant_rate;   /* the schedule is not for it: optimizer.lr from the first step to the last */
    int layers_above;     /* a transformer's blocks and last norm above it, for optimizer.layer_decay; heads 0 */
    bool batch_dimension; /* files have a dimension of 1 before its shape, as PyTorch's (1, tokens, d) */
} parameter;

typedef struct parameters {
    backend *backend;
    parameter **items;
    size_t count;
    uint64_t seed;
} parameters;

parameters *parameters_create(backend *b, uint64_t seed, error *err);
void parameters_destroy(parameters *p);

/* How a new parameter starts. */
typedef enum init_law {
    INIT_VALUE,      /* every element = amount */
    INIT_UNIFORM,    /* uniform in ±amount */
    INIT_NORMAL,     /* normal with deviation amount */
    INIT_SIGNS,      /* ±1, even odds (Rademacher) */
    INIT_CHOICE,     /* distinct integers below amount, in random order */
    INIT_ORTHOGONAL, /* columns in blocks of as many as there are rows: random rotations, elements of variance amount²
                      */
} init_law;

/* Adds and initialises one parameter; NULL and a message when memory runs out or the name is taken. */
tensor *parameters_add(parameters *p, const char *name, parameter_role role, int rank, const int64_t *shape,
                       init_law law, double amount, error *err);

typedef struct column_range {
    int64_t first, count, of; /* columns first … first + count − 1 of as many */
} column_range;

/* A constant matrix (rows, count): these columns of one of `of`, with the values that they have there, whoever draws
   the others. kind: TENSOR_SIGNS for INIT_SIGNS packed into bits. */
tensor *parameters_add_columns(parameters *p, const char *name, tensor_kind kind, int64_t rows, column_range columns,
                               init_law law, error *err);

const parameter *parameters_find(const parameters *p, const char *name);
bool parameters_is_teacher(const parameter *one);
const parameter *parameters_student(const parameters *p, const parameter *one); /* X of "teacher.X", or NULL */
int64_t parameters_trained(const parameters *p);                                /* values that the optimiser moves */
void parameters_clear_grad(parameters *p);

/* Leaves a parameter out of the update that comes, gradient, decay, momentum and all: a layer frozen for a while.
   Between the backward pass and the update. */
void parameters_hold(tensor *value);

/* After a backward pass: how many trained parameters no gradient reached, though none was held; the name of the first.
 */
size_t parameters_unreached(const parameters *p, const char **first);

/* Says how many layers stand above every parameter that was added from place `first` of the set on. */
void parameters_set_layer(parameters *p, size_t first, int layers_above);

/* Files are to have a dimension of 1 before this one's shape, which here is a matrix. */
void parameters_batch_dimension(parameters *p, const tensor *value);

/* Takes every parameter whose name begins with `prefix` out of the learning rate's schedule. */
void parameters_keep_rate(parameters *p, const char *prefix);

/*
 * A linear layer "name.weight" (out, in), "name.bias" (1, out) or none, with PyTorch's default start: uniform in
 * ±1/√in for both. `bias` may be NULL.
 */
bool parameters_linear(parameters *p, const char *name, int64_t in, int64_t out, tensor **weight, tensor **bias,
                       error *err);

#include "engine/ops.h"

/* A BatchNorm "name.weight/bias/running_mean/running_var" of `channels`; affine false leaves out weight and bias. */
bool parameters_batchnorm(parameters *p, const char *name, int64_t channels, bool affine, batchnorm *bn, error *err);

#endif

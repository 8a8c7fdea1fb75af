/*
 * The perceptrons that projectors, predictors and heads are made of: Linear, BatchNorm, ReLU (or LeakyReLU, GELU), …,
 * Linear.
 * Parameters take the names that PyTorch's Sequential gives them: with BatchNorm "name.0.weight", "name.1.weight",
 * "name.3.weight", …; without it "name.0.weight", "name.2.weight", ….
 */
#ifndef MEWS_MLP_H
#define MEWS_MLP_H

#include "engine/ops.h"
#include "engine/parameters.h"

enum { MLP_LAYERS = 4 };

typedef enum mlp_last { MLP_LINEAR, MLP_NORM, MLP_PLAIN_NORM } mlp_last; /* plain: without scale and shift */

typedef struct mlp_shape {
    int layers; /* linear ones, at most MLP_LAYERS */
    int64_t in, hidden, out;
    bool without_norm; /* no BatchNorm between the layers */
    bool gelu;         /* GELU in place of ReLU */
    double leak;       /* LeakyReLU of this slope in place of ReLU; 0: none */
    bool without_bias, without_last_bias;
    mlp_last last;    /* what follows the last layer */
    double deviation; /* weights normal with this deviation, biases 0; 0: PyTorch's uniform start */
} mlp_shape;

typedef struct mlp {
    mlp_shape shape;
    tensor *weight[MLP_LAYERS], *bias[MLP_LAYERS];
    batchnorm norm[MLP_LAYERS];
} mlp;

/* DINO's head below its prototypes, which MSN has as well: three layers of GELU that begin as its authors' do. */
mlp_shape mlp_dino_head(int64_t in, int64_t hidden, int64_t out, bool batchnorm);

bool mlp_create(mlp *m, parameters *p, const char *name, mlp_shape shape, error *err);

/* x (n, in) → (n, out); BatchNorm over each of `groups` runs of rows, as op_batchnorm has it. */
tensor *mlp_forward(const mlp *m, tape *t, tensor *x, int groups, bool training);

/* The same up to the last linear layer: (n, hidden). */
tensor *mlp_hidden(const mlp *m, tape *t, tensor *x, int groups, bool training);

/* Directions that mlp_forward's rows can span: its last layer is linear and adds none to those that it takes in. */
int mlp_attainable(const mlp *m);

#endif

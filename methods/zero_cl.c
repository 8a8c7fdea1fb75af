/*
 * Zero-CL: embeddings are whitened, by features or by instances, and then only aligned; the whitening does what
 * negatives are for. Zhang, Zhu, Yan, Zhao, Yang: "Zero-CL: Instance and Feature Decorrelation for Negative-Free
 * Symmetric Contrastive Learning", ICLR 2022, with their code.
 *
 *   Z = projector(representation), of each view by itself
 *   feature:   columns standardised over the batch, Ẑ = Z·R, R = (0.9·Cov + 0.1·I)^−½ (f, f)
 *              loss = Σ_j (1 − (1/n) Σ_i ẑ_ij ẑ'_ij)²
 *   instance:  rows standardised over features, Ẑ = R·Z, R of the rows' covariance (n, n)
 *              loss = Σ_i (1 − (1/f) Σ_j ẑ_ij ẑ'_ij)²
 *
 * R is the symmetric root (ZCA), through which their code lets no gradient: `detach`. `dimension: both` adds the two
 * losses. Aligned without whitening (`whiten: false`), the authors' own control, features come to repeat each other.
 */
#include "methods/projector.h"

enum { DIMENSION_FEATURE, DIMENSION_INSTANCE, DIMENSION_BOTH };

typedef struct zero_cl_options {
    int64_t hidden, features;
    int dimension;
    double epsilon;
    bool whiten, detach, batchnorm;
} zero_cl_options;

typedef struct zero_cl {
    mlp projector;
    batchnorm standardize; /* without scale and shift */
} zero_cl;

static const double FLOOR = 1e-5; /* added to eigenvalues before their root */

static bool build(method_model *m, error *err) {
    const zero_cl_options *o = m->options;
    mlp_shape shape = {.layers = 3,
                       .in = m->features,
                       .hidden = o->hidden,
                       .out = o->features,
                       .without_norm = !o->batchnorm,
                       .without_bias = true,
                       .without_last_bias = true};
    zero_cl *s = projector_build(m, sizeof *s, shape, err);
    return s && parameters_batchnorm(m->parameters, "head.standardize", o->features, false, &s->standardize, err);
}

/* ((1 − ε)·S + ε·I)^−½ of S = ZᵀZ/freedom, or of ZZᵀ/freedom over rows. */
static tensor *root(const zero_cl_options *o, tape *t, tensor *z, bool rows, double freedom) {
    tensor *s = op_matmul(t, z, !rows, z, rows, (1 - o->epsilon) / freedom);
    tensor *r = op_inverse_root(t, op_add_diagonal(t, s, o->epsilon + FLOOR));
    return o->detach ? tape_stop_gradient(t, r) : r;
}

static tensor *whiten_features(const zero_cl_options *o, tape *t, tensor *z) {
    if (!o->whiten) return z;
    return op_matmul(t, z, false, root(o, t, z, false, (double)batch_size(z) - 1), false, 1);
}

/* Rows of mean 0 and variance 1, then whitened. */
static tensor *whiten_instances(const zero_cl_options *o, tape *t, tensor *z) {
    double freedom = (double)o->features - 1;
    z = op_sub(t, z, op_mean(t, z, AXIS_COLS));
    z = op_div(t, z, op_sqrt(t, op_scale(t, op_sum(t, op_mul(t, z, z), AXIS_COLS), 1 / freedom)));
    return o->whiten ? op_matmul(t, root(o, t, z, true, freedom), false, z, false, 1) : z;
}

/* Σ (1 − mean of z·z' over `axis`)². */
static tensor *misalignment(tape *t, tensor *z1, tensor *z2, op_axis axis) {
    return op_sum_squares(t, op_affine(t, op_mean(t, op_mul(t, z1, z2), axis), -1, 1));
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const zero_cl_options *o = m->options;
    const zero_cl *s = m->state;
    int n = m->pairs;
    tensor *z = projector_forward(m, t, representations, method_groups(m)), *features = NULL, *instances = NULL;
    if (o->dimension != DIMENSION_INSTANCE) {
        tensor *even = op_batchnorm(t, z, &s->standardize, NULL, false, m->views, true);
        tensor *z1 = op_slice_rows(t, even, 0, n), *z2 = op_slice_rows(t, even, n, n);
        features = misalignment(t, whiten_features(o, t, z1), whiten_features(o, t, z2), AXIS_ROWS);
        method_report(context, "features", features);
    }
    if (o->dimension != DIMENSION_FEATURE) {
        tensor *z1 = op_slice_rows(t, z, 0, n), *z2 = op_slice_rows(t, z, n, n);
        instances = misalignment(t, whiten_instances(o, t, z1), whiten_instances(o, t, z2), AXIS_COLS);
        method_report(context, "instances", instances);
    }
    return !features ? instances : !instances ? features : op_add(t, features, instances);
}

/* Views that have nothing in common: each mean of products is 0. */
static double chance_loss(const method_model *m) {
    const zero_cl_options *o = m->options;
    double features = (double)o->features, instances = m->pairs;
    return (o->dimension != DIMENSION_INSTANCE) * features + (o->dimension != DIMENSION_FEATURE) * instances;
}

static const char *const dimensions[] = {"feature", "instance", "both", NULL};

#define OFFSET(member) offsetof(zero_cl_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "256", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true,
     "BatchNorm in the projector's hidden layers"},
    {"dimension", FIELD_CHOICE, OFFSET(dimension), "feature", 0, 0, dimensions, true,
     "what is whitened and aligned: features (Zero-FCL), instances (Zero-ICL), or each for a loss of its own"},
    {"whiten", FIELD_BOOL, OFFSET(whiten), "true", 0, 0, NULL, true, "false: aligned as they are: a control"},
    {"epsilon", FIELD_REAL, OFFSET(epsilon), "0.1", 0, 1, NULL, true,
     "how far the covariance is drawn to the identity before its root is taken"},
    {"detach", FIELD_BOOL, OFFSET(detach), "true", 0, 0, NULL, true, "no gradient through the whitening matrix"},
};

static const field_condition conditions[] = {
    {"epsilon", "whiten=true"},
    {"detach", "whiten=true"},
    {0},
};

const method method_zero_cl = {
    .name = "zero_cl",
    .summary = "embeddings whitened by features or instances (ZCA), then aligned",
    .reference = "Zhang et al., ICLR 2022",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(zero_cl_options)},
    .conditions = conditions,
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed, /* whitening wants a batch, and what is measured is of each sample alone */
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

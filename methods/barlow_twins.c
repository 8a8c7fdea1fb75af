/*
 * Barlow Twins: make the cross-correlation of the two views' embeddings the identity.
 * Zbontar, Jing, Misra, LeCun, Deny: "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021.
 *
 *   Z = projector(representation): Linear-BN-ReLU, Linear-BN-ReLU, Linear
 *   C = BN(Z1)ᵀ BN(Z2) / n                                                   (eq. 2)
 *   loss = scale · ( Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij² )                 (eq. 1)
 */
#include "methods/projector.h"

typedef struct barlow_options {
    int64_t hidden, features;
    double lambda, scale;
    bool batchnorm;
} barlow_options;

typedef struct barlow {
    mlp projector;
    batchnorm standardize; /* without scale and shift */
} barlow;

static bool build(method_model *m, error *err) {
    const barlow_options *o = m->options;
    mlp_shape shape = {.layers = 3,
                       .in = m->features,
                       .hidden = o->hidden,
                       .out = o->features,
                       .without_last_bias = true,
                       .without_norm = !o->batchnorm};
    barlow *s = projector_build(m, sizeof *s, shape, err);
    return s && parameters_batchnorm(m->parameters, "head.standardize", o->features, false, &s->standardize, err);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const barlow_options *o = m->options;
    const barlow *s = m->state;
    int n = m->pairs;
    tensor *z = projector_forward(m, t, representations, method_groups(m));
    z = op_batchnorm(t, z, &s->standardize, NULL, false, m->views, true); /* each view by itself, always */
    tensor *z1 = op_slice_rows(t, z, 0, n), *z2 = op_slice_rows(t, z, n, n);
    tensor *c = op_matmul(t, z1, true, z2, false, 1.0 / (double)batch_size(z1));

    tensor *diagonal = op_diagonal(t, c);
    tensor *invariance = op_sum_squares(t, op_affine(t, diagonal, -1, 1));
    tensor *redundancy = op_sub(t, op_sum_squares(t, c), op_sum_squares(t, diagonal));
    method_report(context, "invariance", invariance);
    method_report(context, "redundancy", redundancy);
    return op_scale(t, op_add(t, invariance, op_scale(t, redundancy, o->lambda)), o->scale);
}

/* Collapse is measured on the projector before its last layer: `hidden` columns, whatever `features` is. */
static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    const barlow *s = m->state;
    return mlp_hidden(&s->projector, t, representations, 1, training);
}

/* No column of one view correlated with any of the other's: C = 0. */
static double chance_loss(const method_model *m) {
    const barlow_options *o = m->options;
    return o->scale * (double)o->features;
}

#define OFFSET(member) offsetof(barlow_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, true, "width of the projector's output"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "5.1e-3", 0, 1e6, NULL, true, "weight of redundancy reduction"},
    {"scale", FIELD_REAL, OFFSET(scale), "0.1", 1e-9, 1e6, NULL, true, "of the whole loss"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, IDENTITY_IF_SET,
     "false: no BatchNorm in the projector, as a control"},
};

const method method_barlow_twins = {
    .name = "barlow_twins",
    .summary = "cross-correlation of the two views' embeddings made the identity",
    .reference = "Zbontar et al., ICML 2021",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(barlow_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
};

/*
 * SimCLR: each view is to pick its partner out of all other views in the batch. The contrastive neighbour of the
 * methods here: what they do without negatives, it does with them.
 * Chen, Kornblith, Norouzi, Hinton: "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
 *
 *   projector   z = W₂·ReLU(W₁·representations)                                     (section 2.1)
 *   s_ij = cos(z_i, z_j)/τ over all 2n views
 *   loss = −(1/2n) Σ_i log( exp s_i,partner(i) / Σ_{k≠i} exp s_ik )                 (eq. 1, NT-Xent)
 */
#include "methods/projector.h"

#include <math.h>

typedef struct simclr_options {
    int64_t hidden, features;
    double temperature;
} simclr_options;

static bool build(method_model *m, error *err) {
    const simclr_options *o = m->options;
    mlp_shape shape = {.layers = 2, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = true};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* On the sphere, where the loss compares them. */
static tensor *project(method_model *m, tape *t, tensor *x) {
    return op_l2_normalize(t, projector_forward(m, t, x, 1));
}

static const double NEVER = -1e30; /* on the diagonal: a logit whose exponential is zero */

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const simclr_options *o = m->options;
    int n = m->pairs;
    (void)context;
    tensor *z = project(m, t, representations);
    tensor *z1 = op_slice_rows(t, z, 0, n), *z2 = op_slice_rows(t, z, n, n);
    tensor *all = op_concat_rows(t, z1, z2);
    tensor *s = op_matmul(t, all, false, all, true, 1 / o->temperature);
    tensor *others = op_logsumexp(t, op_add_diagonal(t, s, NEVER), AXIS_COLS); /* log Σ_{k≠i} exp s_ik */
    tensor *partner = op_scale(t, op_sum(t, op_mul(t, z1, z2), AXIS_COLS), 1 / o->temperature);
    return op_sub(t, op_mean(t, others, AXIS_ALL), op_mean(t, partner, AXIS_ALL)); /* a pair's s is both views' */
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    (void)training;
    return project(m, t, representations);
}

/* Every other view alike. */
static double chance_loss(const method_model *m) { return log(2.0 * m->pairs - 1); }

#define OFFSET(member) offsetof(simclr_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"temperature", FIELD_REAL, OFFSET(temperature), "0.2", 1e-3, 100, NULL, true, "tau, of the cosines"},
};

const method method_simclr = {
    .name = "simclr",
    .summary = "each view picks its partner out of the batch (NT-Xent)",
    .reference = "Chen et al., ICML 2020",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(simclr_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

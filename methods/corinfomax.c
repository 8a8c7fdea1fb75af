/*
 * CorInfoMax: the log-determinant of the embeddings' covariance, which measures the information that second moments
 * tell, is made large for both views ("big bang"), while the views are drawn together.
 * Ozsoy, Hamdan, Arik, Yuret, Erdogan: "Self-Supervised Learning with an Information Maximization Criterion", NeurIPS
 * 2022, with their code (serdarozsoy/corinfomax-ssl).
 *
 *   z = L2norm(projector(representation)); for each of the two views
 *   μ ← λ_μ·μ + (1−λ_μ)·mean of z over the batch,  from 0
 *   R ← λ_R·R + (1−λ_R)·(1/n) Σ_i (z_i − μ)(z_i − μ)ᵀ,  from r·I
 *   loss = −(1/d)·[log det(R + εI) + log det(R' + εI)] + α·(1/(nd)) Σ_i ‖z_i − z'_i‖²
 *
 * Gradients flow through this batch's share of μ and R. The trace of R is at most 1: the determinant is largest where
 * all its eigenvalues are equal. Without it (`spread: 0`) the views meet in one point.
 */
#include "methods/projector.h"

#include <math.h>
#include <stdio.h>

enum { VIEWS = 2 };

typedef struct corinfomax_options {
    int64_t hidden, features;
    double alpha, spread, forget_covariance, forget_mean, initial, epsilon;
    bool normalize, batchnorm;
} corinfomax_options;

typedef struct corinfomax {
    mlp projector;
    tensor *mean[VIEWS], *covariance[VIEWS]; /* (1, f); (f, f), without what is left of r·I */
} corinfomax;

static bool build(method_model *m, error *err) {
    const corinfomax_options *o = m->options;
    mlp_shape shape = {
        .layers = 3, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    corinfomax *s = projector_build(m, sizeof *s, shape, err);
    if (!s) return false;
    for (int v = 0; v < VIEWS; v++) {
        char name[32];
        int64_t row[] = {1, o->features}, square[] = {o->features, o->features};
        snprintf(name, sizeof name, "head.mean.%d", v);
        s->mean[v] = parameters_add(m->parameters, name, ROLE_BUFFER, 2, row, INIT_VALUE, 0, err);
        snprintf(name, sizeof name, "head.covariance.%d", v);
        s->covariance[v] = parameters_add(m->parameters, name, ROLE_BUFFER, 2, square, INIT_VALUE, 0, err);
        if (!s->mean[v] || !s->covariance[v]) return false;
    }
    return true;
}

static tensor *project(method_model *m, tape *t, tensor *x, int groups, bool training) {
    tensor *z = mlp_forward(m->state, t, x, groups, training);
    return ((const corinfomax_options *)m->options)->normalize ? op_l2_normalize(t, z) : z;
}

/* old·forget + new·(1 − forget); `old` takes its value. */
static tensor *follow(tape *t, tensor *old, tensor *new, double forget) {
    tensor *now = op_add(t, op_scale(t, old, forget), op_scale(t, new, 1 - forget));
    tape_assign(t, old, now);
    return now;
}

/* log det(R + εI) after this batch; z (n, f) of view v. */
static tensor *information(method_model *m, const method_context *context, tape *t, tensor *z, int v) {
    const corinfomax_options *o = m->options;
    const corinfomax *s = m->state;
    tensor *centred = op_sub(t, z, follow(t, s->mean[v], op_batch_mean(t, z), o->forget_mean));
    tensor *batch = op_matmul(t, centred, true, centred, false, 1 / (double)batch_size(z));
    tensor *r = follow(t, s->covariance[v], batch, o->forget_covariance);
    double left = o->initial * pow(o->forget_covariance, (double)context->step + 1);
    return op_logdet(t, op_add_diagonal(t, r, left + o->epsilon));
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const corinfomax_options *o = m->options;
    int n = m->pairs;
    tensor *z = project(m, t, representations, method_groups(m), true);
    tensor *z1 = op_slice_rows(t, z, 0, n), *z2 = op_slice_rows(t, z, n, n);
    tensor *both = op_add(t, information(m, context, t, z1, 0), information(m, context, t, z2, 1));
    tensor *spread = op_scale(t, both, -1 / (double)o->features);
    tensor *attraction = op_mean_squares(t, op_sub(t, z1, z2));
    method_report(context, "spread", spread);
    method_report(context, "attraction", attraction);
    return op_add(t, op_scale(t, spread, o->spread), op_scale(t, attraction, o->alpha));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return project(m, t, representations, 1, training);
}

/* All views in one point, which the mean has come to: nothing is left of the covariance but what is added to it. */
static double chance_loss(const method_model *m) {
    const corinfomax_options *o = m->options;
    double floor = o->epsilon + (o->forget_covariance < 1 ? 0 : o->initial);
    return floor > 0 ? -2 * o->spread * log(floor) : (double)NAN;
}

#define OFFSET(member) offsetof(corinfomax_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "64", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true,
     "BatchNorm in the projector's hidden layers"},
    {"normalize", FIELD_BOOL, OFFSET(normalize), "true", 0, 0, NULL, true, "projections are brought to length 1"},
    {"alpha", FIELD_REAL, OFFSET(alpha), "500", 0, 1e6, NULL, true, "weight of the distance between views"},
    {"spread", FIELD_REAL, OFFSET(spread), "1", 0, 1e6, NULL, true,
     "weight of the log-determinants; 0 leaves nothing that keeps views apart, a control that collapses"},
    {"forget_covariance", FIELD_REAL, OFFSET(forget_covariance), "0.01", 0, 1, NULL, true,
     "how much of the covariance is kept at each step"},
    {"forget_mean", FIELD_REAL, OFFSET(forget_mean), "0.01", 0, 1, NULL, true, "how much of the mean is kept"},
    {"initial", FIELD_REAL, OFFSET(initial), "1", 0, 1e6, NULL, true,
     "times the identity: where the covariance starts"},
    {"epsilon", FIELD_REAL, OFFSET(epsilon), "1e-6", 0, 1, NULL, true,
     "added to the covariance's diagonal before its determinant is taken"},
};

const method method_corinfomax = {
    .name = "corinfomax",
    .summary = "views drawn together while the log-determinants of their covariances grow",
    .reference = "Ozsoy et al., NeurIPS 2022",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(corinfomax_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

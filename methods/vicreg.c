/*
 * VICReg: the two views' embeddings are drawn together (invariance), each dimension keeps its spread over the batch
 * (variance), and dimensions are uncorrelated (covariance). No view is treated apart, nothing else prevents collapse:
 * with mu = 0 the embeddings may shrink to a point, with nu = 0 to a line.
 * Bardes, Ponce, LeCun: "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR
 * 2022, with their code (facebookresearch/vicreg).
 *
 *   expander    Z = Linear(ReLU(BN(Linear(ReLU(BN(Linear(representations)))))))
 *   loss = λ·s(Z,Z') + μ·[v(Z) + v(Z')] + ν·[c(Z) + c(Z')]                       (eq. 6)
 *
 * s is the mean over dimensions too, as in the paper's algorithm 1 and the code; eq. 5 leaves the 1/d out, and then the
 * published weights do not balance. The code also halves the variance term: halve_variance.
 */
#include "methods/projector.h"

#include <math.h>

typedef struct vicreg_options {
    int64_t hidden, features;
    double lambda, mu, nu;
    bool halve_variance, batchnorm;
} vicreg_options;

static const double GAMMA = 1, EPSILON = 1e-4; /* the standard deviation that is enough; keeps its root smooth */

static bool build(method_model *m, error *err) {
    const vicreg_options *o = m->options;
    mlp_shape shape = {.layers = 3,
                       .in = m->features,
                       .hidden = o->hidden,
                       .out = o->features,
                       .without_last_bias = true,
                       .without_norm = !o->batchnorm};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* C(Z) = 1/(n−1) Σ_i (z_i − z̄)(z_i − z̄)ᵀ (eq. 3); its diagonal is Var(z^j), unbiased. */
static tensor *covariance_matrix(tape *t, tensor *z) {
    tensor *centred = op_sub(t, z, op_batch_mean(t, z));
    return op_matmul(t, centred, true, centred, false, 1.0 / (double)(batch_size(z) - 1));
}

/* v(Z) = 1/d Σ_j max(0, γ − √(Var(z^j) + ε))   (eq. 1, 2) */
static tensor *variance(tape *t, tensor *c) {
    tensor *deviation = op_sqrt(t, op_affine(t, op_diagonal(t, c), 1, EPSILON));
    return op_mean(t, op_relu(t, op_affine(t, deviation, -1, GAMMA)), AXIS_ALL);
}

/* c(Z) = 1/d Σ_{i≠j} C(Z)_ij²   (eq. 4) */
static tensor *covariance(tape *t, tensor *c, double d) {
    return op_scale(t, op_sub(t, op_sum_squares(t, c), op_sum_squares(t, op_diagonal(t, c))), 1 / d);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const vicreg_options *o = m->options;
    int n = m->pairs;
    double d = (double)o->features;
    tensor *z = projector_forward(m, t, representations, method_groups(m));
    tensor *z1 = op_slice_rows(t, z, 0, n), *z2 = op_slice_rows(t, z, n, n);
    tensor *c1 = covariance_matrix(t, z1), *c2 = covariance_matrix(t, z2);

    tensor *invariance = op_scale(t, op_sum_squares(t, op_sub(t, z1, z2)), 1 / (d * (double)batch_size(z1)));
    tensor *spread = op_add(t, variance(t, c1), variance(t, c2));
    if (o->halve_variance) spread = op_scale(t, spread, 0.5);
    tensor *correlation = op_add(t, covariance(t, c1, d), covariance(t, c2, d));
    method_report(context, "invariance", invariance);
    method_report(context, "variance", spread);
    method_report(context, "covariance", correlation);
    return op_add(t, op_scale(t, invariance, o->lambda),
                  op_add(t, op_scale(t, spread, o->mu), op_scale(t, correlation, o->nu)));
}

/* Collapse is measured on the expander before its last layer: `hidden` columns, whatever `features` is. */
static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return mlp_hidden(m->state, t, representations, 1, training);
}

/* All views in one point: no dimension varies. */
static double chance_loss(const method_model *m) {
    const vicreg_options *o = m->options;
    return o->mu * (o->halve_variance ? 1 : 2) * (GAMMA - sqrt(EPSILON));
}

#define OFFSET(member) offsetof(vicreg_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the expander's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, true, "width of the expander's output"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "25", 0, 1e6, NULL, true, "weight of invariance"},
    {"mu", FIELD_REAL, OFFSET(mu), "25", 0, 1e6, NULL, true, "weight of variance"},
    {"nu", FIELD_REAL, OFFSET(nu), "1", 0, 1e6, NULL, true, "weight of covariance"},
    {"halve_variance", FIELD_BOOL, OFFSET(halve_variance), "false", 0, 0, NULL, true,
     "half of the variance term, as in the authors' code; false: the paper's form"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, IDENTITY_IF_SET,
     "false: no BatchNorm in the expander, as a control"},
};

const method method_vicreg = {
    .name = "vicreg",
    .summary = "variance kept, covariance removed, the two views' embeddings drawn together",
    .reference = "Bardes et al., ICLR 2022",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(vicreg_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
};

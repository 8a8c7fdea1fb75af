/*
 * FroSSL: the covariance of each view's embeddings has as small a Frobenius norm as its trace allows, which is where
 * all its eigenvalues are equal; the logarithm makes an entropy of it. Embeddings of both views are drawn together.
 * Skean, Dhakal, Jacobs, Giraldo: "FroSSL: Frobenius Norm Minimization for Efficient Multiview Self-Supervised
 * Learning", ECCV 2024 (arXiv 2310.02903), with their code (OFSkean/FroSSL).
 *
 *   z_j ← columns of the projections of a view, centred, brought to length 1
 *   C = ZᵀZ/d, of trace 1;  H₂ = −log ‖C‖²_F, the entropy of order 2 of its eigenvalues
 *   loss = (1/n) Σ_ij (z_ij − z'_ij)² − [H₂(C) + H₂(C')]
 *
 * The authors' columns have length √d and their first term is the mean squared error: the same. lightly does not centre
 * (`center: false`). ‖ZᵀZ‖ = ‖ZZᵀ‖, so the smaller of the two is taken. Without the entropies columns cannot shrink,
 * but all may become the same one: a dimensional collapse.
 */
#include "methods/projector.h"

#include <math.h>

typedef struct frossl_options {
    int64_t hidden, features;
    double invariance, entropy;
    bool center, batchnorm;
} frossl_options;

static bool build(method_model *m, error *err) {
    const frossl_options *o = m->options;
    mlp_shape shape = {
        .layers = 3, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* Columns of length 1; z (n, d). */
static tensor *normalize(const frossl_options *o, tape *t, tensor *z) {
    if (o->center) z = op_sub(t, z, op_batch_mean(t, z));
    return op_div(t, z, op_sqrt(t, op_batch_sum(t, op_mul(t, z, z))));
}

/* −log ‖ZᵀZ/d‖²_F */
static tensor *entropy(tape *t, tensor *z, int64_t n, int64_t d) {
    bool columns = n > d;
    tensor *c = op_matmul(t, z, columns, z, !columns, 1 / (double)d);
    return op_scale(t, op_log(t, op_sum_squares(t, c)), -1);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const frossl_options *o = m->options;
    int n = m->pairs;
    tensor *z = projector_forward(m, t, representations, method_groups(m));
    tensor *z1 = normalize(o, t, op_slice_rows(t, z, 0, n));
    tensor *z2 = normalize(o, t, op_slice_rows(t, z, n, n));
    int64_t all = batch_size(z1);
    tensor *invariance = op_scale(t, op_sum_squares(t, op_sub(t, z1, z2)), 1 / (double)all);
    tensor *spread = op_add(t, entropy(t, z1, all, o->features), entropy(t, z2, all, o->features));
    method_report(context, "invariance", invariance);
    method_report(context, "entropy", spread);
    return op_sub(t, op_scale(t, invariance, o->invariance), op_scale(t, spread, o->entropy));
}

/* Columns that point anywhere, in one view and across both: two that differ have a squared cosine of 1/n on average (of
   1/(n − 1) when centred). A point has no columns to be brought to length 1. */
static double chance_loss(const method_model *m) {
    const frossl_options *o = m->options;
    double d = (double)o->features, n = m->pairs, freedom = o->center ? n - 1 : n;
    return o->invariance * 2 * d / n - o->entropy * 2 * (log(d) - log1p((d - 1) / freedom));
}

#define OFFSET(member) offsetof(frossl_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "256", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true,
     "BatchNorm in the projector's hidden layers"},
    {"invariance", FIELD_REAL, OFFSET(invariance), "1", 0, 1e6, NULL, true, "weight of the distance between views"},
    {"entropy", FIELD_REAL, OFFSET(entropy), "1", 0, 1e6, NULL, true,
     "weight of the covariances' entropy; 0: one direction may remain: a control"},
    {"center", FIELD_BOOL, OFFSET(center), "true", 0, 0, NULL, true,
     "columns lose their mean before they are brought to length 1; lightly's do not"},
};

const method method_frossl = {
    .name = "frossl",
    .summary = "views drawn together, their covariances made flat by Frobenius norm",
    .reference = "Skean et al., ECCV 2024",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(frossl_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed, /* columns are normalised over a batch, and what is measured is of each sample alone */
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

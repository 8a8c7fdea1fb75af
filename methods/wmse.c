/*
 * W-MSE: embeddings are whitened over parts of the batch, then only drawn together; a whitened batch cannot collapse,
 * so neither negatives nor stop-gradients are needed.
 * Ermolov, Siarohin, Sangineto, Sebe: "Whitening for Self-Supervised Representation Learning", ICML 2021, with their
 * code (htdt/self-supervised).
 *
 *   projector   z = Linear(ReLU(BN(Linear(representations))))
 *   whitening   v = W·(z − μ) over each part of `whitening_size` samples, view by view, WᵀW = Σ⁻¹
 *               by Cholesky: Σ = L·Lᵀ, W = L⁻¹; Σ ← (1−ε)·Σ + ε·I before, unbiased
 *   loss        mean over pairs of dist(v, v'): 2 − 2·cos(v, v'), or ‖v − v'‖² averaged over dimensions
 *
 * solo-learn lets no gradient into the second view's whitened vectors, which halves the gradient and leaves its
 * direction to the first view alone: `detach`.
 *
 * The parts are runs of rows, which the loader has shuffled already; the code's draws of its own (w_iter > 1) are not
 * here.
 */
#include "methods/projector.h"

enum { DISTANCE_COSINE, DISTANCE_EUCLIDEAN };

typedef struct wmse_options {
    int distance;
    int64_t hidden, features, whitening_size;
    double epsilon;
    bool detach, batchnorm;
} wmse_options;

static bool build(method_model *m, error *err) {
    const wmse_options *o = m->options;
    if (m->pairs % o->whitening_size)
        return error_set(err, ERROR_USAGE, "method.whitening_size %lld does not divide train.batch %d into equal parts",
                         (long long)o->whitening_size, m->pairs);
    if (o->epsilon == 0 && o->whitening_size <= o->features)
        return error_set(err, ERROR_USAGE,
                         "method.whitening_size %lld must be above method.features %lld: so few samples span fewer "
                         "directions than there are to whiten (or set method.epsilon above 0)",
                         (long long)o->whitening_size, (long long)o->features);
    mlp_shape shape = {
        .layers = 2, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* L⁻¹(z − μ) for the rows of z, L·Lᵀ = (1−ε)·Σ + ε·I. */
static tensor *whiten(tape *t, tensor *z, int size, double epsilon) {
    tensor *centred = op_sub(t, z, op_mean(t, z, AXIS_ROWS));
    tensor *sigma = op_matmul(t, centred, true, centred, false, (1 - epsilon) / (size - 1));
    return op_triangular_solve(t, centred, op_cholesky(t, op_add_diagonal(t, sigma, epsilon)));
}

/* Averaged over the pairs. */
static tensor *distance(const wmse_options *o, tape *t, tensor *v1, tensor *v2) {
    if (o->distance == DISTANCE_EUCLIDEAN) {
        tensor *difference = op_sub(t, v1, v2);
        return op_mean(t, op_mul(t, difference, difference), AXIS_ALL);
    }
    tensor *cosines = op_sum(t, op_mul(t, op_l2_normalize(t, v1), op_l2_normalize(t, v2)), AXIS_COLS);
    return op_affine(t, op_mean(t, cosines, AXIS_ALL), -2, 2);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const wmse_options *o = m->options;
    int n = m->pairs, size = (int)o->whitening_size;
    (void)context;
    tensor *z = projector_forward(m, t, representations, method_groups(m)), *sum = NULL;
    for (int first = 0; first < n; first += size) {
        tensor *v1 = whiten(t, op_slice_rows(t, z, first, size), size, o->epsilon);
        tensor *v2 = whiten(t, op_slice_rows(t, z, n + first, size), size, o->epsilon);
        tensor *part = distance(o, t, v1, o->detach ? tape_stop_gradient(t, v2) : v2);
        sum = sum ? op_add(t, sum, part) : part;
    }
    return op_scale(t, sum, (double)size / n);
}

/* Two views at right angles; each of a whitened part's columns has the squared length size − 1. */
static double chance_loss(const method_model *m) {
    const wmse_options *o = m->options;
    return o->distance == DISTANCE_COSINE ? 2 : 2 - 2.0 / (double)o->whitening_size;
}

static const char *const distances[] = {"cosine", "euclidean", NULL};

#define OFFSET(member) offsetof(wmse_options, member)
static const field rows[] = {
    {"distance", FIELD_CHOICE, OFFSET(distance), "cosine", 0, 0, distances, true,
     "between whitened views: of directions, or of the vectors themselves"},
    {"hidden", FIELD_INT, OFFSET(hidden), "1024", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "64", 2, 65536, NULL, true, "width of the projector's output"},
    {"whitening_size", FIELD_INT, OFFSET(whitening_size), "128", 2, 65536, NULL, true,
     "samples whitened together; divides train.batch, above method.features"},
    {"epsilon", FIELD_REAL, OFFSET(epsilon), "0", 0, 1, NULL, true,
     "how far the covariance is drawn to the identity before it is inverted"},
    {"detach", FIELD_BOOL, OFFSET(detach), "false", 0, 0, NULL, IDENTITY_IF_SET,
     "true: no gradient through the second view, as solo-learn has it; false: through both, as the paper"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, IDENTITY_IF_SET,
     "false: no BatchNorm in the projector, as a control"},
};

const method method_wmse = {
    .name = "wmse",
    .summary = "views whitened over parts of the batch, then drawn together",
    .reference = "Ermolov et al., ICML 2021",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(wmse_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed, /* whitening wants a batch, and what is measured is of each sample alone */
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

/*
 * MMCR: the centroids of samples' views fill the sphere evenly, measured by the nuclear norm of the matrix that they
 * make. Views that disagree have short centroids, samples that agree make a matrix of few large singular values: the
 * one norm is largest where views meet and samples spread. Yerxa, Kuang, Simoncelli, Chung: "Learning Efficient Coding
 * of Natural Images with Maximum Manifold Capacity Representations", NeurIPS 2023, with their code (ThomasYerxa/mmcr).
 *
 *   z_v = L2norm(projector(representation of view v)), c = mean over all views of z_v, C the matrix of c (n, f)
 *   loss = λ·(1/n) Σ_i ‖Z_i‖_* − ‖C‖_*, Z_i the views of sample i (V, f)
 *
 * ‖·‖_* sums singular values. The authors train with λ = 0; they do without a momentum encoder on CIFAR and have one on
 * ImageNet, which is not here. `norm: frobenius` takes the root of the sum of squares in its place, which centroids of
 * length 1 have whether they differ or not: so it asks for agreement alone, a control that collapses.
 */
#include "methods/projector.h"
#include "methods/multi_crop.h"

#include <math.h>

enum { NORM_NUCLEAR, NORM_FROBENIUS };

typedef struct mmcr_options {
    int64_t hidden, features;
    int norm;
    double lambda;
    bool batchnorm;
} mmcr_options;

static bool build(method_model *m, error *err) {
    const mmcr_options *o = m->options;
    mlp_shape shape = {.layers = 2,
                       .in = m->features,
                       .hidden = o->hidden,
                       .out = o->features,
                       .without_norm = !o->batchnorm,
                       .without_bias = true,
                       .without_last_bias = true};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

static tensor *project(method_model *m, tape *t, tensor *representations, int groups) {
    return op_l2_normalize(t, projector_forward(m, t, representations, groups));
}

static tensor *centroid_norm(const mmcr_options *o, tape *t, tensor *c) {
    if (o->norm == NORM_FROBENIUS) return op_sqrt(t, op_sum_squares(t, c));
    return op_nuclear_norm(t, c, 1);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const mmcr_options *o = m->options;
    int views = m->views + (context->local ? m->locals : 0), n = m->pairs;
    tensor *local, *global = multi_crop_project(m, context, t, representations, project, &local);
    tensor *z = local ? op_concat_rows(t, global, local) : global;
    tensor *sum = op_slice_rows(t, z, 0, n), *beside = sum; /* of a sample: Σ z_v; all z_v in one row */
    for (int v = 1; v < views; v++) {
        tensor *one = op_slice_rows(t, z, (int64_t)v * n, n);
        sum = op_add(t, sum, one);
        if (o->lambda > 0) beside = op_concat_cols(t, beside, one);
    }
    tensor *capacity = centroid_norm(o, t, op_scale(t, sum, 1.0 / views));
    method_report(context, "centroids", capacity);
    if (o->lambda == 0) return op_scale(t, capacity, -1);
    tensor *samples = op_reshape(t, beside, (int64_t)n * views, o->features);
    tensor *extent = op_mean(t, op_nuclear_norm(t, samples, n), AXIS_ALL);
    method_report(context, "samples", extent);
    return op_sub(t, op_scale(t, extent, o->lambda), capacity);
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return op_l2_normalize(t, projector_embed(m, t, representations, training));
}

/* All views in one point: centroids of length 1 along one direction, and so are the views of each sample. */
static double chance_loss(const method_model *m) {
    const mmcr_options *o = m->options;
    return o->lambda * sqrt(m->views + m->locals) - sqrt(m->pairs);
}

static const char *const norms[] = {"nuclear", "frobenius", NULL};

#define OFFSET(member) offsetof(mmcr_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true, "BatchNorm in the projector's hidden layer"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "0", 0, 1e6, NULL, true,
     "weight of the extent of each sample's own views against that of the centroids"},
    {"norm", FIELD_CHOICE, OFFSET(norm), "nuclear", 0, 0, norms, true,
     "of the centroids; frobenius asks for agreement alone, a control that collapses"},
};

const method method_mmcr = {
    .name = "mmcr",
    .summary = "centroids of views with as large a nuclear norm as can be; multi-crop",
    .reference = "Yerxa et al., NeurIPS 2023",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(mmcr_options)},
    .batch_statistics = true,
    .local_views = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

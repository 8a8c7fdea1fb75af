/*
 * VISReg: VICReg's variance term keeps the scale of embeddings, and their shape is held to an isotropic Gaussian by
 * what random directions see of it (the sliced Wasserstein distance) in place of the covariance. Wu, Balestriero,
 * Levine: "VISReg: Variance-Invariance-Sketching Regularization for JEPA training", arXiv 2606.02572 (2026).
 *
 *   z_v = projector(representation of view v); μ = mean of the global views
 *   prediction = mean over views, samples and dimensions of (μ − z_v)²                            (eq. 8)
 *   scale  = (1/d) Σ_j (1 − σ_j)², σ_j² the variance over the batch, biased                       (eq. 1)
 *   shape  = mean over directions a and ranks i of (sort(ẑ·a)_i − q_i)²                           (eq. 5)
 *            ẑ = (z − mean)/(σ + ε), no gradient through σ (eq. 2); q_i the normal quantile at i/(n + 1)
 *   center = (1/d) Σ_j mean_j²                                                                    (eq. 6)
 *   loss   = (1 − λ)·prediction + λ·(λ_scale·scale + λ_shape·shape + λ_center·center)
 *
 * The three are of each view by itself, averaged over views; the directions are drawn anew at every step and are the
 * same for all views. λ is 0.9 for ImageNet; the paper recommends 0.6 for small data sets. Without `shape` embeddings
 * may keep to few directions, with λ = 0 to one point.
 */
#include "methods/projector.h"
#include "methods/multi_crop.h"
#include "methods/slices.h"

#include <stdlib.h>

typedef struct visreg_options {
    int64_t hidden, features, slices;
    double lambda, scale, shape, center;
    bool batchnorm;
} visreg_options;

static const double EPSILON = 1e-4; /* what σ is never below where it divides */

/* The three terms, summed over views. */
typedef struct terms {
    tensor *scale, *shape, *center;
} terms;

static bool build(method_model *m, error *err) {
    const visreg_options *o = m->options;
    mlp_shape shape = {
        .layers = 3, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* q_1 … q_n as a column. */
static tensor *quantiles(tape *t, int64_t n) {
    float *values = malloc((size_t)n * sizeof *values);
    if (!values) return tape_out_of_memory(t, (size_t)n * sizeof *values, "quantiles");
    for (int64_t i = 0; i < n; i++) values[i] = (float)slices_normal_quantile((double)(i + 1) / (double)(n + 1));
    tensor *q = tape_matrix(t, values, n, 1);
    free(values);
    return q;
}

static void add(tape *t, tensor **sum, tensor *one) { *sum = *sum ? op_add(t, *sum, one) : one; }

static void add_view(tape *t, terms *sum, tensor *z, tensor *directions, tensor *q) {
    tensor *mean = op_batch_mean(t, z), *centred = op_sub(t, z, mean);
    tensor *deviation = op_sqrt(t, op_batch_mean(t, op_mul(t, centred, centred)));
    tensor *whole = op_affine(t, tape_stop_gradient(t, deviation), 1, EPSILON);
    tensor *seen = op_matmul(t, op_div(t, centred, whole), false, directions, false, 1);
    tensor *off = op_sub(t, op_sort(t, seen), q);
    add(t, &sum->scale, op_mean_squares(t, op_affine(t, deviation, -1, 1)));
    add(t, &sum->shape, op_mean_squares(t, off));
    add(t, &sum->center, op_mean_squares(t, mean));
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const visreg_options *o = m->options;
    int views = m->views + (context->local ? m->locals : 0), n = m->pairs;
    tensor *local, *global = multi_crop_project(m, context, t, representations, projector_forward, &local);
    tensor *z = local ? op_concat_rows(t, global, local) : global, *q = quantiles(t, n);
    tensor *directions = slices_draw(context, t, o->features, o->slices);
    terms sum = {0};
    for (int v = 0; v < views; v++) add_view(t, &sum, op_slice_rows(t, z, (int64_t)v * n, n), directions, q);
    tensor *prediction = multi_crop_center_distance(m, t, global, local);
    tensor *scale = op_scale(t, sum.scale, 1.0 / views), *shape = op_scale(t, sum.shape, 1.0 / views);
    tensor *center = op_scale(t, sum.center, 1.0 / views);
    method_report(context, "prediction", prediction);
    method_report(context, "scale", scale);
    method_report(context, "shape", shape);
    method_report(context, "center", center);
    tensor *spread =
        op_add(t, op_scale(t, scale, o->lambda * o->scale),
               op_add(t, op_scale(t, shape, o->lambda * o->shape), op_scale(t, center, o->lambda * o->center)));
    return op_add(t, op_scale(t, prediction, 1 - o->lambda), spread);
}

/* All views in one point, the origin: no deviation, each sorted slice at 0, the mean as it is asked for. */
static double chance_loss(const method_model *m) {
    const visreg_options *o = m->options;
    double squares = 0;
    for (int i = 1; i <= m->pairs; i++) {
        double q = slices_normal_quantile((double)i / (m->pairs + 1));
        squares += q * q;
    }
    return o->lambda * (o->scale + o->shape * squares / m->pairs);
}

#define OFFSET(member) offsetof(visreg_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true,
     "BatchNorm in the projector's hidden layers"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "0.9", 0, 1, NULL, true,
     "weight of the regularisation against prediction; 0 leaves nothing that keeps views apart"},
    {"slices", FIELD_INT, OFFSET(slices), "4096", 1, 65536, NULL, true, "random directions of each step"},
    {"scale", FIELD_REAL, OFFSET(scale), "1", 0, 1e6, NULL, true, "weight of the deviation of each dimension"},
    {"shape", FIELD_REAL, OFFSET(shape), "1", 0, 1e6, NULL, true,
     "weight of the distance from a Gaussian; 0: few directions may remain"},
    {"center", FIELD_REAL, OFFSET(center), "1", 0, 1e6, NULL, true, "weight of the mean"},
};

const method method_visreg = {
    .name = "visreg",
    .summary =
        "views drawn to their centre, each dimension's scale kept, the shape held to a Gaussian by sorted slices; "
        "multi-crop",
    .reference = "Wu et al., 2026",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(visreg_options)},
    .batch_statistics = true,
    .local_views = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed, /* what is held to a Gaussian */
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

/*
 * LeJEPA: views are drawn to their centre, and a test of normality on random directions (SIGReg) holds every view's
 * embeddings to an isotropic Gaussian. Nothing else prevents collapse: no teacher, no stopped gradient, no whitening.
 * Balestriero & LeCun: "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", arXiv
 * 2511.08544 (2025), with their code (rbalestr-lab/lejepa, MINIMAL.md).
 *
 *   z_v = projector(representation of view v), v = 1 … V; the first views are global, the rest local
 *   μ   = mean over global views of z_v
 *   prediction = mean over views, samples and dimensions of (μ − z_v)²
 *   SIGReg(z)  = mean over directions a of EP(z·a), the directions drawn anew at every step
 *   EP(x)      = n ∫ |φ_x(t) − φ(t)|² w(t) dt,  φ_x(t) = (1/n) Σ_i exp(i·t·x_i), φ(t) = w(t) = exp(−t²/2)
 *   loss       = (1 − λ)·prediction + λ·(1/V) Σ_v SIGReg(z_v)
 *
 * EP is the statistic of Epps & Pulley (1983). Its integrand is even in t: the trapezoids are those of `knots` points
 * from 0 to `t_max`, twice. stable-pretraining takes one statistic of all views' samples together (`sample: pooled`)
 * and adds λ·SIGReg to the whole prediction loss (`weights: additive`). With λ = 0 all views meet in one point.
 */
#include "methods/projector.h"
#include "methods/multi_crop.h"
#include "methods/slices.h"

#include <math.h>

enum { SAMPLE_VIEW, SAMPLE_POOLED };
enum { WEIGHTS_CONVEX, WEIGHTS_ADDITIVE };

typedef struct lejepa_options {
    int64_t hidden, features, slices, knots;
    int sample, weights;
    double lambda, t_max;
    bool batchnorm;
} lejepa_options;

static bool build(method_model *m, error *err) {
    const lejepa_options *o = m->options;
    mlp_shape shape = {
        .layers = 3, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    return projector_build(m, sizeof(mlp), shape, err) != NULL;
}

/* A point of the integral: t, φ(t), and w(t) times the width that it stands for on both sides of 0. */
typedef struct knot {
    double at, phi, weight;
} knot;

static knot knot_at(const lejepa_options *o, int k) {
    double step = o->t_max / (double)(o->knots - 1), at = k * step, phi = exp(-at * at / 2);
    return (knot){at, phi, (k + 1 == o->knots ? step : 2 * step) * phi};
}

/* EP of each column of x (n, directions), averaged over them. At t = 0 both functions are 1. */
static tensor *epps_pulley(const lejepa_options *o, tape *t, tensor *x) {
    tensor *sum = NULL;
    for (int k = 1; k < o->knots; k++) {
        knot here = knot_at(o, k);
        tensor *turn = op_scale(t, x, here.at);
        tensor *real_part = op_affine(t, op_batch_mean(t, op_cos(t, turn)), 1, -here.phi);
        tensor *imaginary = op_batch_mean(t, op_sin(t, turn));
        tensor *squares = op_add(t, op_sum_squares(t, real_part), op_sum_squares(t, imaginary));
        tensor *area = op_scale(t, squares, here.weight);
        sum = sum ? op_add(t, sum, area) : area;
    }
    return op_scale(t, sum, (double)batch_size(x) / (double)o->slices);
}

static tensor *sigreg(const method_model *m, const method_context *context, tape *t, tensor *z) {
    const lejepa_options *o = m->options;
    int views = m->views + (context->local ? m->locals : 0), n = m->pairs;
    tensor *x = op_matmul(t, z, false, slices_draw(context, t, o->features, o->slices), false, 1), *sum = NULL;
    if (o->sample == SAMPLE_POOLED) return epps_pulley(o, t, x);
    for (int v = 0; v < views; v++) {
        tensor *one = epps_pulley(o, t, op_slice_rows(t, x, (int64_t)v * n, n));
        sum = sum ? op_add(t, sum, one) : one;
    }
    return op_scale(t, sum, 1.0 / views);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const lejepa_options *o = m->options;
    tensor *local, *global = multi_crop_project(m, context, t, representations, projector_forward, &local);
    tensor *near = multi_crop_center_distance(m, t, global, local);
    tensor *normal = sigreg(m, context, t, local ? op_concat_rows(t, global, local) : global);
    method_report(context, "prediction", near);
    method_report(context, "sigreg", normal);
    double rest = o->weights == WEIGHTS_CONVEX ? 1 - o->lambda : 1;
    return op_add(t, op_scale(t, near, rest), op_scale(t, normal, o->lambda));
}

/* All views in one point, the origin, where φ_x = 1: a point elsewhere costs more. */
static double chance_loss(const method_model *m) {
    const lejepa_options *o = m->options;
    double area = 0, n = (double)m->pairs * (o->sample == SAMPLE_POOLED ? m->views + m->locals : 1);
    for (int k = 1; k < o->knots; k++) {
        knot here = knot_at(o, k);
        area += here.weight * (1 - here.phi) * (1 - here.phi);
    }
    return o->lambda * n * area;
}

static const char *const samples[] = {"view", "pooled", NULL}, *const weights[] = {"convex", "additive", NULL};

#define OFFSET(member) offsetof(lejepa_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true,
     "BatchNorm in the projector's hidden layers"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "0.05", 0, 1, NULL, true,
     "weight of SIGReg; 0 leaves nothing that keeps samples apart: a control"},
    {"slices", FIELD_INT, OFFSET(slices), "1024", 1, 65536, NULL, true, "random directions of each step"},
    {"knots", FIELD_INT, OFFSET(knots), "17", 2, 1024, NULL, true, "points of the integral over t, from 0 on"},
    {"t_max", FIELD_REAL, OFFSET(t_max), "3", 0.01, 100, NULL, true, "where the integral over t ends"},
    {"sample", FIELD_CHOICE, OFFSET(sample), "view", 0, 0, samples, true,
     "what is tested: each view by itself, or all views' samples as one"},
    {"weights", FIELD_CHOICE, OFFSET(weights), "convex", 0, 0, weights, true,
     "convex: lambda and 1 - lambda; additive: lambda and 1"},
};

const method method_lejepa = {
    .name = "lejepa",
    .summary = "views drawn to their centre, embeddings held to an isotropic Gaussian on random directions (SIGReg); "
               "multi-crop",
    .reference = "Balestriero & LeCun, 2025",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(lejepa_options)},
    .batch_statistics = true,
    .local_views = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed, /* what is held to a Gaussian */
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

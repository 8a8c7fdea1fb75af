/*
 * SimSiam: a predictor maps one view's projection onto the other's, through which no gradient flows. Neither negatives
 * nor a teacher; take away the stop-gradient or the predictor and it collapses to a point, which makes it a control.
 * Chen & He: "Exploring Simple Siamese Representation Learning", CVPR 2021.
 *
 *   projector   z = BN(Linear(…ReLU(BN(Linear(representations)))…)), three layers (two on CIFAR), no scale in the last
 *   predictor   p = Linear(ReLU(BN(Linear(z))))
 *   D(p, z) = −⟨p/‖p‖, z/‖z‖⟩                                                      (eq. 1)
 *   loss = ½·D(p₁, stop(z₂)) + ½·D(p₂, stop(z₁))                                   (eq. 4)
 *
 * The predictor's learning rate does not follow the schedule (the authors' --fix-pred-lr, solo-learn's static_lr): it
 * has to keep up with representations that still change.
 */
#include "methods/projector.h"

typedef struct simsiam_options {
    int64_t layers, hidden, features, predictor_hidden;
    bool predictor, stop_gradient, constant_predictor_lr;
} simsiam_options;

typedef struct simsiam {
    mlp projector, predictor;
} simsiam;

static bool build(method_model *m, error *err) {
    const simsiam_options *o = m->options;
    mlp_shape projector = {.layers = (int)o->layers,
                           .in = m->features,
                           .hidden = o->hidden,
                           .out = o->features,
                           .without_bias = true,
                           .without_last_bias = true,
                           .last = MLP_PLAIN_NORM};
    mlp_shape predictor = {
        .layers = 2, .in = o->features, .hidden = o->predictor_hidden, .out = o->features, .without_bias = true};
    simsiam *s = projector_build(m, sizeof *s, projector, err);
    if (!s || (o->predictor && !mlp_create(&s->predictor, m->parameters, "head.predictor", predictor, err)))
        return false;
    if (o->constant_predictor_lr) parameters_keep_rate(m->parameters, "head.predictor.");
    return true;
}

/* D(p, z), averaged over the batch: −(1/n) Σ_i cos(p_i, z_i). */
static tensor *distance(tape *t, tensor *p, tensor *z) {
    tensor *cosines = op_sum(t, op_mul(t, op_l2_normalize(t, p), op_l2_normalize(t, z)), AXIS_COLS);
    return op_scale(t, op_mean(t, cosines, AXIS_ALL), -1);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const simsiam_options *o = m->options;
    const simsiam *s = m->state;
    int n = m->pairs, groups = method_groups(m);
    (void)context;
    tensor *z = projector_forward(m, t, representations, groups);
    tensor *p = o->predictor ? mlp_forward(&s->predictor, t, z, groups, true) : z;
    tensor *target = o->stop_gradient ? tape_stop_gradient(t, z) : z;
    tensor *p1 = op_slice_rows(t, p, 0, n), *p2 = op_slice_rows(t, p, n, n);
    tensor *z1 = op_slice_rows(t, target, 0, n), *z2 = op_slice_rows(t, target, n, n);
    return op_scale(t, op_add(t, distance(t, p1, z2), distance(t, p2, z1)), 0.5);
}

/* Two views at right angles; a point scores −1. */
static double chance_loss(const method_model *m) {
    (void)m;
    return 0;
}

#define OFFSET(member) offsetof(simsiam_options, member)
static const field rows[] = {
    {"layers", FIELD_INT, OFFSET(layers), "3", 2, 3, NULL, true,
     "of the projector: 3, or 2 as the paper has it on CIFAR"},
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, true, "width of projector and predictor outputs"},
    {"predictor_hidden", FIELD_INT, OFFSET(predictor_hidden), "128", 2, 65536, NULL, true,
     "width of the predictor's hidden layer"},
    {"predictor", FIELD_BOOL, OFFSET(predictor), "true", 0, 0, NULL, true, "false: p = z, a control that collapses"},
    {"constant_predictor_lr", FIELD_BOOL, OFFSET(constant_predictor_lr), "true", 0, 0, NULL, IDENTITY_IF_SET,
     "the predictor keeps optimizer.lr from the first step to the last, as the authors have it"},
    {"stop_gradient", FIELD_BOOL, OFFSET(stop_gradient), "true", 0, 0, NULL, true,
     "false: gradients flow into the target too, a control that collapses"},
};

static const field_condition conditions[] = {
    {"predictor_hidden", "predictor=true"},
    {"constant_predictor_lr", "predictor=true"},
    {0},
};

const method method_simsiam = {
    .name = "simsiam",
    .summary = "each view predicts the other, whose gradient is stopped",
    .reference = "Chen & He, CVPR 2021",
    .conditions = conditions,
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(simsiam_options)},
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .embed = projector_embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

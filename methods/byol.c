/*
 * BYOL: predict a slowly moving teacher's projection of the other view.
 * Grill et al.: "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020.
 *
 *   z = projector(representation),  q = predictor(z)         student θ
 *   z' = the teacher's projection, no gradient               teacher ξ
 *   loss = Σ over both orders of the views of ‖q̄ − z̄'‖² = 2 − 2·cos(q, z')            (eq. 2, symmetric)
 *   ξ ← τξ + (1−τ)θ,  τ = 1 − (1 − τ_base)·(cos(πk/K) + 1)/2                           (eq. 1; § 3.3)
 *
 * Two switches make the controls that collapse: `predictor: false` compares z itself with the teacher, `stop_gradient:
 * false` puts the student's own projection, gradients and all, in the teacher's place.
 */
#include "methods/projector.h"

typedef struct byol_options {
    int64_t hidden, features, predictor_hidden;
    bool predictor, stop_gradient;
    double momentum, final_momentum;
} byol_options;

typedef struct byol {
    mlp projector, teacher, predictor;
} byol;

static bool build(method_model *m, error *err) {
    const byol_options *o = m->options;
    mlp_shape projector = {.layers = 2, .in = m->features, .hidden = o->hidden, .out = o->features};
    mlp_shape predictor = {.layers = 2, .in = o->features, .hidden = o->predictor_hidden, .out = o->features};
    byol *s = projector_build(m, sizeof *s, projector, err);
    return s && (!o->predictor || mlp_create(&s->predictor, m->parameters, "head.predictor", predictor, err)) &&
           mlp_create(&s->teacher, m->parameters, "teacher.head.projector", projector, err);
}

/* z' of both views: the teacher's, or under `stop_gradient: false` the student's own. */
static tensor *target(method_model *m, method_context *context, tape *t, tensor *z) {
    const byol_options *o = m->options;
    const byol *s = m->state;
    if (!o->stop_gradient) return z;
    bool was = tape_set_recording(t, false);
    z = mlp_forward(&s->teacher, t, context->teacher, method_groups(m), true);
    tape_set_recording(t, was);
    return z;
}

/* Mean over the batch of 2 − 2·cos between rows of equal length 1. (eq. 2) */
static tensor *distance(tape *t, tensor *q, tensor *z) {
    return op_affine(t, op_mean(t, op_sum(t, op_mul(t, q, z), AXIS_COLS), AXIS_ALL), -2, 2);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const byol_options *o = m->options;
    const byol *s = m->state;
    int n = m->pairs, groups = method_groups(m);
    tensor *z = projector_forward(m, t, representations, groups);
    tensor *q = o->predictor ? mlp_forward(&s->predictor, t, z, groups, true) : z;
    q = op_l2_normalize(t, q);
    z = op_l2_normalize(t, target(m, context, t, z));
    tensor *first = distance(t, op_slice_rows(t, q, 0, n), op_slice_rows(t, z, n, n));
    tensor *second = distance(t, op_slice_rows(t, q, n, n), op_slice_rows(t, z, 0, n));
    return op_add(t, first, second);
}

static void after_step(method_model *m, method_context *context, tape *t) {
    (void)t;
    const byol_options *o = m->options;
    teacher_update(m->parameters, method_cosine(context, "momentum", o->momentum, o->final_momentum));
}

/* Two views at right angles, in both orders; a point scores 0. */
static double chance_loss(const method_model *m) {
    (void)m;
    return 4;
}

#define OFFSET(member) offsetof(byol_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"predictor_hidden", FIELD_INT, OFFSET(predictor_hidden), "512", 2, 65536, NULL, true,
     "width of the predictor's hidden layer"},
    {"predictor", FIELD_BOOL, OFFSET(predictor), "true", 0, 0, NULL, true,
     "false: the projection itself is compared with the teacher's, a control that collapses"},
    {"stop_gradient", FIELD_BOOL, OFFSET(stop_gradient), "true", 0, 0, NULL, true,
     "false: the student's own projection, through which gradients flow, takes the teacher's place"},
    {"momentum", FIELD_REAL, OFFSET(momentum), "0.99", 0, 1, NULL, true, "of the teacher, at the first step"},
    {"final_momentum", FIELD_REAL, OFFSET(final_momentum), "1", 0, 1, NULL, true,
     "of the teacher, where its cosine ends"},
};

static const field_condition conditions[] = {
    {"predictor_hidden", "predictor=true"},
    {"momentum", "stop_gradient=true"},
    {"final_momentum", "stop_gradient=true"},
    {0},
};

const method method_byol = {
    .name = "byol",
    .summary = "a predictor of the projection that a slowly moving teacher makes of the other view",
    .reference = "Grill et al., NeurIPS 2020",
    .conditions = conditions,
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(byol_options)},
    .teacher = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .after_step = after_step,
    .embed = projector_embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

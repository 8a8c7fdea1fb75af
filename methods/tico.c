/*
 * TiCo: two views agree, and embeddings avoid the directions in which past embeddings have varied, which a running
 * covariance remembers.
 * Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun: "TiCo: Transformation Invariance and Covariance Contrast for
 * Self-Supervised Visual Representation Learning", arXiv 2206.10698 (2022).
 *
 *   z = L2norm(projector(representation)), of the second view z' the teacher's
 *   C ← β·C + (1−β)·(1/n) Σ_i z_i z_iᵀ, from nothing; no gradient flows through it
 *   loss = 1 − (1/n) Σ_i z_i·z'_i + ρ·(1/n) Σ_i z_iᵀ C z_i                                       (algorithm 1)
 *   θ' ← λθ' + (1−λ)θ, λ on a cosine to 1
 *
 * stable-pretraining has no teacher (`target: student`), takes the covariance of both views, centred (`covariance:
 * both`), and counts the first term twice: its loss with ρ is twice this one's with ρ/2. With ρ = 0 all embeddings meet
 * in one point.
 */
#include "methods/projector.h"

enum { TARGET_TEACHER, TARGET_STUDENT };
enum { COVARIANCE_FIRST, COVARIANCE_BOTH };

typedef struct tico_options {
    int64_t hidden, features;
    int target, covariance;
    double beta, rho, momentum, final_momentum;
    bool batchnorm;
} tico_options;

typedef struct tico {
    mlp projector, teacher;
    tensor *memory; /* C (f, f) */
} tico;

static bool build(method_model *m, error *err) {
    const tico_options *o = m->options;
    mlp_shape shape = {
        .layers = 2, .in = m->features, .hidden = o->hidden, .out = o->features, .without_norm = !o->batchnorm};
    tico *s = projector_build(m, sizeof *s, shape, err);
    if (!s || !mlp_create(&s->teacher, m->parameters, "teacher.head.projector", shape, err)) return false;
    s->memory = parameters_add(m->parameters, "head.covariance", ROLE_BUFFER, 2, (int64_t[]){o->features, o->features},
                               INIT_VALUE, 0, err);
    return s->memory != NULL;
}

/* z' (n, f). */
static tensor *target(method_model *m, const method_context *context, tape *t, tensor *z) {
    const tico_options *o = m->options;
    const tico *s = m->state;
    int n = m->pairs;
    if (o->target == TARGET_STUDENT) return op_slice_rows(t, z, n, n);
    bool was = tape_set_recording(t, false);
    tensor *all = op_l2_normalize(t, mlp_forward(&s->teacher, t, context->teacher, method_groups(m), true));
    all = op_slice_rows(t, all, n, n);
    tape_set_recording(t, was);
    return all;
}

/* C after this batch, z (2·n, f). */
static tensor *remember(method_model *m, tape *t, tensor *z) {
    const tico_options *o = m->options;
    const tico *s = m->state;
    bool was = tape_set_recording(t, false);
    tensor *rows = o->covariance == COVARIANCE_FIRST ? op_slice_rows(t, z, 0, m->pairs) : z;
    double freedom = (double)batch_size(rows) - (o->covariance == COVARIANCE_BOTH);
    if (o->covariance == COVARIANCE_BOTH) rows = op_sub(t, rows, op_batch_mean(t, rows));
    tensor *batch = op_matmul(t, rows, true, rows, false, (1 - o->beta) / freedom);
    tape_assign(t, s->memory, op_add(t, op_scale(t, s->memory, o->beta), batch));
    tape_set_recording(t, was);
    return s->memory;
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const tico_options *o = m->options;
    int n = m->pairs;
    tensor *z = op_l2_normalize(t, projector_forward(m, t, representations, method_groups(m)));
    tensor *z1 = op_slice_rows(t, z, 0, n);
    tensor *cosines = op_sum(t, op_mul(t, z1, target(m, context, t, z)), AXIS_COLS);
    tensor *invariance = op_affine(t, op_mean(t, cosines, AXIS_ALL), -1, 1);
    tensor *along = op_mul(t, op_matmul(t, z1, false, remember(m, t, z), false, 1), z1);
    tensor *contrast = op_scale(t, op_sum(t, along, AXIS_ALL), 1.0 / n);
    method_report(context, "invariance", invariance);
    method_report(context, "covariance", contrast);
    return op_add(t, invariance, op_scale(t, contrast, o->rho));
}

static void after_step(method_model *m, method_context *context, tape *t) {
    (void)t;
    const tico_options *o = m->options;
    teacher_update(m->parameters, method_cosine(context, "momentum", o->momentum, o->final_momentum));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return op_l2_normalize(t, projector_embed(m, t, representations, training));
}

/* Two views at right angles, and embeddings that vary alike in all directions, C = I/f; a point scores ρ where C is
   about 0, and 0 where it is about the mean. With β = 1 nothing is ever remembered. */
static double chance_loss(const method_model *m) {
    const tico_options *o = m->options;
    return 1 + (o->beta < 1 ? o->rho / (double)o->features : 0);
}

static const char *const targets[] = {"teacher", "student", NULL}, *const covariances[] = {"first", "both", NULL};

#define OFFSET(member) offsetof(tico_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "256", 2, 65536, NULL, true, "width of the projector's output"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true, "BatchNorm in the projector's hidden layer"},
    {"rho", FIELD_REAL, OFFSET(rho), "8", 0, 1e6, NULL, true,
     "weight of the covariance contrast; 0 leaves invariance alone, a control that collapses"},
    {"beta", FIELD_REAL, OFFSET(beta), "0.9", 0, 1, NULL, true, "how much of the covariance is kept at each step"},
    {"covariance", FIELD_CHOICE, OFFSET(covariance), "first", 0, 0, covariances, true,
     "first: of the first view, about 0; both: of both views, about their mean"},
    {"target", FIELD_CHOICE, OFFSET(target), "teacher", 0, 0, targets, true,
     "whose projection of the second view is met: a slow teacher's, or the student's own"},
    {"momentum", FIELD_REAL, OFFSET(momentum), "0.99", 0, 1, NULL, true, "of the teacher, at the first step"},
    {"final_momentum", FIELD_REAL, OFFSET(final_momentum), "1", 0, 1, NULL, true,
     "of the teacher, where its cosine ends"},
};

static const field_condition conditions[] = {
    {"momentum", "target=teacher"},
    {"final_momentum", "target=teacher"},
    {0},
};

const method method_tico = {
    .name = "tico",
    .summary = "views agree, and embeddings avoid the directions of a running covariance",
    .reference = "Zhu et al., 2022",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(tico_options)},
    .conditions = conditions,
    .batch_statistics = true,
    .teacher = true,
    .build = build,
    .destroy = projector_destroy,
    .loss = loss,
    .after_step = after_step,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = projector_attainable,
};

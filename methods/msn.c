/*
 * MSN: a view that has lost patches is to find the prototypes that the whole other view has.
 * Assran et al.: "Masked Siamese Networks for Label-Efficient Learning", ECCV 2022.
 *
 *   z = L2norm(MLP(representation)), student and teacher;  q prototypes of length 1, which both share
 *   p  = softmax(z·q / τ)                    of the student's views, which lose patches (backbone.patch_drop)
 *   p⁺ = softmax(z⁺·q / τ⁺), no gradient      of the teacher's, which are whole: τ⁺ = T·τ sharpens
 *   loss = mean over views and all other views' p⁺ of H(p⁺, p) − λ·(H(p̄) − ln c), p̄ the mean of all p
 *
 * As the authors' code has it p⁺ is balanced by three rounds of Sinkhorn-Knopp, prototypes are spared from decay as
 * biases are (optimizer.exclude), and ln c makes the last term 0 where all prototypes are used alike. There one view is
 * the target and another the anchor; here each of the two global views is both, and the teacher's momentum rises on
 * DINO's cosine and not in a straight line. Without λ and Sinkhorn-Knopp images find few prototypes (collapse-zoo).
 */
#include "methods/method.h"
#include "methods/mlp.h"
#include "methods/multi_crop.h"
#include "methods/sinkhorn.h"

#include <math.h>
#include <stdlib.h>

typedef struct msn_options {
    int64_t hidden, features, prototypes, iterations;
    bool batchnorm, sinkhorn;
    double temperature, sharpening, lambda, momentum, final_momentum;
} msn_options;

typedef struct msn {
    mlp student, teacher;
    tensor *prototypes; /* (c, f) */
} msn;

static bool build(method_model *m, error *err) {
    const msn_options *o = m->options;
    msn *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "msn");
    mlp_shape shape = mlp_dino_head(m->features, o->hidden, o->features, o->batchnorm);
    if (!mlp_create(&s->student, m->parameters, "head.mlp", shape, err) ||
        !mlp_create(&s->teacher, m->parameters, "teacher.head.mlp", shape, err))
        return false;
    s->prototypes =
        parameters_add(m->parameters, "head.prototypes", ROLE_BIAS, 2, (int64_t[]){o->prototypes, o->features},
                       INIT_UNIFORM, 1 / sqrt((double)o->features), err);
    return s->prototypes != NULL;
}

static void destroy(method_model *m) { free(m->state); }

/* log p: of embeddings of length 1, at a temperature. */
static tensor *find_prototypes(const method_model *m, tape *t, tensor *z, double temperature) {
    const msn *s = m->state;
    return op_log_softmax(t, op_matmul(t, z, false, op_l2_normalize(t, s->prototypes), true, 1 / temperature));
}

/* log p of the student's views. */
static tensor *predict(method_model *m, tape *t, tensor *representations, int groups) {
    const msn_options *o = m->options;
    const msn *s = m->state;
    tensor *z = op_l2_normalize(t, mlp_forward(&s->student, t, representations, groups, true));
    return find_prototypes(m, t, z, o->temperature);
}

/* log p⁺ of the teacher's view i, from its embeddings of all views. */
static tensor *target(const method_model *m, tape *t, tensor *z, int i) {
    const msn_options *o = m->options;
    bool was = tape_set_recording(t, false);
    tensor *one = op_slice_rows(t, z, (int64_t)i * m->pairs, m->pairs);
    tensor *log_p = find_prototypes(m, t, one, o->temperature * o->sharpening);
    if (o->sinkhorn) log_p = sinkhorn_knopp(t, log_p, o->iterations);
    tape_set_recording(t, was);
    return log_p;
}

static tensor *teach(method_model *m, method_context *context, tape *t) {
    const msn *s = m->state;
    bool was = tape_set_recording(t, false);
    tensor *z = op_l2_normalize(t, mlp_forward(&s->teacher, t, context->teacher, method_groups(m), true));
    tape_set_recording(t, was);
    return z;
}

/* ln c − H(p̄) */
static tensor *mean_entropy_gap(const method_model *m, tape *t, tensor *log_p) {
    const msn_options *o = m->options;
    tensor *log_mean = op_batch_logmeanexp(t, log_p);
    return op_affine(t, op_sum(t, op_mul(t, op_exp(t, log_mean), log_mean), AXIS_ALL), 1, log((double)o->prototypes));
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const msn_options *o = m->options;
    tensor *z = teach(m, context, t), *targets[MAX_GLOBAL], *local;
    tensor *log_p = multi_crop_project(m, context, t, representations, predict, &local);
    for (int i = 0; i < m->views; i++) targets[i] = target(m, t, z, i);
    tensor *match = multi_crop_cross_entropy(m, t, targets, log_p, local);
    tensor *all = local ? op_concat_rows(t, log_p, local) : log_p;
    tensor *gap = mean_entropy_gap(m, t, all);
    method_report(context, "cross_entropy", match);
    method_report(context, "mean_entropy_gap", gap);
    return op_add(t, match, op_scale(t, gap, o->lambda));
}

static void after_step(method_model *m, method_context *context, tape *t) {
    (void)t;
    const msn_options *o = m->options;
    teacher_update(m->parameters, method_cosine(context, "momentum", o->momentum, o->final_momentum));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    const msn *s = m->state;
    return op_l2_normalize(t, mlp_forward(&s->student, t, representations, 1, training));
}

static int attainable(const method_model *m) { return mlp_attainable(&((const msn *)m->state)->student); }

static tensor *assign(method_model *m, tape *t, tensor *embeddings) {
    return find_prototypes(m, t, embeddings, ((const msn_options *)m->options)->temperature);
}

static int codes(const method_model *m) { return (int)((const msn_options *)m->options)->prototypes; }

/* Every prototype alike: ln c, and no gap. */
static double chance_loss(const method_model *m) { return log((double)((const msn_options *)m->options)->prototypes); }

#define OFFSET(member) offsetof(msn_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "2048", 2, 65536, NULL, true, "width of the head's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "256", 2, 65536, NULL, true, "width of the head's output"},
    {"prototypes", FIELD_INT, OFFSET(prototypes), "1024", 2, 1 << 20, NULL, true, "c: prototypes"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, true, "BatchNorm in the head's hidden layers"},
    {"temperature", FIELD_REAL, OFFSET(temperature), "0.1", 1e-4, 1e3, NULL, true, "tau, of the student's softmax"},
    {"sharpening", FIELD_REAL, OFFSET(sharpening), "0.25", 1e-3, 1e3, NULL, true,
     "T: the teacher's softmax has the temperature T*tau; 1 does not sharpen"},
    {"sinkhorn", FIELD_BOOL, OFFSET(sinkhorn), "true", 0, 0, NULL, true,
     "the teacher's assignments are balanced over the batch"},
    {"iterations", FIELD_INT, OFFSET(iterations), "3", 1, 1000, NULL, true, "rounds of Sinkhorn-Knopp"},
    {"lambda", FIELD_REAL, OFFSET(lambda), "1", 0, 1e6, NULL, true,
     "weight of the entropy of the mean prediction; 0 without sinkhorn is a control that collapses"},
    {"momentum", FIELD_REAL, OFFSET(momentum), "0.996", 0, 1, NULL, true, "of the teacher, at the first step"},
    {"final_momentum", FIELD_REAL, OFFSET(final_momentum), "1", 0, 1, NULL, true,
     "of the teacher, where its cosine ends"},
};

static const field_condition conditions[] = {{"iterations", "sinkhorn=true"}, {0}};

const method method_msn = {
    .name = "msn",
    .summary = "views that lost patches find the prototypes of the teacher's whole ones; multi-crop",
    .reference = "Assran et al., ECCV 2022",
    .conditions = conditions,
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(msn_options)},
    .batch_statistics = true,
    .teacher = true,
    .local_views = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .after_step = after_step,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = attainable,
    .assign = assign,
    .codes = codes,
};

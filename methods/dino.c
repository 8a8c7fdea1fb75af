/*
 * DINO: self-distillation with no labels; the student predicts the teacher's centred and sharpened output.
 * Caron et al.: "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021.
 *
 *   g = Linear_weightnorm(L2norm(MLP_GELU(representation)))        student θs and teacher θt
 *   P_s = softmax(g_s / τ_s)                                                                     (eq. 1)
 *   P_t = softmax((g_t − C) / τ_t), no gradient: C centres, a small τ_t sharpens
 *   loss = mean over global views x and all other views x' of −Σ_k P_t(x) log P_s(x')            (eq. 2, 3)
 *   θt ← λθt + (1−λ)θs, λ on a cosine to 1;  C ← mC + (1−m)·mean of g_t over the batch           (eq. 4)
 *
 * The teacher sees global views only. The last layer stays as it was drawn for the first epochs. Without centring the
 * output collapses to one prototype, without sharpening to all of them alike: both are switches.
 */
#include "engine/schedule.h"
#include "methods/method.h"
#include "methods/mlp.h"
#include "methods/multi_crop.h"

#include <math.h>
#include <stdlib.h>

typedef struct dino_options {
    int64_t hidden, features, prototypes, teacher_warmup;
    bool batchnorm, centering, sharpening;
    double temperature, teacher_temperature, teacher_temperature_start, center_momentum, momentum, final_momentum,
        frozen_epochs;
} dino_options;

typedef struct dino_head {
    mlp layers;
    tensor *last; /* (c, f), its rows' lengths divided out */
} dino_head;

typedef struct dino {
    dino_head student, teacher;
    tensor *center; /* (1, c) */
} dino;

static bool add_head(method_model *m, dino_head *head, const char *layers, const char *last, error *err) {
    const dino_options *o = m->options;
    mlp_shape shape = mlp_dino_head(m->features, o->hidden, o->features, o->batchnorm);
    return mlp_create(&head->layers, m->parameters, layers, shape, err) &&
           parameters_linear(m->parameters, last, o->features, o->prototypes, &head->last, NULL, err);
}

static bool build(method_model *m, error *err) {
    const dino_options *o = m->options;
    dino *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "dino");
    if (!add_head(m, &s->student, "head.mlp", "head.last_layer", err) ||
        !add_head(m, &s->teacher, "teacher.head.mlp", "teacher.head.last_layer", err))
        return false;
    s->center =
        parameters_add(m->parameters, "head.center", ROLE_BUFFER, 2, (int64_t[]){1, o->prototypes}, INIT_VALUE, 0, err);
    return s->center != NULL;
}

static void destroy(method_model *m) { free(m->state); }

/* L2norm(MLP(representation)), below the prototypes. */
static tensor *bottleneck(const dino_head *head, tape *t, tensor *x, int groups, bool training) {
    return op_l2_normalize(t, mlp_forward(&head->layers, t, x, groups, training));
}

static tensor *prototypes(const dino_head *head, tape *t, tensor *z, double temperature) {
    return op_matmul(t, z, false, op_l2_normalize(t, head->last), true, 1 / temperature);
}

/* log P_s of the student's views. (eq. 1) */
static tensor *predict(method_model *m, tape *t, tensor *representations, int groups) {
    const dino_options *o = m->options;
    const dino *s = m->state;
    tensor *z = bottleneck(&s->student, t, representations, groups, true);
    return op_log_softmax(t, prototypes(&s->student, t, z, o->temperature));
}

/* τ_t of an epoch: a straight warm-up; not sharpened, the teacher is as warm as the student. */
static double teacher_temperature(const dino_options *o, uint32_t epoch) {
    if (!o->sharpening) return o->temperature;
    return schedule_linear(o->teacher_temperature_start, o->teacher_temperature, epoch, (uint64_t)o->teacher_warmup);
}

/* log P_t of the global views; then the centre follows. (eq. 4) */
static tensor *teach(method_model *m, method_context *context, tape *t) {
    const dino_options *o = m->options;
    const dino *s = m->state;
    bool was = tape_set_recording(t, false);
    tensor *z = bottleneck(&s->teacher, t, context->teacher, method_groups(m), true);
    tensor *g = prototypes(&s->teacher, t, z, 1);
    tensor *centred = o->centering ? op_sub(t, g, s->center) : g;
    tensor *log_p = op_log_softmax(t, op_scale(t, centred, 1 / teacher_temperature(o, context->epoch)));
    tensor *mean = op_scale(t, op_batch_mean(t, g), 1 - o->center_momentum);
    tape_assign(t, s->center, op_add(t, op_scale(t, s->center, o->center_momentum), mean));
    tape_set_recording(t, was);
    return log_p;
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    int n = m->pairs;
    tensor *log_pt = teach(m, context, t), *targets[MAX_GLOBAL], *local;
    tensor *log_ps = multi_crop_project(m, context, t, representations, predict, &local);
    for (int i = 0; i < m->views; i++) targets[i] = op_slice_rows(t, log_pt, (int64_t)i * n, n);
    return multi_crop_cross_entropy(m, t, targets, log_ps, local);
}

static void after_backward(method_model *m, method_context *context, tape *t) {
    (void)t;
    const dino_options *o = m->options;
    dino *s = m->state;
    if (context->epoch < o->frozen_epochs) parameters_hold(s->student.last);
}

static void after_step(method_model *m, method_context *context, tape *t) {
    (void)t;
    const dino_options *o = m->options;
    teacher_update(m->parameters, method_cosine(context, "momentum", o->momentum, o->final_momentum));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    const dino *s = m->state;
    return bottleneck(&s->student, t, representations, 1, training);
}

static int attainable(const method_model *m) { return mlp_attainable(&((const dino *)m->state)->student.layers); }

static tensor *assign(method_model *m, tape *t, tensor *embeddings) {
    const dino *s = m->state;
    return prototypes(&s->student, t, embeddings, ((const dino_options *)m->options)->temperature);
}

static int codes(const method_model *m) { return (int)((const dino_options *)m->options)->prototypes; }

/* Every prototype alike: ln c. */
static double chance_loss(const method_model *m) { return log((double)((const dino_options *)m->options)->prototypes); }

#define OFFSET(member) offsetof(dino_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the head's two hidden layers"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true,
     "width of the bottleneck below the prototypes"},
    {"prototypes", FIELD_INT, OFFSET(prototypes), "1024", 2, 1 << 20, NULL, true, "c: outputs of the head"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "false", 0, 0, NULL, true, "BatchNorm in the head's hidden layers"},
    {"temperature", FIELD_REAL, OFFSET(temperature), "0.1", 1e-4, 1e3, NULL, true, "of the student's softmax"},
    {"teacher_temperature", FIELD_REAL, OFFSET(teacher_temperature), "0.07", 1e-4, 1e3, NULL, true,
     "of the teacher's softmax after warm-up"},
    {"teacher_temperature_start", FIELD_REAL, OFFSET(teacher_temperature_start), "0.04", 1e-4, 1e3, NULL, true,
     "of the teacher's softmax in the first epoch of warm-up"},
    {"teacher_warmup", FIELD_INT, OFFSET(teacher_warmup), "0", 0, 1000000, NULL, true,
     "epochs over which the teacher's temperature goes from its start to its end"},
    {"centering", FIELD_BOOL, OFFSET(centering), "true", 0, 0, NULL, true,
     "false: the teacher's output is not centred, a control that collapses"},
    {"sharpening", FIELD_BOOL, OFFSET(sharpening), "true", 0, 0, NULL, true,
     "false: the teacher's softmax is as warm as the student's, a control that collapses"},
    {"center_momentum", FIELD_REAL, OFFSET(center_momentum), "0.9", 0, 1, NULL, true, "of the centre, per step"},
    {"momentum", FIELD_REAL, OFFSET(momentum), "0.996", 0, 1, NULL, true, "of the teacher, at the first step"},
    {"final_momentum", FIELD_REAL, OFFSET(final_momentum), "1", 0, 1, NULL, true,
     "of the teacher, where its cosine ends"},
    {"frozen_epochs", FIELD_REAL, OFFSET(frozen_epochs), "1", 0, 1e6, NULL, true,
     "epochs in which the last layer stays as it was drawn"},
};

static const field_condition conditions[] = {
    {"teacher_temperature", "sharpening=true"},
    {"teacher_warmup", "sharpening=true"},
    {"teacher_temperature_start", "teacher_warmup!=0"},
    {"center_momentum", "centering=true"},
    {0},
};

const method method_dino = {
    .name = "dino",
    .summary =
        "self-distillation: the teacher's centred and sharpened output predicted from the other views; multi-crop",
    .reference = "Caron et al., ICCV 2021",
    .conditions = conditions,
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(dino_options)},
    .batch_statistics = true,
    .teacher = true,
    .local_views = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .after_backward = after_backward,
    .after_step = after_step,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = attainable,
    .assign = assign,
    .codes = codes,
};

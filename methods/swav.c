/*
 * SwAV: predict a view's cluster assignment from another view, the assignments balanced over the batch.
 * Caron et al.: "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020.
 *
 *   z = L2norm(projector(representation)),  s = zᵀC,  C the prototypes, of length 1
 *   q = Sinkhorn-Knopp(s): max Tr(Qᵀ s) + ε H(Q) over assignments that use all prototypes alike     (eq. 3–5)
 *   p = softmax(s / T),  ℓ(z_t, q_s) = −Σ_k q_s log p_t                                             (eq. 2)
 *   loss = mean over global views s and all other views t of ℓ(z_t, q_s)                            (eq. 1, 6)
 *
 * No gradient flows through q. Sinkhorn-Knopp runs on logarithms, so that no ε overflows. A queue of past embeddings
 * joins the batch's own in Sinkhorn-Knopp, from a set epoch on and once it is full (it fills from the first step; the
 * authors' fills from that epoch). solo-learn's joins from that epoch on whether it is full or not, its rows still zero
 * beside the others (`queue_zeros`). Prototypes are brought to length 1
 * before each forward pass (the authors' code) or are weights whose length is divided out (solo-learn).
 */
#include "methods/method.h"
#include "methods/mlp.h"
#include "methods/multi_crop.h"
#include "methods/sinkhorn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NORMALIZE_BEFORE, NORMALIZE_WEIGHT };

typedef struct swav_options {
    int64_t hidden, features, prototypes, iterations, queue;
    int normalize;
    bool sinkhorn, queue_zeros;
    double temperature, epsilon, queue_start, frozen_epochs;
} swav_options;

typedef struct swav {
    mlp projector;
    tensor *prototypes, *queue[MAX_GLOBAL]; /* (c, f); (queue, f), newest rows first, one for each global view */
} swav;

static bool add_queue(method_model *m, error *err) {
    const swav_options *o = m->options;
    swav *s = m->state;
    if (o->queue % m->pairs)
        return error_set(
            err, ERROR_USAGE, "method.queue %lld must be a multiple of train.batch %d; the nearest is %lld",
            (long long)o->queue, m->pairs,
            (long long)((o->queue + m->pairs / 2) / m->pairs ? (o->queue + m->pairs / 2) / m->pairs : 1) * m->pairs);
    for (int i = 0; o->queue && i < MAX_GLOBAL; i++) {
        char name[32];
        snprintf(name, sizeof name, "head.queue.%d", i);
        s->queue[i] =
            parameters_add(m->parameters, name, ROLE_BUFFER, 2, (int64_t[]){o->queue, o->features}, INIT_VALUE, 0, err);
        if (!s->queue[i]) return false;
    }
    return true;
}

static bool build(method_model *m, error *err) {
    const swav_options *o = m->options;
    swav *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "swav");
    mlp_shape projector = {.layers = 2, .in = m->features, .hidden = o->hidden, .out = o->features};
    return mlp_create(&s->projector, m->parameters, "head.projector", projector, err) &&
           parameters_linear(m->parameters, "head.prototypes", o->features, o->prototypes, &s->prototypes, NULL, err) &&
           add_queue(m, err);
}

static void destroy(method_model *m) { free(m->state); }

static void before_forward(method_model *m, method_context *context, tape *t) {
    (void)context;
    const swav_options *o = m->options;
    swav *s = m->state;
    if (o->normalize == NORMALIZE_BEFORE) tape_assign(t, s->prototypes, op_l2_normalize(t, s->prototypes));
}

static void after_backward(method_model *m, method_context *context, tape *t) {
    (void)t;
    const swav_options *o = m->options;
    swav *s = m->state;
    if (context->epoch < o->frozen_epochs) parameters_hold(s->prototypes);
}

static tensor *project(method_model *m, tape *t, tensor *representations, int groups, bool training) {
    const swav *s = m->state;
    return op_l2_normalize(t, mlp_forward(&s->projector, t, representations, groups, training));
}

/* s = zᵀC / temperature */
static tensor *scores(method_model *m, tape *t, tensor *z, double temperature) {
    const swav_options *o = m->options;
    const swav *s = m->state;
    tensor *c = o->normalize == NORMALIZE_WEIGHT ? op_l2_normalize(t, s->prototypes) : s->prototypes;
    return op_matmul(t, z, false, c, true, 1 / temperature);
}

/* log q of global view i from its embeddings z (n, f), which then enter the queue. */
static tensor *balanced_assignment(method_model *m, method_context *context, tape *t, tensor *z, int i) {
    const swav_options *o = m->options;
    swav *s = m->state;
    int64_t n = m->pairs;
    bool was = tape_set_recording(t, false);
    bool full = o->queue_zeros || context->step * (uint64_t)n >= (uint64_t)o->queue, queued = o->queue && full;
    bool used = queued && context->epoch >= o->queue_start;
    tensor *log_q = scores(m, t, used ? op_concat_rows(t, z, s->queue[i]) : z, o->epsilon);
    log_q = o->sinkhorn ? sinkhorn_knopp(t, log_q, o->iterations) : op_log_softmax(t, log_q);
    if (used) log_q = op_slice_rows(t, log_q, 0, n);
    if (o->queue > n)
        tape_assign(t, s->queue[i], op_concat_rows(t, z, op_slice_rows(t, s->queue[i], 0, o->queue - n)));
    else if (o->queue)
        tape_assign(t, s->queue[i], z);
    tape_set_recording(t, was);
    return log_q;
}

static tensor *train_head(method_model *m, tape *t, tensor *z, int groups) { return project(m, t, z, groups, true); }

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const swav_options *o = m->options;
    int n = m->pairs;
    tensor *local, *log_q[MAX_GLOBAL], *z = multi_crop_project(m, context, t, representations, train_head, &local);
    tensor *log_p = op_log_softmax(t, scores(m, t, z, o->temperature));
    if (local) local = op_log_softmax(t, scores(m, t, local, o->temperature));
    for (int i = 0; i < m->views; i++)
        log_q[i] = balanced_assignment(m, context, t, tape_stop_gradient(t, op_slice_rows(t, z, i * n, n)), i);
    return multi_crop_cross_entropy(m, t, log_q, log_p, local);
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return project(m, t, representations, 1, training);
}

static int attainable(const method_model *m) { return mlp_attainable(&((const swav *)m->state)->projector); }

static tensor *assign(method_model *m, tape *t, tensor *embeddings) {
    const swav_options *o = m->options;
    const swav *s = m->state; /* of length 1 whatever the last step has made of them */
    return op_matmul(t, embeddings, false, op_l2_normalize(t, s->prototypes), true, 1 / o->temperature);
}

static int codes(const method_model *m) { return (int)((const swav_options *)m->options)->prototypes; }

/* Each of c prototypes is to take 1/c of the samples: with fewer samples than prototypes, less than one. */
static void caution(const method_model *m, char *line, size_t size) {
    const swav_options *o = m->options;
    long long samples = (long long)m->pairs + o->queue;
    *line = '\0';
    if (!o->sinkhorn || o->prototypes <= samples) return;
    snprintf(
        line, size,
        "method.prototypes %lld are more than the %lld samples (train.batch %d, method.queue %lld) that are shared "
        "out among them alike: take fewer, or a method.queue of %lld",
        (long long)o->prototypes, samples, m->pairs, (long long)o->queue,
        (long long)((o->prototypes + m->pairs - 1) / m->pairs - 1) * m->pairs);
}

/* Every prototype alike: ln c. */
static double chance_loss(const method_model *m) { return log((double)((const swav_options *)m->options)->prototypes); }

static const char *const normalizations[] = {"before", "weight", NULL};

#define OFFSET(member) offsetof(swav_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the projector's output"},
    {"prototypes", FIELD_INT, OFFSET(prototypes), "512", 2, 1 << 20, NULL, true, "c: prototypes"},
    {"temperature", FIELD_REAL, OFFSET(temperature), "0.1", 1e-4, 1e3, NULL, true, "T of the predicted assignments"},
    {"sinkhorn", FIELD_BOOL, OFFSET(sinkhorn), "true", 0, 0, NULL, true,
     "false: targets are softmax(scores / epsilon), not balanced over prototypes; a control that collapses"},
    {"epsilon", FIELD_REAL, OFFSET(epsilon), "0.05", 1e-6, 1e3, NULL, true, "smoothness of the balanced assignments"},
    {"iterations", FIELD_INT, OFFSET(iterations), "3", 1, 1000, NULL, true, "of Sinkhorn-Knopp"},
    {"queue", FIELD_INT, OFFSET(queue), "0", 0, 1 << 24, NULL, true,
     "past embeddings that join Sinkhorn-Knopp, a multiple of train.batch; 0 = none"},
    {"queue_start", FIELD_REAL, OFFSET(queue_start), "15", 0, 1e6, NULL, true,
     "epoch from which the queue is used, once it is full"},
    {"queue_zeros", FIELD_BOOL, OFFSET(queue_zeros), "false", 0, 0, NULL, IDENTITY_IF_SET,
     "true: the queue joins before it is full, with rows of zeros, as solo-learn has it"},
    {"frozen_epochs", FIELD_REAL, OFFSET(frozen_epochs), "1", 0, 1e6, NULL, true,
     "epochs in which the prototypes stay as they were drawn"},
    {"normalize", FIELD_CHOICE, OFFSET(normalize), "before", 0, 0, normalizations, true,
     "prototypes brought to length 1 before each forward pass (original), or weight-normalised (solo-learn)"},
};

static const field_condition conditions[] = {
    {"iterations", "sinkhorn=true"},
    {"queue", "sinkhorn=true"},
    {"queue_start", "queue!=0"},
    {"queue_zeros", "queue!=0"},
    {0},
};

const method method_swav = {
    .name = "swav",
    .summary = "a view's balanced prototype assignment predicted from the other views; multi-crop",
    .reference = "Caron et al., NeurIPS 2020",
    .conditions = conditions,
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(swav_options)},
    .batch_statistics = true,
    .local_views = true,
    .build = build,
    .destroy = destroy,
    .before_forward = before_forward,
    .after_backward = after_backward,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
    .caution = caution,
    .attainable = attainable,
    .assign = assign,
    .codes = codes,
};

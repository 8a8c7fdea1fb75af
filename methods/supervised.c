/*
 * Supervised learning: cross-entropy on labels, over the same backbone, data and augmentations. Not a method of the
 * bench but the reference row of its tables: what the backbone can do at this scale when it is told the answer.
 *
 *   p = softmax(Linear(representation)),  loss = −(1/n) Σ_i log p_i,label(i), averaged over the views
 */
#include "methods/method.h"

#include <math.h>
#include <stdlib.h>

typedef struct supervised_options {
    double smoothing;
} supervised_options;

typedef struct supervised {
    tensor *weight, *bias;
} supervised;

static bool build(method_model *m, error *err) {
    supervised *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "supervised");
    return parameters_linear(m->parameters, "head.classifier", m->features, m->classes, &s->weight, &s->bias, err);
}

static void destroy(method_model *m) { free(m->state); }

static tensor *assign(method_model *m, tape *t, tensor *representations) {
    const supervised *s = m->state;
    return op_linear(t, representations, s->weight, s->bias);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const supervised_options *o = m->options;
    tensor *y = op_affine(t, context->labels, 1 - o->smoothing, o->smoothing / m->classes);
    if (m->views == 2) y = op_concat_rows(t, y, y);
    tensor *log_p = op_log_softmax(t, assign(m, t, representations));
    return op_scale(t, op_mean(t, op_sum(t, op_mul(t, y, log_p), AXIS_COLS), AXIS_ALL), -1);
}

/* There is no projector: collapse is measured on the representations themselves. */
static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    (void)m, (void)training;
    return op_scale(t, representations, 1);
}

static int codes(const method_model *m) { return m->classes; }

/* Every class alike. */
static double chance_loss(const method_model *m) { return log(m->classes); }

#define OFFSET(member) offsetof(supervised_options, member)
static const field rows[] = {
    {"smoothing", FIELD_REAL, OFFSET(smoothing), "0", 0, 0.99, NULL, true,
     "share of a label's weight that is spread over all classes"},
};

const method method_supervised = {
    .name = "supervised",
    .summary = "cross-entropy on the labels: the reference row of tables, no self-supervision",
    .reference = "the bench's own",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(supervised_options)},
    .labels = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .embed = embed,
    .chance_loss = chance_loss,
    .assign = assign,
    .codes = codes,
};

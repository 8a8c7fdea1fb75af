/*
 * Self-Classifier: labels and representations learned together by one cross-entropy between two views' class
 * posteriors, into which a uniform prior over classes and over samples is written, so that no degenerate labelling is
 * an optimum. Gradients flow into both sides.
 * Amrani, Karlinsky, Bronstein: "Self-Supervised Classification Network", ECCV 2022 (arXiv 2103.10994), with the
 * authors' code: one classifier, two global views; their nearest-neighbour queue and local crops are not here.
 *
 *   head        z = L2norm(Linear(LeakyReLU(Linear(representations)))), class scores s_y = g_y·⟨z, w_y/‖w_y‖⟩
 *   p(y|x) = softmax over classes of s/τ_row,   p(x|y) = softmax over the batch of s/τ_column
 *   ℓ(x₁,x₂) = −(1/n) Σ_i Σ_y  p(x₂|y)/Σ_y' p(x₂|y')  ·  log( (n/c)·p(y|x₁) / Σ_x p(y|x) )   (Bayes' law)
 *   loss = ½·ℓ(x₁,x₂) + ½·ℓ(x₂,x₁)
 */
#include "methods/method.h"
#include "methods/mlp.h"

#include <math.h>
#include <stdlib.h>

typedef struct self_classifier_options {
    int64_t hidden, features, classes;
    double row_temperature, column_temperature;
    bool batchnorm, gain;
} self_classifier_options;

typedef struct self_classifier {
    mlp layers;
    tensor *classifier, *gain; /* (c, features); (1, c) */
} self_classifier;

static bool build(method_model *m, error *err) {
    const self_classifier_options *o = m->options;
    self_classifier *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "self_classifier");
    parameters *p = m->parameters;
    mlp_shape shape = {.layers = 2,
                       .in = m->features,
                       .hidden = o->hidden,
                       .out = o->features,
                       .without_norm = !o->batchnorm,
                       .leak = 0.01,
                       .deviation = 0.02}; /* the authors' start */
    if (!mlp_create(&s->layers, p, "head.mlp", shape, err) ||
        !parameters_linear(p, "head.classifier", o->features, o->classes, &s->classifier, NULL, err))
        return false;
    if (!o->gain) return true;
    s->gain = parameters_add(p, "head.classifier.gain", ROLE_BIAS, 2, (int64_t[]){1, o->classes}, INIT_VALUE, 1, err);
    return s->gain != NULL;
}

static void destroy(method_model *m) { free(m->state); }

static tensor *project(const self_classifier *s, tape *t, tensor *x, int groups, bool training) {
    return op_l2_normalize(t, mlp_forward(&s->layers, t, x, groups, training));
}

static tensor *assign(method_model *m, tape *t, tensor *z) {
    const self_classifier *s = m->state;
    tensor *scores = op_matmul(t, z, false, op_l2_normalize(t, s->classifier), true, 1);
    return s->gain ? op_mul(t, scores, s->gain) : scores;
}

/* log( p(x|y) / Σ_y' p(x|y') ): how the classes share a sample, each class having spread itself over the batch. */
static tensor *target(tape *t, tensor *scores, double temperature) {
    tensor *scaled = op_scale(t, scores, 1 / temperature);
    return op_log_softmax(t, op_sub(t, scaled, op_batch_logmeanexp(t, scaled)));
}

/* log( (n/c)·p(y|x) / Σ_x p(y|x) ) = log p(y|x) − log( c·mean_x p(y|x) ) */
static tensor *prediction(tape *t, tensor *scores, double temperature, double c) {
    tensor *log_p = op_log_softmax(t, op_scale(t, scores, 1 / temperature));
    return op_affine(t, op_sub(t, log_p, op_batch_logmeanexp(t, log_p)), 1, -log(c));
}

static tensor *objective(method_model *m, method_context *context, tape *t, tensor *z) {
    const self_classifier_options *o = m->options;
    int n = m->pairs;
    double row = o->row_temperature, column = o->column_temperature, c = (double)o->classes;
    (void)context;
    tensor *scores = assign(m, t, z);
    tensor *s1 = op_slice_rows(t, scores, 0, n), *s2 = op_slice_rows(t, scores, n, n);
    tensor *l12 = op_soft_cross_entropy(t, target(t, s2, column), prediction(t, s1, row, c));
    tensor *l21 = op_soft_cross_entropy(t, target(t, s1, column), prediction(t, s2, row, c));
    return op_scale(t, op_add(t, l12, l21), 0.5);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    return objective(m, context, t, project(m->state, t, representations, method_groups(m), true));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return project(m->state, t, representations, 1, training);
}

static int attainable(const method_model *m) { return mlp_attainable(&((const self_classifier *)m->state)->layers); }

static int codes(const method_model *m) { return (int)((const self_classifier_options *)m->options)->classes; }

/* Every class alike: ln c. */
static double chance_loss(const method_model *m) {
    return log((double)((const self_classifier_options *)m->options)->classes);
}

#define OFFSET(member) offsetof(self_classifier_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the head's hidden layer"},
    {"features", FIELD_INT, OFFSET(features), "128", 2, 65536, NULL, true, "width of the head's normalised output"},
    {"classes", FIELD_INT, OFFSET(classes), "128", 2, 1 << 20, NULL, true, "c: classes that are found"},
    {"row_temperature", FIELD_REAL, OFFSET(row_temperature), "0.1", 1e-3, 100, NULL, true,
     "tau of the softmax over classes"},
    {"column_temperature", FIELD_REAL, OFFSET(column_temperature), "0.05", 1e-3, 100, NULL, true,
     "tau of the softmax over the batch"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "false", 0, 0, NULL, true, "BatchNorm in the head"},
    {"gain", FIELD_BOOL, OFFSET(gain), "true", 0, 0, NULL, true,
     "a trained length for each class (the authors' weight normalisation); false: cosines"},
};

const method method_self_classifier = {
    .name = "self_classifier",
    .summary = "one cross-entropy between two views' classes with a uniform prior written into it",
    .reference = "Amrani et al., ECCV 2022",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(self_classifier_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .objective = objective,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = attainable,
    .assign = assign,
    .codes = codes,
};

/*
 * GEDI's objective without the generative part ("GEDI no gen"): clusters by a learned softmax, assignments that agree
 * across views, and a prior that spreads the batch over the clusters.
 * Sansone & Manhaeve: "GEDI: GEnerative and DIscriminative Training for Self-Supervised Learning", arXiv 2212.13425,
 * in the form of the code published with CPLearn (ICML 2025), which is asymmetric: the prior acts on the first view.
 *
 *   projector   logits = Linear(ReLU(BN(Linear(representations)))) / T;   p, p' = softmax of the first, second view
 *   prior       −Σ_j log p̄_j, p̄ the batch's mean of p: cross-entropy to the uniform prior times c
 *   invariance  −(1/n) Σ_i Σ_j p'_ij log p_ij
 *   loss = ½·prior + ½·β·invariance
 *
 * It can collapse: the prior leaves the second view free. With every second view in one cluster and every first view at
 * (1 + β)/(c + β) for that cluster and 1/(c + β) for each other, whatever the image, the loss stands at a minimum,
 * ½·((c + β)·log(c + β) − (1 + β)·log(1 + β)). The larger β beside c, the deeper it is.
 */
#include "methods/method.h"
#include "methods/mlp.h"

#include <math.h>
#include <stdlib.h>

typedef struct gedi_options {
    int64_t hidden, clusters;
    double temperature, beta;
} gedi_options;

typedef struct gedi {
    mlp projector;
} gedi;

static bool build(method_model *m, error *err) {
    const gedi_options *o = m->options;
    gedi *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "gedi");
    mlp_shape shape = {.layers = 2, .in = m->features, .hidden = o->hidden, .out = o->clusters};
    return mlp_create(&s->projector, m->parameters, "head.projector", shape, err);
}

static void destroy(method_model *m) { free(m->state); }

/* The projector's last layer, over T. */
static tensor *assign(method_model *m, tape *t, tensor *h) {
    const gedi_options *o = m->options;
    const gedi *s = m->state;
    return op_scale(t, op_linear(t, h, s->projector.weight[1], s->projector.bias[1]), 1 / o->temperature);
}

static tensor *objective(method_model *m, method_context *context, tape *t, tensor *h) {
    const gedi_options *o = m->options;
    int n = m->pairs;
    tensor *log_p = op_log_softmax(t, assign(m, t, h));
    tensor *log_p1 = op_slice_rows(t, log_p, 0, n), *log_p2 = op_slice_rows(t, log_p, n, n);
    tensor *prior = op_scale(t, op_sum(t, op_batch_logmeanexp(t, log_p1), AXIS_ALL), -1);
    tensor *invariance = op_soft_cross_entropy(t, log_p2, log_p1);
    method_report(context, "prior", prior);
    method_report(context, "invariance", invariance);
    return op_scale(t, op_add(t, prior, op_scale(t, invariance, o->beta)), 0.5);
}

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    const gedi *s = m->state;
    return objective(m, context, t, mlp_hidden(&s->projector, t, representations, method_groups(m), true));
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    const gedi *s = m->state;
    return mlp_hidden(&s->projector, t, representations, 1, training);
}

static int codes(const method_model *m) { return (int)((const gedi_options *)m->options)->clusters; }

/* Every cluster alike: c·ln c of the prior, ln c of the invariance. */
static double chance_loss(const method_model *m) {
    const gedi_options *o = m->options;
    return 0.5 * ((double)o->clusters + o->beta) * log((double)o->clusters);
}

#define OFFSET(member) offsetof(gedi_options, member)
static const field rows[] = {
    {"hidden", FIELD_INT, OFFSET(hidden), "512", 2, 65536, NULL, true, "width of the projector's hidden layer"},
    {"clusters", FIELD_INT, OFFSET(clusters), "512", 2, 1 << 20, NULL, true, "c: width of the projector's output"},
    {"temperature", FIELD_REAL, OFFSET(temperature), "0.1", 1e-3, 100, NULL, true, "T, of the softmax over clusters"},
    {"beta", FIELD_REAL, OFFSET(beta), "0.1", 0, 1e6, NULL, true, "weight of invariance against the prior"},
};

const method method_gedi = {
    .name = "gedi",
    .summary = "learned clusters, invariance of assignments and a uniform prior (no generative part)",
    .reference = "Sansone & Manhaeve, arXiv 2212.13425; code of CPLearn, ICML 2025",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(gedi_options)},
    .batch_statistics = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .objective = objective,
    .embed = embed,
    .chance_loss = chance_loss,
    .assign = assign,
    .codes = codes,
};

/*
 * FALCON, published as CPLearn: non-contrastive learning whose optimum rules out the four collapses by design.
 * Sansone, Lebailly, Tuytelaars: "Failure-Proof Non-Contrastive Self-Supervised Learning", arXiv 2410.04959v1/v2;
 * "Collapse-Proof Non-Contrastive Self-Supervised Learning", ICML 2025 (v3/v4).
 *
 *   projector   H = √(f/n)·L2norm(BN(Linear(Z)))      (preprint)   or tanh(BN(Linear(Z)))   (ICML code)
 *   codes       W ∈ {−1,+1}^{f×c}, Rademacher, frozen; or another dictionary of engine/codes.h
 *   P = softmax(H W / τ),  τ = f / (√n · log((1 − ε(c−1))/ε))
 *   loss        −(β/n) Σ_i Σ_j p_ij log p'_ij  +  prior(p̄, uniform),  p̄ the batch's mean assignment
 *   multi-crop  (the ImageNet-100 runs): p of a global view against p' of the other one and of every local view
 *
 * With that τ a row of H that is aligned with a code orthogonal to all others puts exactly 1 − ε(c−1) on it. The loss
 * is one op, which streams over the codes: an (n, c) matrix of a million codes would not fit. With `shard_codes` each
 * of several processes takes its share of the columns, for the rows of all of them.
 */
#include "engine/codes.h"
#include "methods/method.h"
#include "methods/multi_crop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROJECTOR_L2, PROJECTOR_TANH };
enum { PRIOR_FORWARD, PRIOR_REVERSE };

typedef struct falcon_options {
    int projector, prior, dictionary;
    bool symmetric, batchnorm, shard_codes;
    int64_t features, codes, memory;
    double beta, epsilon;
} falcon_options;

typedef struct falcon {
    tensor *weight, *bias;
    batchnorm norm;
    dictionary dictionary;
    double tau, radius; /* radius: length of a row of H under the L2 projector */
} falcon;

static bool build(method_model *m, error *err) {
    const falcon_options *o = m->options;
    double f = (double)o->features, c = (double)o->codes, n = m->pairs, eps = o->epsilon;
    /* At ε = 1/c the code's share, 1 − ε(c−1), is no larger than its rivals': τ is infinite, and negative beyond. */
    if (eps * c >= 1)
        return error_set(err, ERROR_USAGE,
                         "method.epsilon %g leaves a code no more than its rivals with method.codes %.0f: epsilon * "
                         "codes must stay below 1, so take epsilon below %.3g",
                         eps, c, 1 / c);
    falcon *s = m->state = calloc(1, sizeof *s);
    if (!s) return error_memory(err, sizeof *s, "falcon");
    s->tau = f / (sqrt(n) * log((1 - eps * (c - 1)) / eps));
    s->radius = sqrt(f / n);
    if (!parameters_linear(m->parameters, "head.projector.0", m->features, o->features, &s->weight, &s->bias, err) ||
        (o->batchnorm && !parameters_batchnorm(m->parameters, "head.projector.1", o->features, true, &s->norm, err)))
        return false;
    if (dictionary_create(&s->dictionary, m->parameters, "head.dictionary", (dictionary_law)o->dictionary, o->features,
                          o->codes, o->shard_codes, err))
        return true;
    return o->shard_codes && err->code == ERROR_USAGE ? error_prefix(err, "method.shard_codes") : false;
}

static void destroy(method_model *m) { free(m->state); }

/*
 * The least loss under the forward prior of images whose codes are `taken` ones, alike: each row has a share on its
 * code and the rest on all others evenly. The cross-entropy looks at every code alike, so where c ≫ n it is made of the
 * c − n codes that no image of a batch can have, and what is left is nearly the same for one code and for n.
 */
static double least_forward_loss(double c, double taken, double beta) {
    double least = INFINITY;
    for (double decade = -12; decade < 0; decade += 0.005) {
        double rest = pow(10, decade), own = 1 - rest, other = rest / (c - 1);
        double peak = own / taken + (taken - 1) / taken * other;
        double invariance = -own * log(own) - rest * log(other);
        double prior = -taken / c * log(peak) - (c - taken) / c * log(other);
        least = fmin(least, beta * invariance + prior);
    }
    return least;
}

static void caution(const method_model *m, char *line, size_t size) {
    const falcon_options *o = m->options;
    const falcon *s = m->state;
    double c = (double)o->codes, n = m->pairs, chance = (o->beta + 1) * log(c);
    double point = least_forward_loss(c, 1, o->beta), apart = least_forward_loss(c, fmin(n, c), o->beta);
    if (o->shard_codes && !s->dictionary.split)
        snprintf(line, size, "method.shard_codes: one process has all %lld codes; `mpirun -n K` shares them among K",
                 (long long)o->codes);
    else if (o->prior == PRIOR_FORWARD && point - apart < 0.25 * (chance - apart))
        snprintf(line, size,
                 "method.prior forward, %.0f codes, batches of %.0f: images that all have one code may have a loss of "
                 "%.2f, images of a code each %.2f, and outputs that tell nothing %.2f, so little keeps the codes in "
                 "use; `reverse` does",
                 c, n, point, apart, chance);
}

static tensor *project(method_model *m, tape *t, tensor *z, int groups, bool training) {
    const falcon_options *o = m->options;
    falcon *s = m->state;
    tensor *h = op_linear(t, z, s->weight, s->bias);
    if (o->batchnorm) h = op_batchnorm(t, h, &s->norm, NULL, false, groups, training);
    return o->projector == PROJECTOR_L2 ? op_scale(t, op_l2_normalize(t, h), s->radius) : op_tanh(t, h);
}

static tensor *assign(method_model *m, tape *t, tensor *h) {
    const falcon *s = m->state;
    return op_code_logits(t, h, &s->dictionary, 1 / s->tau);
}

/* Σ_l −(1/n) Σ_i Σ_j p_ij log p^l_ij of one global view's h (n, f) against every local view in `local` (L·n, f); the
   prior is the global views' affair. */
static tensor *match_local(method_model *m, tape *t, tensor *h, tensor *local, code_match with) {
    const falcon *s = m->state;
    tensor *sum = NULL;
    with.symmetric = false;
    for (int l = 0; l < m->locals; l++) {
        tensor *pair = op_concat_rows(t, h, op_slice_rows(t, local, (int64_t)l * m->pairs, m->pairs));
        tensor *one = op_slice_rows(t, op_code_match(t, pair, &s->dictionary, with), 0, 1);
        sum = sum ? op_add(t, sum, one) : one;
    }
    return sum;
}

/* The loss from embeddings of the global views (2n, f) and, unless NULL, of the local ones. Invariance is the mean over
   ordered pairs of a global view (the first alone unless `symmetric`) and another view. */
static tensor *match(method_model *m, method_context *context, tape *t, tensor *h, tensor *local) {
    const falcon_options *o = m->options;
    const falcon *s = m->state;
    int sources = o->symmetric ? 2 : 1;
    code_match with = {.alpha = 1 / s->tau,
                       .reverse = o->prior == PRIOR_REVERSE,
                       .symmetric = o->symmetric,
                       .memory = o->memory << 20};
    tensor *parts = op_code_match(t, h, &s->dictionary, with);
    tensor *invariance = op_slice_rows(t, parts, 0, 1), *prior = op_slice_rows(t, parts, 1, 1);
    for (int g = 0; local && g < sources; g++) {
        tensor *view = op_slice_rows(t, h, (int64_t)g * m->pairs, m->pairs);
        invariance = op_add(t, invariance, op_scale(t, match_local(m, t, view, local, with), 1.0 / sources));
    }
    if (local) invariance = op_scale(t, invariance, 1.0 / (1 + m->locals));
    method_report(context, "invariance", invariance);
    method_report(context, "prior", prior);
    return op_add(t, op_scale(t, invariance, o->beta), prior);
}

static tensor *objective(method_model *m, method_context *context, tape *t, tensor *h) {
    return match(m, context, t, h, NULL);
}

static tensor *train_head(method_model *m, tape *t, tensor *z, int groups) { return project(m, t, z, groups, true); }

static tensor *loss(method_model *m, method_context *context, tape *t, tensor *representations) {
    tensor *local, *h = multi_crop_project(m, context, t, representations, train_head, &local);
    return match(m, context, t, h, local);
}

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    return project(m, t, representations, 1, training);
}

/* The projector is linear up to a row's length, so it spans no more than the backbone does; tanh lifts that. */
static int attainable(const method_model *m) {
    const falcon_options *o = m->options;
    return o->projector == PROJECTOR_L2 && m->features < o->features ? m->features : (int)o->features;
}

static int codes(const method_model *m) { return (int)((const falcon_options *)m->options)->codes; }

/* Every code alike: the invariance is ln c, and so is the forward prior, the entropy of what it is held against. */
static double chance_loss(const method_model *m) {
    const falcon_options *o = m->options;
    return (o->beta + (o->prior == PRIOR_FORWARD)) * log((double)o->codes);
}

static const char *const projectors[] = {"l2", "tanh", NULL};
static const char *const priors[] = {"forward", "reverse", NULL};

#define OFFSET(member) offsetof(falcon_options, member)
static const field rows[] = {
    {"projector", FIELD_CHOICE, OFFSET(projector), "l2", 0, 0, projectors, true,
     "l2: rows of length sqrt(f/n) (preprint); tanh: ICML code"},
    {"prior", FIELD_CHOICE, OFFSET(prior), "reverse", 0, 0, priors, true,
     "forward: cross-entropy to the uniform prior (preprint); reverse: KL from it (ICML code)"},
    {"symmetric", FIELD_BOOL, OFFSET(symmetric), "true", 0, 0, NULL, true,
     "average the loss over both orders of the views"},
    {"batchnorm", FIELD_BOOL, OFFSET(batchnorm), "true", 0, 0, NULL, IDENTITY_IF_SET,
     "false: no BatchNorm in the projector, as a control"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, true, "f: width of the projector"},
    {"codes", FIELD_INT, OFFSET(codes), "2048", 2, 1 << 20, NULL, true, "c: codes in the dictionary"},
    {"dictionary", FIELD_CHOICE, OFFSET(dictionary), "rademacher", 0, 0, dictionary_names, true,
     "codes: random signs; hadamard: fast transforms, no matrix, any number; orthogonal: blocks of random rotations; "
     "gaussian; learned: trained from random signs"},
    {"memory", FIELD_INT, OFFSET(memory), "256", 0, 1 << 20, NULL, false,
     "MiB of logits kept for the backward pass; beyond, they are computed again by blocks (to the same bits)"},
    {"shard_codes", FIELD_BOOL, OFFSET(shard_codes), "false", 0, 0, NULL, IDENTITY_IF_SET,
     "under mpirun each process takes its share of the codes, in place of all"},
    {"beta", FIELD_REAL, OFFSET(beta), "1", 0, 1e6, NULL, true, "weight of invariance against the prior"},
    {"epsilon", FIELD_REAL, OFFSET(epsilon), "1e-8", 1e-30, 0.5, NULL, true,
     "probability left to every other code at the optimum; sets the temperature"},
};

const method method_falcon = {
    .name = "falcon",
    .summary = "frozen random codes, invariance of assignments and a uniform prior over codes",
    .reference = "Sansone et al., arXiv 2410.04959 (FALCON); ICML 2025 (CPLearn)",
    .fields = {"method", rows, sizeof rows / sizeof *rows, sizeof(falcon_options)},
    .batch_statistics = true,
    .local_views = true,
    .build = build,
    .destroy = destroy,
    .loss = loss,
    .objective = objective,
    .caution = caution,
    .embed = embed,
    .chance_loss = chance_loss,
    .attainable = attainable,
    .assign = assign,
    .codes = codes,
};

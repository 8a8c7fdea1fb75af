/*
 * Optimisers, with the learning rate's warm-up and decay. With g the gradient and w the parameter:
 *   sgd    v ← μv + (g + λw);  w ← w − lr·v
 *   adam   g ← g + λw;  m ← β₁m + (1−β₁)g;  s ← β₂s + (1−β₂)g²;  w ← w − lr·m̂/(√ŝ + ε)      (Kingma & Ba 2015)
 *   adamw  as adam with λw taken off apart: w ← w − lr·λ·w                          (Loshchilov & Hutter 2019)
 *   lars   d = (g + λw)·min(η‖w‖/(‖g‖ + λ‖w‖ + 1e-8)/lr, 1);  v ← μv + d;  w ← w − lr·v       (You et al. 2017)
 * Weight decay λ may follow a cosine of its own. A parameter that was held back (parameters_hold) is left as it is, and
 * Adam counts its steps apart, as PyTorch does. LARS's biases and norms take plain momentum without decay. Other
 * optimisers decay every parameter, as PyTorch does, unless optimizer.exclude says otherwise.
 */
#ifndef MEWS_OPTIMIZER_H
#define MEWS_OPTIMIZER_H

#include "engine/fields.h"
#include "engine/parameters.h"

typedef enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW, OPTIMIZER_LARS } optimizer_kind;

typedef struct optimizer_options {
    int name; /* choice: sgd, adam, adamw, lars */
    double lr, weight_decay, momentum, beta1, beta2, eps, trust;
    int exclude;               /* choice auto, yes, no: leave biases and norms out of decay (auto: LARS only) */
    bool trust_clip;           /* LARS: never scale a step up */
    double clip;               /* largest norm of the whole gradient; 0 = none */
    double clip_each;          /* largest norm of each parameter's gradient by itself; 0 = none */
    int schedule;              /* choice: cosine, constant */
    double warmup;             /* epochs of linear warm-up */
    double warmup_start;       /* learning rate at the first step of warm-up */
    bool warmup_full;          /* warm-up's last step has the whole rate, rather than the step after it */
    double final_lr;           /* where the cosine ends */
    double layer_decay;        /* the rate's factor from a transformer's layer to the one below; 1 = none */
    double final_weight_decay; /* where weight decay's cosine ends; −1 = it stays as it is */
} optimizer_options;

extern const field_table optimizer_fields;
extern const field_condition optimizer_conditions[]; /* of keys that only some of them use */

typedef struct optimizer {
    const optimizer_options *options;
    parameters *parameters;
    uint64_t steps;      /* taken so far */
    double weight_decay; /* of the next step: the options' own unless the caller sets it */
} optimizer;

/* Allocates the state (zero). */
bool optimizer_create(optimizer *o, const optimizer_options *options, parameters *p, error *err);

/* The learning rate of step `step` (from 0) of `steps`, `warmup_steps` of them warm-up. Stepped per batch. */
double optimizer_rate(const optimizer_options *o, uint64_t step, uint64_t steps, double warmup_steps);

/* The weight decay of that step: a cosine from weight_decay to final_weight_decay over all of training. */
double optimizer_decay(const optimizer_options *o, uint64_t step, uint64_t steps);

/* The option by which a step depends on how many there are to be: "schedule", "final_weight_decay", or NULL. */
const char *optimizer_by_length(const optimizer_options *o);

/* ‖gradient‖ over all trained parameters; NaN or infinite when any of it is. */
double optimizer_gradient_norm(const parameters *p);

/*
 * One step with learning rate lr on gradients times grad_scale (1/k after k accumulated batches). `norm` is
 * optimizer_gradient_norm's result, for clipping. Parameters of a constant rate (parameters_keep_rate) take the
 * options' own learning rate instead.
 */
void optimizer_step(optimizer *o, double lr, double grad_scale, double norm);

#endif

/*
 * Optimisers, as PyTorch defines them; the formulas stand in the header, the passes over memory in the backend. Here is
 * what is decided once a step: the learning rate, the clipping factor, Adam's bias corrections and LARS' trust ratios.
 * One clipping factor serves all parameters, and it comes with the factor that averages accumulated gradients, so that
 * gradients are read once.
 */
#include "engine/optimizer.h"
#include "engine/schedule.h"

#include <math.h>

static const char *const names[] = {"sgd", "adam", "adamw", "lars", NULL};
static const char *const excludes[] = {"auto", "yes", "no", NULL};
static const char *const schedules[] = {"cosine", "constant", NULL};
enum { EXCLUDE_AUTO, EXCLUDE_YES };
enum { SCHEDULE_COSINE };

#define OFFSET(member) offsetof(optimizer_options, member)
static const field rows[] = {
    {"name", FIELD_CHOICE, OFFSET(name), "adam", 0, 0, names, true, "the optimiser"},
    {"lr", FIELD_REAL, OFFSET(lr), "1e-3", 0, 1e3, NULL, true,
     "learning rate after warm-up, as applied (not scaled by the batch)"},
    {"weight_decay", FIELD_REAL, OFFSET(weight_decay), "1e-4", 0, 1e3, NULL, true,
     "lambda; adamw takes it off apart, the others add it to the gradient"},
    {"momentum", FIELD_REAL, OFFSET(momentum), "0.9", 0, 1, NULL, true, "of sgd and lars"},
    {"beta1", FIELD_REAL, OFFSET(beta1), "0.9", 0, 1, NULL, true, "adam: decay of the gradient's mean"},
    {"beta2", FIELD_REAL, OFFSET(beta2), "0.999", 0, 1, NULL, true, "adam: decay of the gradient's square"},
    {"eps", FIELD_REAL, OFFSET(eps), "1e-8", 0, 1, NULL, true, "adam: added to the root of the square"},
    {"trust", FIELD_REAL, OFFSET(trust), "0.02", 0, 1, NULL, true, "lars: trust coefficient eta"},
    {"trust_clip", FIELD_BOOL, OFFSET(trust_clip), "true", 0, 0, NULL, true, "lars: never scale a step up"},
    {"exclude", FIELD_CHOICE, OFFSET(exclude), "auto", 0, 0, excludes, true,
     "leave biases and norms out of weight decay and trust scaling; auto: lars only"},
    {"clip", FIELD_REAL, OFFSET(clip), "0", 0, 1e9, NULL, true, "largest norm of the whole gradient; 0 = no clipping"},
    {"clip_each", FIELD_REAL, OFFSET(clip_each), "0", 0, 1e9, NULL, true,
     "largest norm of each parameter's gradient by itself, as DINO clips; 0 = no clipping"},
    {"schedule", FIELD_CHOICE, OFFSET(schedule), "cosine", 0, 0, schedules, true,
     "learning rate after warm-up, stepped per batch"},
    {"warmup", FIELD_REAL, OFFSET(warmup), "0", 0, 1e6, NULL, true, "epochs of linear warm-up"},
    {"warmup_start", FIELD_REAL, OFFSET(warmup_start), "3e-5", 0, 1e3, NULL, true,
     "learning rate at the first step of warm-up"},
    {"warmup_full", FIELD_BOOL, OFFSET(warmup_full), "false", 0, 0, NULL, IDENTITY_IF_SET,
     "true: the last step of warm-up has the whole rate (solo-learn, DINO); false: the first step after it"},
    {"final_lr", FIELD_REAL, OFFSET(final_lr), "0", 0, 1e3, NULL, true, "where the cosine ends"},
    {"final_weight_decay", FIELD_REAL, OFFSET(final_weight_decay), "-1", -1, 1e3, NULL, true,
     "where a cosine takes the weight decay in the course of training; -1 = it stays"},
    {"layer_decay", FIELD_REAL, OFFSET(layer_decay), "1.0", 0.01, 1, NULL, IDENTITY_IF_SET,
     "factor of the learning rate from one layer of a transformer to the one below (BEiT; DINOv2 0.9); 1 = none"},
};
const field_condition optimizer_conditions[] = {
    {"momentum", "name=sgd|lars"},   {"beta1", "name=adam|adamw"},
    {"beta2", "name=adam|adamw"},    {"eps", "name=adam|adamw"},
    {"trust", "name=lars"},          {"trust_clip", "name=lars"},
    {"warmup_start", "warmup!=0"},   {"warmup_full", "warmup!=0"},
    {"final_lr", "schedule=cosine"}, {0},
};
const field_table optimizer_fields = {"optimizer", rows, sizeof rows / sizeof *rows, sizeof(optimizer_options)};

bool optimizer_create(optimizer *o, const optimizer_options *options, parameters *p, error *err) {
    *o = (optimizer){options, p, 0, options->weight_decay};
    bool adam = options->name == OPTIMIZER_ADAM || options->name == OPTIMIZER_ADAMW;
    for (size_t i = 0; i < p->count; i++) {
        parameter *one = p->items[i];
        if (!one->value.requires_grad) continue;
        int64_t count = tensor_count(&one->value);
        real **state[] = {&one->first, adam ? &one->second : NULL};
        for (int k = 0; k < 2; k++) {
            if (!state[k] || *state[k]) continue;
            *state[k] = p->backend->allocate(p->backend, (size_t)count * sizeof(real));
            if (!*state[k]) return error_memory(err, (size_t)count * sizeof(real), "the optimiser's state");
            p->backend->fill(p->backend, *state[k], 0, count);
        }
    }
    return true;
}

double optimizer_rate(const optimizer_options *o, uint64_t step, uint64_t steps, double warmup_steps) {
    double last = o->warmup_full ? warmup_steps - 1 : warmup_steps; /* the step that has the whole rate */
    if ((double)step < warmup_steps)
        return last > 0 ? o->warmup_start + (o->lr - o->warmup_start) * fmin((double)step / last, 1) : o->warmup_start;
    if (o->schedule != SCHEDULE_COSINE) return o->lr;
    double length = (double)steps - warmup_steps, done = length > 0 ? ((double)step - warmup_steps) / length : 1;
    return o->final_lr + (o->lr - o->final_lr) * 0.5 * (1 + cos(3.14159265358979323846 * (done < 1 ? done : 1)));
}

double optimizer_decay(const optimizer_options *o, uint64_t step, uint64_t steps) {
    return o->final_weight_decay < 0 ? o->weight_decay
                                     : schedule_cosine(o->weight_decay, o->final_weight_decay, step, steps);
}

const char *optimizer_by_length(const optimizer_options *o) {
    if (o->schedule == SCHEDULE_COSINE && o->lr != o->final_lr) return "schedule";
    return o->final_weight_decay < 0 || o->final_weight_decay == o->weight_decay ? NULL : "final_weight_decay";
}

double optimizer_gradient_norm(const parameters *p) {
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) {
        const tensor *x = &p->items[i]->value;
        if (x->requires_grad && x->grad_ready) sum += p->backend->sum_squares(p->backend, x->grad, tensor_count(x));
    }
    return sqrt(sum);
}

/* You et al.'s layer-wise rate, as solo-learn applies it: relative to lr and, if clipped, at most 1. */
static void scale_by_trust(const optimizer_options *o, backend *b, const tensor *x, update *u) {
    double w = sqrt(b->sum_squares(b, x->data, tensor_count(x)));
    double g = sqrt(b->sum_squares(b, x->grad, tensor_count(x))) * u->grad_scale;
    if (w == 0 || g == 0) {
        u->weight_decay = 0;
        return;
    }
    u->trust = o->trust * w / (g + u->weight_decay * w + 1e-8);
    if (o->trust_clip) u->trust = u->lr > 0 ? fmin(u->trust / u->lr, 1) : 1;
}

static bool excluded(const optimizer_options *o, const parameter *one) {
    bool exclude = o->exclude == EXCLUDE_AUTO ? o->name == OPTIMIZER_LARS : o->exclude == EXCLUDE_YES;
    return exclude && one->role == ROLE_BIAS;
}

/* The factor that a gradient of this norm is scaled by (PyTorch's clip_grad_norm_). */
static double clipping(double most, double norm) { return most > 0 && norm > most ? most / (norm + 1e-6) : 1; }

void optimizer_step(optimizer *o, double lr, double grad_scale, double norm) {
    const optimizer_options *with = o->options;
    backend *b = o->parameters->backend;
    o->steps++;
    grad_scale *= clipping(with->clip, norm * grad_scale);
    for (size_t i = 0; i < o->parameters->count; i++) {
        parameter *one = o->parameters->items[i];
        tensor *x = &one->value;
        if (!x->requires_grad || !x->grad_ready) continue;
        one->steps++;
        update u = {.value = x->data,
                    .grad = x->grad,
                    .first = one->first,
                    .second = one->second,
                    .count = tensor_count(x),
                    .lr = (one->constant_rate ? with->lr : lr) * pow(with->layer_decay, one->layers_above),
                    .momentum = with->momentum,
                    .beta1 = with->beta1,
                    .beta2 = with->beta2,
                    .eps = with->eps,
                    .trust = 1,
                    .grad_scale = grad_scale,
                    .weight_decay = excluded(with, one) ? 0 : o->weight_decay};
        if (with->clip_each > 0)
            u.grad_scale *= clipping(with->clip_each, grad_scale * sqrt(b->sum_squares(b, x->grad, u.count)));
        u.correction1 = 1 - pow(with->beta1, (double)one->steps);
        u.correction2 = sqrt(1 - pow(with->beta2, (double)one->steps));
        if (with->name == OPTIMIZER_LARS && !excluded(with, one)) scale_by_trust(with, b, x, &u);
        if (with->name == OPTIMIZER_ADAM)
            b->update_adam(b, &u);
        else if (with->name == OPTIMIZER_ADAMW)
            b->update_adamw(b, &u);
        else
            b->update_sgd(b, &u);
    }
}

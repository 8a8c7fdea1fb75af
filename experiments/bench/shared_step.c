#include "experiments/bench/shared_step.h"
#include "engine/buckets.h"
#include "engine/codes.h"
#include "experiments/bench/bench_step.h"

#include <stdio.h>
#include <string.h>

enum { CLASSES = 10 };

static bool set(settings *list, const char *key, const char *value, error *err) {
    return settings_add(list, key, value, false, "mews bench", err);
}

static bool set_number(settings *list, const char *key, int64_t value, error *err) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return set(list, key, text, err);
}

static bool set_codes(settings *list, const bench_options *o, error *err) {
    return set_number(list, "method.features", o->features, err) && set_number(list, "method.codes", o->codes, err) &&
           set(list, "method.dictionary", dictionary_names[o->dictionary], err) &&
           set(list, "method.shard_codes", o->shard ? "true" : "false", err);
}

/* Everything but what the options say is as a spec has it that says nothing. */
static bool resolve(shared_step *s, const bench_options *o, const char *method, int64_t pairs, error *err) {
    settings said = {0};
    const settings *const layers[] = {&said};
    s->resolved =
        set(&said, "method.name", method, err) && (strcmp(method, "falcon") != 0 || set_codes(&said, o, err)) &&
        set(&said, "backbone.name", backbone_names[o->backbone], err) &&
        (!o->width || set_number(&said, "backbone.width", o->width, err)) &&
        set_number(&said, "data.size", step_bench_side(o), err) &&
        set(&said, "train.precision", precision_names[o->precision], err) &&
        set_number(&said, "train.batch", pairs, err) && spec_resolve(&s->spec, "bench", layers, 1, "mews bench", err);
    settings_free(&said);
    return s->resolved;
}

bool shared_step_begin(shared_step *s, const bench_options *o, const char *method, int64_t pairs, peers *p,
                       error *err) {
    int count = p ? p->count : 1;
    *s = (shared_step){.peers = p};
    if (pairs % count)
        return error_set(err, ERROR_USAGE, "--batch %lld does not divide into %d processes", (long long)pairs, count);
    if (!resolve(s, o, method, pairs, err)) return false;
    s->made = model_create(&s->model, &s->spec, CLASSES, (int)o->threads, p, err);
    if (!s->made) return false;
    return noise_make(&s->noise, &s->model, (int)pairs / count, (int)step_bench_side(o), CLASSES, err);
}

bool shared_step_sum(shared_step *s, error *err) {
    buckets sums = {0};
    bool ok = buckets_begin(&sums, s->peers, s->model.parameters, "backbone.", s->model.tape, err) &&
              buckets_finish(&sums, err);
    buckets_drop(&sums);
    return ok;
}

bool shared_step_take(shared_step *s, sums_when when, error *err) {
    model *m = &s->model;
    method_context context = {.step = s->taken++, .steps = 1000, .epochs = 1};
    buckets sums = {0};
    bool meanwhile = s->peers && when == SUMS_MEANWHILE;
    parameters_clear_grad(m->parameters);
    tape_reset(m->tape);
    bool ok = !meanwhile || buckets_begin(&sums, s->peers, m->parameters, "backbone.", m->tape, err);
    if (ok) model_loss(m, &s->noise.batch, (int)s->spec.data.size, &context);
    ok = ok && tape_check(m->tape, err) && (!meanwhile || buckets_finish(&sums, err)) &&
         (!s->peers || when != SUMS_AFTER || shared_step_sum(s, err));
    buckets_drop(&sums);
    if (!ok) return false;
    optimizer_step(&m->optimizer, 0, 1, optimizer_gradient_norm(m->parameters));
    model_after_step(m, &context);
    return tape_check(m->tape, err);
}

void shared_step_end(shared_step *s) {
    noise_free(&s->noise);
    if (s->made) model_destroy(&s->model);
    if (s->resolved) spec_free(&s->spec);
}

/*
 * The training loop. What it must keep: a run that was killed and started again ends with the bits of one that was not.
 * So everything that a step depends on is its number (batches, augmentations, learning rate) or in the checkpoint, and
 * metrics.jsonl is on the disk before the checkpoint that names its length. A loss or gradient that is no number stops
 * the run before it reaches the weights.
 */
#include "experiments/run/train.h"
#include "engine/buckets.h"
#include "engine/clock.h"
#include "engine/files/checkpoint.h"
#include "engine/data/loader.h"
#include "engine/teacher.h"
#include "experiments/run/midway.h"
#include "experiments/run/onset.h"
#include "experiments/run/represent.h"
#include "experiments/run/sitting.h"
#include "experiments/run/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct training {
    model *model;
    const spec *spec;
    run *run;
    const experiment_hooks *hooks;
    const dataset *data;
    loader *loader;
    onset onset;
    int size;                        /* side of the images */
    uint64_t steps_per_epoch, steps; /* optimiser steps */
    uint64_t last;                   /* of this sitting: `steps`, or where the hooks say to stop */
    checkpoint_position at;
    double started, waited;    /* clock at the start of this process's part; seconds waiting for data */
    double epoch_loss, chance; /* chance: the method's chance_loss, or NaN */
    bool saved;                /* a checkpoint stands */
    bool stepped, noted;       /* this process took a step; its record says what follows the length */
    const char *by_length;     /* of the method, as method_context has it */
    checkpoint_place place;
    bool diverged; /* as every peer sees alike */
} training;

/* As rank 0. */
static bool tell_order(training *t, order what, error *err) {
    model *m = t->model;
    if (t->hooks->peers && t->hooks->peers->rank) return true;
    return words_tell(m, (word){.order = what, .step = t->at.step}, err) &&
           (what != ORDER_START || words_values(m, true, err));
}

void train_end_followers(peers *p) {
    word w = {.order = ORDER_END};
    if (p && p->rank == 0) p->tell(p, &w, sizeof w);
}

/* Which keys make a training depend on how long it is to be, for runs that would go on from this one. It is in the
 * record before a checkpoint stands. */
static bool note_length(training *t, error *err) {
    const char *by = optimizer_by_length(&t->spec->optimizer);
    json_t *keys = json_array();
    if (by) json_array_append_new(keys, json_sprintf("optimizer.%s", by));
    if (t->by_length) json_array_append_new(keys, json_sprintf("method.%s", t->by_length));
    t->noted = json_object_set_new(t->run->record, "follows_length", keys) == 0 && run_save(t->run, err);
    return t->noted || error_memory(err, 64, "a run's record");
}

static bool save(training *t, error *err) {
    if (t->stepped && !t->noted && !note_length(t, err)) return false;
    checkpoint_position at = t->at;
    at.seconds += clock_seconds() - t->started;
    at.threads = t->model->backend->threads;
    t->saved = run_is_ours(t->run, err) && run_metrics_sync(t->run, &at.metrics_offset, err) &&
               checkpoint_save(&t->place, t->model->parameters, &t->model->optimizer, &at, err);
    return t->saved;
}

static const char kept[] = "; the last checkpoint before it is kept";

/* Names the parameter with the largest gradient, or the first whose gradient is not finite. Steps and epochs count from
 * 1 here, as in progress and metrics. */
static bool diverged(training *t, double loss, error *err) {
    const parameters *p = t->model->parameters;
    const char *name = "none";
    double most = -1;
    for (size_t i = 0; i < p->count; i++) {
        const tensor *x = &p->items[i]->value;
        if (!x->requires_grad || !x->grad_ready) continue;
        double norm = sqrt(p->backend->sum_squares(p->backend, x->grad, tensor_count(x)));
        if (norm <= most) continue;
        most = norm;
        name = p->items[i]->name;
        if (!isfinite(norm)) break;
    }
    return error_set(err, ERROR_RUN,
                     "training diverged at step %llu (epoch %llu): loss %g, largest gradient %g in %s%s. " LOOK_ADVICE,
                     (unsigned long long)(t->at.step + 1), (unsigned long long)(t->at.step / t->steps_per_epoch + 1),
                     isnan(loss) ? (double)NAN : loss, isnan(most) ? (double)NAN : most, name, /* no "-nan" */
                     t->saved ? kept : "");
}

/* Of an epoch at whose end something failed. */
static bool say_kept(const training *t, error *err) {
    size_t length = strlen(err->text);
    if (t->saved) snprintf(err->text + length, sizeof err->text - length, "%s", kept);
    return false;
}

static bool log_step(training *t, const method_context *context, double loss, double lr, double norm, double seconds,
                     double waited, error *err) {
    json_t *parts = json_object(), *times = json_object(), *line = json_object();
    for (int i = 0; i < context->parts; i++)
        json_object_set_new(parts, context->part[i].name,
                            run_json_number(tape_scalar(t->model->tape, context->part[i].value)));
    json_object_set_new(times, "step", run_json_number(seconds));
    json_object_set_new(times, "wait", run_json_number(waited));
    json_object_set_new(line, "step", json_integer((json_int_t)t->at.step));
    json_object_set_new(line, "epoch", run_json_number((double)t->at.step / (double)t->steps_per_epoch));
    json_object_set_new(line, "loss", run_json_number(loss));
    if (isfinite(t->chance)) json_object_set_new(line, "chance_loss", json_real(t->chance));
    json_object_update_new(line, parts);
    if (t->model->online && t->spec->eval.online & EVAL_ONLINE_LINEAR) {
        json_object_set_new(line, "online_loss", run_json_number(online_loss(t->model->online)));
        json_object_set_new(line, "online_train", run_json_number(online_train(t->model->online)));
    }
    json_object_set_new(line, "lr", run_json_number(lr));
    json_object_set_new(line, "grad_norm", run_json_number(norm));
    json_object_set_new(line, "time", times);
    return run_metrics_append(t->run, line, err);
}

/* Told once: a layer that the loss does not use stays as the seed drew it, and nothing else would show that. */
static void tell_unreached(const training *t) {
    const char *first;
    char line[400];
    size_t count = parameters_unreached(t->model->parameters, &first);
    if (!count) return;
    if (count == 1)
        snprintf(line, sizeof line, "no gradient reaches %s: it stays as it was drawn", first);
    else
        snprintf(line, sizeof line, "no gradient reaches %s and %zu more parameters: they stay as they were drawn",
                 first, count - 1);
    run_log(t->run, "%s", line);
    if (t->hooks->warn) t->hooks->warn(t->hooks->context, line);
}

/* What the batches of a step come to. */
typedef struct passes {
    double loss, waited;
} passes;

/* train.accumulate batches forward and backward. Peers' gradients are added up while the last of them runs back. */
static bool pass_batches(training *t, method_context *context, passes *out, error *err) {
    model *m = t->model;
    peers *p = t->hooks->peers;
    int batches = (int)t->spec->train.accumulate;
    buckets sums = {0};
    bool ok = true;
    for (int i = 0; ok && i < batches; i++) {
        loader_batch batch;
        do { /* batches at an epoch's end that do not fill a step are passed over */
            if (!loader_next(t->loader, &batch, err)) return false; /* nothing has begun yet */
            out->waited += batch.waited;
        } while (batch.index >= t->steps_per_epoch * (uint64_t)batches);
        tape_reset(m->tape);
        context->parts = 0;
        if (p && i == batches - 1) ok = buckets_begin(&sums, p, m->parameters, "backbone.", m->tape, err);
        if (ok) out->loss += model_loss(m, &batch, t->size, context) / batches;
        ok = ok && tape_check(m->tape, err);
    }
    ok = ok && (!p || buckets_finish(&sums, err));
    buckets_drop(&sums);
    return ok;
}

/* One optimiser step: the batches, then the update. */
static bool step(training *t, error *err) {
    model *m = t->model;
    int batches = (int)t->spec->train.accumulate;
    double before = clock_seconds();
    passes now = {0};
    method_context context = {.step = t->at.step,
                              .steps = t->steps,
                              .epoch = (uint32_t)(t->at.step / t->steps_per_epoch),
                              .epochs = (uint32_t)t->spec->train.epochs,
                              .seed = (uint64_t)t->spec->train.seed};
    double lr = optimizer_rate(&t->spec->optimizer, t->at.step, t->steps,
                               t->spec->optimizer.warmup * (double)t->steps_per_epoch);
    m->pace = t->spec->optimizer.lr > 0 ? lr / t->spec->optimizer.lr : 1;
    parameters_clear_grad(m->parameters);
    if (!pass_batches(t, &context, &now, err)) return false;
    if (!t->stepped && t->run) tell_unreached(t);
    double norm = optimizer_gradient_norm(m->parameters) / batches, loss = now.loss;
    if (!isfinite(loss) || !isfinite(norm)) {
        t->diverged = true;
        return diverged(t, loss, err);
    }
    m->optimizer.weight_decay = optimizer_decay(&t->spec->optimizer, t->at.step, t->steps);
    optimizer_step(&m->optimizer, lr, 1.0 / batches, norm * batches);
    model_after_step(m, &context);
    if (!tape_check(m->tape, err)) return false;
    t->at.step++;
    t->stepped = true;
    if (context.by_length) t->by_length = context.by_length;
    t->epoch_loss = loss;
    t->waited += now.waited;
    if (!t->run) return true; /* rank 0 keeps the record */
    if (t->at.step % (uint64_t)t->spec->train.log_every == 0 || t->at.step == 1 || t->at.step == t->steps)
        return log_step(t, &context, loss, lr, norm, clock_seconds() - before, now.waited, err);
    return true;
}

static void tell(const training *t) {
    if (!t->hooks->progress) return;
    experiment_progress p = {.phase = "train",
                             .done = t->at.step,
                             .total = t->steps,
                             .epoch = (uint32_t)(t->at.step / t->steps_per_epoch),
                             .epochs = (uint32_t)t->spec->train.epochs,
                             .loss = t->epoch_loss,
                             .chance = t->chance};
    t->hooks->progress(t->hooks->context, &p);
}

/* What that takes is no time of the training's. */
static bool measure_midway(training *t, bool *interrupted, error *err) {
    double before = clock_seconds();
    bool ok = midway_measure(t->model, t->data, t->run, t->hooks, t->at.step, t->at.step / t->steps_per_epoch,
                             interrupted, err);
    t->started += clock_seconds() - before;
    return ok;
}

static bool save_is_due(const training *t) {
    uint64_t every = (uint64_t)t->spec->train.checkpoint_every * t->steps_per_epoch;
    return t->at.step % every == 0 || t->at.step == t->last || midway_is_due(t->spec, t->at.step, t->steps_per_epoch);
}

static bool loop(training *t, bool *interrupted, error *err) {
    while (t->at.step < t->last) {
        *interrupted = t->hooks->interrupted && *t->hooks->interrupted;
        if (!*interrupted && midway_is_due(t->spec, t->at.step, t->steps_per_epoch) &&
            !measure_midway(t, interrupted, err))
            return say_kept(t, err);
        if (*interrupted) return save(t, err);
        if (!tell_order(t, ORDER_STEP, err)) return false;
        if (!step(t, err)) {
            if (t->hooks->peers && !t->diverged) t->hooks->peers->broken = true;
            return false;
        }
        tell(t);
        if (t->at.step % t->steps_per_epoch == 0 &&
            !onset_epoch(&t->onset, t->at.step, t->at.step / t->steps_per_epoch, err))
            return say_kept(t, err);
        if (*t->onset.stopped) return save(t, err);
        if (save_is_due(t) && !save(t, err)) return false;
    }
    return true;
}

/* At the batches of the step that comes next; of them this process's part. */
static loader *open_loader(const training *t, const dataset *data, error *err) {
    const spec *s = t->spec;
    const peers *p = t->hooks->peers;
    uint64_t epoch = t->at.step / t->steps_per_epoch, in_epoch = t->at.step % t->steps_per_epoch;
    return loader_open_part(data, SPLIT_PRETRAIN, &s->augment, t->model->head.views, (int)s->train.batch,
                            p ? p->rank : 0, p ? p->count : 1, (uint64_t)s->train.seed, (uint32_t)epoch,
                            (uint32_t)(in_epoch * (uint64_t)s->train.accumulate), (int)s->train.loader_threads, err);
}

/* From the checkpoint's step to the last one, or to where the run is told to stop. */
static bool work(training *t, const dataset *data, bool *interrupted, error *err) {
    json_object_del(json_object_get(t->run->record, "files"), "metrics.jsonl"); /* it grows from here on */
    if (t->at.step) run_log(t->run, "going on from step %llu", (unsigned long long)t->at.step);
    if (!(t->loader = open_loader(t, data, err)) || !tell_order(t, ORDER_START, err))
        return loader_close(t->loader), false;
    bool ok = loop(t, interrupted, err);
    double spent = clock_seconds() - t->started;
    loader_close(t->loader);
    if (ok && spent > 0)
        run_log(t->run, "trained to step %llu in %.1f s, %.2f %% of it waiting for data, %.2f %% looking for collapse",
                (unsigned long long)t->at.step, spent, 100 * t->waited / spent, 100 * t->onset.seconds / spent);
    return ok;
}

/* What the method has to say of its settings, once. */
static void give_caution(const training *t) {
    char line[512] = "";
    const model *m = t->model;
    if (m->method->caution) m->method->caution(&m->head, line, sizeof line);
    if (!*line) return;
    run_log(t->run, "%s", line);
    if (t->hooks->warn) t->hooks->warn(t->hooks->context, line);
}

/* Weights from elsewhere, before the first step and the first look. */
static bool start_from(training *t, error *err) {
    const train_options *o = &t->spec->train;
    weights_found found;
    char line[1400];
    resampling how = (resampling)t->spec->backbone.interpolation;
    if (!weights_load(t->model->parameters, o->init, o->init_prefix, how, &found, err)) return false;
    snprintf(line, sizeof line, "started from %zu tensors of %.900s%s%s", found.taken, o->init,
             found.heads || !*found.prefix ? "" : ", under ", found.heads ? ", head and all" : found.prefix);
    run_log(t->run, "%s", line);
    if (found.grid)
        run_log(t->run, "positions of %d×%d patches were resampled to %d×%d, as backbone.interpolation says",
                found.grid, found.grid, found.own_grid, found.own_grid);
    if (!found.unused || !t->hooks->warn) return true;
    snprintf(line, sizeof line, "%.900s: %zu tensors are no part of this backbone and were left out, from %s on",
             o->init, found.unused, found.first_unused);
    t->hooks->warn(t->hooks->context, line);
    return true;
}

/* Whole steps that the images give. */
static bool count_steps(training *t, const dataset *data, error *err) {
    const spec *s = t->spec;
    const peers *p = t->hooks->peers;
    uint32_t images = dataset_count(data, SPLIT_PRETRAIN);
    uint64_t per_step = (uint64_t)(s->train.batch * s->train.accumulate);
    if (images < per_step && s->train.epochs)
        return error_set(err, ERROR_USAGE,
                         "train.batch %lld x train.accumulate %lld is more than the %u training images; take a smaller "
                         "batch or more images (data.limit)",
                         (long long)s->train.batch, (long long)s->train.accumulate, images);
    if (p && s->train.batch % p->count)
        return error_set(err, ERROR_USAGE,
                         "train.batch %lld does not divide into %d processes; start as many as it divides into",
                         (long long)s->train.batch, p->count);
    t->steps_per_epoch = images / per_step;
    t->steps = t->steps_per_epoch * (uint64_t)s->train.epochs;
    t->last = t->hooks->until ? t->steps_per_epoch * (uint64_t)t->hooks->until : t->steps;
    return true;
}

/* On the disk before the first step: whoever goes on has to know who came before. */
static bool note_processes(training *t, error *err) {
    char told[400], line[RUN_ID_SIZE + sizeof told];
    sitting_note_processes(t->run->record, t->hooks->peers, told, sizeof told);
    if (*told) {
        run_log(t->run, "%s", told);
        snprintf(line, sizeof line, "%s %s", t->run->id, told);
        if (t->hooks->warn) t->hooks->warn(t->hooks->context, line);
    }
    return (!*told && !t->hooks->peers) || run_save(t->run, err);
}

bool train_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted, error *err) {
    const spec *s = m->spec;
    training t = {
        .model = m, .spec = s, .run = r, .hooks = hooks, .data = data, .size = dataset_size(data), .epoch_loss = NAN};
    t.chance = m->method->chance_loss ? m->method->chance_loss(&m->head) : (double)NAN;
    if (isfinite(t.chance)) json_object_set_new(r->record, "chance_loss", json_real(t.chance));
    t.place = run_checkpoints(r, hooks->warn, hooks->context);
    bool found, ok;
    *interrupted = false;
    t.started = clock_seconds();
    if (!count_steps(&t, data, err)) return false;
    ok = checkpoint_load(&t.place, m->parameters, &m->optimizer, &t.at, &found, err);
    if (!ok || !run_metrics_begin(r, t.at.metrics_offset, err)) return false;
    if (t.at.step < t.last && !note_processes(&t, err)) return false;
    if (!found && s->train.epochs) give_caution(&t);
    if (!found && s->train.init[0] && !start_from(&t, err)) return false;
    if (!onset_open(&t.onset, m, data, r, err) || !onset_begin(&t.onset, t.at.step, err))
        return onset_close(&t.onset), false;
    t.saved = found;
    ok = t.at.step >= t.last || *t.onset.stopped ? found || save(&t, err) : work(&t, data, interrupted, err);
    double spent = clock_seconds() - t.started;
    if (*t.onset.stopped) {
        run_log(r, "%s", t.onset.stopped);
        json_object_set_new(r->record, "stopped", json_string(t.onset.stopped));
    }
    if (!*interrupted && !*t.onset.stopped && t.at.step < t.steps) /* it was told to stop, and is whole so far */
        *interrupted = true, r->until = (int64_t)(t.at.step / t.steps_per_epoch);
    onset_close(&t.onset);
    if (!*interrupted) json_object_set_new(r->record, "steps", json_integer((json_int_t)t.at.step));
    return ok && run_set_seconds(r, "train", t.at.seconds + spent, err);
}

/* ---- The other processes ---- */

static bool obey(training *t, const dataset *data, const word *w, error *err) {
    model *m = t->model;
    switch (w->order) {
    case ORDER_START:
        t->at.step = w->step;
        return count_steps(t, data, err) && words_values(m, true, err) && (t->loader = open_loader(t, data, err));
    case ORDER_STEP:
        if (step(t, err)) return true;
        if (t->diverged) *err = (error){0}; /* rank 0 says so */
        return t->diverged;
    case ORDER_VALUES: return words_values(m, false, err);
    case ORDER_EXCHANGE: return teacher_exchange(m->parameters, err);
    case ORDER_REPRESENT: return represent_round(m, data, w, err);
    case ORDER_END: break;
    }
    return true;
}

bool train_follow(const spec *s, const dataset *data, const experiment_hooks *hooks, error *err) {
    model m = {0};
    training t = {.model = &m, .spec = s, .hooks = hooks, .size = dataset_size(data), .epoch_loss = NAN};
    word w;
    bool ok;
    while ((ok = words_hear(hooks->peers, &w, err)) && w.order != ORDER_END) {
        if (!m.backend) { /* by the first word, which says of how many threads */
            if (!(ok = model_create(&m, s, dataset_classes(data), w.threads, hooks->peers, err))) break;
        }
        if (!(ok = obey(&t, data, &w, err))) break;
    }
    loader_close(t.loader);
    if (m.backend) model_destroy(&m);
    return ok;
}

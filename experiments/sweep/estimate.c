/*
 * Two runs have steps of one shape when they differ in numbers that weigh rather than count (rates, temperatures,
 * betas), in seed, epochs or images; so a sweep over 50 learning rates is one measurement. What evaluation takes is
 * half measured (a forward pass) and half reckoned: the products of probe, neighbours and k-means at the speed of the
 * step's own.
 */
#include "experiments/sweep/estimate.h"
#include "engine/clock.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/bench/noise_batch.h"
#include "experiments/commands/command.h"
#include "experiments/sweep/scheduler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What was measured of one shape. */
typedef struct shape {
    char *key;                 /* everything that its step depends on, as text; owned */
    double step, image, speed; /* seconds of a step, of a forward pass by image; floating-point operations a second */
    double mib;
    int features, width, codes;
    char refused[512]; /* "" where it is not */
} shape;

static const double most_seconds = 60; /* of measuring, all shapes together */

/* ---- Shapes ---- */

static bool shapes_step(const spec_item *item) {
    static const char *const train[] = {"batch", "accumulate", "joint_batchnorm", "batchnorm", "winograd", "precision"};
    if (item->type == FIELD_REAL) return false;
    if (strcmp(item->section, "augment") == 0) return item->type == FIELD_INT;
    if (strcmp(item->section, "backbone") == 0 || strcmp(item->section, "method") == 0) return true;
    if (strcmp(item->section, "optimizer") == 0) return item->type == FIELD_CHOICE || item->type == FIELD_BOOL;
    for (size_t i = 0; strcmp(item->section, "train") == 0 && i < sizeof train / sizeof *train; i++)
        if (strcmp(item->key, train[i]) == 0) return true;
    return false;
}

static char *shape_key(const queue_item *item, int threads) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    spec_item value;
    if (!stream) return NULL;
    fprintf(stream, "%d threads, %d classes, size %d\n", threads, item->classes, item->size);
    for (size_t i = 0; spec_item_at(&item->plan->spec, i, &value); i++)
        if (shapes_step(&value)) fprintf(stream, "%s.%s=%s\n", value.section, value.key, value.text);
    if (fclose(stream) == 0) return text;
    free(text);
    return NULL;
}

/* ---- Measuring ---- */

static bool train_step(model *m, const noise_batch *b, int size, uint64_t number, error *err) {
    method_context context = {.step = number, .steps = 1000, .epochs = 1};
    parameters_clear_grad(m->parameters);
    tape_reset(m->tape);
    model_loss(m, &b->batch, size, &context);
    if (!tape_check(m->tape, err)) return false;
    optimizer_step(&m->optimizer, 0, 1, optimizer_gradient_norm(m->parameters));
    model_after_step(m, &context);
    return tape_check(m->tape, err);
}

/* Seconds of a step: the least of a few, or the first where that took long enough. */
static bool time_step(model *m, const noise_batch *b, int size, double *seconds, error *err) {
    double begun = clock_seconds();
    *seconds = INFINITY;
    for (uint64_t i = 0; i < 6; i++) {
        double before = clock_seconds();
        if (!train_step(m, b, size, i, err)) return false;
        double took = clock_seconds() - before, all = clock_seconds() - begun;
        bool only = i == 0 && took > 0.7; /* the first also fills caches and the pool */
        if (i > 0 || only) *seconds = fmin(*seconds, took);
        if (only || (i > 0 && all > 0.7)) break;
    }
    return true;
}

/* Seconds of a forward pass in evaluation, an image. */
static bool time_image(model *m, const noise_batch *b, int size, double *seconds, error *err) {
    int n = m->head.pairs;
    float *out = malloc((size_t)n * (size_t)m->head.features * sizeof *out);
    if (!out) return error_memory(err, (size_t)n * (size_t)m->head.features * sizeof *out, "the representations");
    *seconds = INFINITY;
    for (int i = 0; i < 2; i++) {
        double before = clock_seconds();
        tape_reset(m->tape);
        model_represent(m, b->pixels, n, size, false, out);
        *seconds = fmin(*seconds, (clock_seconds() - before) / n);
    }
    free(out);
    return tape_check(m->tape, err);
}

static bool measure(shape *s, const queue_item *item, int threads, error *err) {
    const spec *with = &item->plan->spec;
    model m;
    noise_batch noise = {0};
    bench_forget_peak();
    if (!model_create(&m, with, item->classes, threads, NULL, err)) return false;
    bool ok = noise_make(&noise, &m, m.head.pairs, item->size, item->classes, err) &&
              time_step(&m, &noise, item->size, &s->step, err);
    s->speed = ok ? tape_flops(m.tape) / s->step : 0;
    s->mib = bench_resident_mib("VmHWM");
    ok = ok && time_image(&m, &noise, item->size, &s->image, err);
    s->step *= (double)with->train.accumulate;
    s->features = m.head.features, s->width = m.width;
    s->codes = m.method->codes ? m.method->codes(&m.head) : 0;
    noise_free(&noise);
    model_destroy(&m);
    return ok;
}

/* ---- From a shape to a run ---- */

static double evaluation_seconds(const queue_item *item, const shape *s) {
    const eval_options *o = &item->plan->spec.eval;
    double train = o->metrics & (EVAL_LINEAR | EVAL_KNN) ? item->train : 0, test = item->test, d = s->features;
    double k = item->classes, work = 0, rows = o->sample && (double)o->sample < test ? (double)o->sample : test;
    if (o->metrics & EVAL_LINEAR) work += 100 * 4 * train * d * k;  /* some 100 passes of L-BFGS */
    if (o->metrics & EVAL_KNN) work += train * rows * (2 * d + 20); /* and keeping the nearest */
    if (o->metrics & EVAL_KMEANS) work += (double)o->kmeans_restarts * 50 * 2 * rows * d * k;
    if (o->metrics & EVAL_PROTOTYPES) work += 2 * rows * s->width * s->codes;
    if (o->metrics & EVAL_COLLAPSE) work += 20 * rows * (d * d + (double)s->width * s->width); /* blocks left out */
    return (train + rows) * s->image + (s->speed > 0 ? work / s->speed : 0);
}

/* How often a run that goes on from epoch `from` is measured before its end. */
static double times_midway(const train_options *t, int64_t from) {
    int64_t every = t->eval_every;
    return every && from < t->epochs ? (double)((t->epochs - 1) / every - (from + every - 1) / every + 1) : 0;
}

/* Representations, embeddings and a few rows of logits, beside the network's memory. */
static double evaluation_mib(const queue_item *item, const shape *s) {
    double rows = item->test, train = item->plan->spec.eval.metrics & (EVAL_LINEAR | EVAL_KNN) ? item->train : 0;
    double logits = fmin(256.0 * s->codes, 1 << 24);
    return ((rows + train) * s->features + rows * s->width + logits) * sizeof(float) / (1 << 20);
}

static void fill(estimate *e, const queue_item *item, const shape *s) {
    const train_options *t = &item->plan->spec.train;
    int64_t per_step = t->batch * t->accumulate;
    *e = (estimate){.step = s->step, .measured = true};
    memcpy(e->refused, s->refused, sizeof e->refused);
    if (!*e->refused && item->images < per_step)
        snprintf(e->refused, sizeof e->refused,
                 "train.batch %lld x train.accumulate %lld is more than the %u training images", (long long)t->batch,
                 (long long)t->accumulate, item->images);
    if (*e->refused) {
        e->step = (double)NAN;
        return;
    }
    bool trained = item->status == RUN_TRAINED && !item->other;
    e->eval = evaluation_seconds(item, s);
    if (!trained)
        e->train = (double)(item->images / per_step * (t->epochs - item->trained)) * s->step +
                   times_midway(t, item->trained) * e->eval;
    e->mib = s->mib + evaluation_mib(item, s);
}

/* ---- The whole ---- */

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Until the last run is done, when each job takes the next run that waits; the sum over what may run at a time. */
static bool add_up(estimates *e, int jobs, error *err) {
    double until[SCHEDULE_MAX_JOBS] = {0}, total = 0, eval = 0, whole = 0, *mib = calloc(e->count + 1, sizeof *mib);
    if (!mib) return error_memory(err, e->count * sizeof *mib, "an estimate");
    for (size_t i = 0; i < e->count; i++) {
        const estimate *run = &e->items[i];
        int first = 0;
        if (isnan(run->step)) continue;
        for (int j = 1; j < jobs; j++)
            if (until[j] < until[first]) first = j;
        double train = run->train * run->train_share, measuring = run->eval * run->eval_share;
        until[first] += train + measuring;
        total += train + measuring, eval += measuring, whole += run->train + run->eval;
        mib[i] = run->mib;
    }
    qsort(mib, e->count, sizeof *mib, descending);
    for (int j = 0; j < jobs; j++) {
        e->seconds = fmax(e->seconds, until[j]);
        e->mib += (size_t)j < e->count ? mib[j] : 0;
    }
    e->saved = whole - total;
    e->saved_share = whole > 0 ? e->saved / whole : 0;
    e->eval_share = total > 0 ? eval / total : 0;
    free(mib);
    return true;
}

static shape *shape_of(shape **shapes, size_t *count, const queue_item *item, int threads, error *err) {
    char *key = shape_key(item, threads);
    for (size_t i = 0; key && i < *count; i++)
        if (strcmp((*shapes)[i].key, key) == 0) return free(key), &(*shapes)[i];
    shape *grown = key ? realloc(*shapes, (*count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(key);
        error_memory(err, (*count + 1) * sizeof *grown, "an estimate");
        return NULL;
    }
    *shapes = grown;
    grown[*count] = (shape){.key = key, .step = (double)NAN};
    return &grown[(*count)++];
}

/* The mean of what was measured, for what was not. */
static shape mean_shape(const shape *shapes, size_t count) {
    shape mean = {0};
    double n = 0;
    for (size_t i = 0; i < count; i++) {
        const shape *s = &shapes[i];
        if (isnan(s->step) || *s->refused) continue;
        mean.step += s->step, mean.image += s->image, mean.speed += s->speed, n++;
        mean.mib = fmax(mean.mib, s->mib), mean.features = s->features, mean.width = s->width, mean.codes = s->codes;
    }
    if (n > 0) mean.step /= n, mean.image /= n, mean.speed /= n;
    return mean;
}

/* Measures a shape that is new, while there is time for it. */
static void look_at(estimates *e, shape *s, const queue_item *item, int threads) {
    error why = {0};
    if (measure(s, item, threads, &why)) {
        e->shapes++;
        e->least_step = fmin(e->least_step, s->step);
        e->most_step = fmax(e->most_step, s->step);
    } else {
        snprintf(s->refused, sizeof s->refused, "%.511s", why.text);
        s->step = 0;
    }
}

static bool estimate_runs(estimates *e, const queue *q, int jobs, shape **shapes, size_t *count, terminal *t,
                          const volatile sig_atomic_t *interrupted, error *err) {
    double begun = clock_seconds();
    for (size_t i = 0; i < q->sweep.count; i++) {
        const queue_item *item = &q->items[i];
        e->items[i].step = (double)NAN;
        if (!item->to_do) continue;
        int threads = schedule_threads(&item->plan->spec, jobs);
        shape *s = shape_of(shapes, count, item, threads, err);
        if (!s) return false;
        if (isnan(s->step) && clock_seconds() - begun < most_seconds) {
            terminal_status(t, true, "measuring a step of run %zu of %zu", i + 1, q->sweep.count);
            look_at(e, s, item, threads);
        }
        if (*interrupted) return error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to begin again");
        shape mean = mean_shape(*shapes, *count);
        bool measured = !isnan(s->step);
        fill(&e->items[i], item, measured ? s : &mean);
        e->items[i].measured = measured;
        e->to_do++;
        e->refused += *e->items[i].refused != 0;
    }
    return true;
}

bool estimates_make(estimates *e, const queue *q, const halving *h, int jobs, terminal *t,
                    const volatile sig_atomic_t *interrupted, error *err) {
    shape *shapes = NULL;
    size_t count = 0;
    *e = (estimates){.items = calloc(q->sweep.count + 1, sizeof *e->items), .least_step = INFINITY};
    if (!e->items) return error_memory(err, q->sweep.count * sizeof *e->items, "an estimate");
    e->count = q->sweep.count;
    bool ok = estimate_runs(e, q, jobs, &shapes, &count, t, interrupted, err);
    for (size_t i = 0; i < e->count; i++) halving_share(h, i, &e->items[i].train_share, &e->items[i].eval_share);
    ok = ok && add_up(e, jobs, err);
    if (halving_begun(h)) e->saved = 0; /* what was done is not to be done, and is not saved */
    terminal_clear(t);
    for (size_t i = 0; i < count; i++) free(shapes[i].key);
    free(shapes);
    if (!ok) estimates_free(e);
    return ok;
}

void estimates_free(estimates *e) {
    free(e->items);
    *e = (estimates){0};
}

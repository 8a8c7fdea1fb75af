/*
 * Main effects. Where contexts hold every value of a key (a grid), only those are used, so that the means are balanced
 * over the other keys however many runs are missing. With seeds, each seed's means are one repetition, for runs that
 * share a seed share its luck; the interval then comes from what is left when each seed's own level is taken away. A
 * random search has no such contexts: means over its settings are fair, since the other keys were drawn for all values
 * alike, and what those do is part of the interval.
 */
#include "analysis/report/study/effects.h"

#include "analysis/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A figure of every run, and the place of its level among those that have the figure at all. */
typedef struct outcome {
    double *y;     /* (runs) NaN where there is none */
    size_t *place; /* (factor levels) */
    size_t levels;
} outcome;

static void outcome_free(outcome *o) {
    free(o->y);
    free(o->place);
}

static bool read_outcome(outcome *o, effect *e, const factors *f) {
    const factor *of = e->factor;
    o->y = malloc((f->count + 1) * sizeof *o->y);
    o->place = calloc(of->count + 1, sizeof *o->place);
    e->levels = calloc(of->count + 1, sizeof *e->levels);
    if (!o->y || !o->place || !e->levels) return false;
    for (size_t i = 0; i < f->count; i++) {
        o->y[i] = record_metric(f->runs[i], e->metric);
        if (!isfinite(o->y[i])) o->y[i] = (double)NAN;
        if (isnan(o->y[i])) continue;
        o->place[of->level[i]] = 1;
        e->runs_there++;
    }
    for (size_t l = 0; l < of->count; l++) {
        if (!o->place[l]) continue;
        e->levels[o->levels].of = l;
        o->place[l] = o->levels++;
    }
    return true;
}

/* ---- values run in the same contexts ---------------------------------------------------------------------------- */

/* Means of y by cell (row, level); rows are contexts with a seed. Incomplete rows get NaN in their first column. */
static double *cell_means(effect *e, const factors *f, const outcome *o) {
    const factor *of = e->factor;
    size_t rows = of->contexts * f->seeds;
    double *sums = calloc(rows * o->levels + 1, sizeof *sums);
    size_t *counts = calloc(rows * o->levels + 1, sizeof *counts);
    for (size_t i = 0; sums && counts && i < f->count; i++) {
        if (isnan(o->y[i])) continue;
        size_t cell = (of->context[i] * f->seeds + f->seed[i]) * o->levels + o->place[of->level[i]];
        sums[cell] += o->y[i], counts[cell]++;
    }
    for (size_t r = 0; sums && counts && r < rows; r++) {
        size_t here = 0;
        bool complete = true;
        for (size_t l = 0; l < o->levels; l++) {
            size_t cell = r * o->levels + l;
            complete = complete && counts[cell];
            here += counts[cell];
            if (counts[cell]) sums[cell] /= (double)counts[cell];
        }
        if (complete)
            e->runs += here;
        else
            sums[r * o->levels] = (double)NAN;
    }
    free(counts);
    return sums;
}

/* Complete rows of cells averaged into one row a unit: a seed (context = false) or a context. Returns the units. */
static size_t average_rows(const double *cells, const factors *f, const factor *of, size_t levels, bool context,
                           double *table) {
    size_t units = 0, outer = context ? of->contexts : f->seeds, inner = context ? f->seeds : of->contexts;
    for (size_t u = 0; u < outer; u++) {
        size_t taken = 0;
        double *mean = table + units * levels;
        for (size_t l = 0; l < levels; l++) mean[l] = 0;
        for (size_t v = 0; v < inner; v++) {
            const double *row = cells + (context ? u * f->seeds + v : v * f->seeds + u) * levels;
            if (isnan(row[0])) continue;
            for (size_t l = 0; l < levels; l++) mean[l] += row[l];
            taken++;
        }
        for (size_t l = 0; l < levels && taken; l++) mean[l] /= (double)taken;
        units += taken > 0;
    }
    return units;
}

static bool measure_matched(effect *e, const factors *f, const outcome *o) {
    const factor *of = e->factor;
    size_t most = of->contexts > f->seeds ? of->contexts : f->seeds;
    double *cells = cell_means(e, f, o), *table = malloc((most * o->levels + 1) * sizeof *table);
    bool done = cells && table;
    if (done) {
        size_t units = average_rows(cells, f, of, o->levels, false, table);
        e->units = units > 1 ? EFFECT_SEEDS : EFFECT_NO_UNITS;
        if (units == 1) {
            size_t settings = average_rows(cells, f, of, o->levels, true, table);
            if (settings > 2) e->units = EFFECT_SETTINGS;
            units = settings;
        }
        e->unit_count = units;
        e->count = units ? o->levels : 0;
        for (size_t l = 0; l < e->count; l++) {
            e->levels[l].n = (double)units;
            for (size_t u = 0; u < units; u++) e->levels[l].mean += table[u * o->levels + l] / (double)units;
        }
        if (e->units != EFFECT_NO_UNITS) {
            variance v = statistics_blocks(table, units, o->levels);
            e->error = v.error, e->degrees = v.degrees;
            e->p = units < STATISTICS_LEAST ? (double)NAN : v.p;
        }
    }
    free(cells);
    free(table);
    return done;
}

/* ---- values run in contexts of their own ------------------------------------------------------------------------ */

static bool measure_apart(effect *e, const factors *f, const outcome *o) {
    double *sums = calloc(f->settings + 1, sizeof *sums);
    size_t *counts = calloc(f->settings + 1, sizeof *counts), *level = calloc(f->settings + 1, sizeof *level), n = 0;
    bool done = sums && counts && level;
    for (size_t i = 0; done && i < f->count; i++) {
        if (isnan(o->y[i])) continue;
        sums[f->setting[i]] += o->y[i], counts[f->setting[i]]++;
        level[f->setting[i]] = o->place[e->factor->level[i]];
        e->runs++;
    }
    for (size_t s = 0; done && s < f->settings; s++) {
        if (!counts[s]) continue;
        sums[n] = sums[s] / (double)counts[s], level[n] = level[s];
        e->levels[level[n]].mean += sums[n], e->levels[level[n]].n++;
        n++;
    }
    if (done) {
        variance v = statistics_groups(sums, level, n, o->levels);
        e->count = o->levels, e->unit_count = n;
        for (size_t l = 0; l < e->count; l++) e->levels[l].mean /= e->levels[l].n;
        e->error = v.error, e->degrees = v.degrees, e->p = v.p;
        e->units = isnan(v.p) ? EFFECT_NO_UNITS : EFFECT_RUNS;
    }
    free(sums);
    free(counts);
    free(level);
    return done;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

double effect_interval(const effect *e, size_t a, size_t b) {
    if (e->units == EFFECT_NO_UNITS || !(e->degrees >= 1)) return (double)NAN;
    return statistics_student_quantile(0.05, e->degrees) * sqrt(e->error * (1 / e->levels[a].n + 1 / e->levels[b].n));
}

bool effect_matters(const effect *e) { return e->p_holm < 0.05; }

bool effect_measure(effect *e, const factors *f, const factor *of, const char *metric, error *err) {
    outcome o = {0};
    *e = (effect){.factor = of, .metric = metric, .error = (double)NAN, .p = (double)NAN, .p_holm = (double)NAN};
    bool done = read_outcome(&o, e, f);
    if (done && o.levels > 1) done = of->matched ? measure_matched(e, f, &o) : measure_apart(e, f, &o);
    outcome_free(&o);
    for (size_t l = 0; done && l < e->count; l++) {
        e->levels[l].difference = e->levels[l].mean - e->levels[0].mean;
        e->levels[l].half_width = l ? effect_interval(e, 0, l) : (double)NAN;
        if (e->levels[l].mean > e->levels[e->best].mean) e->best = l;
        if (e->levels[l].mean < e->levels[e->worst].mean) e->worst = l;
    }
    return done || error_memory(err, f->count * sizeof *o.y, "an effect");
}

void effect_free(effect *e) {
    free(e->levels);
    *e = (effect){0};
}

const effect *effects_at(const block_effects *b, size_t metric, size_t factor) {
    return &b->items[metric * b->factors.factor_count + factor];
}

static bool any_has(const factors *f, const char *metric) {
    for (size_t i = 0; i < f->count; i++)
        if (isfinite(record_metric(f->runs[i], metric))) return true;
    return false;
}

/* The figure that runs are ranked by, another probe, clusters, and how much of the space is used. */
static void choose_metrics(block_effects *b, const char *primary) {
    static const char *const sets[EFFECT_METRICS][3] = {
        {NULL}, {"knn"}, {"prototype_ami", "kmeans_ami"}, {"rankme_noise_share", "rankme"}};
    b->metrics[b->metric_count++] = primary;
    for (int s = 1; s < EFFECT_METRICS; s++)
        for (int i = 0; i < 3 && sets[s][i]; i++)
            if (strcmp(sets[s][i], primary) != 0 && any_has(&b->factors, sets[s][i])) {
                b->metrics[b->metric_count++] = sets[s][i];
                break;
            }
}

static bool read_block(block_effects *b, const study_block *block, const char *primary, error *err) {
    b->block = block;
    if (!factors_read(&b->factors, block, err)) return false;
    choose_metrics(b, primary);
    size_t keys = b->factors.factor_count;
    b->items = calloc(b->metric_count * keys + 1, sizeof *b->items);
    double *p = malloc((b->metric_count * keys + 1) * sizeof *p);
    bool done = (b->items && p) || error_memory(err, keys * sizeof *b->items, "the effects");
    for (size_t i = 0; done && i < b->metric_count * keys; i++) {
        done = effect_measure(&b->items[i], &b->factors, &b->factors.items[i % keys], b->metrics[i / keys], err);
        p[i] = b->items[i].p;
        b->tests += !isnan(p[i]);
    }
    if (done) statistics_holm(p, b->metric_count * keys);
    for (size_t i = 0; done && i < b->metric_count * keys; i++) b->items[i].p_holm = p[i];
    free(p);
    return done;
}

bool effects_read(effects *all, const study *s, error *err) {
    *all = (effects){.blocks = calloc(s->count + 1, sizeof *all->blocks)};
    if (!all->blocks) return error_memory(err, s->count * sizeof *all->blocks, "the effects");
    for (size_t b = 0; b < s->count; b++, all->count++)
        if (!read_block(&all->blocks[b], &s->blocks[b], study_primary(&s->records), err)) {
            all->count = b + 1;
            effects_free(all);
            return false;
        }
    return true;
}

void effects_free(effects *all) {
    for (size_t b = 0; b < all->count; b++) {
        block_effects *own = &all->blocks[b];
        for (size_t i = 0; own->items && i < own->metric_count * own->factors.factor_count; i++)
            effect_free(&own->items[i]);
        free(own->items);
        factors_free(&own->factors);
    }
    free(all->blocks);
    *all = (effects){0};
}

#include "tests/verdicts/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const truth_names[] = {"open", "healthy", "collapsed"};

static double range_of(const float *row, size_t codes) {
    float low = row[0], high = row[0];
    for (size_t j = 0; j < codes; j++) low = fminf(low, row[j]), high = fmaxf(high, row[j]);
    return (double)(high - low);
}

static void fail(const drawing *g, const error *err) {
    fprintf(stderr, "%s: %s\n", g->what, err->text);
    abort();
}

void trial_judge(const drawing *g, bool quick, verdict out[COLLAPSE_MODES]) {
    error err = {0};
    size_t n = g->n, d = g->d;
    float *values = malloc(n * d * sizeof *values);
    double *means = calloc(d, sizeof *means);
    /* As a file of doubles is taken: float32 of the differences. */
    for (size_t i = 0; i < n * d; i++) means[i % d] += g->values[i] / (double)n;
    bool fine = false;
    for (size_t i = 0; i < n * d; i++) fine = fine || (double)(float)g->values[i] != g->values[i];
    for (size_t i = 0; i < n * d; i++) values[i] = (float)(g->values[i] - (fine ? means[i % d] : 0));
    row_source all = {.rows = n, .cols = d, .doubles = g->values};
    collapse_input in = {.embeddings = {values, n, d}, .all = fine ? &all : NULL, .quick = quick};
    in.attainable = g->attainable, in.groups = g->groups, in.assignment = g->assignment, in.codes = g->codes;
    collapse_evidence reference;
    if (g->reference) {
        row_source rows = {.rows = n, .cols = d, .doubles = g->reference};
        if (!evidence_take(&rows, NULL, &reference, &err)) fail(g, &err);
        in.reference = &reference, in.reference_name = "the reference";
    }
    int32_t *best = malloc(n * sizeof *best);
    usage *u = NULL;
    if (g->scores) {
        u = usage_new(g->codes, &err);
        if (!u || !usage_add(u, g->scores, n, best, &err)) fail(g, &err);
        in.usage = u, in.assignment = best, in.score_range = range_of(g->scores, g->codes);
        in.assignments_are = g->are_scores ? ASSIGNMENTS_SCORES : ASSIGNMENTS_PROBABILITIES;
    }
    collapse c;
    if (!collapse_compute(&in, &c, &err)) fail(g, &err);
    for (int m = 0; m < COLLAPSE_MODES; m++) out[m] = c.verdicts[m].verdict;
    collapse_free(&c);
    usage_free(u);
    free(best);
    free(values);
    free(means);
}

static bool right(truth t, verdict v) {
    return t == TRUTH_OPEN || (t == TRUTH_HEALTHY ? v == VERDICT_HEALTHY : v == VERDICT_COLLAPSED);
}

static void run_flips(trial *t, uint32_t first, uint32_t step, bool quick, FILE *log) {
    for (uint32_t b = first % step; b < FLIP_BASES; b += step, t->bases++) {
        verdict said[VARIANTS][COLLAPSE_MODES];
        char what[160];
        for (int k = 0; k < VARIANTS; k++) {
            drawing g;
            drawing_variant(&g, b, k);
            trial_judge(&g, quick, said[k]);
            if (k == 0) memcpy(what, g.what, sizeof what);
            drawing_free(&g);
        }
        for (int m = 0; m < COLLAPSE_MODES; m++) {
            int healthy = -1, collapsed = -1;
            for (int k = 0; k < VARIANTS; k++) {
                if (said[k][m] == VERDICT_HEALTHY) healthy = k;
                if (said[k][m] == VERDICT_COLLAPSED) collapsed = k;
            }
            if (healthy < 0 || collapsed < 0) continue;
            t->flips++;
            if (log)
                fprintf(log, "%s: %s flips: healthy as variant %d, collapsed as %d\n", what,
                        collapse_mode_name((collapse_mode)m), healthy, collapsed);
        }
    }
}

void trial_run(trial *t, uint32_t first, uint32_t step, bool quick, FILE *log) {
    *t = (trial){0};
    for (uint32_t i = first; i < DRAWINGS; i += step) {
        drawing g;
        verdict said[COLLAPSE_MODES];
        drawing_make(&g, i);
        trial_judge(&g, quick, said);
        for (int m = 0; m < COLLAPSE_MODES; m++) {
            t->said[m][g.truths[m]][said[m]]++;
            if (log && !right(g.truths[m], said[m]))
                fprintf(log, "%u %s: %s is %s, said %s\n", i, g.what, collapse_mode_name((collapse_mode)m),
                        truth_names[g.truths[m]], verdict_name(said[m]));
        }
        drawing_free(&g);
    }
    run_flips(t, first, step, quick, log);
}

static double share(const trial *t, collapse_mode mode, truth is, unsigned verdicts) {
    double all = 0, some = 0;
    for (unsigned v = 0; v < 4; v++) {
        all += t->said[mode][is][v];
        if (verdicts >> v & 1) some += t->said[mode][is][v];
    }
    return all > 0 ? some / all : 0;
}

double trial_false_alarms(const trial *t, collapse_mode mode) {
    return share(t, mode, TRUTH_HEALTHY, 1u << VERDICT_WARNING | 1u << VERDICT_COLLAPSED);
}
double trial_misses(const trial *t, collapse_mode mode) {
    return share(t, mode, TRUTH_COLLAPSED, ~(1u << VERDICT_COLLAPSED));
}
double trial_withheld(const trial *t, collapse_mode mode) {
    return share(t, mode, TRUTH_HEALTHY, 1u << VERDICT_UNKNOWN);
}

void trial_print(const trial *t, FILE *out) {
    fprintf(out, "| mode | truth | matrices | healthy | warning | collapsed | unknown | |\n");
    fprintf(out, "|---|---|---:|---:|---:|---:|---:|---|\n");
    for (int m = 0; m < COLLAPSE_MODES; m++)
        for (int k = TRUTH_HEALTHY; k <= TRUTH_COLLAPSED; k++) {
            const int *row = t->said[m][k];
            fprintf(out, "| %s | %s | %d | %d | %d | %d | %d | ", collapse_mode_name((collapse_mode)m), truth_names[k],
                    row[0] + row[1] + row[2] + row[3], row[VERDICT_HEALTHY], row[VERDICT_WARNING],
                    row[VERDICT_COLLAPSED], row[VERDICT_UNKNOWN]);
            if (k == TRUTH_HEALTHY)
                fprintf(out, "false alarms %.1f %%, withheld %.1f %% |\n",
                        100 * trial_false_alarms(t, (collapse_mode)m), 100 * trial_withheld(t, (collapse_mode)m));
            else
                fprintf(out, "missed %.1f %% |\n", 100 * trial_misses(t, (collapse_mode)m));
        }
    fprintf(out, "\nflips between healthy and collapsed: %d, of %d matrices in %d variants each\n", t->flips, t->bases,
            VARIANTS);
}

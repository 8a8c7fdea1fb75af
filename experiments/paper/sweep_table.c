/*
 * Rows and their order are those of the sweep's page: blocks, their series, their settings.
 */
#include "experiments/paper/sweep_table.h"
#include "analysis/report/study/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIGURES = 10 };

typedef struct sweep_table {
    study study;
    const char *figures[MOST_FIGURES];
    char names[400]; /* that figures point into, where they were given */
    size_t count;
    bool csv;
} sweep_table;

static bool refuse_figure(const study *s, const char *name, error *err) {
    const char **ended = calloc(s->metric_count + 1, sizeof *ended);
    if (ended && s->metric_count) memcpy(ended, s->metrics, s->metric_count * sizeof *ended);
    const char *near = ended ? error_nearest(name, ended) : NULL;
    error_set(err, ERROR_USAGE, "no finished run of %s has a figure `%.60s`%s%s%s", s->name, name,
              near ? "; did you mean `" : "; `mews runs --json` prints what they have", near ? near : "",
              near ? "`?" : "");
    free(ended);
    return false;
}

static bool choose(sweep_table *t, const char *figures, error *err) {
    static const char *const usual[] = {"linear", "knn", "prototype_ami", "kmeans_ami", "rankme", NULL};
    for (const char *const *name = usual; !figures && *name; name++)
        if (study_has(&t->study, *name)) t->figures[t->count++] = *name;
    if (!figures) return true;
    if ((size_t)snprintf(t->names, sizeof t->names, "%s", figures) >= sizeof t->names)
        return error_set(err, ERROR_USAGE, "--figures: too long");
    char *rest = t->names;
    for (char *name; (name = strsep(&rest, ", "));) {
        if (!*name) continue;
        if (t->count == MOST_FIGURES) return error_set(err, ERROR_USAGE, "--figures: at most %d", MOST_FIGURES);
        if (!study_has(&t->study, name)) return refuse_figure(&t->study, name, err);
        t->figures[t->count++] = name;
    }
    return t->count || error_set(err, ERROR_USAGE, "--figures: names none");
}

/* "0.845 ± 0.012"; in CSV mean and standard deviation apart, with the digits that they have. */
static size_t put_figure(const sweep_table *t, const study_point *p, const char *figure, grid_cell *out) {
    study_figure f = study_measure(p, figure);
    char mean[32], sd[32];
    if (t->csv) {
        if (isfinite(f.mean)) snprintf(out[0].text, sizeof out->text, "%.9g", f.mean);
        if (isfinite(f.sd)) snprintf(out[1].text, sizeof out->text, "%.9g", f.sd);
        return 2;
    }
    study_format(figure, f.mean, mean, sizeof mean);
    snprintf(out->text, sizeof out->text, "%s", mean);
    if (isfinite(f.sd))
        snprintf(out->text, sizeof out->text, "%s ± %s", mean, study_format(figure, f.sd, sd, sizeof sd));
    return 1;
}

static void put_collapses(const study_point *p, grid_cell *out) {
    size_t counts[STUDY_VERDICTS], used = 0, known = 0;
    for (const char *const *mode = study_modes; *mode; mode++) {
        int verdict = study_verdict(p, *mode, counts);
        known += verdict != STUDY_UNKNOWN;
        if (verdict == STUDY_COLLAPSED && used < sizeof out->text)
            used += (size_t)snprintf(out->text + used, sizeof out->text - used, "%s%s", used ? ", " : "", *mode);
    }
    if (!used) strcpy(out->text, known ? "none" : "not judged");
}

static void put_heads(const sweep_table *t, grid_cell *out) {
    size_t c = 0;
    const char *const words[] = {"part", "setting", "n"};
    for (int i = 0; i < 3; i++) strcpy(out[c++].text, words[i]);
    for (size_t i = 0; i < t->count; i++) {
        snprintf(out[c++].text, sizeof out->text, "%s", t->csv ? t->figures[i] : study_metric_title(t->figures[i]));
        if (t->csv) snprintf(out[c++].text, sizeof out->text, "%s sd", t->figures[i]);
    }
    strcpy(out[c].text, "collapse");
}

static void put_point(const sweep_table *t, const study_block *b, const study_series *series, const study_point *p,
                      grid_cell *out) {
    char name[300];
    size_t c = 0;
    snprintf(out[c++].text, sizeof out->text, "%.140s", b->name);
    snprintf(out[c++].text, sizeof out->text, "%.100s%s%.60s", study_setting(b, p, name, sizeof name),
             *series->label ? ", " : "", series->label);
    snprintf(out[c++].text, sizeof out->text, "%zu", p->count);
    for (size_t i = 0; i < t->count; i++) c += put_figure(t, p, t->figures[i], &out[c]);
    put_collapses(p, &out[c]);
}

static bool print(sweep_table *t, grid_form form, error *err) {
    grid g;
    size_t rows = 0, row = 1;
    const study *s = &t->study;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++) rows += s->blocks[b].series[k].count;
    if (!rows) return error_set(err, ERROR_RUN, "%s has no finished run", s->name);
    if (!grid_open(&g, rows, 4 + t->count * (t->csv ? 2 : 1), 2, err)) return false;
    put_heads(t, grid_at(&g, 0, 0));
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t i = 0; i < s->blocks[b].series[k].count; i++, row++)
                put_point(t, &s->blocks[b], &s->blocks[b].series[k], &s->blocks[b].series[k].points[i],
                          grid_at(&g, row, 0));
    grid_print(&g, form, 0, s->seeds_max > 1 ? "Means and standard deviations over n seeds." : NULL);
    grid_free(&g);
    return true;
}

bool sweep_table_print(const char *folder, const char *figures, grid_form form, error *err) {
    sweep_table t = {.csv = form == GRID_CSV};
    if (!study_read(&t.study, folder, err)) return false;
    bool ok = choose(&t, figures, err) && print(&t, form, err);
    study_free(&t.study);
    return ok;
}

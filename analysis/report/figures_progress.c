/*
 * What was measured while runs trained (eval.every): figures over epochs, and the ranks that looks at held-out images
 * found meanwhile. Of one setting the figures stand in one panel; of several each figure has a panel, with a line a
 * setting.
 */
#include "analysis/report/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shown {
    const char *column, *final; /* of the history; the figure at a run's end, NULL: the history has that, too */
    const char *label;
    int style; /* a figure_thing; below 0: a reference */
} shown;

typedef struct shown_group {
    const char *title;
    bool verdicts; /* marked on its first line */
    shown lines[5];
} shown_group;

static const shown_group groups[] = {
    {"Accuracy on the test images",
     false,
     {{"figures.linear", "linear", "linear probe", FIGURE_LINEAR},
      {"figures.knn", "knn", "kNN", FIGURE_KNN},
      {"online_linear", NULL, "online probe", FIGURE_CODES}}},
    {"Agreement with the classes",
     false,
     {{"figures.prototype_nmi", "prototype_nmi", "NMI, codes", FIGURE_NMI},
      {"figures.prototype_nmi_chance", "prototype_nmi_chance", "by chance", -1},
      {"figures.prototype_ami", "prototype_ami", "AMI, codes", FIGURE_AMI},
      {"figures.kmeans_ami", "kmeans_ami", "AMI, k-means", FIGURE_CODES}}},
    {"Directions of held-out images, RankMe",
     true,
     {{"look.rankme", NULL, "embeddings", FIGURE_RANK}, {"look.rankme_backbone", NULL, "backbone", FIGURE_CODES}}},
};
enum { GROUPS = sizeof groups / sizeof *groups };

static bool no_room(error *err) { return error_memory(err, sizeof(plot), "a figure"); }

/* A figure over the epochs of one run. */
typedef struct progress {
    size_t count;
    double *epoch, *value; /* (count) */
} progress;

static void progress_free(progress *p) { free(p->epoch); }

static bool progress_read(progress *p, const record *r, const shown *what, error *err) {
    history h;
    *p = (progress){0};
    if (!history_read(&h, r, err)) return false;
    const double *epochs = history_column(&h, "epoch"), *values = history_column(&h, what->column);
    double last = 0, final = what->final ? record_metric(r, what->final) : (double)NAN;
    bool ok = true;
    if (epochs && values) {
        p->epoch = malloc(2 * (h.rows + 1) * sizeof *p->epoch);
        ok = p->epoch != NULL || no_room(err);
    }
    if (p->epoch) {
        p->value = p->epoch + h.rows + 1;
        for (size_t i = 0; i < h.rows; i++) {
            last = isfinite(epochs[i]) ? fmax(last, epochs[i]) : last;
            if (isfinite(epochs[i]) && isfinite(values[i]))
                p->epoch[p->count] = epochs[i], p->value[p->count++] = values[i];
        }
        if (p->count && isfinite(final)) p->epoch[p->count] = last, p->value[p->count++] = final;
    }
    history_free(&h);
    return ok;
}

/* The mean over seeds, in a band from the least to the most; a seed that was measured at other epochs is left out. */
static bool add_line(plot_panel *panel, const study_point *point, const shown *what, plot_look look, const char *label,
                     int style, double shade, error *err) {
    progress first = {0}, other;
    plot_line *line = NULL;
    double seeds = 0;
    bool ok = progress_read(&first, point->records[0], what, err);
    if (ok && first.count) {
        line = plot_add_line(panel, look, label, first.count);
        ok = line != NULL || no_room(err);
    }
    for (size_t r = 0; ok && line && r < point->count; r++) {
        if (!(ok = progress_read(&other, point->records[r], what, err))) break;
        bool alike =
            other.count == first.count && memcmp(other.epoch, first.epoch, first.count * sizeof *first.epoch) == 0;
        for (size_t i = 0; alike && i < other.count; i++) {
            double y = other.value[i];
            if (r == 0) plot_put(line, other.epoch[i], 0, y, y);
            line->y[i] += y, line->low[i] = fmin(line->low[i], y), line->high[i] = fmax(line->high[i], y);
        }
        seeds += alike;
        progress_free(&other);
    }
    for (size_t i = 0; ok && line && i < line->n; i++) line->y[i] /= seeds;
    if (line) line->style = style, line->shade = shade, line->sparse = first.count > 30;
    progress_free(&first);
    return ok;
}

/* What looks at the first seed said, on the line of their ranks. */
static bool add_verdicts(plot_panel *panel, const study_point *point, const shown *what, error *err) {
    static const shown worst = {"look.worst", NULL, NULL, 0};
    progress words, values;
    bool ok =
        progress_read(&words, point->records[0], &worst, err) && progress_read(&values, point->records[0], what, err);
    for (int v = STUDY_HEALTHY; ok && v < STUDY_VERDICTS; v++) {
        plot_line *marks = NULL;
        for (size_t i = 0; ok && i < words.count && words.count == values.count; i++) {
            if (words.value[i] != v) continue;
            if (!marks) marks = plot_add_line(panel, PLOT_VERDICTS, study_verdict_names[v], words.count);
            if (!marks) ok = no_room(err);
            if (ok) plot_put(marks, words.epoch[i], values.value[i], values.value[i], values.value[i]);
        }
        if (marks) marks->style = v;
    }
    progress_free(&words);
    progress_free(&values);
    return ok;
}

static bool has(const study_point *point, const shown *what, bool *there, error *err) {
    progress p;
    if (!progress_read(&p, point->records[0], what, err)) return false;
    *there = *there || p.count;
    progress_free(&p);
    return true;
}

static plot_panel *add_panel(plot *p, figure_subject subject) {
    char name[300];
    plot_panel *panel = plot_add_panel(p, figure_name_series(subject, name, sizeof name), "epoch", "");
    if (panel && subject.series->count > 1) {
        panel->listed = true;
        snprintf(panel->list_title, sizeof panel->list_title, "%s", subject.block->axis_name);
    }
    return panel;
}

/* A series of one setting: the group's figures together. */
static bool together(figure_subject subject, const shown_group *group, plot *p, error *err) {
    const study_point *point = subject.series->points;
    bool there = false;
    for (const shown *s = group->lines; s->column; s++)
        if (!has(point, s, &there, err)) return false;
    if (!there) return true;
    plot_panel *panel = add_panel(p, subject);
    if (!panel) return no_room(err);
    for (const shown *s = group->lines; s->column; s++)
        if (!add_line(panel, point, s, s->style < 0 ? PLOT_REFERENCE : PLOT_NAMED, s->label, s->style, 0, err))
            return false;
    if (!group->verdicts) return true;
    for (size_t i = 0; i < panel->count; i++) panel->lines[i].unmarked = true;
    return add_verdicts(panel, point, group->lines, err);
}

/* A series of several settings: one figure, a line a setting. */
static bool compared(figure_subject subject, const shown *what, plot *p, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, FIGURE_MOST_LINES, chosen);
    bool there = false;
    for (size_t k = 0; k < many; k++)
        if (!has(&subject.series->points[chosen[k]], what, &there, err)) return false;
    plot_panel *panel = there ? add_panel(p, subject) : NULL;
    if (there && !panel) return no_room(err);
    for (size_t k = 0; there && k < many; k++) {
        const study_point *point = &subject.series->points[chosen[k]];
        if (!add_line(panel, point, what, subject.block->numeric ? PLOT_ORDERED : PLOT_NAMED, point->label, (int)k,
                      (double)k / (double)(many - 1), err))
            return false;
    }
    return true;
}

static bool draw_group(const figure_scope *at, const shown_group *group, plot *p, error *err) {
    bool one = true;
    for (size_t i = 0; i < at->count; i++) one = one && at->series[i].series->count == 1;
    if (one) {
        if (!plot_begin_group(p, group->title)) return no_room(err);
        for (size_t i = 0; i < at->count; i++)
            if (!together(at->series[i], group, p, err)) return false;
        return true;
    }
    for (const shown *s = group->lines; s->column; s++) {
        char title[160];
        snprintf(title, sizeof title, "%s: %s", group->title, s->label);
        if (s->style < 0) continue;
        if (!plot_begin_group(p, title)) return no_room(err);
        for (size_t i = 0; i < at->count; i++)
            if (!compared(at->series[i], s, p, err)) return false;
    }
    return true;
}

/* Whether any run was measured before its end. */
static bool measured_midway(const figure_scope *at, bool *midway, error *err) {
    *midway = false;
    for (size_t i = 0; i < at->count; i++)
        for (size_t k = 0; k < at->series[i].series->count; k++) {
            history h;
            if (!history_read(&h, at->series[i].series->points[k].records[0], err)) return false;
            for (size_t c = 0; c < h.columns; c++) *midway = *midway || strncmp(h.names[c], "figures.", 8) == 0;
            history_free(&h);
        }
    return true;
}

bool figure_progress(const figure_scope *at, plot *p, figure *f, error *err) {
    bool midway;
    if (!measured_midway(at, &midway, err)) return false;
    for (int g = 0; midway && g < GROUPS; g++)
        if (!draw_group(at, &groups[g], p, err)) return false;
    snprintf(f->name, sizeof f->name, "progress");
    snprintf(f->title, sizeof f->title, "Figures over training");
    snprintf(
        f->caption, sizeof f->caption,
        "What the network had come to before the first step and after so many epochs (eval.every), measured as its "
        "final figures are; the last point is the final one. The online probe, ranks and verdicts are of looks at "
        "held-out images after every epoch; a mark is the worst of the four verdicts.");
    return true;
}

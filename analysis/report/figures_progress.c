/*
 * What was measured while runs trained (train.eval_every): figures over epochs, and the ranks that looks at held-out
 * images found meanwhile. Of one setting the figures stand in one panel; of several each figure has a panel, with a
 * line a setting.
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

/* A setting's runs, whose histories are read once. */
typedef struct setting {
    size_t at; /* in its series */
    const study_point *point;
    history *seeds; /* (point->count) */
} setting;

typedef struct drawn {
    figure_subject subject;
    setting settings[FIGURE_MOST_LINES];
    size_t count;
} drawn;

static bool read_series(drawn *d, figure_subject subject, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, FIGURE_MOST_LINES, chosen);
    d->subject = subject;
    for (size_t k = 0; k < many; k++) {
        setting *s = &d->settings[d->count];
        s->at = chosen[k], s->point = &subject.series->points[chosen[k]];
        s->seeds = calloc(s->point->count, sizeof *s->seeds);
        if (!s->seeds) return no_room(err);
        d->count++;
        for (size_t r = 0; r < s->point->count; r++)
            if (!history_read(&s->seeds[r], s->point->records[r], err)) return false;
    }
    return true;
}

static void forget(drawn *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++) {
            for (size_t r = 0; r < all[i].settings[k].point->count; r++) history_free(&all[i].settings[k].seeds[r]);
            free(all[i].settings[k].seeds);
        }
    free(all);
}

/* A figure over the epochs of one run. */
typedef struct course {
    size_t count;
    double *epoch, *value; /* (count) */
} course;

static void course_free(course *c) { free(c->epoch); }

static bool course_take(course *c, const setting *of, size_t seed, const shown *what, error *err) {
    const history *h = &of->seeds[seed];
    const double *epochs = history_column(h, "epoch"), *values = history_column(h, what->column);
    double last = 0, final = what->final ? record_metric(of->point->records[seed], what->final) : (double)NAN;
    *c = (course){0};
    if (!epochs || !values) return true;
    c->epoch = malloc(2 * (h->rows + 1) * sizeof *c->epoch);
    if (!c->epoch) return no_room(err);
    c->value = c->epoch + h->rows + 1;
    for (size_t i = 0; i < h->rows; i++) {
        if (!isfinite(epochs[i])) continue;
        last = fmax(last, epochs[i]);
        if (isfinite(values[i])) c->epoch[c->count] = epochs[i], c->value[c->count++] = values[i];
    }
    if (c->count && isfinite(final)) c->epoch[c->count] = last, c->value[c->count++] = final;
    return true;
}

/* The mean over seeds, in a band from the least to the most; a seed that was measured at other epochs is left out. */
static bool fill(plot_line *line, const setting *of, const shown *what, const course *first, error *err) {
    double seeds = 1;
    for (size_t i = 0; i < first->count; i++)
        plot_put(line, first->epoch[i], first->value[i], first->value[i], first->value[i]);
    for (size_t r = 1; r < of->point->count; r++) {
        course c;
        if (!course_take(&c, of, r, what, err)) return false;
        bool alike = c.count == first->count && memcmp(c.epoch, first->epoch, c.count * sizeof *c.epoch) == 0;
        for (size_t i = 0; alike && i < c.count; i++) {
            line->y[i] += c.value[i];
            line->low[i] = fmin(line->low[i], c.value[i]), line->high[i] = fmax(line->high[i], c.value[i]);
        }
        seeds += alike;
        course_free(&c);
    }
    for (size_t i = 0; i < line->n; i++) line->y[i] /= seeds;
    return true;
}

/* What looks at the first seed said, on the line of their ranks. */
static bool add_verdicts(plot_panel *panel, const setting *of, const shown *what, error *err) {
    static const shown worst = {"look.worst", NULL, NULL, 0};
    course words, values = {0};
    bool ok = course_take(&words, of, 0, &worst, err) && course_take(&values, of, 0, what, err);
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
    course_free(&words);
    course_free(&values);
    return ok;
}

/* A series of one setting: the group's figures together. */
static bool together(const drawn *d, const shown_group *group, plot *p, error *err) {
    const setting *of = d->settings;
    plot_panel *panel = NULL;
    bool ok = true;
    for (const shown *s = group->lines; ok && s->column; s++) {
        char name[300];
        course c;
        ok = course_take(&c, of, 0, s, err);
        if (ok && c.count) {
            if (!panel) panel = plot_add_panel(p, figure_name_series(d->subject, name, sizeof name), "epoch", "");
            plot_look look = s->style < 0 ? PLOT_REFERENCE : PLOT_NAMED;
            plot_line *line = panel ? plot_add_line(panel, look, s->label, c.count) : NULL;
            ok = line ? fill(line, of, s, &c, err) : no_room(err);
            if (line) line->style = s->style, line->sparse = c.count > 30, line->unmarked = group->verdicts;
        }
        course_free(&c);
    }
    return ok && (!panel || !group->verdicts || add_verdicts(panel, of, group->lines, err));
}

/* A series of several settings: one figure, a line a setting. */
static bool compared(const drawn *d, const shown *what, plot *p, error *err) {
    plot_panel *panel = NULL;
    bool ok = true;
    for (size_t k = 0; ok && k < d->count; k++) {
        course c;
        ok = course_take(&c, &d->settings[k], 0, what, err);
        if (ok && c.count) {
            if (!panel) panel = figure_line_panel(p, d->subject, "epoch");
            plot_line *line =
                panel ? figure_setting_line(panel, d->subject, d->settings[k].at, k, d->count, c.count) : NULL;
            ok = line ? fill(line, &d->settings[k], what, &c, err) : no_room(err);
        }
        course_free(&c);
    }
    return ok;
}

static bool draw_group(const drawn *all, size_t count, const shown_group *group, plot *p, error *err) {
    bool one = true;
    for (size_t i = 0; i < count; i++) one = one && all[i].count == 1;
    if (one) {
        if (!plot_begin_group(p, group->title)) return no_room(err);
        for (size_t i = 0; i < count; i++)
            if (!together(&all[i], group, p, err)) return false;
        return true;
    }
    for (const shown *s = group->lines; s->column; s++) {
        char title[160];
        if (s->style < 0) continue;
        snprintf(title, sizeof title, "%s: %s", group->title, s->label);
        if (!plot_begin_group(p, title)) return no_room(err);
        for (size_t i = 0; i < count; i++)
            if (!compared(&all[i], s, p, err)) return false;
    }
    return true;
}

/* Whether any of them was measured before its end. */
static bool measured_midway(const drawn *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++)
            for (size_t c = 0; c < all[i].settings[k].seeds[0].columns; c++)
                if (strncmp(all[i].settings[k].seeds[0].names[c], "figures.", 8) == 0) return true;
    return false;
}

bool figure_progress(const figure_scope *at, plot *p, figure *f, error *err) {
    drawn *all = calloc(at->count + 1, sizeof *all);
    bool ok = all != NULL || no_room(err);
    for (size_t i = 0; ok && i < at->count; i++) ok = read_series(&all[i], at->series[i], err);
    bool midway = ok && measured_midway(all, at->count);
    for (int g = 0; ok && midway && g < GROUPS; g++) ok = draw_group(all, at->count, &groups[g], p, err);
    if (all) forget(all, at->count);
    snprintf(f->name, sizeof f->name, "progress");
    snprintf(f->title, sizeof f->title, "Figures over training");
    snprintf(f->caption, sizeof f->caption,
             "What the network had come to before the first step and after so many epochs (train.eval_every), measured "
             "as its "
             "final figures are; the last point is the final one. The online probe, ranks and verdicts are of looks at "
             "held-out images after every epoch; a mark is the worst of the four verdicts.");
    return ok;
}

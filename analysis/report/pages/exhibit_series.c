/*
 * Files that are one thing at several times: epoch-1.npy, epoch-2.npy, … Their names differ in one number and nothing
 * else. They are shown in the order of that number, with the verdicts' statistics and ranks drawn over it.
 */
#include "analysis/report/pages/exhibit_series.h"
#include "analysis/report/pages/exhibit_figures.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_FILES = 3 };

/* The parts before and behind the `which`-th run of digits in a name, and its value; false where there is none. */
static bool split_name(const char *name, int which, size_t *before, const char **behind, double *value) {
    const char *at = name;
    for (int run = 0; *at; run++) {
        while (*at && !isdigit((unsigned char)*at)) at++;
        if (!*at) return false;
        const char *end = at;
        while (isdigit((unsigned char)*end)) end++;
        if (run == which) {
            *before = (size_t)(at - name), *behind = end, *value = strtod(at, NULL);
            return true;
        }
        at = end;
    }
    return false;
}

/* Whether all names are the first one with another number in this place. */
static bool differ_only_there(exhibit *items, size_t count, int which) {
    size_t before, own;
    const char *behind, *tail;
    double value;
    if (!split_name(items[0].name, which, &before, &behind, &items[0].at)) return false;
    for (size_t i = 1; i < count; i++) {
        if (!split_name(items[i].name, which, &own, &tail, &value) || own != before ||
            strncmp(items[i].name, items[0].name, before) != 0 || strcmp(tail, behind) != 0)
            return false;
        items[i].at = value;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (items[i].at == items[j].at) return false;
    return true;
}

static int by_number(const void *a, const void *b) {
    double x = ((const exhibit *)a)->at, y = ((const exhibit *)b)->at;
    return (x > y) - (x < y);
}

bool exhibit_series_find(exhibit *items, size_t count) {
    bool found = false;
    for (int which = 0; count >= LEAST_FILES && !found && which < 8; which++)
        found = differ_only_there(items, count, which);
    for (size_t i = 0; i < count && !found; i++) items[i].at = NAN;
    if (found) qsort(items, count, sizeof *items, by_number);
    return found;
}

bool exhibit_is_series(const exhibit *items, size_t count) { return count >= LEAST_FILES && isfinite(items[0].at); }

/* "epoch", of "run-3/epoch-0010": the word before the number. */
static void axis_name(const exhibit *e, char *out, size_t size) {
    const char *name = e->name;
    snprintf(out, size, "number in the name");
    for (int which = 0; which < 8; which++) {
        size_t before;
        const char *behind;
        double value;
        if (!split_name(name, which, &before, &behind, &value) || value != e->at) continue;
        size_t end = before, start;
        while (end && !isalpha((unsigned char)name[end - 1])) end--;
        for (start = end; start && isalpha((unsigned char)name[start - 1]);) start--;
        if (end > start) snprintf(out, size, "%.*s", (int)(end - start), name + start);
    }
}

static bool no_room(error *err) { return error_memory(err, sizeof(plot_panel), "a figure"); }

/* About six of the files' numbers. */
static bool number_ticks(plot_panel *panel, const exhibit *items, size_t count) {
    char label[32];
    size_t step = (count + 5) / 6;
    for (size_t i = 0; i < count; i += step) {
        snprintf(label, sizeof label, "%g", items[i].at);
        if (!plot_add_tick(panel, items[i].at, label)) return false;
    }
    return true;
}

static bool ranks_panel(const exhibit *items, size_t count, const char *axis, plot *p, error *err) {
    static const char *const names[][2] = {{"rankme", "RankMe"}, {"effective_rank", "effective rank"}};
    plot_panel *panel = plot_add_panel(p, "Directions in use", axis, "rank");
    if (!panel || !number_ticks(panel, items, count)) return no_room(err);
    panel->zero = true;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        plot_line *line = plot_add_line(panel, PLOT_NAMED, names[k][1], count);
        if (!line) return no_room(err);
        line->style = (int)k + COLLAPSE_MODES, line->sparse = count > 12;
        for (size_t i = 0; i < count; i++) {
            double y = exhibit_figure(&items[i], names[k][0]);
            plot_put(line, items[i].at, y, y, y);
        }
    }
    return true;
}

static double number(const json_t *v, const char *key) {
    const json_t *value = json_object_get(v, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* Each mode on the scale of its own thresholds, as a run's history is drawn. */
static bool verdicts_panel(const exhibit *items, size_t count, const char *axis, plot *p, error *err) {
    plot_panel *panel = plot_add_panel(p, "Each mode", axis, "");
    if (!panel || !number_ticks(panel, items, count)) return no_room(err);
    if (!exhibit_zones(panel, items[0].at, items[count - 1].at, err)) return false;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        plot_line *line = NULL;
        for (size_t i = 0; i < count; i++) {
            const json_t *v = exhibit_verdict(&items[i], (collapse_mode)mode);
            const char *word = json_string_value(json_object_get(v, "verdict"));
            double y = collapse_gauge(number(v, "statistic"), number(v, "threshold_collapsed"),
                                      number(v, "threshold_warning"), number(v, "expected"));
            if (!word || strcmp(word, "unknown") == 0) continue;
            if (!line && !(line = plot_add_line(panel, PLOT_NAMED, collapse_mode_name((collapse_mode)mode), count)))
                return no_room(err);
            line->style = mode, line->sparse = count > 12;
            plot_put(line, items[i].at, y, y, y);
        }
    }
    return true;
}

bool exhibit_series(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    char axis[64];
    if (!exhibit_is_series(items, count)) return true;
    axis_name(&items[0], axis, sizeof axis);
    p->columns = 2, p->width = 430;
    snprintf(f->title, sizeof f->title, "One thing at %zu times: verdicts and ranks over %s", count, axis);
    snprintf(
        f->caption, sizeof f->caption,
        "The files differ in one number of their names, and stand in its order. Left, each mode on the scale of its "
        "own thresholds: the lower third is collapsed, the upper third healthy. Right, RankMe and the centred "
        "effective rank, from 0.");
    return verdicts_panel(items, count, axis, p, err) && plot_begin_group(p, "") &&
           ranks_panel(items, count, axis, p, err);
}

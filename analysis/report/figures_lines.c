/*
 * Figures with one line a setting: singular spectra, the use of the codes, losses over training.
 */
#include "analysis/report/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A curve over the seeds of a point: mean, smallest and largest at each of `count` places. */
typedef struct curve {
    size_t count, seeds;
    double *mean, *low, *high;
} curve;

static void curve_free(curve *c) {
    free(c->mean);
    *c = (curve){0};
}

/* Adds a seed's values; those of another length than the first's are left out. */
static bool curve_add(curve *c, const double *values, size_t count) {
    if (!c->mean) {
        c->mean = malloc(3 * count * sizeof *c->mean);
        if (!c->mean) return false;
        c->count = count, c->low = c->mean + count, c->high = c->low + count;
        for (size_t i = 0; i < count; i++) c->mean[i] = 0, c->low[i] = INFINITY, c->high[i] = -INFINITY;
    }
    if (count != c->count) return true;
    for (size_t i = 0; i < count; i++) {
        c->mean[i] += values[i];
        c->low[i] = fmin(c->low[i], values[i]);
        c->high[i] = fmax(c->high[i], values[i]);
    }
    c->seeds++;
    return true;
}

plot_panel *figure_line_panel(plot *p, figure_subject subject, const char *x_label) {
    char name[300];
    plot_panel *panel = plot_add_panel(p, figure_name_series(subject, name, sizeof name), x_label, "");
    if (panel && *subject.block->axis_name) {
        panel->listed = true;
        snprintf(panel->list_title, sizeof panel->list_title, "%s", subject.block->axis_name);
    }
    return panel;
}

plot_line *figure_setting_line(plot_panel *panel, figure_subject subject, size_t i, size_t k, size_t many,
                               size_t room) {
    const char *label = subject.block->axis[0] || subject.series->count > 1 ? subject.series->points[i].label : "";
    plot_line *line = plot_add_line(panel, subject.block->numeric ? PLOT_ORDERED : PLOT_NAMED, label, room);
    if (!line) return NULL;
    line->style = (int)k;
    line->shade = many > 1 ? (double)k / (double)(many - 1) : 0;
    line->sparse = room > 12;
    return line;
}

/* ---- spectra ---------------------------------------------------------------------------------------------------- */

static bool read_spectrum(const study_point *point, const char *name, curve *c, error *err) {
    for (size_t r = 0; r < point->count; r++) {
        size_t count;
        double *values = record_array(point->records[r], name, &count);
        if (!values && count) return error_memory(err, count * sizeof *values, "a spectrum");
        if (!values) continue;
        double largest = values[0];
        for (size_t i = 0; i < count; i++) values[i] = largest > 0 ? values[i] / largest : 0;
        bool ok = curve_add(c, values, count);
        free(values);
        if (!ok) return error_memory(err, 3 * count * sizeof *values, "a spectrum");
    }
    return true;
}

/* What noise of the same n and d would look like, when all settings have the same. */
static bool add_noise(const study_series *series, plot_panel *panel, error *err) {
    curve c = {0};
    double d = study_measure(&series->points[0], "d").mean, n = study_measure(&series->points[0], "n").mean;
    for (size_t i = 1; i < series->count; i++)
        if (study_measure(&series->points[i], "d").mean != d || study_measure(&series->points[i], "n").mean != n)
            return true;
    bool ok = read_spectrum(&series->points[series->count - 1], "singular_values_noise", &c, err);
    if (ok && c.seeds) {
        plot_line *line = plot_add_line(panel, PLOT_REFERENCE, "noise", c.count);
        for (size_t rank = 1; line && rank <= c.count; rank = figure_next_rank(rank)) {
            double mean = c.mean[rank - 1] / (double)c.seeds;
            plot_put(line, (double)rank, mean >= panel->y_floor ? mean : (double)NAN, mean, mean);
        }
        ok = line || error_memory(err, c.count * sizeof d, "a figure");
    }
    curve_free(&c);
    return ok;
}

static bool spectrum_panel(figure_subject subject, const char *array, plot *p, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, FIGURE_MOST_LINES, chosen);
    plot_panel *panel = NULL;
    for (size_t k = 0; k < many; k++) {
        curve c = {0};
        if (!read_spectrum(&subject.series->points[chosen[k]], array, &c, err)) return curve_free(&c), false;
        if (!c.seeds) continue;
        if (!panel && (panel = figure_line_panel(p, subject, "rank of the value"))) {
            panel->x_log = panel->y_log = true;
            panel->y_floor = 1e-6; /* what float32 embeddings can still resolve */
        }
        plot_line *line = panel ? figure_setting_line(panel, subject, chosen[k], k, many, c.count) : NULL;
        for (size_t rank = 1; line && rank <= c.count; rank = figure_next_rank(rank)) {
            double mean = c.mean[rank - 1] / (double)c.seeds;
            bool shown = mean >= panel->y_floor;
            plot_put(line, (double)rank, shown ? mean : (double)NAN, fmax(c.low[rank - 1], panel->y_floor),
                     c.high[rank - 1]);
        }
        curve_free(&c);
        if (!line) return error_memory(err, sizeof *line, "a figure");
    }
    return !panel || strcmp(array, "singular_values_centred") != 0 || add_noise(subject.series, panel, err);
}

/* Says it when a figure shows fewer settings than there are. */
static const char *thinned_note(const figure_scope *at) {
    for (size_t i = 0; i < at->count; i++)
        if (at->series[i].series->count > FIGURE_MOST_LINES) return " Of many settings seven are shown.";
    return "";
}

bool figure_spectra(const figure_scope *at, plot *p, figure *f, error *err) {
    static const char *const arrays[] = {"singular_values_centred", "singular_values"};
    static const char *const titles[] = {"About the mean, σ over the largest σ", "As they are, σ over the largest σ"};
    for (int k = 0; k < 2; k++) {
        if (!plot_begin_group(p, titles[k])) return error_memory(err, sizeof *p, "a figure");
        for (size_t i = 0; i < at->count; i++)
            if (!spectrum_panel(at->series[i], arrays[k], p, err)) return false;
    }
    f->folded = true;
    snprintf(f->name, sizeof f->name, "spectra");
    snprintf(f->title, sizeof f->title, "Singular values of the embeddings");
    snprintf(
        f->caption, sizeof f->caption,
        "A line a setting: its singular values, largest first, over the largest. A line that stays high uses its "
        "dimensions evenly; one that falls off a cliff at rank r lives in r dimensions: a dimensional collapse where r "
        "is a small part of what was possible and no clusters' own. Dotted, where all settings of a panel have one "
        "size: isotropic noise of that size. Values under "
        "10⁻⁶ are not drawn. Above about the mean; below as they are, where the first value also holds the mean.%s",
        thinned_note(at));
    return true;
}

/* ---- codes in use ----------------------------------------------------------------------------------------------- */

static bool usage_curves(figure_subject subject, plot *p, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, FIGURE_MOST_LINES, chosen);
    plot_panel *panel = NULL;
    for (size_t k = 0; k < many; k++) {
        const record *r = subject.series->points[chosen[k]].records[0];
        size_t count, used = 0;
        double *counts = record_array(r, "code_usage", &count), n = record_metric(r, "n");
        if (!counts && count) return error_memory(err, count * sizeof *counts, "a figure");
        if (!counts) continue;
        while (used < count && counts[used] > 0) used++;
        if (!panel && (panel = figure_line_panel(p, subject, "codes, most used first")))
            panel->x_log = panel->y_log = true;
        plot_line *line = panel ? figure_setting_line(panel, subject, chosen[k], k, many, used + 1) : NULL;
        for (size_t rank = 1; line && rank <= used; rank = figure_next_rank(rank))
            plot_put(line, (double)rank, counts[rank - 1] / n, counts[rank - 1] / n, counts[rank - 1] / n);
        free(counts);
        if (!line) return error_memory(err, used * sizeof n, "a figure");
    }
    return true;
}

/* How many codes are some sample's best, and how many would be were all equally likely: c (1 − (1 − 1/c)ⁿ). */
static bool usage_totals(figure_subject subject, plot *p, error *err) {
    const study_series *series = subject.series;
    if (!subject.block->axis[0] || series->count < 2 || !study_measure(&series->points[0], "codes_used").n) return true;
    char name[300];
    plot_panel *panel = plot_add_panel(p, figure_name_series(subject, name, sizeof name), subject.block->axis_name, "");
    plot_line *used = panel ? plot_add_line(panel, PLOT_NAMED, "in use", series->count) : NULL;
    plot_line *expected =
        used ? plot_add_line(panel, PLOT_REFERENCE, "if all were equally likely", series->count) : NULL;
    if (!expected) return error_memory(err, sizeof *panel, "a figure");
    used = &panel->lines[0]; /* the lines may have moved */
    used->style = FIGURE_CODES, used->apart = !subject.block->numeric;
    panel->shared = true;
    double low = INFINITY, high = 0;
    panel->x_log = subject.block->log;
    panel->zero = true;
    for (size_t i = 0; i < series->count; i++) {
        const study_point *point = &series->points[i];
        study_figure figure = study_measure(point, "codes_used"), chance = study_measure(point, "codes_used_expected");
        plot_put(used, point->x, figure.mean, figure.min, figure.max);
        low = fmin(low, figure.min), high = fmax(high, fmax(figure.max, chance.max));
        plot_put(expected, point->x, chance.mean, chance.mean, chance.mean);
        if (!plot_add_tick(panel, point->x, point->label)) return error_memory(err, sizeof *panel, "a figure");
    }
    panel->y_log = low > 0 && high >= 8 * low;
    return true;
}

bool figure_usage(const figure_scope *at, plot *p, figure *f, error *err) {
    if (!plot_begin_group(p, "Share of the samples on each code")) return error_memory(err, sizeof *p, "a figure");
    for (size_t i = 0; i < at->count; i++)
        if (!usage_curves(at->series[i], p, err)) return false;
    if (!plot_begin_group(p, "Codes")) return error_memory(err, sizeof *p, "a figure");
    for (size_t i = 0; i < at->count; i++)
        if (!usage_totals(at->series[i], p, err)) return false;
    f->folded = true;
    snprintf(f->name, sizeof f->name, "usage");
    snprintf(f->title, sizeof f->title, "How the codes are used");
    snprintf(
        f->caption, sizeof f->caption,
        "Above: the codes by how many test samples choose them; a flat line shares the samples out evenly, a steep "
        "one lets a few codes take them all (the first seed of each setting). Below: how many codes are chosen at "
        "all, beside the number that as many samples would hit were every code equally likely; far below it is "
        "cluster collapse.%s",
        thinned_note(at));
    return true;
}

/* ---- losses ----------------------------------------------------------------------------------------------------- */

enum { LOSS_BINS = 60, MOST_PARTS = 8 };

/* Means of a column in LOSS_BINS equal stretches of the steps; NaN where a stretch has none. */
static void bin_column(const double *steps, const double *values, size_t rows, double last, double out[LOSS_BINS]) {
    size_t counts[LOSS_BINS] = {0};
    for (int i = 0; i < LOSS_BINS; i++) out[i] = 0;
    for (size_t i = 0; i < rows; i++) {
        if (!isfinite(steps[i]) || !isfinite(values[i]) || steps[i] < 0 || last <= 0) continue;
        int bin = (int)fmin(steps[i] / last * LOSS_BINS, LOSS_BINS - 1);
        out[bin] += values[i], counts[bin]++;
    }
    for (int i = 0; i < LOSS_BINS; i++) out[i] = counts[i] ? out[i] / (double)counts[i] : (double)NAN;
}

static double last_step(const history *h) {
    const double *steps = history_column(h, "step");
    double last = 0;
    for (size_t i = 0; steps && i < h->rows; i++)
        if (isfinite(steps[i])) last = fmax(last, steps[i]);
    return last;
}

static double last_of(const history *h, const char *column) {
    const double *values = history_column(h, column);
    double last = NAN;
    for (size_t i = 0; values && i < h->rows; i++) last = isfinite(values[i]) ? values[i] : last;
    return last;
}

/* What the loss is of outputs that tell nothing, where it has been the same from one setting to the next in one line.
 */
static bool chance_lines(plot_panel *panel, figure_subject subject, const size_t *chosen, const double *chances,
                         size_t many, double last) {
    for (size_t k = 0; k < many; k++) {
        bool alike = true, shown = false;
        for (size_t i = 0; i < many; i++) alike = alike && (chances[i] == chances[k] || !isfinite(chances[i]));
        for (size_t i = 0; i < k; i++) shown = shown || chances[i] == chances[k];
        if (!isfinite(chances[k]) || shown) continue;
        char label[200];
        snprintf(label, sizeof label, alike ? "chance" : "chance, %.150s", subject.series->points[chosen[k]].label);
        plot_line *line = plot_add_line(panel, PLOT_REFERENCE, label, 2);
        if (!line) return false;
        plot_put(line, 0, chances[k], chances[k], chances[k]);
        plot_put(line, last, chances[k], chances[k], chances[k]);
    }
    return true;
}

static bool loss_panel(figure_subject subject, const char *column, plot *p, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, FIGURE_MOST_LINES, chosen);
    plot_panel *panel = figure_line_panel(p, subject, "step");
    double chances[FIGURE_MOST_LINES], longest = 0;
    bool has_chance = strcmp(column, "loss") == 0;
    if (!panel) return error_memory(err, sizeof *panel, "a figure");
    for (size_t k = 0; k < many; k++) {
        const study_point *point = &subject.series->points[chosen[k]];
        curve c = {0};
        double last = 0, bins[LOSS_BINS];
        chances[k] = NAN;
        for (size_t r = 0; r < point->count; r++) {
            history h;
            if (!history_read(&h, point->records[r], err)) return curve_free(&c), false;
            const double *steps = history_column(&h, "step"), *values = history_column(&h, column);
            bool ok = true;
            if (steps && values) {
                if (last == 0) last = last_step(&h);
                bin_column(steps, values, h.rows, last, bins);
                chances[k] = has_chance ? last_of(&h, "chance_loss") : NAN;
                ok = curve_add(&c, bins, LOSS_BINS);
            }
            history_free(&h);
            if (!ok) return error_memory(err, sizeof bins, "a loss curve");
        }
        if (!c.seeds) continue;
        longest = fmax(longest, last);
        plot_line *line = figure_setting_line(panel, subject, chosen[k], k, many, LOSS_BINS);
        for (int i = 0; line && i < LOSS_BINS; i++)
            if (isfinite(c.mean[i]))
                plot_put(line, (i + 0.5) * last / LOSS_BINS, c.mean[i] / (double)c.seeds, c.low[i], c.high[i]);
        curve_free(&c);
        if (!line) return error_memory(err, sizeof *line, "a figure");
    }
    return chance_lines(panel, subject, chosen, chances, many, longest) || error_memory(err, sizeof *panel, "a figure");
}

/* What the series' runs recorded beside the loss. */
static bool recorded_parts(figure_subject subject, char parts[MOST_PARTS][96], size_t *count, error *err) {
    static const char *const axes[] = {"step", "epoch", "loss", "chance_loss", "lr", NULL};
    history h;
    if (!history_read(&h, subject.series->points[0].records[0], err)) return false;
    for (size_t i = 0; i < h.columns && history_column(&h, "loss") && *count < MOST_PARTS; i++) {
        bool known = strncmp(h.names[i], "time", 4) == 0 || strncmp(h.names[i], "figures.", 8) == 0 ||
                     strncmp(h.names[i], "look.", 5) == 0;
        for (const char *const *a = axes; *a; a++) known = known || strcmp(*a, h.names[i]) == 0;
        for (size_t k = 0; k < *count; k++) known = known || strcmp(parts[k], h.names[i]) == 0;
        if (!known) snprintf(parts[(*count)++], sizeof *parts, "%s", h.names[i]);
    }
    history_free(&h);
    return true;
}

static bool has_column(figure_subject subject, const char *column, bool *has, error *err) {
    history h;
    if (!history_read(&h, subject.series->points[0].records[0], err)) return false;
    *has = history_column(&h, column) && history_column(&h, "step");
    history_free(&h);
    return true;
}

bool figure_losses(const figure_scope *at, plot *p, figure *f, error *err) {
    char parts[MOST_PARTS][96] = {"loss"};
    size_t count = 1;
    bool has;
    for (size_t i = 0; i < at->count; i++)
        if (!recorded_parts(at->series[i], parts, &count, err)) return false;
    for (size_t k = 0; k < count; k++) {
        if (!plot_begin_group(p, parts[k])) return error_memory(err, sizeof *p, "a figure");
        for (size_t i = 0; i < at->count; i++)
            if (!has_column(at->series[i], parts[k], &has, err) ||
                (has && !loss_panel(at->series[i], parts[k], p, err)))
                return false;
    }
    f->folded = true;
    snprintf(f->name, sizeof f->name, "loss");
    snprintf(f->title, sizeof f->title, "Training");
    snprintf(
        f->caption, sizeof f->caption,
        "The loss over training, each point the mean of a sixtieth of it, and below it what else was recorded. "
        "Losses of different settings are not on one scale (their optimum moves with the number of codes or "
        "features): read the shape, whether it still falls, and where it stands against chance, the loss of outputs "
        "that tell nothing of the image (every code or partner alike, views uncorrelated).%s",
        thinned_note(at));
    return true;
}

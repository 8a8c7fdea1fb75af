/*
 * The figures of a sweep as a whole: what each key did to what comes out, accuracy against cost, and the verdicts of
 * every run.
 */
#include "analysis/report/study/cost.h"
#include "analysis/report/study/effects_words.h"
#include "analysis/report/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- main effects ----------------------------------------------------------------------------------------------- */

/* Where a run stands on a factor's axis. */
static double place_of(const factor *f, const record *r, size_t level) {
    char text[64];
    if (!f->numeric) return (double)level;
    return f->ranges ? strtod(record_text(r, f->key, text, sizeof text), NULL) : f->levels[level].x;
}

static bool add_runs(plot_panel *panel, const factors *all, const effect *e) {
    plot_line *points = plot_add_line(panel, PLOT_POINTS, "", all->count);
    if (!points) return false;
    points->style = -1;
    for (size_t i = 0; i < all->count; i++) {
        double y = record_metric(all->runs[i], e->metric);
        if (isfinite(y)) plot_put(points, place_of(e->factor, all->runs[i], e->factor->level[i]), y, y, y);
    }
    return true;
}

static bool add_means(plot_panel *panel, const effect *e, double range[2]) {
    const factor *f = e->factor;
    plot_line *means = plot_add_line(panel, PLOT_INTERVALS, "", e->count);
    if (!means) return false;
    means->apart = !f->numeric;
    for (size_t l = 0; l < e->count; l++) {
        const factor_level *level = &f->levels[e->levels[l].of];
        double mean = e->levels[l].mean, half = isfinite(e->levels[l].half_width) ? e->levels[l].half_width : 0;
        plot_put(means, level->x, mean, mean - half, mean + half);
        range[0] = fmin(range[0], mean - half), range[1] = fmax(range[1], mean + half);
    }
    for (size_t l = 0; l < f->count && !f->ranges; l++)
        if (!plot_add_tick(panel, f->levels[l].x, f->levels[l].label)) return false;
    return true;
}

/* A panel a key, all over the same range. */
static bool add_keys(plot *p, const block_effects *b) {
    double range[2] = {INFINITY, -INFINITY};
    size_t first = p->count;
    for (size_t k = 0; k < b->factors.factor_count; k++) {
        const effect *e = effects_at(b, 0, k);
        if (e->count < 2) continue;
        plot_panel *panel = plot_add_panel(p, e->factor->key, "", "");
        if (!panel || !add_runs(panel, &b->factors, e) || !add_means(panel, e, range)) return false;
        panel->x_log = e->factor->log;
        panel->least_span = 0.02; /* smaller differences are not to look large */
    }
    for (size_t i = first; i < p->count; i++) p->panels[i].y_low = range[0], p->panels[i].y_high = range[1];
    return true;
}

/* A block of one key is in the overview as it is: only what several keys did has to be taken apart. */
bool figure_effects(const figure_scope *at, plot *p, figure *f, error *err) {
    char units[160] = "", title[160];
    bool matched = true;
    for (size_t i = 0; i < at->effects->count; i++) {
        const block_effects *b = &at->effects->blocks[i];
        if (b->factors.factor_count < 2) continue;
        const char *metric = study_metric_title(b->metrics[0]);
        if (at->effects->count > 1)
            snprintf(title, sizeof title, "%.90s: %.60s", b->block->name, metric);
        else
            snprintf(title, sizeof title, "%.150s", metric);
        if (!plot_begin_group(p, title) || !add_keys(p, b)) return error_memory(err, sizeof *p, "a figure");
        const effect *e = effects_at(b, 0, 0);
        if (e->count) effects_say_units(e, units, sizeof units), matched = e->factor->matched;
    }
    snprintf(f->name, sizeof f->name, "effects");
    snprintf(f->title, sizeof f->title, "What each key did");
    snprintf(f->caption, sizeof f->caption,
             "A panel a key. Blue marks are means at its values over %s. Bars are the 95 %% interval of the difference "
             "from the key's first value, which has none itself (%s). Grey points are the runs.",
             matched ? "the same settings of the other keys" : "the settings of the other keys that were drawn",
             *units ? units : "where there are repetitions");
    return true;
}

/* ---- accuracy against cost -------------------------------------------------------------------------------------- */

bool figure_cost(const figure_scope *at, plot *p, figure *f, error *err) {
    const study *s = at->study;
    cost c;
    if (!cost_read(&c, s, err)) return false;
    bool ok = true;
    if (!c.told) goto done;
    ok = plot_begin_group(p, study_metric_title(c.metric));
    p->columns = 2, p->width = 420, p->height = 260;
    plot_panel *panel = ok ? plot_add_panel(p, "against seconds of training", "seconds of training", "") : NULL;
    ok = panel != NULL;
    for (size_t b = 0; ok && b < s->count; b++) {
        plot_line *points = plot_add_line(panel, PLOT_POINTS, s->count > 1 ? s->blocks[b].name : "", c.count);
        ok = points != NULL;
        for (size_t i = 0; ok && i < c.count; i++)
            if (c.points[i].block == &s->blocks[b])
                plot_put(points, c.points[i].seconds, c.points[i].value, c.points[i].value, c.points[i].value);
        if (ok) points->style = s->count > 1 ? (int)b : -1;
    }
    plot_line *front = ok ? plot_add_line(panel, PLOT_NAMED, "front", c.count) : NULL;
    ok = front != NULL;
    for (size_t i = 0; ok && i < c.count; i++)
        if (c.points[i].front)
            plot_put(front, c.points[i].seconds, c.points[i].value, c.points[i].value, c.points[i].value);
    if (ok) panel->x_log = c.points[0].seconds > 0 && c.points[c.count - 1].seconds >= 8 * c.points[0].seconds;
    if (ok) panel->least_span = 0.02;
    f->folded = true;
    snprintf(f->name, sizeof f->name, "cost");
    snprintf(f->title, sizeof f->title, "Accuracy against cost");
    snprintf(
        f->caption, sizeof f->caption,
        "A point a setting: %s and seconds of training, means over seeds. The line joins the settings that nothing "
        "else beats in both. Seconds are of the wall clock; settings differ by far more of them than seeds do.",
        study_metric_title(c.metric));
done:
    cost_free(&c);
    return ok || error_memory(err, sizeof *p, "a figure");
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

enum { MODES = 4 };

static bool add_verdict(plot_panel *panel, const record **runs, size_t count, int verdict) {
    plot_line *tiles = NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t m = 0; m < MODES; m++) {
            if (study_run_verdict(runs[i], study_modes[m]) != verdict) continue;
            if (!tiles) tiles = plot_add_line(panel, PLOT_TILES, study_verdict_names[verdict], MODES * count);
            if (!tiles) return false;
            double middle = 1 - ((double)m + 0.5) / MODES;
            plot_put(tiles, (double)i + 1, middle, middle - 0.11, middle + 0.11);
        }
    if (tiles) tiles->style = verdict;
    return true;
}

/* Where every setting has one run, the table of verdicts says it all. */
bool figure_verdicts(const figure_scope *at, plot *p, figure *f, error *err) {
    size_t count = at->study->run_count;
    const record **runs = at->study->runs;
    bool any = false;
    if (at->study->seeds_max < 2) return true;
    for (size_t i = 0; i < count; i++) any = any || json_object_get(runs[i]->diagnosis, "verdicts");
    if (!any || count < 2) return true;
    p->columns = 1, p->width = 640, p->height = 170;
    plot_panel *panel = plot_add_panel(p, "", "run", "");
    bool ok = panel != NULL;
    for (size_t m = 0; ok && m < MODES; m++) ok = plot_add_y_tick(panel, 1 - ((double)m + 0.5) / MODES, study_modes[m]);
    for (int v = STUDY_COLLAPSED; ok && v >= STUDY_UNKNOWN; v--) ok = add_verdict(panel, runs, count, v);
    if (ok) panel->listed = true;
    f->folded = true;
    snprintf(f->name, sizeof f->name, "verdicts");
    snprintf(f->title, sizeof f->title, "The four collapses, run by run");
    snprintf(f->caption, sizeof f->caption,
             "A column a run, numbered as in the list of runs: setting by setting, seeds side by side.");
    return ok || error_memory(err, sizeof *p, "a figure");
}

/*
 * The list of figures, and those that show a figure of merit against what was varied: rank, and quality.
 */
#include "analysis/report/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *figure_name_series(figure_subject subject, char *out, size_t size) {
    const char *label = subject.series->label;
    snprintf(out, size, "%s%s%s", subject.block->name, *label ? ", " : "", label);
    return out;
}

const char *figure_seeds(figure_subject subject, char *out, size_t size) {
    size_t most = 0;
    for (size_t i = 0; subject.series && i < subject.series->count; i++)
        most = subject.series->points[i].count > most ? subject.series->points[i].count : most;
    if (!subject.series) most = subject.study->seeds_max;
    if (most > 1)
        snprintf(out, size, "Lines are means, bands run from the smallest to the largest of up to %zu seeds.", most);
    else
        snprintf(out, size, "One seed a setting: there is no band, and small differences mean nothing.");
    return out;
}

size_t figure_choose(const study_series *series, size_t most, size_t chosen[FIGURE_MOST_LINES]) {
    size_t count = series->count < most ? series->count : most;
    for (size_t i = 0; i < count; i++)
        chosen[i] = count > 1 ? (i * (series->count - 1) + (count - 1) / 2) / (count - 1) : 0;
    return count;
}

/* ---- rank against dimension ------------------------------------------------------------------------------------- */

static bool add_ticks(plot_panel *panel, const study_series *series) {
    bool ok = true;
    for (size_t i = 0; i < series->count; i++)
        ok = ok && plot_add_tick(panel, series->points[i].x, series->points[i].label);
    return ok;
}

static bool add_metric(plot_panel *panel, int style, const char *label, const study_series *series, const char *metric,
                       plot_look look) {
    plot_line *line = plot_add_line(panel, look, label, series->count);
    if (!line || !add_ticks(panel, series)) return false;
    line->style = style;
    for (size_t i = 0; i < series->count; i++) {
        study_figure figure = study_measure(&series->points[i], metric);
        plot_put(line, series->points[i].x, figure.mean, figure.min, figure.max);
    }
    return true;
}

static bool has_metric(const study_series *series, const char *metric) {
    for (size_t i = 0; i < series->count; i++)
        if (study_measure(&series->points[i], metric).n) return true;
    return false;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static double limit_of(const study_point *p) {
    double d = study_measure(p, "d").mean, n = study_measure(p, "n").mean;
    return isfinite(d) && isfinite(n) ? fmin(n, d) : (double)NAN;
}

/* Adds a series' limits, min(n, d), to a line that has one place for each tick; false where they contradict it. */
static bool merge_limits(const plot_panel *panel, const study_series *series, plot_line *bound) {
    bool agree = true;
    for (size_t t = 0; t < panel->tick_count; t++)
        for (size_t i = 0; i < series->count; i++) {
            double limit = limit_of(&series->points[i]);
            if (series->points[i].x != panel->ticks[t].at || !isfinite(limit)) continue;
            agree = agree && (isnan(bound->y[t]) || bound->y[t] == limit);
            bound->y[t] = bound->low[t] = bound->high[t] = limit;
        }
    return agree;
}

static plot_line *add_bound(plot_panel *panel, const char *label) {
    plot_line *bound = plot_add_line(panel, PLOT_REFERENCE, label, panel->tick_count);
    for (size_t t = 0; bound && t < panel->tick_count; t++)
        plot_put(bound, panel->ticks[t].at, (double)NAN, (double)NAN, (double)NAN);
    return bound;
}

/* The most that runs over `axis` could score: one line when their sizes agree, else one for each series. */
static bool add_limits(const study *s, const char *axis, plot_panel *panel) {
    plot_line *bound = add_bound(panel, "min(n, d)");
    bool agree = bound != NULL;
    char name[300], label[160];
    for (size_t b = 0; agree && b < s->count; b++)
        for (size_t k = 0; strcmp(s->blocks[b].axis, axis) == 0 && k < s->blocks[b].count; k++)
            agree = merge_limits(panel, &s->blocks[b].series[k], bound) && agree;
    if (agree || !bound) return bound != NULL;
    bound->n = 0;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; strcmp(s->blocks[b].axis, axis) == 0 && k < s->blocks[b].count; k++) {
            figure_subject subject = {s, &s->blocks[b], &s->blocks[b].series[k], NULL};
            snprintf(label, sizeof label, "d, %.140s", figure_name_series(subject, name, sizeof name));
            if (!(bound = add_bound(panel, label))) return false;
            merge_limits(panel, subject.series, bound);
            size_t kept = 0; /* a tick that is another series' is no gap in this one */
            for (size_t t = 0; t < bound->n; t++)
                if (isfinite(bound->y[t]))
                    bound->x[kept] = bound->x[t], bound->y[kept] = bound->low[kept] = bound->high[kept] = bound->y[t],
                    kept++;
            bound->n = kept;
        }
    return true;
}

/* Over codes, the line rank = codes, as far as there are data beside it. */
static bool add_equality(const char *axis, plot_panel *panel, double highest) {
    enum { STEPS = 24 }; /* the line is straight only where both axes are logarithmic */
    if (!ends_with(axis, "codes") && !ends_with(axis, "prototypes")) return true;
    double start = panel->ticks[0].at, end = fmin(panel->ticks[panel->tick_count - 1].at, highest);
    if (!(start > 0 && end > start)) return true;
    plot_line *equal = plot_add_line(panel, PLOT_REFERENCE, "rank = codes", STEPS + 1);
    if (!equal) return false;
    for (int i = 0; i <= STEPS; i++) {
        double codes = start * pow(end / start, (double)i / STEPS);
        plot_put(equal, codes, codes, codes, codes);
    }
    return true;
}

static bool rank_panel(const study *s, const study_block *like, const char *metric, const char *title,
                       const char *y_label, bool bounds, plot *p) {
    char heading[200], label[300];
    snprintf(heading, sizeof heading, "%s against %s", title, like->axis_name);
    plot_panel *panel = plot_add_panel(p, heading, like->axis_name, y_label);
    if (!panel) return false;
    int style = 0;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; strcmp(s->blocks[b].axis, like->axis) == 0 && k < s->blocks[b].count; k++) {
            figure_subject subject = {s, &s->blocks[b], &s->blocks[b].series[k], NULL};
            panel->x_log = panel->x_log || s->blocks[b].log;
            if (style == FIGURE_MOST_LINES || !has_metric(subject.series, metric)) continue;
            figure_name_series(subject, label, sizeof label);
            if (!add_metric(panel, style++, label, subject.series, metric, PLOT_NAMED)) return false;
        }
    panel->zero = true;
    if (!bounds) return true;
    if (!add_limits(s, like->axis, panel)) return false;
    double low = INFINITY, high = 0;
    for (size_t l = 0; l < panel->count; l++)
        for (size_t i = 0; i < panel->lines[l].n; i++)
            low = fmin(low, panel->lines[l].y[i]), high = fmax(high, panel->lines[l].y[i]);
    panel->y_log = low > 0 && high >= 6 * low;
    return add_equality(like->axis, panel, high);
}

bool figure_rank(figure_subject subject, plot *p, figure *f, error *err) {
    const study *s = subject.study;
    char seeds[128];
    p->columns = 2;
    snprintf(f->name, sizeof f->name, "rank");
    snprintf(f->title, sizeof f->title, "How many dimensions the embeddings use");
    snprintf(
        f->caption, sizeof f->caption,
        "Left: RankMe, the effective number of directions among the embeddings. Dotted: the most it can be (the "
        "smaller of samples n and dimensions d), and "
        "(over codes) as many directions as there are codes, which bounds it when the embeddings sit on the codes. "
        "Right: the same as a share of what isotropic noise of this size scores; 1 means that no direction is "
        "lost. A low share is dimensional collapse. %s",
        figure_seeds(subject, seeds, sizeof seeds));
    for (size_t b = 0; b < s->count; b++) {
        const study_block *like = &s->blocks[b];
        bool shown = !*like->axis || !like->numeric, any = false;
        for (size_t e = 0; e < b && !shown; e++) shown = strcmp(s->blocks[e].axis, like->axis) == 0;
        for (size_t k = 0; k < like->count; k++) any = any || has_metric(&like->series[k], "rankme");
        if (shown || !any) continue;
        if (!rank_panel(s, like, "rankme", "RankMe", "RankMe", true, p) ||
            !rank_panel(s, like, "rankme_noise_share", "Share of noise's RankMe", "share of noise", false, p))
            return error_memory(err, sizeof *p, "a figure");
    }
    return true;
}

/* ---- quality ---------------------------------------------------------------------------------------------------- */

typedef struct quality_line {
    const char *metric, *label;
    bool reference;
} quality_line;

static const struct {
    const char *title, *y_label;
    quality_line lines[4];
} quality_panels[] = {
    {"Classes found by the codes",
     "NMI, AMI",
     {{"prototype_nmi", "NMI", false}, {"prototype_nmi_chance", "chance", true}, {"prototype_ami", "AMI", false}}},
    {"Classes found by k-means",
     "NMI, AMI",
     {{"kmeans_nmi", "NMI", false}, {"kmeans_nmi_chance", "chance", true}, {"kmeans_ami", "AMI", false}}},
    {"Accuracy of probes", "test accuracy", {{"linear", "linear", false}, {"knn", "kNN", false}}},
};

bool figure_quality(figure_subject subject, plot *p, figure *f, error *err) {
    char name[300], seeds[128];
    if (!*subject.block->axis || subject.series->count < 2) return true;
    p->columns = 3;
    snprintf(f->name, sizeof f->name, "quality");
    snprintf(f->title, sizeof f->title, "What the representation knows of the classes: %.180s",
             figure_name_series(subject, name, sizeof name));
    snprintf(
        f->caption, sizeof f->caption,
        "NMI grows with the number of clusters even for labels drawn at random: the dotted line is that chance "
        "level, for the same assignment against permuted labels. AMI takes it away (0 is chance, 1 is perfect), so "
        "read AMI. On the right, accuracy on the test set of a linear probe and of nearest neighbours; its axis "
        "does not start at 0. %s",
        figure_seeds(subject, seeds, sizeof seeds));
    for (size_t q = 0; q < sizeof quality_panels / sizeof *quality_panels; q++) {
        plot_panel *panel = NULL;
        int style = 0;
        for (const quality_line *line = quality_panels[q].lines; line < quality_panels[q].lines + 4 && line->metric;
             line++) {
            if (!has_metric(subject.series, line->metric)) continue;
            if (!panel) {
                panel = plot_add_panel(p, quality_panels[q].title, subject.block->axis_name, quality_panels[q].y_label);
                if (!panel) return error_memory(err, sizeof *panel, "a figure");
                panel->x_log = subject.block->log;
                panel->zero = strcmp(quality_panels[q].y_label, "NMI, AMI") == 0;
                panel->least_span = 0.06; /* smaller differences are not to look large */
            }
            if (!add_metric(panel, style, line->label, subject.series, line->metric,
                            line->reference ? PLOT_REFERENCE : PLOT_NAMED))
                return error_memory(err, sizeof *panel, "a figure");
            style += !line->reference;
        }
    }
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

typedef bool figure_builder(figure_subject, plot *, figure *, error *);
static figure_builder *const builders[] = {figure_quality, figure_spectra, figure_usage, figure_heatmaps,
                                           figure_losses};
enum { BUILDERS = sizeof builders / sizeof *builders };

static bool draw(figures *all, figure_builder *build, figure_subject subject, size_t series, const char *folder,
                 void (*log)(void *, const char *), void *context, error *err) {
    plot p = {.width = 400, .height = 300, .columns = 2};
    figure f = {.count = 0};
    char line[256], stem[41];
    bool ok = build(subject, &p, &f, err);
    if (!ok || !p.count) goto done;
    if (p.columns == 2 && !f.heat) p.width += 40; /* two panels a row have more room */
    if (subject.block) {
        snprintf(stem, sizeof stem, "%.40s", f.name);
        if (subject.series && subject.block->count > 1)
            snprintf(f.name, sizeof f.name, "%s-%.90s-%zu", stem, subject.block->slug, series + 1);
        else
            snprintf(f.name, sizeof f.name, "%s-%.90s", stem, subject.block->slug);
        snprintf(f.block, sizeof f.block, "%s", subject.block->name);
    }
    snprintf(p.name, sizeof p.name, "%s", f.name);
    snprintf(line, sizeof line, "drawing %s", f.name);
    if (log) log(context, line);
    f.columns = p.columns;
    ok = plot_draw(&p, folder, &f.svgs, err);
    f.count = p.count;
    figure *grown = ok ? realloc(all->items, (all->count + 1) * sizeof *grown) : NULL;
    if (grown) {
        all->items = grown;
        grown[all->count++] = f;
    } else if (ok) {
        for (size_t i = 0; i < f.count; i++) free(f.svgs[i]);
        free(f.svgs);
        ok = error_memory(err, sizeof *grown, "the list of figures");
    }
done:
    plot_free(&p);
    return ok;
}

/* The series that holds the best setting. */
static size_t best_series(const study_block *b, const char *metric) {
    size_t best = 0;
    double high = -INFINITY;
    for (size_t k = 0; k < b->count; k++)
        for (size_t i = 0; i < b->series[k].count; i++) {
            double mean = study_measure(&b->series[k].points[i], metric).mean;
            if (mean > high) high = mean, best = k;
        }
    return best;
}

/* Details are drawn of few series, the one with the best setting among them: the effects tell of all. */
enum { MOST_DETAILED = 6, MOST_OF_A_BLOCK = 3 };

static bool draw_details(figures *all, const study *s, const study_block *block, const char *folder,
                         void (*log)(void *, const char *), void *context, error *err) {
    size_t share = MOST_DETAILED / s->count, most = share < 1 ? 1 : share;
    if (most > MOST_OF_A_BLOCK) most = MOST_OF_A_BLOCK;
    size_t best = best_series(block, study_primary(&s->records));
    if (block->count > most && log) {
        char line[256];
        snprintf(line, sizeof line, "%s varies several keys: %zu of %zu combinations are drawn in detail", block->name,
                 most, block->count);
        log(context, line);
    }
    bool ok = true;
    for (int i = 0; i < BUILDERS; i++)
        for (size_t k = 0; ok && k < most && k < block->count; k++) {
            size_t at = k == 0 ? best : k <= best ? k - 1 : k;
            ok = draw(all, builders[i], (figure_subject){s, block, &block->series[at], NULL}, at, folder, log, context,
                      err);
        }
    return ok;
}

bool figures_draw(figures *all, const study *s, const effects *e, const char *folder, void (*log)(void *, const char *),
                  void *context, error *err) {
    static figure_builder *const of_all[] = {figure_rank, figure_cost, figure_verdicts};
    bool ok = true;
    *all = (figures){0};
    for (size_t i = 0; ok && i < sizeof of_all / sizeof *of_all; i++)
        ok = draw(all, of_all[i], (figure_subject){.study = s}, 0, folder, log, context, err);
    for (size_t b = 0; ok && b < s->count; b++) {
        figure_subject whole = {s, &s->blocks[b], NULL, &e->blocks[b]};
        ok = draw(all, figure_effects, whole, 0, folder, log, context, err) &&
             draw_details(all, s, &s->blocks[b], folder, log, context, err);
    }
    if (!ok) figures_free(all);
    return ok;
}

void figures_free(figures *all) {
    for (size_t i = 0; i < all->count; i++) {
        for (size_t k = 0; k < all->items[i].count; k++) free(all->items[i].svgs[k]);
        free(all->items[i].svgs);
    }
    free(all->items);
    *all = (figures){0};
}

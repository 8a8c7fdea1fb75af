/*
 * Figures of rows and columns themselves: the map of the embeddings, their covariance, and who is near whom. And the
 * list of all figures of the page.
 */
#include "analysis/report/pages/exhibit_figures.h"
#include "analysis/report/pages/exhibit_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool no_room(error *err) { return error_memory(err, sizeof(plot_panel), "a figure"); }

/* ---- map --------------------------------------------------------------------------------------------------------- */

static bool put_group(plot_panel *panel, const exhibit *e, const exhibit_groups *groups, int32_t g, const char *label,
                      error *err) {
    plot_line *line = plot_add_line(panel, PLOT_POINTS, label, e->points);
    if (!line) return no_room(err);
    line->style = g;
    for (size_t i = 0; i < e->points; i++)
        if (!groups->of || groups->of[i] == g)
            plot_put(line, e->map[2 * i], e->map[2 * i + 1], e->map[2 * i + 1], e->map[2 * i + 1]);
    return true;
}

/* Clusters of k-means have no numbers of their own: they are counted by size. */
static bool map_panel(const exhibit *e, const exhibit_groups *groups, const char *title, const char *kind, plot *p,
                      error *err) {
    bool counted = groups == &e->by_cluster && e->by_kmeans;
    char x[120], y[120], label[64];
    snprintf(x, sizeof x, "first component, %.0f %% of the variance", 100 * e->map_share[0]);
    snprintf(y, sizeof y, "second, %.0f %%", 100 * e->map_share[1]);
    plot_panel *panel = plot_add_panel(p, title, x, y);
    if (!panel) return no_room(err);
    panel->bare = panel->listed = true;
    snprintf(panel->list_title, sizeof panel->list_title, "%s", kind);
    if (groups->others && !put_group(panel, e, groups, -1, "others", err)) return false;
    for (size_t g = 0; g < groups->count; g++) {
        snprintf(label, sizeof label, "%d", counted ? (int)g + 1 : groups->numbers[g]);
        if (!put_group(panel, e, groups, (int32_t)g, label, err)) return false;
    }
    return true;
}

bool exhibit_map(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    size_t points = 0;
    bool labelled = false;
    for (size_t i = 0; i < count; i++)
        points = items[i].points > points ? items[i].points : points, labelled = labelled || items[i].by_label.of;
    snprintf(f->title, sizeof f->title, "A map of the embeddings");
    snprintf(f->caption, sizeof f->caption,
             "Up to %zu rows, projected on the two directions in which they vary most (principal components). Such a "
             "map hides all other directions: groups that overlap here may lie apart. Points in a line or in one heap "
             "are a collapse; so are groups that have shrunk to dots. %s",
             points,
             labelled ? "Labels are numbered in ascending order of their values; the largest groups have colours."
                      : "The largest clusters have colours.");
    for (size_t i = 0; i < count; i++) {
        const exhibit *e = &items[i];
        const char *clusters = e->by_kmeans ? "cluster" : "code";
        char title[160];
        snprintf(title, sizeof title, "Coloured by %s", e->by_kmeans ? "k-means cluster" : "code");
        if (count == 1) {
            if (e->by_label.of && !map_panel(e, &e->by_label, "Coloured by label", "label", p, err)) return false;
            if (!map_panel(e, &e->by_cluster, title, clusters, p, err)) return false;
        } else if (!map_panel(e, e->by_label.of ? &e->by_label : &e->by_cluster, e->name,
                              e->by_label.of ? "label" : clusters, p, err)) {
            return false;
        }
    }
    return true;
}

/* ---- heat maps --------------------------------------------------------------------------------------------------- */

static bool heat_panel(const double *cells, size_t side, const char *title, plot *p, error *err) {
    plot_panel *panel = plot_add_panel(p, title, "", "");
    if (!panel || !(panel->cells = malloc(side * side * sizeof *cells))) return no_room(err);
    for (size_t i = 0; i < side * side; i++) panel->cells[i] = fmin(fmax(cells[i], -1), 1);
    panel->side = side, panel->cell_low = -1, panel->cell_high = 1;
    return true;
}

static const char about_covariance[] =
    "Covariance of the columns in units of their mean variance, cut off at ±1: in healthy embeddings the diagonal "
    "stands out and the rest is faint. Squares and stripes off the diagonal are columns that repeat each other; a "
    "faint "
    "diagonal, columns that hardly vary.";
static const char about_adjacency[] =
    "Cosine between rows: orange blocks on the diagonal are clusters; orange all over is a collapse to one point or to "
    "few directions; no blocks at all, rows without clusters.";

/* The heat maps of one file, in one figure. */
bool exhibit_heat(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    const exhibit *e = items;
    if (count > 1) return true;
    p->width = 250, p->height = 262, p->columns = 3;
    snprintf(f->title, sizeof f->title, "Which columns say the same, and which rows are near each other");
    snprintf(f->caption, sizeof f->caption, "%s %s At most %d columns and rows, evenly taken.", about_covariance,
             about_adjacency, EXHIBIT_SIDE);
    return heat_panel(e->covariance, e->covariance_side, "Covariance of columns", p, err) &&
           heat_panel(e->adjacency, e->adjacency_side,
                      e->by_kmeans ? "Cosine of rows, by k-means cluster" : "Cosine of rows, by code", p, err) &&
           (!e->adjacency_by_label ||
            heat_panel(e->adjacency_by_label, e->adjacency_side, "Cosine of rows, by label", p, err));
}

bool exhibit_covariance(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    if (count == 1) return true;
    p->width = 250, p->height = 262, p->columns = 3;
    snprintf(f->title, sizeof f->title, "Which columns say the same");
    snprintf(f->caption, sizeof f->caption, "%s At most %d columns, evenly taken.", about_covariance, EXHIBIT_SIDE);
    for (size_t i = 0; i < count; i++)
        if (!heat_panel(items[i].covariance, items[i].covariance_side, items[i].name, p, err)) return false;
    return true;
}

bool exhibit_adjacency(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    if (count == 1) return true;
    p->width = 250, p->height = 262, p->columns = 3;
    snprintf(f->title, sizeof f->title, "Which rows are near each other");
    snprintf(f->caption, sizeof f->caption, "%s Sorted by cluster, the largest first; at most %d rows.",
             about_adjacency, EXHIBIT_SIDE);
    for (size_t i = 0; i < count; i++)
        if (!heat_panel(items[i].adjacency, items[i].adjacency_side, items[i].name, p, err)) return false;
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

/* What is drawn file by file is drawn of a few of a long series: the first, the last, and some between. */
enum { OF_A_SERIES = 5 };

static size_t choose(const exhibit *items, size_t count, exhibit *few) {
    size_t chosen = count < OF_A_SERIES ? count : OF_A_SERIES;
    for (size_t i = 0; i < chosen; i++) few[i] = items[chosen > 1 ? i * (count - 1) / (chosen - 1) : 0];
    return chosen;
}

static const struct {
    const char *name;
    exhibit_figure_builder *build;
    bool by_file;
} builders[] = {
    {"series", exhibit_series, false}, {"spectra", exhibit_spectra, false},      {"map", exhibit_map, true},
    {"heat", exhibit_heat, true},      {"covariance", exhibit_covariance, true}, {"near", exhibit_adjacency, true},
    {"usage", exhibit_usage, false},   {"mixture", exhibit_mixture, false},      {"history", exhibit_history, false},
};

bool exhibit_figures_draw(figures *all, const exhibit *items, size_t count, error *err) {
    enum { BUILDERS = sizeof builders / sizeof *builders };
    *all = (figures){.items = calloc(BUILDERS, sizeof *all->items)};
    bool ok = all->items || no_room(err);
    for (size_t b = 0; b < BUILDERS && ok; b++) {
        plot p = {.width = 340, .height = 240, .columns = 3};
        figure *f = &all->items[all->count];
        snprintf(p.name, sizeof p.name, "%s", builders[b].name);
        exhibit few[OF_A_SERIES];
        size_t shown = builders[b].by_file && exhibit_is_series(items, count) ? choose(items, count, few) : 0;
        ok = (plot_begin_group(&p, "") || no_room(err)) &&
             builders[b].build(shown ? few : items, shown ? shown : count, &p, f, err);
        for (size_t i = 0; i < p.count; i++) p.panels[i].shared = !p.panels[i].listed; /* names stand above, once */
        if (ok && p.count) {
            f->heat = p.panels[0].cells != NULL;
            snprintf(f->name, sizeof f->name, "%s", builders[b].name);
            f->columns = p.columns;
            ok = plot_draw_inline(&p, &f->pictures, err);
            if (ok) all->count++;
        }
        plot_free(&p);
    }
    if (!ok) figures_free(all);
    return ok;
}

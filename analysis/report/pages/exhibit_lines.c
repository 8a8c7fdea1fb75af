/*
 * Figures of lines: singular spectra against noise, entropy of mixtures, the use of codes and clusters, and for runs
 * the verdicts and the loss over the epochs. With one file a figure goes into its parts; with several each is a line.
 */
#include "analysis/report/pages/exhibit_figures.h"
#include "analysis/report/pages/exhibit_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS_DRAWN = 6, BARS_MOST = 60, LOSS_POINTS = 200 };

static bool no_room(error *err) { return error_memory(err, sizeof(plot_panel), "a figure"); }

static plot_line *file_line(plot_panel *panel, const exhibit *items, size_t i, size_t count, size_t room) {
    bool series = exhibit_is_series(items, count);
    plot_line *line = plot_add_line(panel, series ? PLOT_ORDERED : PLOT_NAMED, count > 1 ? items[i].name : "", room);
    if (line) line->style = (int)i, line->sparse = room > 12;
    if (line && series) line->shade = (double)i / (double)(count - 1), line->unmarked = true;
    return line;
}

/* ---- spectra ----------------------------------------------------------------------------------------------------- */

/* values[rank − 1] over `unit`, none below the panel's floor. */
static void put_spectrum(plot_line *line, const json_t *values, double unit, double floor) {
    for (size_t rank = 1; rank <= json_array_size(values); rank = figure_next_rank(rank)) {
        double y = unit > 0 ? json_number_value(json_array_get(values, rank - 1)) / unit : 0;
        if (y < floor) y = NAN;
        plot_put(line, (double)rank, y, y, y);
    }
}

static double first_of(const json_t *values) { return json_number_value(json_array_get(values, 0)); }

static plot_panel *spectrum_panel(plot *p, const char *title) {
    plot_panel *panel = plot_add_panel(p, title, "rank of the singular value", "σ / largest σ");
    if (!panel) return NULL;
    panel->x_log = panel->y_log = true;
    panel->y_floor = 1e-6; /* what float32 embeddings can still resolve */
    return panel;
}

static bool same_size(const exhibit *items, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (exhibit_figure(&items[i], "n") != exhibit_figure(&items[0], "n") ||
            exhibit_figure(&items[i], "d") != exhibit_figure(&items[0], "d"))
            return false;
    return true;
}

static bool whole_spectra(const exhibit *items, size_t count, const char *key, const char *title, bool noise, plot *p,
                          error *err) {
    plot_panel *panel = spectrum_panel(p, title);
    if (!panel) return no_room(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *values = json_object_get(items[i].figures, key);
        plot_line *line = file_line(panel, items, i, count, json_array_size(values));
        if (!line) return no_room(err);
        if (count == 1) snprintf(line->label, sizeof line->label, "embeddings");
        put_spectrum(line, values, first_of(values), panel->y_floor);
    }
    if (!noise) return true;
    const json_t *null = json_object_get(items[0].figures, "singular_values_noise");
    plot_line *line = plot_add_line(panel, PLOT_REFERENCE, "noise", json_array_size(null));
    if (!line) return no_room(err);
    put_spectrum(line, null, first_of(null), panel->y_floor);
    return true;
}

static bool cluster_spectra_panel(const exhibit *e, plot *p, error *err) {
    const json_t *list = json_object_get(e->figures, "cluster_spectra");
    size_t count = json_array_size(list) < CLUSTERS_DRAWN ? json_array_size(list) : CLUSTERS_DRAWN;
    if (!count) return true;
    plot_panel *panel = spectrum_panel(p, "Inside the largest clusters");
    if (!panel) return no_room(err);
    panel->listed = true;
    snprintf(panel->list_title, sizeof panel->list_title, "rows");
    for (size_t k = 0; k < count; k++) {
        const json_t *cluster = json_array_get(list, k), *values = json_object_get(cluster, "singular_values");
        plot_line *line = plot_add_line(panel, PLOT_ORDERED, "", json_array_size(values));
        if (!line) return no_room(err);
        snprintf(line->label, sizeof line->label, "%lld", json_integer_value(json_object_get(cluster, "rows")));
        line->style = (int)k, line->sparse = true;
        line->shade = count > 1 ? (double)k / (double)(count - 1) : 0;
        put_spectrum(line, values, first_of(values), panel->y_floor);
    }
    return true;
}

bool exhibit_spectra(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    bool noise = same_size(items, count);
    snprintf(f->title, sizeof f->title, "In how many directions the embeddings spread");
    snprintf(
        f->caption, sizeof f->caption,
        "Singular values of the %s, largest first, over the largest. A line that stays high uses its dimensions "
        "evenly; one that falls off a cliff at rank r lives in r dimensions: a dimensional collapse where r is a small "
        "part of what was possible and no clusters' own. %s"
        "%s Values under 10⁻⁶ are not drawn.",
        count > 1 ? "embeddings, a line a file" : "embeddings",
        noise ? "Dotted: isotropic Gaussian noise of the same size, which is as even as can be. " : "",
        count > 1 ? "Left about the mean, right as they are, where the first value also holds the mean."
        : json_array_size(json_object_get(items->figures, "cluster_spectra"))
            ? "The second plot looks inside the largest clusters, a line each: how many directions are left to "
              "tell their members apart."
            : "");
    return whole_spectra(items, count, "singular_values_centred", "About the mean", noise, p, err) &&
           (count > 1 ? whole_spectra(items, count, "singular_values", "As they are", false, p, err)
                      : cluster_spectra_panel(items, p, err));
}

/* ---- mixtures ---------------------------------------------------------------------------------------------------- */

static bool mixture_panel(const exhibit *items, size_t count, const char *key, const char *title, bool band,
                          double least_span, plot *p, error *err) {
    char tick[32];
    plot_panel *panel = plot_add_panel(p, title, "components of the mixture", "entropy, nats");
    if (!panel) return no_room(err);
    panel->x_log = true;
    panel->least_span = least_span; /* a fraction of a nat a column is not to look like a fall */
    for (size_t i = 0; i < count; i++) {
        const json_t *points = json_object_get(json_object_get(items[i].figures, "mixture"), "points"), *point;
        plot_line *line = file_line(panel, items, i, count, json_array_size(points));
        if (!line) return no_room(err);
        for (size_t k = 0; k < json_array_size(points); k++) {
            point = json_array_get(points, k);
            double x = json_number_value(json_object_get(point, "components"));
            double y = json_number_value(json_object_get(point, key));
            double sd = band ? json_number_value(json_object_get(point, "entropy_sd")) : 0;
            snprintf(tick, sizeof tick, "%g", x);
            if (!plot_add_tick(panel, x, tick)) return no_room(err);
            plot_put(&panel->lines[i], x, y, y - sd, y + sd);
        }
    }
    return true;
}

bool exhibit_mixture(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    size_t points = 0;
    for (size_t i = 0; i < count; i++)
        points += json_array_size(json_object_get(json_object_get(items[i].figures, "mixture"), "points"));
    if (!points) return true;
    snprintf(f->title, sizeof f->title, "How much variety is left inside clusters: entropy of Gaussian mixtures");
    snprintf(
        f->caption, sizeof f->caption,
        "Mixtures of more and more Gaussians (diagonal covariance) are fitted to the embeddings, scaled to 0 … 1. A "
        "low "
        "entropy, or one that falls as components are added, says that the rows sit in tight clusters with little "
        "inside "
        "them: intracluster collapse. A level line says that they fill their space. Bands: one standard deviation over "
        "three samples and starts. %s",
        count > 1 ? "Per column that varies, files of different widths can be compared; padded with zeros to 2,048 "
                    "columns is how the FALCON paper draws it, which favours wide methods."
                  : "On the right, per column that varies.");
    p->columns = count > 1 ? 3 : 2;
    double columns =
        json_number_value(json_object_get(json_object_get(items[0].figures, "mixture"), "varying_columns"));
    return mixture_panel(items, count, "entropy", "Entropy of all columns", true, columns, p, err) &&
           mixture_panel(items, count, "entropy_per_dimension", "Entropy per column that varies", false, 1, p, err) &&
           (count == 1 || mixture_panel(items, count, "entropy_padded", "Padded to 2,048 columns, as in the paper",
                                        false, columns, p, err));
}

/* ---- codes and clusters ------------------------------------------------------------------------------------------ */

static bool use_panel(const exhibit *items, size_t count, plot *p, error *err) {
    plot_panel *panel = plot_add_panel(p, "Share of each code", "codes, most used first", "mean assignment");
    if (!panel) return no_room(err);
    panel->x_log = panel->y_log = true;
    panel->y_floor = 1e-9;
    for (size_t i = 0; i < count; i++) {
        if (!items[i].codes) continue;
        plot_line *line = file_line(panel, items, i, count, items[i].codes + 1);
        if (!line) return no_room(err);
        if (count == 1) snprintf(line->label, sizeof line->label, "codes");
        for (size_t rank = 1; rank <= items[i].codes; rank = figure_next_rank(rank)) {
            double y = items[i].code_use[rank - 1];
            if (y < panel->y_floor) y = NAN;
            plot_put(line, (double)rank, y, y, y);
        }
    }
    if (count > 1) return true;
    double even = 1 / (double)items[0].codes;
    plot_line *line = plot_add_line(panel, PLOT_REFERENCE, "uniform", 2);
    if (!line) return no_room(err);
    plot_put(line, 1, even, even, even);
    plot_put(line, (double)items[0].codes, even, even, even);
    return true;
}

static bool sizes_panel(const exhibit *items, size_t count, plot *p, error *err) {
    plot_panel *panel = plot_add_panel(p, "Cluster sizes", "clusters, largest first", "rows");
    if (!panel) return no_room(err);
    panel->zero = true;
    for (size_t i = 0; i < count; i++) {
        const exhibit *e = &items[i];
        size_t shown = count == 1 && e->clusters > BARS_MOST ? BARS_MOST : e->clusters;
        plot_line *line =
            count == 1 ? plot_add_line(panel, PLOT_BARS, "", shown) : file_line(panel, items, i, count, e->clusters);
        if (!line) return no_room(err);
        for (size_t k = 0; k < shown; k = count == 1 ? k + 1 : figure_next_rank(k + 1) - 1)
            plot_put(line, (double)(k + 1), e->cluster_rows[k], e->cluster_rows[k], e->cluster_rows[k]);
        panel->x_log = panel->x_log || (count > 1 && e->clusters > BARS_MOST);
    }
    if (count == 1 && items[0].clusters > BARS_MOST)
        snprintf(panel->title, sizeof panel->title, "The %d largest of %zu clusters", BARS_MOST, items[0].clusters);
    return true;
}

bool exhibit_usage(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    bool codes = false, by_kmeans = true;
    for (size_t i = 0; i < count; i++) codes = codes || items[i].codes, by_kmeans = by_kmeans && items[i].by_kmeans;
    snprintf(f->title, sizeof f->title, codes ? "How the codes are used" : "How large the clusters are");
    snprintf(f->caption, sizeof f->caption, "%s%s",
             codes
                 ? "The codes by the share of the rows that they take, on average; the dotted line shares the rows out "
                   "evenly. A line that falls steeply lets a few codes take them all, which is cluster collapse. "
                 : "",
             by_kmeans ? "No assignments were given, so the clusters are those of k-means: they show how the rows lie, "
                         "not what a method assigned."
                       : "The sizes count each row for its best code; codes without any row are left out.");
    return (!codes || use_panel(items, count, p, err)) && sizes_panel(items, count, p, err);
}

/* ---- over the epochs --------------------------------------------------------------------------------------------- */

bool exhibit_zones(plot_panel *panel, double first, double last, error *err) {
    static const char *const names[] = {"collapsed", "warning", "healthy"};
    for (int z = 0; z < 3; z++)
        if (!plot_add_y_tick(panel, (2 * z + 1) / 6.0, names[z])) return no_room(err);
    for (int z = 1; z < 3; z++) {
        plot_line *edge = plot_add_line(panel, PLOT_REFERENCE, "", 2);
        if (!edge) return no_room(err);
        plot_put(edge, first, z / 3.0, z / 3.0, z / 3.0);
        plot_put(edge, last, z / 3.0, z / 3.0, z / 3.0);
    }
    return true;
}

static bool mode_line(plot_panel *panel, const collapse_history *h, collapse_mode mode, const char *name, int style,
                      error *err) {
    bool any = false;
    for (size_t i = 0; i < h->count; i++) any = any || h->items[i].modes[mode].verdict != VERDICT_UNKNOWN;
    if (!any) return true;
    plot_line *line = plot_add_line(panel, PLOT_NAMED, name, h->count);
    if (!line) return no_room(err);
    line->style = style, line->sparse = h->count > 12;
    for (size_t i = 0; i < h->count; i++) {
        const collapse_moment *m = &h->items[i].modes[mode];
        double y = collapse_gauge(m->statistic, m->threshold_collapsed, m->threshold_warning, m->expected);
        if (m->verdict == VERDICT_UNKNOWN) y = NAN;
        plot_put(line, (double)h->items[i].epoch, y, y, y);
    }
    int64_t onset = collapse_history_onset(h, mode);
    if (onset < 0) return true;
    snprintf(line->label, sizeof line->label, "%.100s, from %lld", name, (long long)onset);
    plot_line *mark = plot_add_line(panel, PLOT_REFERENCE, "", 2);
    if (!mark) return no_room(err);
    plot_put(mark, (double)onset, 0, 0, 0);
    plot_put(mark, (double)onset, 1, 1, 1);
    return true;
}

/* Whole epochs, about six of them. */
static bool epoch_ticks(plot_panel *panel, double last) {
    static const int steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000};
    size_t s = 0;
    char label[32];
    while (last / steps[s] > 6.5 && s + 1 < sizeof steps / sizeof *steps) s++;
    for (int e = steps[s]; e <= (int)last; e += steps[s]) {
        snprintf(label, sizeof label, "%d", e);
        if (!plot_add_tick(panel, e, label)) return false;
    }
    return true;
}

static bool history_panel(const char *title, double last, plot *p, plot_panel **panel, error *err) {
    *panel = plot_add_panel(p, title, "epoch", "");
    return (*panel && epoch_ticks(*panel, last) && exhibit_zones(*panel, 1, fmax(last, 2), err)) || no_room(err);
}

static bool chance_line(plot_panel *panel, const exhibit *e, const char *label) {
    double last = e->losses ? e->loss_epoch[e->losses - 1] : 0, y = e->chance_loss;
    if (!isfinite(y) || last <= 0) return true;
    plot_line *line = plot_add_line(panel, PLOT_REFERENCE, label, 2);
    if (!line) return false;
    plot_put(line, 0, y, y, y);
    plot_put(line, last, y, y, y);
    return true;
}

/* Means over equal stretches: a thousand logged steps are not told apart on a page. */
static bool loss_panel(const exhibit *items, size_t count, double last, plot *p, error *err) {
    size_t losses = 0;
    for (size_t i = 0; i < count; i++) losses = items[i].losses > losses ? items[i].losses : losses;
    if (losses < 2) return true;
    plot_panel *panel = plot_add_panel(p, "Loss", "epoch", "loss");
    if (!panel || !epoch_ticks(panel, last)) return no_room(err);
    for (size_t i = 0; i < count; i++) {
        const exhibit *e = &items[i];
        size_t points = e->losses < LOSS_POINTS ? e->losses : LOSS_POINTS;
        plot_line *line = file_line(panel, items, i, count, points);
        if (!line) return no_room(err);
        for (size_t k = 0; k < points; k++) {
            size_t from = k * e->losses / points, to = (k + 1) * e->losses / points;
            double x = 0, y = 0, share = 1 / (double)(to - from);
            for (size_t j = from; j < to; j++) x += share * e->loss_epoch[j], y += share * e->loss[j];
            plot_put(line, x, y, y, y);
        }
        char label[160] = "chance";
        if (count > 1) snprintf(label, sizeof label, "chance, %.140s", e->name);
        if (!chance_line(panel, e, label)) return no_room(err);
    }
    return true;
}

bool exhibit_history(const exhibit *items, size_t count, plot *p, figure *f, error *err) {
    double last = 0, rows = 0;
    for (size_t i = 0; i < count; i++) {
        const collapse_history *h = &items[i].history;
        if (h->count) last = fmax(last, (double)h->items[h->count - 1].epoch), rows = fmax(rows, (double)h->rows);
    }
    if (!last) return true;
    plot_panel *panel;
    snprintf(f->title, sizeof f->title, "Since when: the verdicts over the epochs");
    snprintf(f->caption, sizeof f->caption,
             "After each epoch %.0f held-out images, always the same, were judged as the whole is above. All modes are "
             "drawn on one scale by their own thresholds: the lower third is collapsed, the upper third healthy, its "
             "top what the null scores. A vertical line marks the onset: the first epoch from which a mode stays "
             "collapsed to the end. Few images make a verdict near a threshold waver, and cannot show "
             "that codes are unused where there are more codes than images. Beside them the loss, "
             "which can fall while the embeddings collapse%s, and the loss of outputs that tell nothing of the image "
             "(chance).",
             rows, count > 1 ? " (those of different methods are not on one scale)" : "");
    if (count == 1) {
        if (!history_panel("Each mode after each epoch", last, p, &panel, err)) return false;
        for (int mode = 0; mode < COLLAPSE_MODES; mode++)
            if (!mode_line(panel, &items[0].history, (collapse_mode)mode, collapse_mode_name((collapse_mode)mode), mode,
                           err))
                return false;
        return loss_panel(items, count, last, p, err);
    }
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        char title[80];
        snprintf(title, sizeof title, "%s collapse", collapse_mode_name((collapse_mode)mode));
        title[0] = (char)(title[0] - 'a' + 'A');
        if (!history_panel(title, last, p, &panel, err)) return false;
        for (size_t i = 0; i < count; i++)
            if (!mode_line(panel, &items[i].history, (collapse_mode)mode, items[i].name, (int)i, err)) return false;
    }
    return loss_panel(items, count, last, p, err);
}

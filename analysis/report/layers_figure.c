#include "analysis/report/layers_figure.h"
#include "analysis/report/plots/plot.h"

#include <math.h>
#include <stddef.h>

/* A figure of a layer; NaN where it has none. */
typedef double layer_value(const layer *l, layer_view view);

static double of_view(const layer *l, layer_view view, double value) {
    return l->views[view].rows ? value : (double)NAN;
}
static double of_tokens(const layer *l, double value) { return l->tokens.images ? value : (double)NAN; }

static double rankme(const layer *l, layer_view v) { return of_view(l, v, l->views[v].rankme); }
static double effective(const layer *l, layer_view v) { return of_view(l, v, l->views[v].effective_rank); }
static double cosine(const layer *l, layer_view v) { return of_view(l, v, l->views[v].mean_cosine); }
static double token_rank(const layer *l, layer_view v) { return (void)v, of_tokens(l, l->tokens.rank); }
static double token_cosine(const layer *l, layer_view v) { return (void)v, of_tokens(l, l->tokens.mean_cosine); }
static double within_share(const layer *l, layer_view v) { return (void)v, of_tokens(l, l->tokens.within_share); }
static double massive(const layer *l, layer_view v) { return (void)v, of_tokens(l, l->tokens.massive_share); }
static double entropy(const layer *l, layer_view v) {
    (void)v;
    return l->attention.images ? l->attention.entropy / l->attention.uniform : (double)NAN;
}
static double entropy_class(const layer *l, layer_view v) {
    (void)v;
    return l->attention.images ? l->attention.entropy_first / l->attention.uniform : (double)NAN;
}

static bool has(const layers *l, layer_value *value, layer_view view) {
    for (size_t i = 0; i < l->count; i++)
        if (isfinite(value(&l->items[i], view))) return true;
    return false;
}

static bool add_line(plot_panel *panel, const layers *l, layer_value *value, layer_view view, const char *label,
                     int style) {
    plot_line *line = plot_add_line(panel, style < 0 ? PLOT_REFERENCE : PLOT_NAMED, label, l->count);
    if (!line) return false;
    line->style = style < 0 ? 0 : style;
    for (size_t i = 0; i < l->count; i++) {
        double y = value(&l->items[i], view);
        if (isfinite(y)) plot_put(line, (double)i, y, y, y);
    }
    return true;
}

/* Names of layers, thinned to what can be read. */
static bool add_ticks(plot_panel *panel, const layers *l) {
    size_t step = (l->count + 4) / 5;
    for (size_t i = 0; i < l->count; i += step)
        if (!plot_add_tick(panel, (double)i, i + 1 < l->count ? l->items[i].name : "output")) return false;
    return true;
}

typedef struct drawn {
    layer_value *value;
    layer_view view;
    const char *label;
} drawn;

/* A panel of up to three figures; the first one's untrained line in grey. Left out where no layer has any of them. */
static bool add_panel(plot *p, const layers *trained, const layers *untrained, const char *title, const drawn *lines,
                      size_t count, double high) {
    plot_panel *panel = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!has(trained, lines[i].value, lines[i].view)) continue;
        if (!panel) {
            panel = plot_add_panel(p, title, "", "");
            if (!panel || !add_ticks(panel, trained)) return false;
            panel->zero = true, panel->y_high = high, panel->least_span = 0.06;
            if (!add_line(panel, untrained, lines[i].value, lines[i].view, "untrained", -1)) return false;
        }
        if (!add_line(panel, trained, lines[i].value, lines[i].view, lines[i].label, (int)i)) return false;
    }
    return true;
}

static bool add_panels(plot *p, const layers *trained, const layers *untrained) {
    static const char *const titles[] = {"Rank of pooled activations", "Rank of the class token",
                                         "Rank of all patches"};
    static const drawn cosines[] = {
        {cosine, LAYER_POOLED, "pooled"}, {cosine, LAYER_CLASS, "class"}, {cosine, LAYER_ALL, "patches"}};
    static const drawn within[] = {{within_share, 0, "variance within"}, {token_cosine, 0, "mean cosine"}};
    static const drawn ranks[] = {{token_rank, 0, "RankMe"}};
    static const drawn looks[] = {{entropy, 0, "all tokens"}, {entropy_class, 0, "class token"}};
    static const drawn shares[] = {{massive, 0, "massive"}};
    for (int v = 0; v < LAYER_VIEWS; v++) {
        const drawn both[] = {{rankme, (layer_view)v, "RankMe"}, {effective, (layer_view)v, "effective rank"}};
        if (!add_panel(p, trained, untrained, titles[v], both, 2, 0)) return false;
    }
    return add_panel(p, trained, untrained, "Mean cosine of two rows", cosines, 3, 1) &&
           add_panel(p, trained, untrained, "Patches of one image: rank", ranks, 1, 0) &&
           add_panel(p, trained, untrained, "Patches of one image: how alike", within, 2, 1) &&
           add_panel(p, trained, untrained, "Entropy of attention / log n", looks, 2, 1) &&
           add_panel(p, trained, untrained, "Share of massive activations", shares, 1, 0);
}

bool layers_figure_draw(const layers *trained, const layers *untrained, const char *folder, error *err) {
    plot p = {.name = "layers", .width = 320, .height = 220, .columns = 2};
    plot_pictures pictures = {0};
    bool ok = add_panels(&p, trained, untrained) || error_memory(err, sizeof(plot_panel), "a figure");
    ok = ok && plot_draw(&p, folder, 0, &pictures, err);
    plot_pictures_free(&pictures);
    plot_free(&p);
    return ok;
}

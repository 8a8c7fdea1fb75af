/*
 * The list of figures, what they are of, and what they share.
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

size_t figure_choose(const study_series *series, size_t most, size_t chosen[FIGURE_MOST_LINES]) {
    size_t count = series->count < most ? series->count : most;
    for (size_t i = 0; i < count; i++)
        chosen[i] = count > 1 ? (i * (series->count - 1) + (count - 1) / 2) / (count - 1) : 0;
    return count;
}

size_t figure_next_rank(size_t rank) {
    size_t next = (size_t)((double)rank * 1.045);
    return next > rank ? next : rank + 1;
}

int figure_thing_of(const char *metric) {
    if (strncmp(metric, "linear", 6) == 0) return FIGURE_LINEAR;
    if (strcmp(metric, "knn") == 0) return FIGURE_KNN;
    if (strstr(metric, "_ami")) return FIGURE_AMI;
    if (strstr(metric, "_nmi")) return FIGURE_NMI;
    return FIGURE_RANK;
}

void figure_share_range(plot *p, size_t first) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = first; i < p->count; i++)
        for (size_t l = 0; l < p->panels[i].count; l++)
            for (size_t k = 0; k < p->panels[i].lines[l].n; k++) {
                const plot_line *line = &p->panels[i].lines[l];
                if (isfinite(line->y[k])) low = fmin(low, line->low[k]), high = fmax(high, line->high[k]);
            }
    for (size_t i = first; low < high && i < p->count; i++) p->panels[i].y_low = low, p->panels[i].y_high = high;
}

/* ---- what they are of ------------------------------------------------------------------------------------------- */

enum { MOST_PANELS = 12 };

/* The series of a block with the best setting first, then the others in their order. */
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

static bool scope_take(figure_scope *at, const study *s, const effects *e, error *err) {
    size_t total = 0, share;
    for (size_t b = 0; b < s->count; b++) total += s->blocks[b].count;
    *at = (figure_scope){.study = s, .effects = e, .series = calloc(total + 1, sizeof *at->series)};
    if (!at->series) return error_memory(err, total * sizeof *at->series, "the list of figures");
    share = total <= MOST_PANELS ? total : s->count < MOST_PANELS ? MOST_PANELS / s->count : 1;
    for (size_t b = 0; b < s->count; b++) {
        const study_block *block = &s->blocks[b];
        size_t best = block->count > share ? best_series(block, study_primary(&s->records)) : 0;
        for (size_t k = 0; k < block->count && k < share; k++) {
            size_t i = k == 0 ? best : k <= best ? k - 1 : k;
            at->series[at->count++] = (figure_subject){block, &block->series[i]};
        }
    }
    at->left_out = total - at->count;
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static bool draw(figures *all, figure_builder *build, const figure_scope *at, const char *folder, double inches,
                 void (*log)(void *, const char *), void *context, error *err) {
    bool small = at->count > 2;
    plot p = {.width = small ? 208 : 320, .height = small ? 160 : 220, .columns = small ? 6 : 3};
    figure f = {0};
    char line[256];
    bool ok = build(at, &p, &f, err);
    if (ok && *f.left_out && log) log(context, f.left_out);
    if (!ok || !p.count) goto done;
    snprintf(p.name, sizeof p.name, "%s", f.name);
    snprintf(line, sizeof line, "drawing %s", f.name);
    if (log) log(context, line);
    f.columns = p.columns;
    ok = plot_draw(&p, folder, inches, &f.pictures, err);
    figure *grown = ok ? realloc(all->items, (all->count + 1) * sizeof *grown) : NULL;
    if (grown) {
        all->items = grown;
        grown[all->count++] = f;
    } else if (ok) {
        plot_pictures_free(&f.pictures);
        ok = error_memory(err, sizeof *grown, "the list of figures");
    }
done:
    plot_free(&p);
    return ok;
}

bool figures_draw(figures *all, const study *s, const effects *e, const char *folder, double inches,
                  void (*log)(void *, const char *), void *context, error *err) {
    static figure_builder *const builders[] = {figure_map,      figure_overview, figure_effects,  figure_quality,
                                               figure_rank,     figure_progress, figure_spectra,  figure_usage,
                                               figure_losses,   figure_cost,     figure_verdicts, figure_correlations,
                                               figure_by_class, figure_by_code};
    figure_scope at;
    char line[160];
    *all = (figures){0};
    if (!scope_take(&at, s, e, err)) return false;
    if (at.left_out && log) {
        snprintf(line, sizeof line, "%zu of %zu series are drawn, those with the best settings among them", at.count,
                 at.count + at.left_out);
        log(context, line);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof builders / sizeof *builders; i++)
        ok = draw(all, builders[i], &at, folder, inches, log, context, err);
    free(at.series);
    if (!ok) figures_free(all);
    return ok;
}

void figures_free(figures *all) {
    for (size_t i = 0; i < all->count; i++) plot_pictures_free(&all->items[i].pictures);
    free(all->items);
    *all = (figures){0};
}

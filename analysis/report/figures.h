/*
 * The figures of a study: what is drawn, and the captions that tell how to read it. A figure shows one thing for every
 * series, in panels of one size side by side. A figure that has no data (no codes, no history, nothing varied) is left
 * out.
 */
#ifndef MEWS_FIGURES_H
#define MEWS_FIGURES_H

#include "analysis/report/study/effects.h"
#include "analysis/report/plots/plot.h"
#include "analysis/report/study/study.h"

typedef struct figure {
    char name[160]; /* of its files in figures/ */
    char title[240];
    char caption[1400];
    char left_out[400]; /* what of it cannot be drawn, and why; "" when all can */
    bool heat;          /* heat maps: no CSV of lines */
    bool folded;        /* the page opens it on demand */
    int columns;
    plot_pictures pictures;
} figure;

typedef struct figures {
    figure *items;
    size_t count;
} figures;

/* Draws every figure into `folder` (which exists) as SVG, PDF, PNG and CSV, `inches` wide; 0: as wide as its panels. */
bool figures_draw(figures *all, const study *s, const effects *e, const char *folder, double inches,
                  void (*log)(void *, const char *), void *context, error *err);
void figures_free(figures *all);

/* One panel of most figures: a series of a block. */
typedef struct figure_subject {
    const study_block *block;
    const study_series *series;
} figure_subject;

/* What the figures are of. Where there are very many series, those with the best settings are shown. */
typedef struct figure_scope {
    const study *study;
    const effects *effects;
    figure_subject *series;
    size_t count, left_out;
} figure_scope;

/*
 * One kind of figure: fills `p` and title, caption and name of `f`. No panels mean that there is nothing to draw. Each
 * stands in a file with its kin.
 */
typedef bool figure_builder(const figure_scope *at, plot *p, figure *f, error *err);
figure_builder figure_overview, figure_quality, figure_rank;         /* figures_merit.c */
figure_builder figure_effects, figure_cost, figure_verdicts;         /* figures_effects.c */
figure_builder figure_spectra, figure_usage, figure_losses;          /* figures_lines.c */
figure_builder figure_progress;                                      /* figures_progress.c */
figure_builder figure_map;                                           /* figures_map.c */
figure_builder figure_correlations, figure_by_class, figure_by_code; /* figures_heat.c */

/* A thing has one colour and mark on the whole page: plot_line.style of a named line. */
enum figure_thing {
    FIGURE_LINEAR = 0, /* blue */
    FIGURE_KNN = 1,    /* vermilion */
    FIGURE_AMI = 2,    /* green */
    FIGURE_RANK = 3,   /* black */
    FIGURE_NMI = 4,    /* pink */
    FIGURE_CODES = 5,  /* light blue */
};
int figure_thing_of(const char *metric);

/* Shared by them. "falcon-codes" or "falcon-codes, method.beta = 1". */
const char *figure_name_series(figure_subject subject, char *out, size_t size);
/* Up to 7 points of a series, evenly spread and with both ends: what can still be told apart. Returns their number. */
enum { FIGURE_MOST_LINES = 7 };
size_t figure_choose(const study_series *series, size_t most, size_t chosen[FIGURE_MOST_LINES]);
/* The rank after this one on a logarithmic axis, thinned to about 150 by even steps on the page. */
size_t figure_next_rank(size_t rank);
/* A panel of one line a setting; where settings run along an axis, they are listed under its name. */
plot_panel *figure_line_panel(plot *p, figure_subject subject, const char *x_label);
/* A line for point `i` of the series, styled as the `k`-th of `many`. */
plot_line *figure_setting_line(plot_panel *panel, figure_subject subject, size_t i, size_t k, size_t many, size_t room);
/* Panels from the `first` on get one vertical axis, so that they compare. */
void figure_share_range(plot *p, size_t first);

#endif

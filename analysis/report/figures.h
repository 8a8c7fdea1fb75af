/*
 * The figures of a study: what is drawn, and the captions that tell how to read it. A figure that has no data (no
 * codes, no history, nothing varied) is left out.
 */
#ifndef MEWS_FIGURES_H
#define MEWS_FIGURES_H

#include "analysis/report/effects.h"
#include "analysis/report/plot.h"
#include "analysis/report/study.h"

typedef struct figure {
    char name[160]; /* of its files in figures/ */
    char title[240];
    char caption[1400];
    char block[96]; /* the block it belongs to; "" for the whole study */
    bool heat;      /* heat maps: panels stay in their columns */
    int columns;
    char **svgs; /* (count) one a panel */
    size_t count;
} figure;

typedef struct figures {
    figure *items;
    size_t count;
} figures;

/* Draws every figure into `folder` (which exists) as SVG, PDF, PNG and CSV. */
bool figures_draw(figures *all, const study *s, const effects *e, const char *folder, void (*log)(void *, const char *),
                  void *context, error *err);
void figures_free(figures *all);

/*
 * What one kind of figure shows: fills `p` and title, caption and name's stem of `f`. No panels mean that there is
 * nothing to draw. Each stands in a file with its kin.
 */
typedef struct figure_subject {
    const study *study;
    const study_block *block; /* NULL for a figure of the whole study */
    const study_series *series;
    const block_effects *effects; /* of the block; where series is NULL */
} figure_subject;

bool figure_rank(figure_subject subject, plot *p, figure *f, error *err); /* these three of the whole study */
bool figure_cost(figure_subject subject, plot *p, figure *f, error *err);
bool figure_verdicts(figure_subject subject, plot *p, figure *f, error *err);
bool figure_effects(figure_subject subject, plot *p, figure *f, error *err); /* of a block */
bool figure_quality(figure_subject subject, plot *p, figure *f, error *err);
bool figure_spectra(figure_subject subject, plot *p, figure *f, error *err);
bool figure_usage(figure_subject subject, plot *p, figure *f, error *err);
bool figure_heatmaps(figure_subject subject, plot *p, figure *f, error *err);
bool figure_losses(figure_subject subject, plot *p, figure *f, error *err);

/* Shared by them. "falcon-codes" or "falcon-codes, method.beta = 1". */
const char *figure_name_series(figure_subject subject, char *out, size_t size);
/* "The band runs from the smallest to the largest of 3 seeds." or that there is one seed. */
const char *figure_seeds(figure_subject subject, char *out, size_t size);
/* Up to 7 points of a series, evenly spread and with both ends: what can still be told apart. Returns their number. */
enum { FIGURE_MOST_LINES = 7 };
size_t figure_choose(const study_series *series, size_t most, size_t chosen[FIGURE_MOST_LINES]);
/* The rank after this one on a logarithmic axis, thinned to about 150 by even steps on the page. */
size_t figure_next_rank(size_t rank);

#endif

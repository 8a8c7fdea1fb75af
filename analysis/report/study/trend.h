/*
 * Whether a figure moves with what was varied, and whether the evidence allows to say so. From STATISTICS_LEAST seeds a
 * setting on a difference is tested: it counts when it exceeds what seeds alone explain, by a two-sided t on the pooled
 * standard deviation at 5 %, divided by the pairs of settings that could have stood out and by the figures that a
 * series is described by (Bonferroni). With fewer nothing is tested: a margin fixed beforehand decides what is
 * described.
 */
#ifndef MEWS_TREND_H
#define MEWS_TREND_H

#include "analysis/report/study/study.h"

typedef enum trend_shape {
    TREND_UNKNOWN, /* fewer than two settings have the figure */
    TREND_NONE,    /* no difference that counts, or no direction in it */
    TREND_RISES,   /* ends higher by more than the margin, and rank correlation at least TREND_CORRELATION */
    TREND_FALLS,
    TREND_PEAKS, /* somewhere between, higher than both ends by more than the margin */
    TREND_DIPS,
} trend_shape;

/* Where nothing is tested, fixed before any run was looked at: of accuracies, NMI, AMI and shares in their own unit, of
 * ranks relative. */
#define TREND_MARGIN 0.02
#define TREND_MARGIN_RANK 0.10
#define TREND_CORRELATION 0.7
/* Figures that a series is described by, and so tests beside each other. */
#define TREND_FIGURES 7
/* From where a trend levels off: beyond, differences above this share of the whole change are excluded. */
#define TREND_LEVEL 0.25

typedef struct trend {
    trend_shape shape;
    size_t settings;                        /* with the figure */
    size_t seeds;                           /* fewest repetitions of a setting */
    const study_point *first, *last, *turn; /* turn: of a peak or dip, or NULL */
    const study_point *level; /* from here on to the end no setting is told from the last; NULL unless tested */
    bool levels;              /* from there on differences above TREND_LEVEL of the change are excluded */
    double from, to, at_turn; /* means there */
    double lowest, highest;   /* means */
    double correlation;       /* Spearman's, of setting and mean */
    double margin;
    bool tested; /* every setting has seeds enough; the margin is theirs */
} trend;

trend trend_measure(const study_series *series, const char *metric);

/* Spearman's rank correlation with ties at their mean rank; NaN when one side is constant or n < 2. */
double trend_spearman(const double *x, const double *y, size_t n);

#endif

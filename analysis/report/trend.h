/*
 * Whether a figure moves with what was varied, and whether the evidence allows to say so. A difference counts when it
 * exceeds a margin: with repetitions, what seeds alone explain (two-sided t at 95 % on the pooled standard deviation);
 * with one seed, a margin fixed beforehand (TREND_MARGIN…).
 */
#ifndef MEWS_TREND_H
#define MEWS_TREND_H

#include "analysis/report/study.h"

typedef enum trend_shape {
    TREND_UNKNOWN, /* fewer than two settings have the figure */
    TREND_NONE,    /* no difference that counts, or no direction in it */
    TREND_RISES,   /* ends higher by more than the margin, and rank correlation at least TREND_CORRELATION */
    TREND_FALLS,
    TREND_PEAKS, /* somewhere between, higher than both ends by TREND_TURN margins */
    TREND_DIPS,
} trend_shape;

/* Fixed before any run was looked at: of accuracies, NMI, AMI and shares, in their own unit; of ranks, relative. */
#define TREND_MARGIN 0.02
#define TREND_MARGIN_RANK 0.10
#define TREND_CORRELATION 0.7
/* A turn is the best of several settings, so it has had more chances to stand out: as many margins as this. */
#define TREND_TURN 1.5

typedef struct trend {
    trend_shape shape;
    size_t settings;                                /* with the figure */
    size_t seeds;                                   /* fewest repetitions of a setting */
    const study_point *first, *last, *turn, *level; /* turn: of a peak or dip; level: from here on it stays, or NULL */
    double from, to, at_turn;                       /* means there */
    double lowest, highest;                         /* means */
    double correlation;                             /* Spearman's, of setting and mean */
    double margin;
    bool from_seeds; /* the margin comes from repetitions */
} trend;

trend trend_measure(const study_series *series, const char *metric);

/* Spearman's rank correlation with ties at their mean rank; NaN when one side is constant or n < 2. */
double trend_spearman(const double *x, const double *y, size_t n);

/* Two-sided 95 % quantile of Student's t. */
double trend_student(size_t degrees);

#endif

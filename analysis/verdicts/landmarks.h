/*
 * What a matrix's figures are beside those of matrices that one knows: white noise of its own size, raw pixels, an
 * untrained network, supervised and self-supervised ones, and some that collapsed. They are to read a scale by, and
 * judge nothing: how low a rank is healthy depends on the method and on its training.
 */
#ifndef MEWS_ANALYSIS_LANDMARKS_H
#define MEWS_ANALYSIS_LANDMARKS_H

#include "analysis/verdicts/collapse.h"

typedef enum landmark_key {
    LANDMARK_COLUMNS,
    LANDMARK_CONTRAST,
    LANDMARK_VARIANCE_SHARE,
    LANDMARK_SPREAD,
    LANDMARK_EFFECTIVE_RANK,
    LANDMARK_EFFECTIVE_RANK_SHARE,
    LANDMARK_RANKME,
    LANDMARK_K90,
    LANDMARK_K99,
    LANDMARK_RANK,
    LANDMARK_GAP_FACTOR,
    LANDMARK_ALPHA,
    LANDMARK_EXPLAINED_AREA,
    LANDMARK_CODES,
    LANDMARK_CODES_USED_OF_EXPECTED,
    LANDMARK_EVEN_SHARE,
    LANDMARK_INFORMATION_SHARE,
    LANDMARK_WITHIN_SHARE,
    LANDMARK_POINT_SHARE,
    LANDMARK_FIGURES
} landmark_key;

/* How each is called in JSON, and in the head of a column. */
extern const struct landmark_figure { const char *key, *title; } landmark_figures[LANDMARK_FIGURES];

typedef struct landmark {
    const char *name;
    int source;                       /* from 1: landmarks_sources[source − 1]; 0: what is looked at, and its noise */
    double figures[LANDMARK_FIGURES]; /* NaN where there is none */
} landmark;

/* What they were measured on, and by which script; ends with NULL. */
extern const char *const landmarks_sources[];

/* The matrix itself, white noise of its size, then the measured ones: out (LANDMARKS_MOST). Returns how many. */
enum { LANDMARKS_MOST = 40 };
size_t landmarks_beside(const collapse *c, landmark *out);

/* [{name, source, columns, contrast, …}, …], the matrix itself first. NULL when out of memory. */
json_t *landmarks_json(const collapse *c);

#endif

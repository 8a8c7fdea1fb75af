/*
 * What the verdicts rest on: each piece of evidence with its value on all rows and on the rows without each of ten
 * groups. Row i belongs to group i mod 10, so rows sorted by class do not lose a class with a group. Private to
 * collapse.c.
 */
#ifndef MEWS_ANALYSIS_COLLAPSE_EVIDENCE_H
#define MEWS_ANALYSIS_COLLAPSE_EVIDENCE_H

#include "analysis/verdicts/collapse.h"

enum { EVIDENCE_GROUPS = USAGE_FOLDS };

typedef struct evidence {
    double value, without[EVIDENCE_GROUPS]; /* NaN where there is none */
} evidence;

/* The interval value ± t · jackknife standard error, kept at 0 or above; NaN if any part is. */
void evidence_interval(const evidence *e, double *low, double *high);

/* 1 − ‖mean of the L2-normalised rows‖². Two zero rows count as one direction, so an all-zero matrix has no spread. */
bool evidence_spread(const row_source *rows, evidence *out, error *err);

/* Effective rank of the centred matrix over that of noise; `value` is given. Only the parts are computed, and left NaN
 * when min(n, d) is beyond EVIDENCE_RANK_SIDE, where ten eigenproblems would outlast the training epoch. */
enum { EVIDENCE_RANK_SIDE = 2048 };
bool evidence_rank(const row_source *rows, double value, evidence *out, error *err);

typedef struct within {
    evidence share;  /* [SSW/(n − K)] / [SST/(n − 1)]; 0 when SST is 0; parts hold the centres where they are */
    size_t clusters; /* K, those in use */
} within;
bool evidence_within(matrix m, const int32_t *assignment, size_t codes, within *out, error *err);

#endif

/*
 * Intervals by delete-a-block jackknife: each figure on all rows and on the rows without each of ten blocks. Blocks are
 * drawn by seed, for files come sorted by class, or by image with its views beside each other; rows that belong
 * together (ten crops of one image) are given as groups and leave together, or an interval would take ten views for ten
 * images.
 */
#ifndef MEWS_ANALYSIS_JACKKNIFE_H
#define MEWS_ANALYSIS_JACKKNIFE_H

#include "analysis/clusters/usage.h"
#include "analysis/matrix.h"

enum { JACKKNIFE_BLOCKS = USAGE_FOLDS };

typedef struct jackknife {
    double value, without[JACKKNIFE_BLOCKS]; /* NaN where there is none */
} jackknife;

/* blocks (n): which one a row leaves with. groups (n, any integers) or NULL: every row by itself. Blocks are of one
 * size, up to a row or a group. */
bool jackknife_draw(size_t n, const int64_t *groups, uint64_t seed, uint8_t *blocks, error *err);

/* Rows of each block: counts (JACKKNIFE_BLOCKS). */
void jackknife_count(const uint8_t *blocks, size_t n, size_t *counts);
/* Marks the first row of each group: first (n). */
bool jackknife_firsts(size_t n, const int64_t *groups, bool *first, error *err);

/* A figure without parts. */
jackknife jackknife_alone(double value);

/* The 95 % interval value ± t · jackknife standard error, kept at 0 or above; NaN if any part is. */
void jackknife_interval(const jackknife *j, double *low, double *high);

/* 1 − ‖mean of the L2-normalised rows‖². Two zero rows count as one direction, so an all-zero matrix has no spread. */
bool jackknife_spread(const row_source *rows, const uint8_t *blocks, jackknife *out, error *err);

/* Effective rank of the centred matrix, of the columns with keep[j] (NULL: all); `value` is given. Only the parts are
 * computed, and left NaN when min(n, d) is beyond JACKKNIFE_SIDE, where ten eigenproblems would outlast a training
 * epoch, or when columns are left out of a matrix of fewer rows. */
enum { JACKKNIFE_SIDE = 1024 };
bool jackknife_rank(const row_source *rows, const uint8_t *blocks, const bool *keep, double value, jackknife *out,
                    error *err);

typedef struct within {
    jackknife share; /* [SSW/(n − K)] / [SST/(n − 1)]; 0 when SST is 0; parts hold the centres where they are */
    size_t clusters; /* K, those in use */
} within;
bool jackknife_within(matrix m, const int32_t *assignment, size_t codes, const uint8_t *blocks, within *out,
                      error *err);

#endif

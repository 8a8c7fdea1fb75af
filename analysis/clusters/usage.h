/*
 * How a batch of assignments uses its codes. Logits stream through in blocks of rows, so a million codes need O(c)
 * memory and no n×c matrix. Rows are dealt into folds whose sums are kept apart, by a hash of their number or as the
 * caller says: that is all a delete-a-block jackknife needs.
 */
#ifndef MEWS_ANALYSIS_USAGE_H
#define MEWS_ANALYSIS_USAGE_H

#include "engine/error.h"

#include <stdint.h>

enum { USAGE_FOLDS = 10 };

typedef struct usage usage; /* the running sums */

/* For c ≥ 1 codes. */
usage *usage_new(size_t codes, error *err);
void usage_free(usage *u);

/* Folds of the rows still to come, by their numbers: folds (all rows), which has to stay. */
void usage_deal(usage *u, const uint8_t *folds);

/* Adds logits (rows, codes), temperature already applied; argmax (rows, or NULL) takes each row's code. A NaN or
 * infinite logit is an error that names its row (counted over all blocks). */
bool usage_add(usage *u, const float *logits, size_t rows, int32_t *argmax, error *err);

/* Adds hard assignments: each row's whole mass on one code in [0, codes). */
bool usage_add_hard(usage *u, const int32_t *assignment, size_t rows, error *err);

/* The figures. All entropies in nats. */
typedef struct usage_figures {
    size_t n, codes;
    double perplexity;               /* exp H(p̄), p̄ the mean assignment */
    double perplexity_share;         /* of min(c, n) */
    double used;                     /* codes that are some row's argmax */
    double used_share;               /* of min(c, n) */
    double used_expected;            /* codes that n draws of c equally likely ones hit: c (1 − (1 − 1/c)ⁿ) */
    double used_of_expected;         /* used / used_expected */
    double hard_perplexity;          /* exp H of the argmax histogram */
    double hard_perplexity_expected; /* the same of n draws of c equally likely codes */
    double entropy_mean;             /* H(p̄) */
    double row_entropy;              /* mean of H(p_i) */
    double information;              /* I = H(p̄) − mean H(p_i); 0 when all rows are alike */
    double information_share;        /* of log min(c, n), 0 when that is 0 */
    double once, twice;              /* codes that are the best of one row, of two rows */
    double alive;                    /* codes that rows fall on, the unseen ones among them: at least used + once²/2
                                        twice (Chao 1984), at most c */
    double alive_most;               /* the upper end of that estimate's 95 % interval (Chao 1987), at most c */
    double top;                      /* share of the rows on the most frequent code */
} usage_figures;

/* Over every fold but `without` (−1: over all). */
usage_figures usage_summary(const usage *u, int without);

size_t usage_codes(const usage *u);
/* How often each code is argmax: counts (codes). */
void usage_counts(const usage *u, uint64_t *counts);
/* The mean assignment: mean (codes), sums to 1. */
void usage_mean(const usage *u, double *mean);

#endif

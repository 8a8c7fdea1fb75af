/*
 * What is there: every figure that a verdict rests on, of one matrix, in one flat struct that a run may store for any
 * epoch and read back. Nothing here judges. Figures of dimension are of the distinct rows (exact copies counted once),
 * of the centred matrix, and a second time without its outlier columns, where it has any.
 */
#ifndef MEWS_ANALYSIS_EVIDENCE_H
#define MEWS_ANALYSIS_EVIDENCE_H

#include "analysis/spectrum/spectrum.h"

#include <jansson.h>

typedef struct collapse_evidence {
    double rows, distinct, cols; /* distinct: rows that are no exact copy of an earlier one */
    double independent;          /* distinct rows, or groups of rows where these are fewer */
    double outlier_rows;         /* left out of the figures of dimension, see copies.h */
    double zero_rows;            /* rows of zeros only */
    double largest_copy;         /* share of the rows that are one and the same */
    double attainable;           /* directions that the columns could show: d, or the network's narrowest layer */
    double precision;            /* unit roundoff that the values show: 2^-11 where all would fit float16 */

    /* What survives a translation. */
    double variance, variance_share;              /* total variance; and over the mean squared norm */
    double contrast, contrast_low, contrast_high; /* how far two rows lie apart beside their size; see contrast.h */
    double spread;                                /* 1 − ‖mean of the L2-normalised rows‖² */

    /* Dimension; the largest that is possible is possible = min(distinct − 1, attainable). */
    double possible, effective_rank, effective_rank_share; /* Roy & Vetterli 2007, of singular values */
    double effective_rank_low, effective_rank_high;        /* 95 %, delete-a-block jackknife; NaN without */
    double rankme, participation_ratio;
    double k90, k99; /* directions that carry 90 and 99 % of the variance */
    double rank;     /* singular values above what rounding to `precision` leaves */
    double gap_place, gap_factor,
        gap_variance;                      /* largest drop between neighbours: behind how many, by what, carrying */
    double alpha, alpha_first, alpha_last; /* power law of the covariance spectrum and the ranks it was fitted on */
    double explained_area;  /* mean of the cumulative explained variance (arXiv 2209.15007); 1: one line */
    double outlier_columns; /* left out of the figures below; 0: they equal those above */
    double outlier_ratio;   /* largest standard deviation of a column over the median of all */
    double trimmed_effective_rank, trimmed_effective_rank_share;
    double trimmed_gap_place, trimmed_gap_factor, trimmed_gap_variance;
    double trimmed_k90, trimmed_k99, trimmed_rank, trimmed_alpha, trimmed_explained_area;
    double whole_effective_rank, whole_rankme; /* of all rows: copies and those far out among them */
    double dead_columns; /* whose deviation is no more than rounding leaves, see spectrum_dead_columns */
} collapse_evidence;

typedef struct evidence_options {
    double attainable; /* the narrowest layer's width; 0: not known, the columns' number */
    bool intervals;
    const uint8_t *blocks; /* (rows) as jackknife_draw deals them; NULL: drawn by the seed */
    size_t groups;         /* groups that rows belong to; 0: every row is one */
    uint64_t seed;
} evidence_options;

/* Of (n, d) rows; options NULL: all defaults. A reader has at least as many rows as columns. */
bool evidence_take(const row_source *rows, const evidence_options *options, collapse_evidence *out, error *err);
/* The same where the spectrum of all rows is known already. */
bool evidence_with_spectrum(const row_source *rows, const spectrum *s, const evidence_options *options,
                            collapse_evidence *out, error *err);

/* An object of numbers by the names above, and back: false when `from` is none; figures it lacks are NaN. */
json_t *evidence_to_json(const collapse_evidence *e);
bool evidence_from_json(const json_t *from, collapse_evidence *e);

#endif

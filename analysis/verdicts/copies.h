/*
 * Exact copies among rows: a collapse as often as a slip (one file embedded twice, dead rows of zeros), and either way
 * what no figure of the spectrum shows. They are counted and named before anything else is judged.
 */
#ifndef MEWS_ANALYSIS_COPIES_H
#define MEWS_ANALYSIS_COPIES_H

#include "analysis/matrix.h"

typedef struct copies {
    size_t rows, distinct; /* distinct: rows that are no copy of an earlier one */
    size_t zero_rows;
    size_t largest;   /* rows of the most frequent value */
    size_t outliers;  /* left out by copies_leave_outliers */
    uint32_t *first;  /* (distinct) their numbers, ascending; NULL when all are */
    double precision; /* unit roundoff that the values show: 2^-11 when all fit float16's 11 bits, 2^-8 for bfloat16's,
                         2^-24 for counts, down to 2^-53 */
} copies;

/* Two rows are copies when a 64-bit hash of their values is equal. One pass. */
bool copies_find(const row_source *rows, copies *out, error *err);
/* Takes rows far out of the others from those that are distinct: beyond five times the median distance from the mean,
 * where they are few and carry a good part of the variance. A handful of rows, a broken crop or a division by little,
 * would otherwise be all that a spectrum shows. */
bool copies_leave_outliers(copies *c, const row_source *rows, const double *means, error *err);
void copies_free(copies *c);

/* The distinct rows as a source of their own, to be handed to copies_source_free afterwards. */
typedef struct distinct_rows {
    row_source source;
    const row_source *all;
    const uint32_t *first;
    double *own;
} distinct_rows;
bool copies_source(const copies *c, const row_source *all, distinct_rows *out, error *err);
void copies_source_free(distinct_rows *d);

#endif

/*
 * Contrast, the figure behind representation collapse: how far two rows lie apart beside their size, which no
 * translation hides and no outlier makes. Of pairs of rows the eighth decile of ‖x − y‖/√2 over the median ‖x‖; or,
 * where it is larger, the tenth least of the same by column, since a huge constant in a few columns says nothing of the
 * others.
 */
#ifndef MEWS_ANALYSIS_CONTRAST_H
#define MEWS_ANALYSIS_CONTRAST_H

#include "analysis/matrix.h"

typedef struct contrast {
    double value, low, high; /* and its 95 % interval; 0: all rows are one; NaN for fewer than two */
} contrast;

/* Of Gaussian noise about 0, at any size: by column the eighth decile of |x| over its median is 1.9, of whose estimates
 * from so many pairs the tenth least is 1.7. */
#define CONTRAST_OF_NOISE 1.7

/* among (count): the row numbers to draw from, NULL: all. */
bool contrast_take(const row_source *rows, const uint32_t *among, size_t count, uint64_t seed, contrast *out,
                   error *err);

#endif

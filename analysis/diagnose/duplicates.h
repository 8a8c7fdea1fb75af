/*
 * Near-duplicate prototypes: learned codes that have come to point the same way are one code, however many rows each of
 * them still gets. Two are near duplicates when their cosine is above DUPLICATES_COSINE; what as many random directions
 * would score stands beside it, for in two or three dimensions even these crowd.
 */
#ifndef MEWS_ANALYSIS_DUPLICATES_H
#define MEWS_ANALYSIS_DUPLICATES_H

#include "analysis/matrix.h"

#define DUPLICATES_COSINE 0.95            /* 18°: where an embedding's best two prototypes take it nearly alike */
enum { DUPLICATES_PROTOTYPES = 1 << 16 }; /* all pairs are looked at */

typedef struct duplicates {
    size_t prototypes, twins; /* twins: prototypes with at least one near duplicate */
    size_t distinct;          /* groups left when near duplicates (of near duplicates) are counted once */
    double twins_expected;    /* of as many random directions */
    double cosine_largest;    /* of two different prototypes; NaN for fewer than 2 */
} duplicates;

/* prototypes (c, d), a row each. A zero row has no direction and no twin. ERROR_RUN for more than fit. */
bool duplicates_compute(matrix prototypes, duplicates *out, error *err);

#endif

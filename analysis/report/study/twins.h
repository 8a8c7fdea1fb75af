/*
 * A setting beside its twin: of the settings of the same method that differ from it in fewest keys, the one with the
 * highest RankMe, of embeddings that could have as many directions. Ranks may be compared within one method only
 * (Garrido et al. 2023); a setting with a part of its twin's rank has a lower rank, which is a fact worth saying and no
 * collapse.
 */
#ifndef MEWS_TWINS_H
#define MEWS_TWINS_H

#include "analysis/report/study/study.h"

typedef struct twin {
    const study_point *point; /* NULL: there is none, or it has no higher rank */
    double rank, of;          /* RankMe: its own, its twin's */
    char keys[160];           /* where they differ, as the twin has it: "method.lambda = 0.0051" */
} twin;

/* From this share of its twin's rank on, a setting's is called lower. */
#define TWIN_LOWER 0.5

twin twin_of(const study *s, const study_point *p);
/* "0.25 of its twin's RankMe (18.7 of 73.3 with method.lambda = 0.0051)", "" unless lower. Returns `out`. */
char *twin_text(const twin *t, char *out, size_t size);

#endif

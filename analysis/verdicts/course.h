/*
 * Verdicts of a run over its course: what a network shows at one time is held against the same network before its first
 * step and at its best epoch, on the same images. Pure functions of what a run keeps in its history, so that old runs
 * are judged again by today's rules. Nothing is called collapsed for being low: an untrained network's ranks and its
 * use of codes are low, too, and a network that lies above them has lost nothing.
 */
#ifndef MEWS_ANALYSIS_COURSE_H
#define MEWS_ANALYSIS_COURSE_H

#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/evidence.h"

/* How codes are used; NaN where there are none. */
typedef struct course_codes {
    double codes, rows, used, used_expected;
    double perplexity, hard_perplexity, hard_perplexity_expected; /* as in usage_figures */
    double hard_perplexity_low, hard_perplexity_high;             /* 95 %, delete-a-block jackknife */
    double information_share;
} course_codes;

course_codes course_codes_of(const usage *u);

/* A network at one time. */
typedef struct course_point {
    int64_t epoch; /* 0: untrained */
    collapse_evidence embed, backbone;
    course_codes codes;
} course_point;

/* An object {embed: {…}, backbone: {…}, codes: {…} or null}, and back: false when it holds no such evidence. */
json_t *course_point_to_json(const course_point *p);
bool course_point_from_json(const json_t *from, int64_t epoch, course_point *p);

/* A run at an epoch, its network at step 0, and at the best epoch so far: that with the backbone's highest RankMe. */
typedef struct course {
    const course_point *now;
    const course_point *untrained; /* NULL: not known, which leaves dimensional and representation unknown */
    const course_point *best;      /* NULL, or now itself: nothing to have fallen from */
} course;

/*
 * dimensional. A rank is kept to the larger share of its effective rank and its RankMe: the first is blind to an
 * offset, the second to a long tail that carries nothing, and where they disagree nothing is sure. Collapsed: `embed`
 * keeps less than half of what the untrained network had, and the backbone no more than it had; or since the best epoch
 * three quarters of the one and half of the other went.
 */
void course_dimensional(const course *c, collapse_verdict *v);

/* cluster. Collapsed: no more codes in even use than the untrained network had, where those are few, or all but one. */
void course_cluster(const course *c, collapse_verdict *v);

/* representation. Collapsed: the embeddings' variance over their mean squared norm is below a tenth of what the
 * untrained network has, whose images already lie close together. */
void course_representation(const course *c, collapse_verdict *v);

#endif

/*
 * The four judges, a file each. A judge reads what is there (collapse_evidence, usage_figures, points), what it is held
 * against, and fills one verdict with its rule, its interval and its sentence. Private to verdicts/.
 */
#ifndef MEWS_ANALYSIS_JUDGE_H
#define MEWS_ANALYSIS_JUDGE_H

#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/jackknife.h"

typedef struct judging {
    const collapse_input *in;
    row_source all;               /* all rows, where the embeddings are a sample of them */
    const uint8_t *blocks;        /* (all.rows) */
    const uint8_t *sample_blocks; /* (embeddings.rows) the same of those */
    collapse *c;
} judging;

/* Fewer rows than this cannot tell one spectrum, or one histogram, from another. */
enum { JUDGE_ROWS = 10 };

void judge_representation(const judging *j);
bool judge_intracluster(const judging *j, error *err); /* before dimensional, which asks what the clusters explain */
bool judge_dimensional(const judging *j, error *err);
void judge_cluster(const judging *j, const usage *u);

/* A verdict by thresholds that the statistic falls below; unknown for NaN, borderline when its interval crosses one. */
collapse_verdict judge_figure(const char *name, const jackknife *figure, double expected, double warning,
                              double collapsed);
/* Whether the verdict's interval crosses the threshold that decided. */
void judge_borderline(collapse_verdict *v);

__attribute__((format(printf, 2, 3))) void judge_say(collapse_verdict *v, const char *format, ...);

#endif

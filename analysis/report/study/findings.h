/*
 * What a study shows, in words made from its numbers: for each series whether rank, clusters and accuracy move with
 * what was varied, by how much and on what evidence, which settings collapsed, and where that differs from what the
 * paper says. Nothing is concluded that the trend rules of trend.h do not allow.
 */
#ifndef MEWS_FINDINGS_H
#define MEWS_FINDINGS_H

#include "analysis/report/study/study.h"

typedef struct finding {
    char *summary;    /* a sentence or two: rank, clusters, accuracy, collapses */
    char title[300];  /* "falcon-codes: 16 to 16384 codes" */
    char **sentences; /* plain text (count) */
    bool *on_paper;   /* (count) the sentence sets the runs beside the paper's claim */
    size_t count;
} finding;

typedef struct findings {
    char *evidence; /* one paragraph: seeds, and when a difference counts */
    finding *items;
    size_t count;
} findings;

bool findings_make(findings *all, const study *s, error *err);
void findings_free(findings *all);

#endif

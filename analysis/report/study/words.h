/*
 * Sentences in the making, for the findings: text that grows piece by piece, numbers with their metric's digits,
 * settings by their name, trends with the ends they compare.
 */
#ifndef MEWS_WORDS_H
#define MEWS_WORDS_H

#include "analysis/report/study/findings.h"
#include "analysis/report/study/trend.h"

/* A sentence under construction; what does not fit is cut. */
typedef struct words {
    char text[1600];
} words;

/* The series that is described, and where its sentences go. */
typedef struct scene {
    const study *study;
    const study_block *block;
    const study_series *series;
    finding *out;
} scene;

void words_say(words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_number(words *w, const char *metric, double value);
void words_setting(words *w, const scene *at, const study_point *p);

/* "rises from 0.41 at 16 codes to 0.55 at 1024 codes"; untested: "goes from 0.41 at 16 codes to 0.55 at 1024 codes" */
void words_trend(words *w, const scene *at, const char *metric, const trend *t);

/* "rises (0.41 → 0.55)"; untested: "goes 0.41 → 0.55" */
void words_trend_short(words *w, const char *metric, const trend *t);

/* The settings whose verdict on `mode` is `wanted`: "16, 64 and 256 codes", "beta = 0.5 and 1"; three or more
 * neighbours are "16 to 256 codes". */
void words_points(words *w, const scene *at, const char *mode, int wanted);

/* Adds a sentence to the scene's finding; false when out of memory. */
bool words_add(const scene *at, bool on_paper, const words *w);

/* What the paper says, beside what the series shows; findings_paper.c. */
bool findings_add_claims(const scene *at);

#endif

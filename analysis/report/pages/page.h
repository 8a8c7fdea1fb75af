/*
 * The report as one HTML page that stands alone: figures and style inside it, no script, nothing fetched.
 */
#ifndef MEWS_PAGE_H
#define MEWS_PAGE_H

#include "analysis/report/study/advice.h"
#include "analysis/report/figures.h"
#include "analysis/report/study/findings.h"
#include "analysis/report/pages/page_style.h"

typedef struct page_parts {
    const study *study;
    const effects *effects;
    const advice *next;
    const findings *found;
    const figures *drawn;
    const char *folder;     /* the results folder as the user named it, for the commands on the page */
    const char *figures_at; /* where the figures' files are, seen from the page */
} page_parts;

void page_write(FILE *out, const page_parts *p);

/* A figure with its caption; `figures_at`: where its files are, NULL when it has none. */
void page_figure(FILE *out, const figure *f, size_t number, const char *figures_at);
/* The one of that name, numbered as it stands among all; nothing where it was not drawn. */
void page_named_figure(FILE *out, const page_parts *p, const char *name);

/* What varied and what each key did; what to run next. */
void page_effects(FILE *out, const page_parts *p);
void page_advice(FILE *out, const advice *next);

/* The tables, each in a container that scrolls by itself: verdicts and accuracies setting by setting first. */
void page_verdicts(FILE *out, const study *s);
void page_figures_of_merit(FILE *out, const study *s);
void page_runs(FILE *out, const study *s);
void page_settings(FILE *out, const study *s);

/* What a sweep stopped at a rung; nothing where it stopped none. */
void page_halving(FILE *out, const study *s);

/* Distinct values of a key over all finished runs, "a, b and 3 more"; "" when none has it. */
char *page_values(const study *s, const char *key, char *out, size_t size);

#endif

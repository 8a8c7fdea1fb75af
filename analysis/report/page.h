/*
 * The report as one HTML page that stands alone: figures and style inside it, no script, nothing fetched.
 */
#ifndef MEWS_PAGE_H
#define MEWS_PAGE_H

#include "analysis/report/figures.h"
#include "analysis/report/findings.h"
#include "analysis/report/page_style.h"

/* Writes the page. `folder` is the results folder as the user named it, for the commands on the page; `figures_at`
 * where the figures' files are, seen from the page. */
void page_write(FILE *out, const study *s, const findings *found, const figures *drawn, const char *folder,
                const char *figures_at);

/* A figure with its caption; `figures_at`: where its files are, NULL when it has none. */
void page_figure(FILE *out, const figure *f, size_t number, const char *figures_at);

/* The tables, each in a container that scrolls by itself. */
void page_verdicts(FILE *out, const study *s);
void page_figures_of_merit(FILE *out, const study *s);
void page_runs(FILE *out, const study *s);
void page_settings(FILE *out, const study *s);

/* Distinct values of a key over all finished runs, "a, b and 3 more"; "" when none has it. */
char *page_values(const study *s, const char *key, char *out, size_t size);

#endif

/*
 * The diagnosis as one HTML page that stands alone: verdicts as cards, figures, and a table of every figure of merit.
 */
#ifndef MEWS_EXHIBIT_PAGE_H
#define MEWS_EXHIBIT_PAGE_H

#include "analysis/report/pages/exhibit.h"

/* Draws and writes the page of one file, or of several side by side (at most EXHIBIT_MOST), to `path`. `command` is
 * what the user typed, for the foot of the page. */
bool exhibit_page_write(const char *path, exhibit *items, size_t count, const char *command, error *err);

/* "Collapsed: dimensional. Warning: cluster." in at most size bytes. Returns `out`. */
char *exhibit_summary(const exhibit *e, char *out, size_t size);

/* Figures of merit in the order in which a table shows them: their names in --json and for people. */
typedef struct exhibit_row {
    const char *name, *title, *hint;
} exhibit_row;
extern const exhibit_row exhibit_rows[]; /* ends with a NULL name */

#endif

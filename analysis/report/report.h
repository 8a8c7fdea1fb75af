/*
 * The report of a sweep or of one run: figures in DIR/figures, one HTML page, and a plain table for the terminal.
 */
#ifndef MEWS_REPORT_H
#define MEWS_REPORT_H

#include "engine/error.h"

#include <stdio.h>

/*
 * Reads the results folder `dir` (one that holds run directories, or one run's), draws the figures and writes the page
 * to `html`, or to dir/index.html when that is NULL; figures go to dir/figures, or beside `html` where that cannot be
 * written, `inches` wide (0: as wide as their panels). `log` (or NULL) hears what is being done, a line at a time.
 */
bool report_write(const char *dir, const char *html, double inches, void (*log)(void *context, const char *line),
                  void *context, error *err);

/* The runs' final figures as aligned text: a block a table, a setting a line, mean ± standard deviation over seeds;
 * then what each swept key did, and what to run next. */
bool report_print_table(const char *dir, FILE *out, error *err);

#endif

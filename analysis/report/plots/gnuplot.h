/*
 * Gnuplot as a child process: a script goes in through a file, pictures come out through a pipe; no shell, no user's
 * startup file. Text is always single-quoted and terminals run without enhanced mode, so nothing in it is a command.
 */
#ifndef MEWS_GNUPLOT_H
#define MEWS_GNUPLOT_H

#include "engine/error.h"

#include <stdio.h>

/* Runs `script` (from its beginning) and takes all it writes to stdout into *out, fresh memory of *size bytes and a
 * zero byte. ERROR_RUN names the package to install when there is no gnuplot, or gnuplot's own complaint. */
bool gnuplot_run(FILE *script, char **out, size_t *size, error *err);

/* Writes text as a single-quoted gnuplot string; control characters become blanks. In a tick's label a % is doubled. */
void gnuplot_text(FILE *out, const char *text);
void gnuplot_tick_text(FILE *out, const char *text);

/*
 * Takes the `index`-th SVG document out of gnuplot's output and writes its inside: the drawing without prolog and
 * tool-tips, every id prefixed so that many can stand in one page, heat maps' pixels kept sharp. False when there is
 * no such document.
 */
bool gnuplot_svg_body(const char *documents, size_t index, const char *prefix, FILE *out);

#endif

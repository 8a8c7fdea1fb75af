/*
 * What a person sees while something long goes on: on a terminal one line that is rewritten, elsewhere plain lines. All
 * of it goes to stderr; stdout is for results.
 */
#ifndef MEWS_TERMINAL_H
#define MEWS_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

typedef struct terminal {
    FILE *stream;
    bool live;    /* stream is a terminal that can rewrite its line */
    bool showing; /* a status line stands at the cursor */
    double shown; /* when, in seconds */
} terminal;

terminal terminal_open(FILE *stream);

/* Rewrites the status line, at most ten times a second unless `force`; nothing where lines cannot be rewritten. */
void terminal_status(terminal *t, bool force, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints a line that stays. */
void terminal_line(terminal *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the status line away. */
void terminal_clear(terminal *t);

/* Columns of the terminal behind `stream`, or COLUMNS where that is set; a fixed width elsewhere, so that files look
 * the same everywhere. */
int terminal_width(FILE *stream);
bool terminal_has_width(FILE *stream); /* a terminal or COLUMNS says how wide tables may be */

/* What colours a verdict or a status, "" for no colour: elsewhere than on a terminal, and where NO_COLOR is set. */
const char *terminal_colour(FILE *stream, const char *word);
#define TERMINAL_PLAIN "\033[0m"

/* Letters of a UTF-8 text. */
int terminal_letters(const char *text);

/* Prints words from column `indent` on, breaking lines between words, and a newline; the cursor stands at `column`. */
void terminal_wrap(FILE *stream, const char *text, int column, int indent, int width);

/* "48 s", "12 min", "3 h 05 min", "9 days"; "?" when not known (negative or not finite). Returns `out`. */
char *terminal_duration(double seconds, char out[32]);

#endif

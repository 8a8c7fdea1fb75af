/*
 * The looks of what is drawn: colours that colour-blind readers tell apart, dashes and marks that survive
 * black-and-white print, the palettes of heat maps. Decided here once, for every figure and for the headings above
 * them.
 */
#ifndef MEWS_PLOT_LOOKS_H
#define MEWS_PLOT_LOOKS_H

#include "analysis/report/plots/plot.h"

enum { PLOT_FONT_SIZE = 11 }; /* px, of all that is written in a figure */

void plot_colour(const plot_line *line, char out[8]); /* "#0072B2" */
const char *plot_dash(const plot_line *line);         /* gnuplot's: "solid", "(9,4)" */
int plot_mark(const plot_line *line);                 /* gnuplot's number */
bool plot_joined(const plot_line *line);              /* data are joined by a line */
bool plot_marked(const plot_line *line);              /* data have marks */

typedef struct plot_shade {
    double at; /* between the palette's ends, −1 … 1 or 0 … 1 */
    const char *colour;
} plot_shade;

/* Of a heat map: with white at 0 in the middle, or from white on. */
const plot_shade *plot_palette(bool both_signs, size_t *count);

/* What text is reckoned to take, px. */
double plot_text_width(const char *text);

#endif

/*
 * The heading of a group of panels: the quantity that they show, then a sample of each line with its name, or the
 * palette of its heat maps. Said once above the panels rather than in each.
 */
#ifndef MEWS_PLOT_HEADING_H
#define MEWS_PLOT_HEADING_H

#include "analysis/report/plots/plot_script.h"

/* As HTML in fresh memory; *html is NULL when there is nothing to say. */
bool plot_heading_html(const plot *p, size_t group, char **html, error *err);

/* On a canvas: px that it needs when it is `width` px wide, and the commands that draw it at `left`, `top`. */
double plot_heading_height(const plot *p, size_t group, double width);
void plot_heading_script(FILE *out, const plot *p, size_t group, plot_frame canvas, double left, double top,
                         double width);

#endif

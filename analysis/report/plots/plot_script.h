/*
 * One panel as gnuplot commands, placed anywhere on a canvas.
 */
#ifndef MEWS_PLOT_SCRIPT_H
#define MEWS_PLOT_SCRIPT_H

#include "analysis/report/plots/plot.h"

typedef struct plot_frame {
    double canvas_width, canvas_height; /* px */
    double left, top, width, height;    /* of the panel on it, px from the canvas' upper left corner */
} plot_frame;

/* Forgets what the panel before left behind; then come the heading, if any, and the panel. */
void plot_script_clear(FILE *out);
void plot_script_panel(FILE *out, const plot_panel *panel, plot_frame frame);

#endif

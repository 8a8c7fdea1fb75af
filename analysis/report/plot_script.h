/*
 * One panel as gnuplot commands, placed anywhere on a canvas.
 */
#ifndef MEWS_PLOT_SCRIPT_H
#define MEWS_PLOT_SCRIPT_H

#include "analysis/report/plot.h"

typedef struct plot_frame {
    double canvas_width, canvas_height; /* px */
    double left, top, width, height;    /* of the panel on it, px from the canvas' upper left corner */
} plot_frame;

enum { PLOT_FONT_SIZE = 13 };

void plot_script_panel(FILE *out, const plot_panel *panel, plot_frame frame);

#endif

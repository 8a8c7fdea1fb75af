/*
 * Axes: the range of the data and where the ticks go.
 */
#ifndef MEWS_PLOT_AXES_H
#define MEWS_PLOT_AXES_H

#include "analysis/report/plots/plot.h"

enum { PLOT_MOST_TICKS = 24 };

typedef struct plot_axis {
    bool log;
    double low, high;
    plot_tick ticks[PLOT_MOST_TICKS];
    size_t count;
} plot_axis;

plot_axis plot_axis_x(const plot_panel *panel);
plot_axis plot_axis_y(const plot_panel *panel);

/* Drops labels that would overlap on an axis `pixels` long, when each needs `per_character` px a character. */
void plot_axis_thin(plot_axis *axis, double pixels, double per_character);

/* Where a value lies on the axis: 0 at its low end, 1 at its high one; NaN for a value that it cannot show. */
double plot_axis_share(const plot_axis *axis, double value);

/* Characters (not bytes) of UTF-8 text. */
size_t plot_text_length(const char *text);

#endif

/*
 * The figures of the diagnosis page, for one file or for several beside each other.
 */
#ifndef MEWS_EXHIBIT_FIGURES_H
#define MEWS_EXHIBIT_FIGURES_H

#include "analysis/report/pages/exhibit.h"
#include "analysis/report/figures.h"

/* Files whose lines can be told apart in one plot, and files of a series, whose lines are shades of one order. */
enum { EXHIBIT_SIDE_BY_SIDE = 12, EXHIBIT_MOST = 60 };

/* Every figure that there are data for, inline; figures_free them. */
bool exhibit_figures_draw(figures *all, const exhibit *items, size_t count, error *err);

/* Builds one figure: no panels mean that there is nothing to draw. Each stands in a file with its kin. */
typedef bool exhibit_figure_builder(const exhibit *items, size_t count, plot *p, figure *f, error *err);
exhibit_figure_builder exhibit_series;
exhibit_figure_builder exhibit_spectra, exhibit_mixture, exhibit_usage, exhibit_history; /* lines */
exhibit_figure_builder exhibit_map, exhibit_heat, exhibit_covariance, exhibit_adjacency; /* clouds */

/* The thirds collapsed, warning and healthy of a panel from `first` to `last`. */
bool exhibit_zones(plot_panel *panel, double first, double last, error *err);

#endif

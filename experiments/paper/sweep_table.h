/*
 * The table of a sweep of one's own, for a paper: a row a setting, means and standard deviations over its seeds, and
 * which collapse was found.
 */
#ifndef MEWS_SWEEP_TABLE_H
#define MEWS_SWEEP_TABLE_H

#include "experiments/paper/grid.h"

/*
 * Prints the finished runs in `folder` on stdout. `figures`: the figures to show, "linear,knn", or NULL for the usual
 * ones that the runs have. ERROR_USAGE for a figure that none has, with the nearest there is.
 */
bool sweep_table_print(const char *folder, const char *figures, grid_form form, error *err);

#endif

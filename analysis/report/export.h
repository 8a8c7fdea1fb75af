/*
 * A study's numbers as CSV files, for a paper's own tables and plots.
 */
#ifndef MEWS_EXPORT_H
#define MEWS_EXPORT_H

#include "analysis/report/study/effects.h"

/*
 * Writes into `folder`: runs.csv (a run a line: what it was set to, final figures, verdicts, seconds), settings.csv (a
 * setting and figure a line: n, mean, sd, min, max) and effects.csv (a key, figure and value a line: mean, difference
 * from the first value, its interval, p).
 */
bool export_numbers(const study *s, const effects *e, const char *folder, error *err);

#endif

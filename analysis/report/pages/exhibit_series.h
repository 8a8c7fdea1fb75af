/*
 * Several files as a series: whether they are one, and in which order.
 */
#ifndef MEWS_EXHIBIT_SERIES_H
#define MEWS_EXHIBIT_SERIES_H

#include "analysis/report/pages/exhibit.h"

/* Looks whether names of three files or more differ in one number alone; then sorts them by it and notes it in `at`,
 * else that is NaN. */
bool exhibit_series_find(exhibit *items, size_t count);

bool exhibit_is_series(const exhibit *items, size_t count);

#endif

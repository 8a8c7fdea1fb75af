/*
 * Between mews and libraries that trust what a file says of itself (array_format.library): they work in a process of
 * their own, so that a damaged file on which one of them crashes is refused in a line like any other.
 */
#ifndef MEWS_ARRAY_GUARD_H
#define MEWS_ARRAY_GUARD_H

#include "analysis/files/array_box.h"

/* array_format.open, tried out first. ERROR_RUN where the library ends by a signal. */
bool array_guard_open(array_box *b, error *err);
/* array_format.load; *memory is to be freed. */
bool array_guard_load(array_box *b, size_t which, strided *out, void **memory, error *err);

#endif

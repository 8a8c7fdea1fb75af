/*
 * What spec_file.c (reading) and spec_set.c (the command's line) share.
 */
#ifndef MEWS_SPEC_PARTS_H
#define MEWS_SPEC_PARTS_H

#include "experiments/spec/spec_file.h"

/* Whether `name` may be part of a path, and what is said when it may not. */
bool spec_name_is_safe(const char *name);
extern const char spec_bad_name[];
bool spec_name_is_index(const char *name);
extern const char spec_index_name[];

/* A new, empty layer over those of the level; NULL when out of memory. */
spec_layer *spec_level_add_layer(spec_level *level, error *err);
void spec_level_free(spec_level *level);

#endif

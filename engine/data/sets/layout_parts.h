/*
 * What layout.c (by the folders' names), layout_pattern.c (by data.train and data.test) and layout_place.c (both, and
 * where a path lies) share.
 */
#ifndef MEWS_LAYOUT_PARTS_H
#define MEWS_LAYOUT_PARTS_H

#include "engine/data/sets/folder_tree.h"
#include "engine/data/sets/layout.h"

bool layout_read_names(layout *l, const folder_tree *t, const layout_paths *p, error *err);
bool layout_read_patterns(layout *l, const folder_tree *t, const layout_paths *p, error *err);

/* The folder that all images lie in, below whatever only wraps it. */
const folder_node *layout_unwrap(const folder_node *top);

bool layout_add_splits(layout *l, const layout_paths *p, const folder_node *const *nodes, int count, layout_split split,
                       error *err);

/* Does the pattern fit a path of the source, with or without the wrapping folders in front? */
bool layout_fits(const char *pattern, const char *path, const char *wrapper);

/* The folder number `depth` of a path: where it begins, and its length; NULL when there are not so many. */
const char *layout_folder_at(const char *path, int depth, size_t *length);

#endif

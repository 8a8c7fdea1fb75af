/*
 * Several sets of embeddings beside each other: short names that tell them apart, and the table for a terminal.
 */
#ifndef MEWS_COMPARE_H
#define MEWS_COMPARE_H

#include "engine/error.h"

#include <jansson.h>

/* What tells paths apart: as many of their last parts as it takes, without an ending that all share (`.npy`,
 * `/embeddings.npy`). Fresh memory of fresh strings (count); NULL when out of memory. */
char **compare_names(char *const *paths, size_t count, error *err);
void compare_names_free(char **names, size_t count);

/* Verdicts and the most telling figures, a line a file; figures (count) as `--json` prints them. */
void compare_print(char *const *names, json_t *const *figures, size_t count);

#endif

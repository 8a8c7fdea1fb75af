/*
 * Conditions on runs, as in `mews runs --where "method.codes > 1000 and status = finished"`: comparisons of a key with
 * a value, joined by and, or, not and parentheses. Parsed and judged here; no database sees the text. comparison   KEY
 * =|!=|<|<=|>|>= VALUE     VALUE: a number, a word, or anything in quotes A run that lacks the key does not fulfil a
 * comparison with it.
 */
#ifndef MEWS_FILTER_H
#define MEWS_FILTER_H

#include "experiments/store/store.h"

typedef struct filter filter;

/* ERROR_USAGE says what was expected, and where. */
filter *filter_parse(const char *text, error *err);
void filter_free(filter *f);

/* Reads the columns that the condition names; must come before filter_holds. */
bool filter_bind(filter *f, store *s, store_runs *all, error *err);
bool filter_holds(const filter *f, const store_runs *all, size_t run);

/* The i-th key named, NULL past the last. */
const char *filter_key(const filter *f, size_t i);

#endif

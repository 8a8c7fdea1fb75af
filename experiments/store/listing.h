/* Runs as a table: for a terminal, as CSV or as JSON. */
#ifndef MEWS_LISTING_H
#define MEWS_LISTING_H

#include "experiments/store/store.h"

#include <stdio.h>

typedef enum listing_form { LISTING_TEXT, LISTING_CSV, LISTING_JSON } listing_form;

typedef struct listing {
    const size_t *rows; /* indices into the runs, in the order wanted */
    size_t count;
    const size_t *columns; /* indices into the runs' columns */
    size_t column_count;
} listing;

/* Text: right-aligned numbers under their keys. CSV: a line of keys first, quoted as RFC 4180 asks. JSON: an array of
 * objects; a value a run lacks is "–", empty, or null. */
void listing_print(FILE *out, const store_runs *all, const listing *l, listing_form form);

/* Sorts `rows` by a column: numbers before words before nothing; runs that tie keep their order. */
void listing_sort(size_t *rows, size_t count, const store_column *column, bool descending);

#endif

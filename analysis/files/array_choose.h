/* Which of a file's offers a request means: by name, or the only one that fits. Private to array_file. */
#ifndef MEWS_ARRAY_CHOOSE_H
#define MEWS_ARRAY_CHOOSE_H

#include "analysis/files/array_box.h"
#include "analysis/files/array_file.h"

/* An array as a matrix: dimensions of one element gone. Steps are in bytes. */
typedef struct array_layout {
    int dims; /* 1, 2, or 3 with tokens; more: does not fit */
    uint64_t rows, tokens, cols, row_step, token_step, col_step;
} array_layout;

array_layout array_layout_of(const strided *a, const array_request *r);

bool array_choose(const array_box *b, const array_request *r, size_t *chosen, error *err);

/* "100 × 20, complex64"; cut to `size`. */
void array_tell_offer(const array_offer *o, char *out, size_t size);

#endif

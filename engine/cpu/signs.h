/*
 * How a matrix of signs lies in memory, between the files that multiply by it. Packed twice: bit k % 32 of word
 * (k / 32, j) and bit j % 32 of word (j / 32, k) for feature k and code j, since forward sums run over features and
 * backward ones over codes. Rows of words are padded to whole strips.
 */
#ifndef MEWS_SIGNS_H
#define MEWS_SIGNS_H

#include "engine/cpu/codes.h"

enum { WORD = 32, STRIP = 64, PADDING = 16 };

/* One of the two packings: words (deep, wide), a bit for each of 32 elements along the first dimension. */
typedef struct packing {
    uint32_t *words;
    int64_t deep, wide;
} packing;

packing packing_of(const tensor *t, bool transposed);

#endif

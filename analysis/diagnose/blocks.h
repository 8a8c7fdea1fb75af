/*
 * The block structure of the adjacency matrix as a number: the mean cosine of two rows of one cluster, of two rows of
 * different ones, and their difference, beside what the same cluster sizes score when rows are dealt to them by chance.
 */
#ifndef MEWS_ANALYSIS_BLOCKS_H
#define MEWS_ANALYSIS_BLOCKS_H

#include "analysis/matrix.h"

enum { BLOCKS_ROWS = 4096, BLOCKS_PERMUTATIONS = 20 }; /* more rows are sampled by seed */

typedef struct block_structure {
    double within, between;   /* mean cosine over pairs of two rows; NaN where there is no such pair */
    double contrast;          /* within − between: 0 without blocks */
    double chance, chance_sd; /* of the contrast, when the assignment is permuted; chance is 0 but for accident */
    size_t rows;
} block_structure;

/* assignment (m.rows): any numbers from 0. A zero row has no direction: its cosines are 0. */
bool blocks_compute(matrix m, const int32_t *assignment, uint64_t seed, block_structure *out, error *err);

#endif

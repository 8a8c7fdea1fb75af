/*
 * Products of matrices in bfloat16 with sums in floats. Operands are stored in either way and rounded where they are
 * reals; by the processor's tiles where it has them (tiles.h), elsewhere by OpenBLAS on values widened again. Bits do
 * not depend on how many threads share the work of the tiles.
 */
#ifndef MEWS_GEMM_BRIEF_H
#define MEWS_GEMM_BRIEF_H

#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

/*
 * Element (i, j) lies at data[i·row + j·col] and is stored in bfloat16 where `brief`; row or col is 1. Or, right
 * factors alone, `signs`: ±1, of which (i, j) is bit i % 32 of word i/32·row + j, and words of 16 columns more can be
 * read.
 */
typedef struct operand {
    const void *data;
    int64_t row, col;
    bool brief, signs;
} operand;

/* A matrix with `cols` columns stored row by row, and its transpose. */
static inline operand rows_of(const void *data, int64_t cols, bool brief) {
    return (operand){data, cols, 1, brief, false};
}
static inline operand turned(operand x) { return (operand){x.data, x.col, x.row, x.brief, false}; }

/* c (m, n) = (add ? c : 0) + α·a (m, k)·b (k, n) + bias (n; may be NULL), c stored row by row. False: out of memory. */
typedef struct brief_product {
    int64_t m, n, k;
    operand a, b;
    real alpha;
    bool add;
    operand c;
    const real *bias;
} brief_product;

bool gemm_brief(backend *b, const brief_product *p);

/*
 * Where tiles are built (tiles.h): an operand's first `lines` rows and `depth` columns, rounded into tiles
 * [⌈lines/16⌉][⌈depth/32⌉] of a left factor, or `by_pairs` of a right one, whose columns those rows are. They begin on
 * whole cache lines; beyond the edges they hold zeros.
 */
void tiles_pack(const operand *x, int64_t lines, int64_t depth, bool by_pairs, bfloat *to);

#endif

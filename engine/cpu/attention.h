/*
 * What attention shares between its products in floats (attention.c) and those by tiles of bfloat16
 * (attention_brief.c).
 */
#ifndef MEWS_ATTENTION_H
#define MEWS_ATTENTION_H

#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

/* Keys pass in blocks of KEYS; a row of logits has room for LOGITS, in whole vectors. */
enum { KEYS = 256, LOGITS = KEYS + 2 * 16 };

/* What is common to all samples and heads. `queries`: the tokens of a sample that ask, its first ones. For products in
   floats, `padded`: tokens rounded up to whole vectors, off powers of two; and blocks of queries and keys. */
typedef struct attention_shape {
    int64_t tokens, queries, heads, width, padded, q_blocks, k_blocks;
    real scale; /* 1/√width */
    bool brief; /* q, k, v and the result are stored in bfloat16 */
} attention_shape;

/*
 * Rows of logits of a block of keys become exponentials. Of each row are kept the largest scaled logit, `most`, and the
 * sum; what was summed of the blocks before, `sum` and `out` (rows, width), shrinks to a larger one. On the first block
 * of keys these hold nothing yet.
 */
void attention_soften(const attention_shape *s, real *logits, int64_t rows, int64_t keys, bool first, real *most,
                      double *sum, real *out);

/* logits → P, by the rows' saved log Σ exp; products of the gradient → scale·dS, by their δ. */
void attention_harden(const attention_shape *s, real *logits, real *slopes, int64_t rows, int64_t keys,
                      const real *saved, const real *delta);

/* By tiles, where they are built and q, k, v are stored in bfloat16. */
bool attention_brief_forward(backend *b, node *n, const attention_shape *s);
bool attention_brief_backward(backend *b, node *n, const attention_shape *s);

#endif

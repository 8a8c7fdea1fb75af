/*
 * Where attention looks: the entropy of a token's attention over the tokens of its image, in nats. The logarithm of
 * their number is attention that prefers none; 0 is all of it on one token.
 */
#ifndef MEWS_ANALYSIS_ATTENTION_H
#define MEWS_ANALYSIS_ATTENTION_H

#include "engine/error.h"

typedef struct attention_figures {
    size_t images, tokens, heads;
    double entropy;       /* mean over images, heads and tokens */
    double entropy_first; /* the class token's, which is the first; NaN where there is none */
    double uniform;       /* log of the number of tokens */
} attention_figures;

typedef struct attention_sums {
    size_t images, tokens, heads;
    double entropy, first;
} attention_sums;

/* Of images (images·tokens, 3·width), whose columns are q, k and v and in each of them head after head; attention is
 * softmax(q·kᵀ/√(width/heads)). */
bool attention_sums_add(attention_sums *s, const float *qkv, size_t images, size_t tokens, size_t width, size_t heads,
                        error *err);
attention_figures attention_sums_end(const attention_sums *s, bool class_token);

#endif

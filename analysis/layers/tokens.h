/*
 * Token collapse: what is left of the differences between the patches of one image. A transformer whose tokens have all
 * become alike (over-smoothing; Dong et al., "Attention is not all you need", ICML 2021) may still tell images apart,
 * so no figure of its representations shows it. Beside it massive activations (Sun et al. 2024): a few values, in a few
 * tokens, that are many times as large as the others.
 */
#ifndef MEWS_ANALYSIS_TOKENS_H
#define MEWS_ANALYSIS_TOKENS_H

#include "analysis/verdicts/collapse.h"

typedef struct token_figures {
    size_t images, patches;
    double rank;        /* RankMe of an image's patches, mean over images: 1 where they are all equal */
    double mean_cosine; /* of two patches of an image, mean over images */
    /* Variance of the patches of one image over that of all patches, by degrees of freedom: 0 where an image's patches
       are all equal, 1 where they are no more alike than those of different images. No translation changes it. */
    double within_share;
    double massive_share;       /* values beyond TOKENS_MASSIVE times the median magnitude of their image's values */
    double largest_over_median; /* the largest magnitude over that median, mean over images */
    double precision_share;     /* variance of all patches over their mean square */
} token_figures;

/* Sun et al. call massive what is beyond 100 and about 1,000 times the median of its hidden state; the scale of
 * activations is a network's own, so here the ratio alone counts, and a tenth of it does. */
enum { TOKENS_MASSIVE = 100 };

typedef struct token_sums {
    size_t images, patches, cols;
    double rank, cosine, squares, between, massive, values, largest;
    double *total; /* (cols) of all patches */
} token_sums;

bool token_sums_begin(token_sums *s, size_t patches, size_t cols, error *err);
/* Images' hidden states (images, tokens, cols), of whose tokens the last `patches` stand for patches. */
bool token_sums_add(token_sums *s, const float *states, size_t images, size_t tokens, error *err);
token_figures token_sums_end(token_sums *s); /* and frees them */

/* Collapsed where an image's patches keep less than TOKENS_COLLAPSED of the variance, warning below TOKENS_WARNING. */
void tokens_judge(const token_figures *f, collapse_verdict *out);

#endif

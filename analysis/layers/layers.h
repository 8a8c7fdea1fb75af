/*
 * What a network makes of images, layer by layer. Of every layer up to three matrices are looked at, a row an image or
 * a patch: activations pooled over the image, the class token, and all patches. Of transformers also what happens
 * within an image: how much its patches still differ (tokens.h), and where attention looks (attention.h).
 */
#ifndef MEWS_ANALYSIS_LAYERS_H
#define MEWS_ANALYSIS_LAYERS_H

#include "analysis/layers/attention.h"
#include "analysis/layers/tokens.h"
#include "analysis/matrix.h"
#include "analysis/verdicts/collapse.h"

typedef enum layer_view {
    LAYER_POOLED, /* the mean over pixels or patches; of the representation, itself */
    LAYER_CLASS,  /* the class token */
    LAYER_ALL,    /* patches, a row each, of a few images */
    LAYER_VIEWS
} layer_view;

const char *layer_view_name(layer_view view); /* "pooled", "class", "all" */

typedef struct layer_figures {
    size_t rows, cols; /* 0: the layer has no such matrix */
    double rankme, effective_rank, numerical_rank;
    double mean_cosine; /* of two different rows; NaN for fewer than two that are not zero */
    collapse_evidence evidence;
    collapse_verdict representation, dimensional; /* rule NULL: not judged */
} layer_figures;

typedef struct layer {
    char name[64];
    layer_figures views[LAYER_VIEWS];
    token_figures tokens; /* images 0: the layer has none */
    collapse_verdict token_verdict;
    attention_figures attention; /* images 0: likewise */
} layer;

typedef struct layers {
    size_t count;
    layer *items;
} layers;

void layers_free(layers *l);

/* A layer's matrix, held against the same one of another network (the untrained one), or `reference` NULL: figures
 * only, which a later one may be held against. */
bool layer_take(matrix rows, const layer_figures *reference, const char *reference_name, uint64_t seed,
                layer_figures *out, error *err);

/* The mean cosine of two different rows, those of zeros left out; NaN where fewer than two are left. */
bool layer_mean_cosine(matrix rows, double *out, error *err);

/* {name, pooled: {rows, cols, rankme, …, verdicts}, class, all, tokens, attention}; what a layer does not have is null.
 * NULL when out of memory. */
json_t *layer_to_json(const layer *l);

#endif

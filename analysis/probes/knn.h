/*
 * Weighted k-nearest-neighbour classification by cosine (Wu et al. 2018; the form used in DINO and solo-learn): each of
 * the k nearest training rows votes for its class with weight exp(cosine / T).
 */
#ifndef MEWS_ANALYSIS_KNN_H
#define MEWS_ANALYSIS_KNN_H

#include "analysis/matrix.h"

typedef struct knn_options {
    size_t neighbours;  /* 0: 20; no more than the training rows are used */
    double temperature; /* 0: 0.07 */
} knn_options;

typedef struct knn_result {
    double top1, top5; /* shares in [0, 1] */
} knn_result;

/* train (n1, d) with labels in [0, classes), test (n2, d) with theirs. options may be NULL. predicted (n2, or NULL). */
bool knn_evaluate(matrix train, const int32_t *train_labels, matrix test, const int32_t *test_labels, int classes,
                  const knn_options *options, int32_t *predicted, knn_result *out, error *err);

#endif

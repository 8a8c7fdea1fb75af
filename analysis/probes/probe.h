/*
 * Linear probe: multinomial logistic regression on frozen features, standardised with the training set's mean and
 * standard deviation, fitted by L-BFGS to the end rather than for some epochs, so that it measures the features and not
 * the probe's schedule. Loss: mean cross-entropy + penalty · ½‖W‖², no penalty on the bias: scikit-learn's
 * LogisticRegression(C = 1/(penalty · n)).
 */
#ifndef MEWS_ANALYSIS_PROBE_H
#define MEWS_ANALYSIS_PROBE_H

#include "analysis/matrix.h"

typedef struct probe_options {
    double penalty;   /* 0: 1e-4; negative: none */
    int iterations;   /* at most; 0: 300 */
    double tolerance; /* stop when max |gradient| is below; 0: 1e-5 */
} probe_options;

typedef struct probe_result {
    double train_top1, train_top5, test_top1, test_top5; /* shares in [0, 1] */
    double loss;                                         /* the objective at the end, penalty included */
    int iterations;
    bool converged;
} probe_result;

/* train (n1, d), test (n2, d), labels in [0, classes), classes ≥ 2. options may be NULL. predicted (n2, or NULL). */
bool probe_evaluate(matrix train, const int32_t *train_labels, matrix test, const int32_t *test_labels, int classes,
                    const probe_options *options, int32_t *predicted, probe_result *out, error *err);

#endif

/*
 * How well two labelings of the same n points agree. NMI is not adjusted for chance (10 labels against 16,384 random
 * codes score 0.35 at n = 10,000), so beside it stand AMI, ARI and the NMI of the same assignment against permuted
 * labels. Definitions and results are scikit-learn's, with the arithmetic mean as normaliser.
 */
#ifndef MEWS_ANALYSIS_AGREEMENT_H
#define MEWS_ANALYSIS_AGREEMENT_H

#include "engine/error.h"

#include <stdint.h>

enum { AGREEMENT_PERMUTATIONS = 20 };

typedef struct agreement {
    double nmi;        /* mutual information over the mean of the two entropies; 1 when both labelings are constant */
    double ami;        /* the same with the mutual information expected of permuted labels taken away: 0 at chance */
    double ari;        /* Hubert & Arabie's adjusted Rand index */
    double nmi_chance; /* mean NMI of the assignment against AGREEMENT_PERMUTATIONS permutations of the labels */
    double nmi_chance_sd;
    double accuracy; /* share of points under the best one-to-one matching of clusters and labels (Hungarian) */
    double information, expected_information; /* nats */
} agreement;

/* Labels and clusters may be any integers. ERROR_RUN when n = 0 or out of memory. `seed` names the permutations. */
bool agreement_compute(const int32_t *labels, const int32_t *clusters, size_t n, uint64_t seed, agreement *out,
                       error *err);

/*
 * The assignment of largest total weight (Hungarian method, O(rows² cols) for rows ≤ cols): weight (rows, cols), any
 * shape; match (rows) takes each row's column, −1 for rows that go without.
 */
bool agreement_match(const double *weight, size_t rows, size_t cols, int32_t *match, error *err);

#endif

/* The yardsticks of the analysis: RankMe, one restart of k-means, and kNN, on unit noise. */
#ifndef MEWS_BENCH_ANALYSIS_H
#define MEWS_BENCH_ANALYSIS_H

#include "experiments/bench/bench.h"

json_t *bench_spectrum(const bench_options *o, error *err);
json_t *bench_kmeans(const bench_options *o, error *err);
json_t *bench_knn(const bench_options *o, error *err);

#endif

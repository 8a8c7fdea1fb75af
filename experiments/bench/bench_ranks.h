/* How far a step may be spread over machines before it stops paying: a model, from what is measured here. */
#ifndef MEWS_BENCH_RANKS_H
#define MEWS_BENCH_RANKS_H

#include "experiments/bench/bench.h"

/*
 * {bench, methods: [{method, strong, weak}, …], findings: [a sentence for each method], …}; strong and weak hold, by
 * number of nodes, what one of them computes, hands over, and takes for a step on each network. Strong: options->batch
 * pairs whatever the number. Weak: a quarter of it for each node. A node is this machine with options->threads.
 */
json_t *bench_ranks(const bench_options *options, error *err);

#endif

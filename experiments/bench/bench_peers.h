/* A step that processes share, with its gradients added up in one way and another. */
#ifndef MEWS_BENCH_PEERS_H
#define MEWS_BENCH_PEERS_H

#include "experiments/bench/bench.h"

/*
 * Every process that was started together calls it. {bench, …, seconds, processes, seconds_without (gradients are not
 * added up), seconds_after (added up after the backward pass), seconds_alone (of the sum and nothing else), hidden,
 * gathers, gathered_mib, sums, summed_mib (a step, of this process), sent_mib (that left this machine)}; of a process
 * that is alone its seconds.
 */
json_t *bench_peers(const bench_options *o, error *err);

#endif

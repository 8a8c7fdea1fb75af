/*
 * What the machine can do at most, now: products in either precision, memory. The limits that yardsticks are held
 * against.
 */
#ifndef MEWS_BENCH_MACHINE_H
#define MEWS_BENCH_MACHINE_H

#include "experiments/bench/bench.h"

/*
 * The best of a few large products, GFLOP/s, by all threads: OpenBLAS' in floats, or a linear layer's of values stored
 * in bfloat16. 0: out of memory.
 */
double bench_peak_gflops(bool brief);

/* Bytes a second at which memory is read, by all threads; 0 with a message: out of memory. */
double bench_read_rate(error *err);

/* {bench: machine, processor, product_gflops, product_gflops_bfloat16, read_gb_per_second, copy_gb_per_second}. */
json_t *bench_machine(const bench_options *o, error *err);

#endif

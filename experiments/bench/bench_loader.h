/* The yardstick of photographs: what one core makes of them, from the JPEG's bytes to normalised views. */
#ifndef MEWS_BENCH_LOADER_H
#define MEWS_BENCH_LOADER_H

#include "experiments/bench/bench.h"

json_t *bench_loader(const bench_options *o, error *err);

#endif

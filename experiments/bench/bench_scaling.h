/*
 * How the time of a training step grows with the batch, the backbone's width and the number of codes, and that of the
 * loss with the codes.
 */
#ifndef MEWS_BENCH_SCALING_H
#define MEWS_BENCH_SCALING_H

#include "experiments/bench/bench.h"

/*
 * {bench, series: [{name, at, seconds, slope, last_slope}, …], findings: [a sentence for each], seconds (of all), …};
 * slopes are of log time over log size, by least squares over all sizes and between the last two. With options->out a
 * figure is drawn there as .svg and .png, its numbers beside it as .csv.
 */
json_t *bench_scaling(const bench_options *options, error *err);

#endif

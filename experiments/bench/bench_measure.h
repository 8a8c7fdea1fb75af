/*
 * What every yardstick shares: repeating a piece of work, memory, and the object that is printed.
 */
#ifndef MEWS_BENCH_MEASURE_H
#define MEWS_BENCH_MEASURE_H

#include "engine/error.h"

#include <jansson.h>
#include <stdint.h>

/* What a benchmark does once per repetition. */
typedef bool (*bench_body)(void *context, error *err);

typedef struct bench_timing {
    double median, least, most; /* seconds of one repetition */
} bench_timing;

/* Of `count` timings, which become sorted. */
bench_timing bench_summary(double *seconds, int64_t count);

/* Runs `body` once unmeasured, which fills caches and pools, then `repeats` times. */
bool bench_measure(bench_body body, void *context, int64_t repeats, bench_timing *out, error *err);

/* Memory of this process, MiB: VmHWM is the most it held since bench_forget_peak, VmRSS what it holds. */
double bench_resident_mib(const char *key);
void bench_forget_peak(void);

/* `count` standard normal numbers, the same every time; fresh memory. */
float *bench_noise(size_t count, error *err);

/* {bench, seconds, min_seconds, max_seconds, gflops, peak_gflops, peak_share, peak_rss_mib}; flops 0: not counted.
   Measures the machine's peak, in bfloat16 where `brief`, whose own matrices are not in peak_rss_mib. */
json_t *bench_report(const char *name, bench_timing t, double flops, bool brief);

#endif

/*
 * The yardsticks: what one training step, the FALCON loss, the augmentation and a spectrum cost on this machine, beside
 * the machine's own peak, measured in the same process.
 */
#ifndef MEWS_BENCH_H
#define MEWS_BENCH_H

#include "engine/fields.h"

#include <jansson.h>

typedef struct bench_options {
    int backbone; /* choice of backbone_names */
    int64_t width, batch, features, codes, rows, cols, pairs, threads, repeats, decades, clusters, queries, ranks;
    int64_t size, views, patch; /* size, patch: 0 = their own */
    bool recompute, shard;
    double hidden;
    int dictionary; /* choice of dictionary_names */
    int decode;     /* DECODE_ */
    int precision;  /* PRECISION_ */
    char out[FIELD_TEXT_SIZE], data[FIELD_TEXT_SIZE], method[FIELD_TEXT_SIZE];
    struct peers *peers; /* who was started together with this process, or NULL; none of the fields */
    bool traffic;        /* step: count bytes, too; none of the fields */
} bench_options;

extern const field_table bench_fields;
extern const char *const bench_names[]; /* step, loss, augment, …; NULL-terminated */
extern const char *const bench_summaries[];

/*
 * Runs benchmark `name` and returns {bench, …its settings…, seconds (median of one repetition), min_seconds,
 * max_seconds, gflops, peak_gflops, peak_share, peak_rss_mib, …}; gflops is null where operations are not counted.
 * NULL on an error (ERROR_USAGE for an unknown name).
 */
json_t *bench_run(const char *name, const bench_options *options, error *err);

#endif

/*
 * What a set of runs varies, found from the records themselves: blocks (the sub-sweeps of a results folder), in each
 * block one axis (the swept key the figures run along), series (every combination of the other swept keys) and points
 * (one setting, with its repetitions over seeds). Nothing is wired to a key's name except that a key ending in ".seed"
 * is a repetition and not a setting. Settings that fill no grid, as a random search leaves them, are one series.
 */
#ifndef MEWS_STUDY_H
#define MEWS_STUDY_H

#include "analysis/report/study/records.h"

typedef struct study_point {
    double x;               /* the axis value; its rank among the values when they are not numbers */
    char label[160];        /* the axis value as text; where settings are scattered, all values */
    const record **records; /* finished runs, one a seed (count) */
    size_t count;
} study_point;

typedef struct study_series {
    char label[160];     /* the other swept keys' values, "" when there are none */
    study_point *points; /* by x; every point has at least one finished run */
    size_t count;
} study_series;

/* A swept key that varies, and those that say the same because they always moved together with it ("a, b"). */
typedef struct study_key {
    char key[96], with[160];
    size_t values; /* distinct ones */
    bool numeric;
} study_key;

typedef struct study_block {
    char name[96];      /* as in the runs, or made from the method */
    char slug[96];      /* the name as part of a file's name */
    char axis[96];      /* swept key, "" when nothing varies */
    char axis_name[96]; /* short: "codes" */
    char methods[96];   /* the runs' methods, comma-separated */
    bool numeric, log;  /* axis values are numbers; positive ones spread over a factor of 8 or more */
    bool scattered;     /* settings fill no grid (drawn at random): one series without an axis, the best first */
    study_key *keys;    /* what varies but seeds, the axis first */
    size_t key_count;
    study_series *series;
    size_t count;
} study_block;

typedef struct study {
    records records;
    char *name;          /* of the results folder */
    study_block *blocks; /* by name */
    size_t count;
    size_t finished, halved;     /* runs; those that a sweep stopped at a rung */
    size_t seeds_min, seeds_max; /* repetitions of a point */
    const record **runs;         /* the finished ones, setting by setting, each once (run_count) */
    const char **metrics;        /* all final figures, the field's usual order first, then by name (metric_count) */
    const char **keys;           /* of the finished runs' specs, each once, sorted (key_count) */
    size_t run_count, metric_count, key_count;
} study;

bool study_read(study *s, const char *folder, error *err);
void study_free(study *s);

/* A metric over the repetitions of a point. Without any: n = 0 and NaN. sd is NaN for n = 1. */
typedef struct study_figure {
    size_t n;
    double mean, sd, min, max;
} study_figure;
study_figure study_measure(const study_point *p, const char *metric);

/* Whether any finished run has it. */
bool study_has(const study *s, const char *metric);

/* The metric that runs are ranked by: linear accuracy, or the next best thing that any of them has. */
const char *study_primary(const records *all);

/* Makes the study's lists out of its records and blocks: the last that reading one does. False when out of memory. */
bool study_list(study *s);

/* A metric's name as a reader says it: "linear accuracy", "AMI of the codes"; the name itself when unknown. */
const char *study_metric_title(const char *metric);

/* A rank, in directions, rather than a share, a score or an accuracy. */
bool study_is_rank(const char *metric);

/* A key as people call it: "method.codes" → "codes", "method.name" → "method", "train.batch" as it is. Returns `out`.
 */
char *study_short_key(const char *key, char *out, size_t size);

/* A setting in words: "64 codes", "beta = 0.5". Returns `out`. */
char *study_setting(const study_block *b, const study_point *p, char *out, size_t size);

/* How many of a point's runs got each verdict on a mode ("dimensional"), and the worst that a majority reaches. */
enum { STUDY_UNKNOWN, STUDY_HEALTHY, STUDY_WARNING, STUDY_COLLAPSED, STUDY_VERDICTS };
int study_verdict(const study_point *p, const char *mode, size_t counts[STUDY_VERDICTS]);
int study_worst_verdict(const study_point *p);            /* in any mode; unknown only where no mode is known */
int study_run_verdict(const record *r, const char *mode); /* of one run */
extern const char *const study_verdict_names[STUDY_VERDICTS];
extern const char *const study_modes[5]; /* NULL-terminated */

/* A number with the digits that make sense for its metric: "241.3", "0.412"; "–" for NaN. Returns `out`. */
char *study_format(const char *metric, double value, char *out, size_t size);

#endif

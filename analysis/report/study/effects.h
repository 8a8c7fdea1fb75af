/*
 * The main effect of each swept key: the mean of a figure at each of its values over the same settings of the other
 * keys, and the difference from the key's first value with a 95 % interval. What the interval is taken over stands with
 * it: seeds where there are several, else settings of the other keys, else (a random search) runs; one run each allows
 * none.
 */
#ifndef MEWS_EFFECTS_H
#define MEWS_EFFECTS_H

#include "analysis/report/study/factors.h"

typedef enum effect_units {
    EFFECT_NO_UNITS, /* one run each: means, and no interval */
    EFFECT_SEEDS,    /* differences within a seed, over seeds */
    EFFECT_SETTINGS, /* differences within a setting of the other keys, over settings; one seed */
    EFFECT_RUNS,     /* means over settings that differ in the other keys as well, as drawn */
} effect_units;

typedef struct effect_level {
    size_t of;                     /* the factor's level */
    double n, mean;                /* units */
    double difference, half_width; /* from the first level here; ± 95 %, NaN without an interval */
} effect_level;

typedef struct effect {
    const factor *factor;
    const char *metric;
    effect_units units;
    size_t unit_count; /* repetitions: seeds, settings or runs */
    size_t runs;       /* that the means are made of, of all that have the figure */
    size_t runs_there;
    effect_level *levels; /* that could be compared (count) */
    size_t count, best, worst;
    double error, degrees; /* mean square that is left over */
    double p, p_holm;      /* that all values are alike; NaN without units, or with fewer seeds than STATISTICS_LEAST */
} effect;

enum { EFFECT_METRICS = 4 };

typedef struct block_effects {
    const study_block *block;
    factors factors;
    const char *metrics[EFFECT_METRICS]; /* the one that runs are ranked by first (metric_count) */
    size_t metric_count;
    effect *items; /* (metric_count, factors.factor_count) */
    size_t tests;  /* of them have a p; Holm's correction is for all of these */
} block_effects;

typedef struct effects {
    block_effects *blocks; /* as in the study (count) */
    size_t count;
} effects;

bool effects_read(effects *all, const study *s, error *err);
void effects_free(effects *all);
const effect *effects_at(const block_effects *b, size_t metric, size_t factor);

/* One factor and one figure; p_holm is left to who knows how many tests there are. */
bool effect_measure(effect *e, const factors *f, const factor *of, const char *metric, error *err);
void effect_free(effect *e);

/* Of the difference between two levels: ± 95 %; NaN without an interval. */
double effect_interval(const effect *e, size_t a, size_t b);

/* p_holm below 0.05: the key is said to matter. */
bool effect_matters(const effect *e);

#endif

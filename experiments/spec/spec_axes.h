/*
 * What a spec varies: the keys of its `sweep:`, `zip:` and `random:` and what they run over, as written. A key on its
 * own makes every combination with the others; the keys of a zip move together, as do those that are drawn. Drawing and
 * combining is wheels.h's affair.
 *   sweep:  {KEY: [values], …}
 *   zip:    {KEY: [values], KEY: [as many values]}, or a list of such mappings
 *   random: {runs: N, seed: S, KEY: {RANGE: [low, high]}, KEY: {choice: [values]}}
 */
#ifndef MEWS_SPEC_AXES_H
#define MEWS_SPEC_AXES_H

#include "experiments/spec/spec_yaml.h"

enum { SWEEP_MOST_RUNS = 10000 };

/* How an axis' values are come by; the ranges by their names in a spec. */
typedef enum axis_kind {
    AXIS_LIST,        /* one after the other */
    AXIS_CHOICE,      /* drawn from what is listed */
    AXIS_UNIFORM,     /* number in [low, high] */
    AXIS_LOG_UNIFORM, /* its logarithm uniform */
    AXIS_INTEGER,     /* low, …, high alike */
    AXIS_LOG_INTEGER, /* whole numbers, as many below as above sqrt(low high) */
} axis_kind;

/* spec_axis.group; zips are numbered from AXIS_ZIPS. */
enum { AXIS_ALONE, AXIS_DRAWN, AXIS_ZIPS };

/* A key that varies, and its values: settings of that key; of a range, its two ends. */
typedef struct spec_axis {
    char key[SPEC_KEY_SIZE], where[SPEC_WHERE_SIZE];
    axis_kind kind;
    unsigned group;  /* axes of one group move together, unless it is AXIS_ALONE */
    unsigned source; /* reader.source of the file it stands in */
    settings values;
} spec_axis;

typedef struct spec_axes {
    spec_axis *items;
    size_t count;
    unsigned zips;
    int64_t runs, seed; /* of `random:`; runs 0 when not said */
    char random_where[SPEC_WHERE_SIZE];
} spec_axes;

/* Each reads one key of a spec; a key that a file named before (by `include:`) varies too is taken over. */
bool spec_axes_read_sweep(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value);
bool spec_axes_read_zip(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value);
bool spec_axes_read_random(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value);

/* Once everything is read: zips of one length, draws that have both keys and a number. */
bool spec_axes_check(const spec_axes *axes, error *err);
void spec_axes_free(spec_axes *axes);

/* The axis of `key`, or NULL. */
const spec_axis *spec_axes_find(const spec_axes *axes, const char *key);

/* --set: fixes `key` at one value where it varies; a zip keeps its rows with that value. Sets *found when it does. */
bool spec_axes_fix(spec_axes *axes, const char *key, const char *value, const char *where, bool *found, error *err);

/* --set sweep.KEY: other values ("[a, b]" or "a") for a key that varies; with `or_new`, for one that does not, too. */
bool spec_axes_replace(spec_axes *axes, const char *key, const char *values, const char *where, bool or_new,
                       bool *found, error *err);

/* --set random.runs, random.seed. `what` is "runs" or "seed". */
bool spec_axes_set_random(spec_axes *axes, const char *what, const char *value, const char *where, error *err);

#endif

/*
 * `halving:` of a spec: a search that gives its budget to what looks best. All settings of a block train up to the
 * first rung, the best share of them goes on to the next, and so on; what is left trains to the end.
 *   halving: {figure: online_linear, rungs: [1, 2, 4], keep: 0.5}
 * Jamieson & Talwalkar: "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016. How
 * settings are judged is sweep/halving.h's affair. No part of a run's identity: it says which runs go on, not what any
 * of them computes.
 */
#ifndef MEWS_SPEC_HALVING_H
#define MEWS_SPEC_HALVING_H

#include "experiments/spec/spec_yaml.h"

enum { HALVING_MOST_RUNGS = 16 };

/* What a run records of itself after every epoch. The larger, the better. */
typedef struct halving_figure {
    const char *name;
    const char *part, *key; /* where it stands in the line of an epoch's look: `part` of its "collapse", or NULL */
    const char *needs;      /* "codes", "linear" or "knn" of eval.online, or NULL */
} halving_figure;
extern const halving_figure halving_figures[]; /* the last has no name */

typedef struct spec_halving {
    char where[SPEC_WHERE_SIZE]; /* "": there is none */
    bool off;                    /* by --set halving=off */
    const halving_figure *figure;
    double rungs[HALVING_MOST_RUNGS]; /* ascending; from 1 on epochs, below 1 shares of train.epochs */
    size_t count;
    double keep;
} spec_halving;

bool spec_halving_read(reader *r, spec_halving *h, const yaml_node_t *key_node, const yaml_node_t *value);

/* --set halving.WHAT=VALUE. */
bool spec_halving_set(spec_halving *h, const char *what, const char *value, const char *where, error *err);

/* Once everything is read: all that it needs is there. */
bool spec_halving_check(const spec_halving *h, error *err);

/* Whether a run can be halved so: rungs below its end, one an epoch, and a figure that it records. */
bool spec_halving_fits(const spec_halving *h, const spec *s, error *err);

/* A rung's epoch in a training of so many; at least 1. */
int64_t spec_halving_epoch(const spec_halving *h, size_t rung, int64_t epochs);

#endif

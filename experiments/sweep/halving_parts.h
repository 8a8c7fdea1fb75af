/*
 * What halving.c (reading and judging) and halving_words.c (saying) share.
 */
#ifndef MEWS_HALVING_PARTS_H
#define MEWS_HALVING_PARTS_H

#include "experiments/sweep/halving.h"

/* What a run recorded after the epoch of a rung. */
typedef struct seen {
    bool there;
    double value;
    const char *collapsed; /* the first mode that had, or NULL */
} seen;

typedef struct halved_run {
    bool halved;
    size_t setting;
    int64_t epochs; /* of its whole training */
    bool to_do;     /* as the queue found it */
    bool failed;    /* in this sitting */
    bool over;      /* trained to its end */
    seen rungs[HALVING_MOST_RUNGS];
} halved_run;

/* Runs that differ in the seed alone. */
typedef struct contender {
    char *key; /* block, method, data and swept values; owned */
    size_t group, runs;
    /* At the rung that is being judged. */
    bool open;     /* a run of it has yet to come there */
    double sum;    /* of its runs' figures */
    char lost[64]; /* why it has lost whatever its figure; "" when it has not */
    /* Where it was stopped. */
    bool stopped;
    size_t rung, place, of, kept; /* from 1; its place, 0 for one that has lost; settings that came there, and go on */
    double mean;
} contender;

/* Settings that halve among themselves. */
typedef struct group {
    char *key; /* owned */
    const spec_halving *how;
    size_t first, settings, runs; /* the first run */
    size_t alive, rung;           /* settings that go on so far, and rungs that were judged */
    bool open;                    /* the next rung has yet to be judged */
} group;

/* A setting that is neither stopped nor lost, at the rung that is being judged. */
typedef struct standing {
    double mean;
    size_t setting;
} standing;

struct halving {
    halved_run *runs; /* one a run of the queue */
    size_t count;
    contender *settings;
    size_t setting_count;
    group *groups;
    size_t group_count;
    standing *order; /* room for all settings, where those of a group are sorted */
};

int64_t halving_epoch(const halving *h, const queue *q, size_t run, size_t rung);

/* How many of n settings go on: ⌈keep·n⌉. */
size_t halving_quota(const spec_halving *how, size_t n);

#endif

/*
 * Collapse as it begins: before the first step and after every epoch the network is looked at (look.h), what was seen
 * is written to metrics.jsonl, and train.stop_on_collapse ends a run by it.
 */
#ifndef MEWS_ONSET_H
#define MEWS_ONSET_H

#include "experiments/run/look.h"
#include "experiments/run/run.h"

typedef struct onset {
    model *model;
    run *run;
    look_at at;
    collapse_history history;
    double seconds;    /* spent on it in this sitting */
    char stopped[160]; /* why the run is to end, "" while it is not */
} onset;

/* Once metrics.jsonl is open and cut back to the checkpoint: what it holds is the history so far. ERROR_USAGE when the
 * spec wants to stop on a collapse that cannot be seen. */
bool onset_open(onset *o, model *m, const dataset *data, run *r, error *err);

/* Before training goes on, `step` steps being done: the untrained network, unless the history has it. */
bool onset_begin(onset *o, uint64_t step, error *err);

/* After the last step of an epoch (`epoch` of them are done): measures, writes the line, decides about `stopped`. */
bool onset_epoch(onset *o, uint64_t step, uint64_t epoch, error *err);
void onset_close(onset *o);

#endif

/*
 * Collapse as it begins: after every epoch the cheap statistics are taken of a fixed batch of held-out images, judged
 * by the same code as at the end, and written to metrics.jsonl; train.stop_on_collapse ends a run by them.
 */
#ifndef MEWS_ONSET_H
#define MEWS_ONSET_H

#include "analysis/verdicts/collapse_history.h"
#include "experiments/run/model.h"
#include "experiments/run/run.h"

typedef struct onset {
    model *model;
    const dataset *data;
    run *run;
    dataset_split split;
    uint32_t rows; /* 0: nothing is held out, so nothing is measured */
    collapse_history history;
    double seconds;    /* spent on it in this sitting */
    char stopped[160]; /* why the run is to end, "" while it is not */
} onset;

/* Once metrics.jsonl is open and cut back to the checkpoint: what it holds is the history so far. ERROR_USAGE when the
 * spec wants to stop on a collapse that cannot be seen. */
bool onset_open(onset *o, model *m, const dataset *data, run *r, error *err);

/* After the last step of an epoch (`epoch` of them are done): measures, writes the line, decides about `stopped`. */
bool onset_epoch(onset *o, uint64_t step, uint64_t epoch, error *err);
void onset_close(onset *o);

/* Which image of the held-out ones is row `row` of `rows` (at most held_out): the same in every epoch and every run. */
uint32_t onset_image(uint32_t row, uint32_t rows, uint32_t held_out);

#endif

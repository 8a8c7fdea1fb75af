/*
 * Runs a queue: what is not finished yet, several at a time if asked, in child processes. A run that fails, or crashes,
 * is noted in its record and the rest goes on.
 */
#ifndef MEWS_SCHEDULER_H
#define MEWS_SCHEDULER_H

#include "experiments/sweep/halving.h"
#include "experiments/commands/terminal.h"

enum { SCHEDULE_MAX_JOBS = 64 };

typedef struct schedule {
    const arguments *args; /* its --set go to every run */
    const char *results;
    int jobs; /* runs at a time; they share the cores */
    const volatile sig_atomic_t *interrupted;
    halving *halving; /* or NULL: halving.h */
} schedule;

typedef struct schedule_outcome {
    size_t found, finished, failed; /* runs finished before, now, and those that failed */
    size_t kept;                    /* made by other code, and left as they are */
    size_t stopped;                 /* by `halving:` */
    bool interrupted;
} schedule_outcome;

/* Compute threads of a run when `jobs` of them run at a time: its train.threads, or its share of the cores. */
int schedule_threads(const spec *s, int jobs);

/* False only when processes could not be started; failed runs are counted in `out`. */
bool schedule_run(queue *q, const schedule *plan, terminal *t, schedule_outcome *out, error *err);

#endif

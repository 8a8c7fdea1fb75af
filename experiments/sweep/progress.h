/*
 * How the runs of a sweep do just now, whoever works on them: read from their folders alone, so from any machine that
 * sees the disk.
 */
#ifndef MEWS_PROGRESS_H
#define MEWS_PROGRESS_H

#include "analysis/verdicts/collapse.h"

#include <stddef.h>

enum { PROGRESS_LOSSES = 24 };

typedef struct run_progress {
    char id[256];
    const char *status;   /* "queued", "running", "interrupted", "stopped", "finished", "failed", "unreadable" */
    char reason[160];     /* of one that is stopped */
    double epoch, epochs; /* done, to do */
    double loss;          /* of the last line that has one; NaN before */
    double losses[PROGRESS_LOSSES]; /* over what was trained so far, evenly */
    size_t loss_count;
    char verdicts[COLLAPSE_MODES][16]; /* "" before a look */
} run_progress;

typedef struct sweep_progress {
    run_progress *runs; /* by id */
    size_t count;
} sweep_progress;

/* Of `folder` ("results/name"). Runs that only a queue knows are among them. ERROR_RUN when it cannot be read. */
bool sweep_progress_read(sweep_progress *p, const char *folder, error *err);
void sweep_progress_free(sweep_progress *p);

#endif

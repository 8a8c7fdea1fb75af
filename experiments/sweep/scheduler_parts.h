/*
 * What scheduler.c (the loop) and scheduler_show.c (the line that tells how it goes) share.
 */
#ifndef MEWS_SCHEDULER_PARTS_H
#define MEWS_SCHEDULER_PARTS_H

#include "experiments/sweep/child.h"
#include "experiments/sweep/scheduler.h"

/* Elsewhere: by another process. Halted: by `halving:`, for as long as the records say so. */
typedef enum fate { WAITING, RUNNING, ELSEWHERE, HALTED, DONE, FAILED, STOPPED } fate;

/* One run under way. */
typedef struct job {
    child child;
    size_t run;            /* index into the queue */
    double started, first; /* when, and the share of training that was done before */
    double share;          /* of training done now */
    double eval_started;   /* 0 while training */
    uint32_t epoch, epochs;
    double loss;
    char doing[64], reason[1024], last_words[512], stopped[160];
    json_t *final, *verdicts;
    bool ended, at_rung; /* told its outcome; which was that it has come to where it was to stop */
} job;

/* The whole sweep. */
typedef struct scheduler {
    queue *queue;
    const schedule *plan;
    terminal *terminal;
    fate *fates; /* one a run of the queue */
    job jobs[SCHEDULE_MAX_JOBS];
    size_t next;                      /* first run not looked at yet */
    double work_done, seconds_done;   /* of the runs done: what an image costs */
    double eval_seconds, evaluations; /* of the runs done in this sitting */
    double said, looked; /* when the last plain line was printed, and other processes' runs were last looked at */
    bool stopping;
    bool judged; /* by `halving:`, since a run came further */
    schedule_outcome *outcome;
} scheduler;

/* Shows how the runs under way do and when all will be done; once a minute where nothing can be shown in place. */
void scheduler_show(scheduler *s);

#endif

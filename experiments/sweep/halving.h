/*
 * Successive halving of a sweep (spec/spec_halving.h): which runs go on, up to where, and which are stopped. A
 * *setting* is the runs that differ in train.seed alone; settings of one block, method and data set halve among
 * themselves and are never held against others.
 *
 *   At a rung every setting that came so far is judged by the mean of its runs' figure after that epoch.
 *   Of n settings the best ⌈keep·n⌉ go on; of equal ones those that come first in the spec.
 *   A setting with a run that failed, that had collapsed at that epoch or that has no such figure has lost: it does not
 *   go on even where there is room. So fewer may go on, or none.
 *
 * All of it follows from what the runs' folders hold (the looks after every epoch in metrics.jsonl), so a sweep that
 * was killed, or another one beside it, decides the same. Only a failure counts for the sweep that saw it: the next one
 * tries such a run again, and judges its rung anew.
 */
#ifndef MEWS_HALVING_H
#define MEWS_HALVING_H

#include "experiments/sweep/queue.h"

typedef struct halving halving;

/* Reads what the runs have recorded and judges. *out is NULL where the spec halves nothing. ERROR_USAGE where nothing
 * is held out for a run to be judged by. */
bool halving_open(halving **out, queue *q, error *err);
void halving_close(halving *h); /* harmless on NULL */

/* How a run is after a sitting. */
typedef enum halving_end { HALVING_ON, HALVING_OVER, HALVING_FAILED } halving_end;

/* Reads again what a run recorded. False where it has been told to stop at a rung (`until`) and no look at that epoch
 * is there. */
bool halving_look(halving *h, const queue *q, size_t run, halving_end end);

/* Sets `until`, `waits`, `stopped` and `to_do` of the queue's items by all that was looked at. */
void halving_judge(halving *h, queue *q);

/* "rung 1 of 3 (epoch 1 of 12): rankme 3.214, place 7 of 8; 4 go on" of a run that was stopped. Returns `out`. */
char *halving_words(const halving *h, const queue *q, size_t run, char *out, size_t size);

/* Writes that into the record of a run that was begun, unless it says so already or another process has it. */
void halving_record(const halving *h, const queue *q, size_t run, bool indexed);

/* What of all its training, and how often its evaluation, a run that goes on is yet expected to take; 1 and 1 where it
 * is not halved. */
void halving_share(const halving *h, size_t run, double *train, double *eval);

/* ---- Where each rung is an array of tasks that know nothing of each other (halving_task.c); rungs count from 1. ----
 */

/* How many rungs a run has; 0 where it is not halved. */
size_t halving_rungs(const halving *h, size_t run);
/* Whether a run is still to come to that rung; the one behind its last is its end. */
bool halving_leads_to(const halving *h, size_t run, size_t rung);

/* What a task of that rung finds at its start. */
typedef enum halving_task {
    HALVING_TRAINS,  /* its run goes on: to the queue's `until` */
    HALVING_WAITS,   /* it is at the rung already, or has lost there with a seed */
    HALVING_STOPS,   /* it does not go on; halving_words tells why */
    HALVING_IS_LOST, /* its task before this one ended too early: it has lost */
} halving_task;

/*
 * Judges for a task: those before it are over, so what has not come to an earlier rung by now has lost. Who is at work
 * on such a run none the less (a process whose machine is gone counts for some minutes) is waited for. False when
 * interrupted meanwhile.
 */
bool halving_ask(halving *h, queue *q, size_t run, size_t rung, const volatile sig_atomic_t *interrupted,
                 halving_task *found);

/* Whether a run has come to its first rung. */
bool halving_begun(const halving *h);

/* A line for each part that halves by itself: how many settings go how far. */
void halving_print(const halving *h, const queue *q, FILE *out);

#endif

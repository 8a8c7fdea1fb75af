/*
 * What a sweep will take, before it begins: a training step of each different shape is measured for about a second, on
 * noise, with the threads that its runs will have; time and memory follow from it and from the number of images.
 */
#ifndef MEWS_ESTIMATE_H
#define MEWS_ESTIMATE_H

#include "experiments/sweep/halving.h"
#include "experiments/commands/terminal.h"

typedef struct estimate {
    double step;        /* seconds of a training step; NaN of a run that is finished or cannot work */
    double train, eval; /* seconds, if it goes to its end; the second from the measured speed and the work that
                           eval.metrics ask for */
    double mib;         /* most memory of the run's process */
    double train_share, eval_share; /* how much of them is to be expected (halving.h) */
    bool measured;                  /* or, once a minute went by with measuring, the mean of the others */
    char refused[512];              /* why the run cannot work; "" where it can */
} estimate;

typedef struct estimates {
    estimate *items; /* as many as the queue has, in its order */
    size_t count;
    size_t to_do, refused, shapes; /* runs, runs, steps measured */
    double seconds;                /* until all are done, several at a time */
    double saved, saved_share;     /* seconds of computing that `halving:` is expected to save, and of how much */
    double eval_share;             /* of the runs' seconds */
    double mib;                    /* of the most demanding runs that may coincide */
    double least_step, most_step;  /* seconds, of what was measured */
} estimates;

/* ERROR_RUN when out of memory, EXIT_INTERRUPTED's code when `interrupted` was raised meanwhile. */
bool estimates_make(estimates *e, const queue *q, const halving *h, int jobs, terminal *t,
                    const volatile sig_atomic_t *interrupted, error *err);
void estimates_free(estimates *e);

#endif

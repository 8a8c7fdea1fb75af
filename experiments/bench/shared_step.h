/*
 * A training step of any method by the code of runs, on noise, as one of the processes that share it: its part of the
 * batch through the backbone, features gathered, gradients added up.
 */
#ifndef MEWS_SHARED_STEP_H
#define MEWS_SHARED_STEP_H

#include "experiments/bench/bench.h"
#include "experiments/bench/noise_batch.h"

typedef struct shared_step {
    spec spec;
    model model;
    noise_batch noise;
    peers *peers;
    uint64_t taken;
    bool resolved, made;
} shared_step;

/* When gradients are added up: never (which is no training), after the backward pass, or while it runs. */
typedef enum sums_when { SUMS_NEVER, SUMS_AFTER, SUMS_MEANWHILE } sums_when;

/* `pairs` of the whole batch; peers NULL for a process that is alone. shared_step_end whatever it returns. */
bool shared_step_begin(shared_step *s, const bench_options *o, const char *method, int64_t pairs, peers *p, error *err);
bool shared_step_take(shared_step *s, sums_when when, error *err);
bool shared_step_sum(shared_step *s, error *err); /* the gradients of the last step, and nothing else */
void shared_step_end(shared_step *s);

#endif

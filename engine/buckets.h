/*
 * Gradients of several processes are added up while the backward pass still runs. As soon as a parameter's gradient is
 * whole it joins a queue; full buckets of the queue are summed as soon as that keeps nothing waiting, and the sums go
 * on whenever an op of the pass is through. What the first layers add comes last and is waited for.
 *
 * The queue's order is that in which the backward pass meets the parameters, which is the same for all processes and
 * every step.
 */
#ifndef MEWS_BUCKETS_H
#define MEWS_BUCKETS_H

#include "engine/parameters.h"
#include "engine/peers.h"
#include "engine/tape.h"

typedef struct buckets {
    peers *peers;
    tape *tape;
    parameters *all;
    const char *prefix;
    tape_follower follower;
    tensor **queue;
    size_t count, used, begun; /* tensors in the queue; values in it; those of them whose sums have begun */
    uint64_t gathers;          /* so many before the op that runs */
    bool gathering;            /* the pass' ops gather something */
    bool lost;
} buckets;

/* Follows the tape's next backward pass, and takes the gradients of the parameters whose names begin with `prefix`. It
 * has to stay where it is until buckets_drop, which is called in any case. */
bool buckets_begin(buckets *b, peers *p, parameters *all, const char *prefix, tape *t, error *err);

/* Waits until all gradients, also those that no backward pass has met, are everyone's. ERROR_RUN when the others cannot
 * be reached. */
bool buckets_finish(buckets *b, error *err);
void buckets_drop(buckets *b); /* harmless on one of zeros */

#endif

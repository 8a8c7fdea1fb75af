/*
 * Processes that train one model together. Each sends its part of a batch through the backbone; features are gathered,
 * so that a method sees the whole batch and knows of no processes; the gradients of the backbone are summed. Everything
 * behind the backbone is computed by every process alike, to the same bits.
 *
 * The processes are started and joined by MPI (mpirun, srun). Its libraries are loaded only under a launcher, as a
 * module beside the program: one for Open MPI, one for MPICH, which do not understand each other.
 */
#ifndef MEWS_PEERS_H
#define MEWS_PEERS_H

#include "engine/error.h"

#include <stddef.h>

typedef struct parameters parameters;
typedef struct peers peers;

struct peers {
    int rank, count;     /* this process, of how many */
    int local;           /* of them on this machine */
    const char *library; /* "Open MPI v4.1.4" */
    bool broken;         /* one has left the others in the middle of a step: they cannot be waited for */
    float *sums;         /* gradients on their way, kept from step to step */
    size_t room;

    /* Everyone's `bytes` at `mine` into `all`, in the order of ranks. */
    bool (*gather)(peers *p, const void *mine, void *all, size_t bytes);
    /* Sums in place; the same bits everywhere, and every time for as many processes. */
    bool (*sum)(peers *p, float *x, size_t count);
    /* Rank 0's `bytes` at `data` to the others, which sleep while they wait. */
    bool (*tell)(peers *p, void *data, size_t bytes);
    void (*abort)(peers *p, int code); /* ends all of them */
    void (*close)(peers *p);           /* waits until all of them close */
};

/* The module's only symbol. */
#define PEERS_MODULE "mews_peers_open"
typedef bool peers_opener(peers *p, char *why, size_t size);

/* False on failure. *out is NULL for a process that is alone: without a launcher, or one of one. ERROR_RUN where a
 * launcher started several and the program has no module for its kind of MPI. */
bool peers_open(peers **out, error *err);
void peers_close(peers *p); /* harmless on NULL */

/* Threads for each: the processors that this one may use, shared with those on this machine that may use the same. */
int peers_threads(peers *p);

/* Adds up the gradients of the parameters whose names begin with `prefix`. ERROR_RUN when the others cannot be reached.
 */
bool peers_sum_gradients(peers *p, parameters *all, const char *prefix, error *err);

#endif

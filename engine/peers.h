/*
 * Processes that train one model together. Each sends its part of a batch through the backbone; features are gathered,
 * so that a method sees the whole batch and knows of no processes; the gradients of the backbone are summed
 * (engine/buckets.h). Everything behind the backbone is computed by every process alike, to the same bits.
 *
 * The processes are started and joined by MPI (mpirun, srun). Its libraries are loaded only under a launcher, as a
 * module beside the program: one for Open MPI, one for MPICH, which do not understand each other.
 */
#ifndef MEWS_PEERS_H
#define MEWS_PEERS_H

#include "engine/error.h"

#include <stddef.h>
#include <stdint.h>

/* Values in one sum. MPI adds in an order that depends on the size of what it is given: so this is part of what decides
 * a run's bits, and of its record. */
enum { BUCKET_VALUES = 1 << 18 };

typedef struct peers peers;

/* What a process has handed over so far: calls, and bytes of its own in them. */
typedef struct peers_traffic {
    uint64_t gathers, gathered, sums, summed;
} peers_traffic;

struct peers {
    int rank, count;       /* this process, of how many */
    int local;             /* of them on this machine */
    const char *library;   /* "Open MPI v4.1.4" */
    bool broken;           /* one has left the others in the middle of a step: they cannot be waited for */
    peers_traffic traffic; /* counted by the module */
    void *under_way;       /* the module's: sums that have begun and are not over */
    /* Gradients on their way and what they come to, kept from step to step (engine/buckets.h). */
    float *mine, *sums;
    size_t room;

    /* Everyone's `bytes` at `mine` into `all`, in the order of ranks. */
    bool (*gather)(peers *p, const void *mine, void *all, size_t bytes);
    /* Begins to add up everyone's `mine` into `all`; neither may be touched before a look that waited. Everyone begins
     * the same sums in the same order. The same bits everywhere, and every time for as many processes. */
    bool (*begin_sum)(peers *p, const float *mine, float *all, size_t count);
    /* Lets the sums go on, which without looks they do not; waits: until all of them are over. */
    bool (*look)(peers *p, bool waits);
    /* Rank 0's `bytes` at `data` to the others, which sleep while they wait. */
    bool (*tell)(peers *p, void *data, size_t bytes);
    void (*abort)(peers *p, int code); /* ends all of them */
    void (*close)(peers *p);           /* waits until all of them close */
};

/* The module's only symbol. */
#define PEERS_MODULE "mews_peers_open"
typedef bool peers_opener(peers *p, char *why, size_t size);

/* Everyone's `mine` added up into `all`, and waits for it and for all sums that have begun. */
bool peers_sum(peers *p, const float *mine, float *all, size_t count);

/* False on failure. *out is NULL for a process that is alone: without a launcher, or one of one. ERROR_RUN where a
 * launcher started several and the program has no module for its kind of MPI. */
bool peers_open(peers **out, error *err);
void peers_close(peers *p); /* harmless on NULL */

/* Threads for each: the processors that this one may use, shared with those on this machine that may use the same. */
int peers_threads(peers *p);

#endif

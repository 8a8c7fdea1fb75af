/*
 * How many threads compute. One rule for every command: the number that was asked for (train.threads, --threads);
 * else OMP_NUM_THREADS; else the processors that the affinity mask and the cgroup's quota leave. OMP_THREAD_LIMIT
 * bounds all of these. OpenBLAS's OpenMP build waits for ever for threads that it was not given, so nothing computes
 * before the size of a real team has been seen.
 */
#ifndef MEWS_THREADS_H
#define MEWS_THREADS_H

#include "engine/error.h"

typedef struct threads_limits {
    int online;     /* processors of the machine */
    int processors; /* of them, those that this process may use */
    double quota;   /* processors' worth of time that the cgroup allows; 0: any */
    int wanted;     /* OMP_NUM_THREADS; 0: not set */
    int limit;      /* OMP_THREAD_LIMIT; 0: not set */
} threads_limits;

threads_limits threads_look(void);

/* Of processors; a quota of a part of one counts as one more. */
int threads_processors(const threads_limits *limits);

/* What to compute with where nothing was asked for. */
int threads_default(void);

/*
 * From now on this process computes with `count` threads, 0: the default. Returns how many, or 0 and ERROR_USAGE where
 * OpenMP does not give so many, ERROR_RUN where there is no room for their buffers (engine/room.h).
 */
int threads_use(int count, error *err);

/* How many it computes with now. */
int threads_in_use(void);

/* The least CPU quota of this process's cgroups, version 1 or 2, in processors; 0: none. `root` is "" but for tests. */
double threads_quota(const char *root);

#endif

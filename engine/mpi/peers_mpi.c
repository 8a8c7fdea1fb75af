/*
 * Peers by MPI. Built by mpicc as a module of its own, once for each kind of MPI that there is, and loaded under its
 * launcher alone. A process that waits for rank 0's word sleeps between looks: rank 0 may be evaluating for minutes,
 * and both libraries otherwise spin.
 */
#include "engine/peers.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST = 1 << 28 }; /* bytes in one call, whose counts are ints */

static bool gather(peers *p, const void *mine, void *all, size_t bytes) {
    (void)p;
    return bytes <= MOST &&
           MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD) == MPI_SUCCESS;
}

static bool sum(peers *p, float *x, size_t count) {
    (void)p;
    return MPI_Allreduce(MPI_IN_PLACE, x, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD) == MPI_SUCCESS;
}

static bool tell_part(void *data, size_t bytes) {
    struct timespec pause = {.tv_nsec = 20000};
    MPI_Request request;
    int over = 0;
    if (MPI_Ibcast(data, (int)bytes, MPI_BYTE, 0, MPI_COMM_WORLD, &request) != MPI_SUCCESS) return false;
    for (;;) {
        if (MPI_Test(&request, &over, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
        if (over) return true;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 5000000) pause.tv_nsec += pause.tv_nsec / 4;
    }
}

static bool tell(peers *p, void *data, size_t bytes) {
    (void)p;
    bool done = true;
    for (size_t at = 0; done && at < bytes; at += MOST)
        done = tell_part((char *)data + at, bytes - at < MOST ? bytes - at : MOST);
    return done;
}

static void abort_all(peers *p, int code) {
    (void)p;
    MPI_Abort(MPI_COMM_WORLD, code);
}

static void close_all(peers *p) {
    (void)p;
    MPI_Finalize();
}

bool mews_peers_open(peers *p, char *why, size_t size);
bool mews_peers_open(peers *p, char *why, size_t size) {
    static char version[MPI_MAX_LIBRARY_VERSION_STRING]; /* written once, before anything else of MPI's */
    int given, length;
    MPI_Comm here;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS) {
        snprintf(why, size, "MPI could not be started");
        return false;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &p->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &p->count);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    MPI_Comm_size(here, &p->local);
    MPI_Comm_free(&here);
    MPI_Get_library_version(version, &length);
    version[strcspn(version, ",\n")] = '\0';
    static const char between[] = " Version:\t"; /* MPICH's */
    char *at = strstr(version, between);
    if (at) memmove(at + 1, at + strlen(between), strlen(at + strlen(between)) + 1);
    p->library = version;
    p->gather = gather, p->sum = sum, p->tell = tell, p->abort = abort_all, p->close = close_all;
    return true;
}

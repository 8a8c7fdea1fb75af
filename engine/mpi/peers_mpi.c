/*
 * Peers by MPI. Built by mpicc as a module of its own, once for each kind of MPI that there is, and loaded under its
 * launcher alone. A process that waits for rank 0's word sleeps between looks: rank 0 may be evaluating for minutes,
 * and both libraries otherwise spin.
 */
#include "engine/peers.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 1 << 28 }; /* bytes in one call, whose counts are ints */

static bool gather(peers *p, const void *mine, void *all, size_t bytes) {
    p->traffic.gathers++, p->traffic.gathered += bytes;
    return bytes <= MOST &&
           MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD) == MPI_SUCCESS;
}

/* Sums that have begun and are not over. */
typedef struct requests {
    MPI_Request *items;
    MPI_Status *states; /* as many; nobody reads them, but MPICH's header has a compiler ask for them */
    int count, room;
} requests;

/* Not in place: Open MPI then takes a tree, through whose root everything passes, however many there are. */
static bool begin_sum(peers *p, const float *mine, float *all, size_t count) {
    requests *r = p->under_way;
    p->traffic.sums++, p->traffic.summed += count * sizeof *mine;
    if (r->count == r->room) {
        int room = r->room ? 2 * r->room : 64;
        MPI_Request *items = realloc(r->items, (size_t)room * sizeof *items);
        if (items) r->items = items;
        MPI_Status *states = items ? realloc(r->states, (size_t)room * sizeof *states) : NULL;
        if (!states) return false;
        r->states = states, r->room = room;
    }
    return count <= MOST / sizeof *all && MPI_Iallreduce(mine, all, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                                                         &r->items[r->count++]) == MPI_SUCCESS;
}

static bool look(peers *p, bool waits) {
    requests *r = p->under_way;
    int over = 1;
    if (!r->count) return true;
    bool done = (waits ? MPI_Waitall(r->count, r->items, r->states)
                       : MPI_Testall(r->count, r->items, &over, r->states)) == MPI_SUCCESS;
    if (done && over) r->count = 0;
    return done;
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

/* The launcher passes on what a process says, and MPICH's ends everything before it has read the last of it. */
static void abort_all(peers *p, int code) {
    const struct timespec to_be_read = {.tv_nsec = 500 * 1000 * 1000};
    (void)p;
    fflush(NULL);
    nanosleep(&to_be_read, NULL);
    MPI_Abort(MPI_COMM_WORLD, code);
}

static void close_all(peers *p) {
    requests *r = p->under_way;
    MPI_Finalize();
    free(r->items);
    free(r->states);
    free(r);
}

bool mews_peers_open(peers *p, char *why, size_t size);
bool mews_peers_open(peers *p, char *why, size_t size) {
    static char version[MPI_MAX_LIBRARY_VERSION_STRING]; /* written once, before anything else of MPI's */
    int given, length;
    MPI_Comm here;
    if (!(p->under_way = calloc(1, sizeof(requests)))) {
        snprintf(why, size, "out of memory");
        return false;
    }
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
    p->gather = gather, p->begin_sum = begin_sum, p->look = look, p->tell = tell, p->abort = abort_all,
    p->close = close_all;
    return true;
}

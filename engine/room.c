#include "engine/room.h"

#include <stdlib.h>
#include <sys/mman.h>

/* OpenBLAS's own, exported but in none of its headers. What is given back it keeps for the next caller. */
extern void *blas_memory_alloc(int where) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

enum { BESIDE = 1 << 20 }; /* bytes that OpenBLAS takes beside a buffer */

bool room_for(int count, size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return false;
    bool room = count <= 1 || room_for(count - 1, bytes);
    munmap(at, bytes);
    return room;
}

bool room_for_blas(int buffers, error *err) {
    return buffers <= 0 || room_for(buffers, ROOM_BLAS_BUFFER + BESIDE) ||
           error_set(
               err, ERROR_RUN,
               "out of memory: OpenBLAS needs 128 MiB of address space for each thread, twice; allow more (ulimit "
               "-v) or take fewer threads (OMP_NUM_THREADS)");
}

bool room_take_blas(int callers, error *err) {
    void **taken = calloc((size_t)callers, sizeof *taken);
    bool room = taken || error_memory(err, (size_t)callers * sizeof *taken, "OpenBLAS's buffers");
    int count = 0;
    while (room && blas_memory_alloc && blas_memory_free && count < callers) {
        room = room_for_blas(1, err);
        if (!room || !(taken[count] = blas_memory_alloc(0))) break;
        count++;
    }
    for (int i = 0; i < count; i++) blas_memory_free(taken[i]);
    free(taken);
    return room;
}

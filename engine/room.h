/*
 * Room for libraries that cannot do without. OpenBLAS works in buffers of 128 MiB of address space, one for each of its
 * threads and one for each thread that calls it, takes them as they are needed, and where it cannot have one it asks
 * again for ever: all are taken before anything is computed, each after a look at whether there is room, and stay.
 * oneDNN allocates a little in every call and crashes where it gets nothing: each call comes after such a look.
 */
#ifndef MEWS_ROOM_H
#define MEWS_ROOM_H

#include "engine/error.h"

#include <stddef.h>

#define ROOM_BLAS_BUFFER ((size_t)128 << 20) /* bytes, on x86-64 */

/* Whether this process could map `count` more stretches of `bytes` now. About a microsecond for one. */
bool room_for(int count, size_t bytes);

/* The same for OpenBLAS's buffers; ERROR_RUN says what to do. */
bool room_for_blas(int buffers, error *err);

/* Takes a buffer for each of the threads that call OpenBLAS at the same time: once as the program begins, and by
 * threads_use where it gets more of them. */
bool room_take_blas(int callers, error *err);

#endif

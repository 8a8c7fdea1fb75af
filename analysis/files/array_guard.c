#include "analysis/files/array_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPEN_SECONDS = 120, PIECE = 4 << 20 };

/* What the other process found, ahead of the bytes. */
typedef struct found {
    bool ok, in_file;
    strided array;          /* its data: */
    uint64_t offset, bytes; /* into the file's bytes, or into as many that follow */
    error err;
} found;

/* A process that dies with this one. Memory that a library forgets to set is garbage in it rather than zeros by chance:
 * what it survives, this process survives. −1 with a message. */
static pid_t start(const array_box *b, error *err) {
    pid_t parent = getpid(), child = fork();
    if (child < 0) error_set(err, ERROR_RUN, "%s: no process to read it in: %s", b->name, strerror(errno));
    if (child) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL); /* a crash is the system's to tell */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    mallopt(M_PERTURB, 0xa5);
    return 0;
}

static bool ended_well(const array_box *b, pid_t child, error *err) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return true; /* somebody else has waited for it */
    if (!WIFSIGNALED(status)) return true;
    int by = WTERMSIG(status);
    if (by == SIGXCPU)
        return error_set(err, ERROR_RUN, "%s: is damaged: %s comes to no end on it", b->name, b->format->library);
    if (by == SIGKILL)
        return error_set(err, ERROR_RUN, "%s: reading it was killed, as happens when memory runs out", b->name);
    return error_set(err, ERROR_RUN, "%s: is damaged: %s crashes on it (%s)", b->name, b->format->library,
                     strsignal(by));
}

bool array_guard_open(array_box *b, error *err) {
    if (b->format->library && !b->unguarded) {
        pid_t child = start(b, err);
        if (child < 0) return false;
        if (child == 0) {
            error ignored = {0}; /* it comes again below */
            setrlimit(RLIMIT_CPU, &(struct rlimit){OPEN_SECONDS, OPEN_SECONDS + 1});
            b->format->open(b, &ignored);
            _exit(0);
        }
        if (!ended_well(b, child, err)) return false;
    }
    return b->format->open(b, err);
}

/* In the other process. What was handed over is given back to the system, so that both never hold all of it. */
static void hand_over(array_box *b, size_t which, int pipe) {
    found f = {.array = b->offers[which].array};
    void *memory = NULL;
    f.ok = b->format->load(b, which, &f.array, &memory, &f.err);
    f.in_file = !memory;
    if (f.ok) f.offset = (uint64_t)(f.array.data - (f.in_file ? b->bytes : (const uint8_t *)memory));
    if (f.ok && memory) f.bytes = malloc_usable_size(memory);
    if (!file_put(pipe, &f, sizeof f)) return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (uint64_t at = 0; at < f.bytes; at += PIECE) {
        uint64_t size = f.bytes - at < PIECE ? f.bytes - at : PIECE;
        uintptr_t begin = (uintptr_t)memory + at, first = (begin + page - 1) / page * page;
        if (!file_put(pipe, (char *)memory + at, size)) return;
        if (first + page <= begin + size) madvise((void *)first, (begin + size - first) / page * page, MADV_DONTNEED);
    }
}

/* What the other process says is believed no more than the file: its library may have damaged it and lived. */
static bool take_over(array_box *b, size_t which, int pipe, strided *out, void **memory, error *err) {
    found f = {0};
    const char *name = b->offers[which].name ? b->offers[which].name : "its array";
    bool all = file_take(pipe, &f, sizeof f) == sizeof f;
    if (all && !f.ok) {
        *err = f.err;
        return false;
    }
    if (all && !f.in_file && !(*memory = array_box_memory(b, name, f.bytes, err))) return false;
    all = all && (f.in_file || file_take(pipe, *memory, f.bytes) == f.bytes);
    const uint8_t *begin = f.in_file ? b->bytes : *memory;
    size_t size = f.in_file ? b->size : f.bytes;
    if (!all || f.offset > size || f.array.dims < 0 || f.array.dims > STRIDED_DIMS)
        return error_set(err, ERROR_RUN, "%s: reading %s broke off", b->name, name);
    *out = f.array;
    out->data = begin + f.offset;
    return strided_within(out, begin, size) || error_set(err, ERROR_RUN, "%s: %s is damaged", b->name, name);
}

bool array_guard_load(array_box *b, size_t which, strided *out, void **memory, error *err) {
    int ends[2];
    error crash = {0};
    if (!b->format->library || b->unguarded) return b->format->load(b, which, out, memory, err);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(err, ERROR_RUN, "%s: no pipe to read it through: %s", b->name, strerror(errno));
    pid_t child = start(b, err);
    if (child == 0) {
        close(ends[0]);
        hand_over(b, which, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    bool ok = child > 0 && take_over(b, which, ends[0], out, memory, err);
    close(ends[0]);
    if (child > 0 && !ended_well(b, child, &crash)) {
        *err = crash;
        ok = false;
    }
    if (!ok) {
        free(*memory);
        *memory = NULL;
    }
    return ok;
}

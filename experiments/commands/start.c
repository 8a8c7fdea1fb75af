/*
 * Three things must stand before the libraries are loaded.
 *
 * There must be room. OpenBLAS takes its buffers as it is loaded, and where it cannot have them it asks again for ever.
 *
 * A thread that waits has to sleep. OpenMP's threads spin by default, and where loader threads or other runs share the
 * cores, spinning takes the time from those who work: on two busy cores a step took 2.6 s instead of 1.1 s.
 *
 * Threads are not bound to places. The runtime binds the first thread as it is loaded, and whatever that starts (loader
 * threads, the runs of a sweep, the program itself once more) is left with its one core. The processors that the places
 * name together stay the process's mask.
 */
#include "experiments/commands/start.h"
#include "engine/room.h"

#include <dlfcn.h>
#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Before any library's own beginnings, so that nothing is called but the kernel: is there room for one buffer for each
 * thread that OpenBLAS will start with? */
static void look_for_room(int argc, char **argv, char **environment) {
    (void)argc, (void)argv;
    static const char line[] =
        "mews: out of memory: there is no room for its libraries: OpenBLAS needs 128 MiB of address "
        "space for each thread; allow more (ulimit -v) or take fewer threads (OMP_NUM_THREADS)\n";
    unsigned long mask[128] = {0};
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask), threads = 0, wanted = 0;
    for (long i = 0; i < size / (long)sizeof *mask; i++) threads += __builtin_popcountl(mask[i]);
    for (char **e = environment; *e; e++) {
        const char *digits = *e + sizeof "OMP_NUM_THREADS";
        if (strncmp(*e, "OMP_NUM_THREADS=", sizeof "OMP_NUM_THREADS") != 0) continue;
        for (wanted = 0; *digits >= '0' && *digits <= '9' && wanted < 1 << 16; digits++)
            wanted = 10 * wanted + *digits - '0';
    }
    if (wanted > 0 && wanted < threads) threads = wanted;
    size_t bytes = ROOM_BLAS_BUFFER * (size_t)(threads > 0 ? threads : 1);
    long at = syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at > 0) {
        syscall(SYS_munmap, at, bytes);
        return;
    }
    syscall(SYS_write, STDERR_FILENO, line, sizeof line - 1);
    syscall(SYS_exit_group, EXIT_FAILURE);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(int, char **,
                                                                                       char **) = look_for_room;

/* What the runtime that has bound this thread knows of its places. OpenBLAS brings GCC's, also where clang's counts
 * here only those that GCC's has left. */
typedef struct place_calls {
    int (*count)(void), (*size)(int);
    void (*ids)(int, int *);
} place_calls;

static place_calls find_place_calls(void) {
    place_calls found = {omp_get_num_places, omp_get_place_num_procs, omp_get_place_proc_ids};
    void *gcc = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *count = gcc ? dlsym(gcc, "omp_get_num_places") : NULL;
    void *size = count ? dlsym(gcc, "omp_get_place_num_procs") : NULL;
    void *ids = size ? dlsym(gcc, "omp_get_place_proc_ids") : NULL;
    if (!ids) return found;
    memcpy(&found.count, &count, sizeof count); /* ISO C has no cast from objects to functions */
    memcpy(&found.size, &size, sizeof size);
    memcpy(&found.ids, &ids, sizeof ids);
    return found;
}

static void allow_all_places(void) {
    enum { PROCESSORS = 1 << 16 };
    place_calls places = find_place_calls();
    cpu_set_t *mask = CPU_ALLOC(PROCESSORS);
    size_t size = CPU_ALLOC_SIZE(PROCESSORS);
    if (!mask) return;
    CPU_ZERO_S(size, mask);
    for (int place = 0; place < places.count(); place++) {
        int count = places.size(place), *ids = malloc((size_t)(count > 0 ? count : 1) * sizeof *ids);
        if (ids) places.ids(place, ids);
        for (int i = 0; ids && i < count; i++) CPU_SET_S((size_t)ids[i], size, mask);
        free(ids);
    }
    if (CPU_COUNT_S(size, mask)) sched_setaffinity(0, size, mask);
    CPU_FREE(mask);
}

/* Takes out of the environment what this program sets for itself; whether there was any of it. */
static bool overrule(void) {
    static const char *const names[] = {"OMP_PROC_BIND",         "OMP_PLACES", "GOMP_CPU_AFFINITY", "OMP_DYNAMIC",
                                        "OMP_MAX_ACTIVE_LEVELS", "OMP_NESTED"};
    char told[1024] = "";
    bool any = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        size_t used = strlen(told);
        if (!value) continue;
        any = true;
        if (strcasecmp(value, "false") != 0)
            snprintf(told + used, sizeof told - used, "%s%s=%.80s", used ? " " : "", names[i], value);
        unsetenv(names[i]);
    }
    if (*told) setenv(START_OVERRULED, told, 1);
    return any;
}

void start_settle(char **argv) {
    allow_all_places();
    bool again = overrule();
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT"))
        again = setenv("OMP_WAIT_POLICY", "passive", 0) == 0 || again;
    if (again) execv("/proc/self/exe", argv);
}

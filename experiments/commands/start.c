/*
 * Two things must stand before the OpenMP runtime is loaded.
 *
 * A thread that waits has to sleep. OpenMP's threads spin by default, and where loader threads or other runs share the
 * cores, spinning takes the time from those who work: on two busy cores a step took 2.6 s instead of 1.1 s.
 *
 * Threads are not bound to places. The runtime binds the first thread as it is loaded, and whatever that starts (loader
 * threads, the runs of a sweep, the program itself once more) is left with its one core. The processors that the places
 * name together stay the process's mask.
 */
#include "experiments/commands/start.h"

#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void allow_all_places(void) {
    enum { PROCESSORS = 1 << 16 };
    cpu_set_t *mask = CPU_ALLOC(PROCESSORS);
    size_t size = CPU_ALLOC_SIZE(PROCESSORS);
    if (!mask) return;
    CPU_ZERO_S(size, mask);
    for (int place = 0; place < omp_get_num_places(); place++) {
        int count = omp_get_place_num_procs(place), *ids = malloc((size_t)(count > 0 ? count : 1) * sizeof *ids);
        if (ids) omp_get_place_proc_ids(place, ids);
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

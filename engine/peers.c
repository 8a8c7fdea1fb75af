/* Who was started together, and loading the module for it. */
#include "engine/peers.h"
#include "engine/threads.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What launchers leave in the environment of those they start. */
static const struct {
    const char *variable, *size, *module, *name, *package;
} launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "openmpi", "Open MPI", "libopenmpi-dev"},
    {"PMI_RANK", "PMI_SIZE", "mpich", "MPICH", "libmpich-dev"},
    {"PMIX_RANK", "SLURM_STEP_NUM_TASKS", "openmpi", "Open MPI", "libopenmpi-dev"}, /* srun --mpi=pmix */
};

/* The module beside the program, or where `make install` puts it. */
static void *load(const char *module, char *path, size_t size) {
    static const char *const places[] = {"", "/../lib/mews"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash) *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, size, "%s%s/mews-mpi-%s.so", program, places[i], module);
        if (access(path, R_OK) == 0) return dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* its plugins look for its symbols */
    }
    return NULL;
}

bool peers_open(peers **out, error *err) {
    size_t i = 0, count = sizeof launchers / sizeof *launchers;
    char path[PATH_MAX + 64] = "", why[256] = "";
    *out = NULL;
    while (i < count && !getenv(launchers[i].variable)) i++;
    if (i == count) return true;
    const char *size = getenv(launchers[i].size);
    if (size && atoi(size) == 1) return true;
    void *module = load(launchers[i].module, path, sizeof path);
    if (!module)
        return error_set(
            err, ERROR_RUN,
            "started by %s on %s processes, and this program was built without it (%s); install %s and run "
            "`make` again",
            launchers[i].name, size ? size : "several", access(path, R_OK) == 0 ? dlerror() : "no module",
            launchers[i].package);
    peers_opener *opener;
    void *symbol = dlsym(module, PEERS_MODULE);
    memcpy(&opener, &symbol, sizeof opener); /* ISO C has no cast from objects to functions */
    peers *p = calloc(1, sizeof *p);
    if (!p) return error_memory(err, sizeof *p, "the processes");
    if (!symbol || !opener(p, why, sizeof why)) {
        free(p);
        return error_set(err, ERROR_RUN, "%s: %s", path, *why ? why : "not a module of mews");
    }
    if (p->count == 1) {
        peers_close(p);
        return true;
    }
    *out = p;
    return true;
}

void peers_close(peers *p) {
    if (!p) return;
    p->close(p);
    free(p->mine);
    free(p->sums);
    free(p);
}

bool peers_sum(peers *p, const float *mine, float *all, size_t count) {
    bool begun = true;
    for (size_t at = 0; begun && at < count; at += BUCKET_VALUES)
        begun = p->begin_sum(p, mine + at, all + at, count - at < BUCKET_VALUES ? count - at : BUCKET_VALUES);
    return p->look(p, true) && begun;
}

int peers_threads(peers *p) {
    cpu_set_t mine, *all = calloc((size_t)p->count, sizeof *all);
    int same = 0, own = threads_default();
    if (!all || sched_getaffinity(0, sizeof mine, &mine) != 0 || !p->gather(p, &mine, all, sizeof mine)) {
        free(all);
        return own;
    }
    for (int i = 0; i < p->count; i++) same += memcmp(&all[i], &mine, sizeof mine) == 0;
    free(all);
    if (same > p->local) same = p->local; /* another machine's processors have the same numbers */
    return own / same > 0 ? own / same : 1;
}

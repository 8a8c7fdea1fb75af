/*
 * Gradients are summed in blocks of a fixed size, in the order of the parameters: MPI adds in an order that depends on
 * the size of what it is given, so the sizes are part of a run's bits.
 */
#include "engine/peers.h"
#include "engine/parameters.h"
#include "engine/threads.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 20 }; /* values */

/* What launchers leave in the environment of those they start. */
static const struct {
    const char *variable, *size, *module, *name, *package;
} launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "openmpi", "Open MPI", "libopenmpi-dev"},
    {"PMI_RANK", "PMI_SIZE", "mpich", "MPICH", "libmpich-dev"},
    {"PMIX_RANK", NULL, "openmpi", "Open MPI", "libopenmpi-dev"}, /* srun --mpi=pmix */
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
    const char *size = launchers[i].size ? getenv(launchers[i].size) : NULL;
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
    free(p);
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

/* A gradient's place in the stream of all of them. */
bool peers_sum_gradients(peers *p, parameters *all, const char *prefix, error *err) {
    float *block = malloc(BLOCK * sizeof *block);
    size_t used = 0, first = 0, first_at = 0; /* where the block began */
    bool done = block || error_memory(err, BLOCK * sizeof *block, "gradients");
    size_t length = strlen(prefix), last = all->count;
    for (size_t i = 0; done && i <= last; i++) {
        tensor *x = i < last ? &all->items[i]->value : NULL;
        bool ours = x && x->requires_grad && x->grad_ready && strncmp(all->items[i]->name, prefix, length) == 0;
        size_t count = ours ? (size_t)tensor_count(x) : 0;
        for (size_t at = 0; done && (at < count || (i == last && used));) {
            size_t take = count - at < BLOCK - used ? count - at : BLOCK - used;
            for (size_t k = 0; k < take; k++) block[used + k] = (float)x->grad[at + k];
            used += take, at += take;
            if (used < BLOCK && i < last) break;
            done = p->sum(p, block, used) ||
                   error_set(err, ERROR_RUN, "the gradients could not be summed over %d processes", p->count);
            /* back to where they came from */
            size_t from = 0;
            for (size_t j = first; done && from < used; j++, first_at = 0) {
                tensor *y = &all->items[j]->value;
                if (!y->requires_grad || !y->grad_ready || strncmp(all->items[j]->name, prefix, length) != 0) continue;
                size_t many =
                    (size_t)tensor_count(y) - first_at < used - from ? (size_t)tensor_count(y) - first_at : used - from;
                for (size_t k = 0; k < many; k++) y->grad[first_at + k] = (real)block[from + k];
                from += many;
            }
            first = i, first_at = at, used = 0;
            if (i == last) break;
        }
    }
    free(block);
    return done;
}

#include "experiments/run/words.h"
#include "engine/libraries.h"
#include "engine/teacher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool words_cannot_reach(const peers *p, error *err) {
    return error_set(err, ERROR_RUN, "the other %d processes cannot be reached", p->count - 1);
}

bool words_same_kernels(peers *p, error *err) {
    char mine[128] = "", *all = calloc((size_t)p->count, sizeof mine);
    if (!all) return error_memory(err, (size_t)p->count * sizeof mine, "the kernels of all processes");
    libraries_kernels(mine, sizeof mine);
    bool ok = p->gather(p, mine, all, sizeof mine) || words_cannot_reach(p, err);
    if (ok && strcmp(mine, all) != 0)
        ok = error_set(err, ERROR_RUN,
                       "kernels here are %s, rank 0's %s; the same MEWS_ISA (v3, say), ONEDNN_MAX_CPU_ISA and "
                       "OPENBLAS_CORETYPE on all machines make them alike",
                       mine, all);
    for (int i = 1; ok && p->rank == 0 && i < p->count; i++) /* whose rank it is says how they differ */
        if (strcmp(mine, all + (size_t)i * sizeof mine) != 0)
            ok = error_set(err, ERROR_RUN, "rank %d computes by other kernels than rank 0", i);
    free(all);
    return ok;
}

bool words_tell(const model *m, word w, error *err) {
    peers *p = m->backend->peers;
    if (!p) return true;
    w.threads = m->backend->threads;
    return p->tell(p, &w, sizeof w) || words_cannot_reach(p, err);
}

bool words_hear(peers *p, word *w, error *err) { return p->tell(p, w, sizeof *w) || words_cannot_reach(p, err); }

static bool tell_array(peers *p, backend *b, real *array, int64_t count, error *err) {
    float *host = malloc((size_t)count * sizeof *host); /* real is float outside the double build */
    if (!host) return error_memory(err, (size_t)count * sizeof *host, "a parameter on its way");
    if (p->rank == 0) b->read_real(b, (real *)host, array, count);
    bool done = p->tell(p, host, (size_t)count * sizeof *host) || words_cannot_reach(p, err);
    if (done && p->rank) b->write_real(b, array, (const real *)host, count);
    free(host);
    return done;
}

bool words_values(model *m, bool whole, error *err) {
    peers *p = m->backend->peers;
    parameters *all = m->parameters;
    size_t kinds = whole ? 3 : 1;
    bool done = !p || p->tell(p, &m->optimizer.steps, sizeof m->optimizer.steps) || words_cannot_reach(p, err);
    for (size_t i = 0; p && done && i < all->count; i++) {
        parameter *one = all->items[i];
        int64_t count = tensor_count(&one->value);
        if (one->role == ROLE_CONSTANT)
            continue; /* drawn from the seed by every process; packed signs are no numbers */
        real *arrays[] = {one->value.data, one->first, one->second};
        done = p->tell(p, &one->steps, sizeof one->steps) || words_cannot_reach(p, err);
        for (size_t a = 0; done && a < kinds; a++)
            done = !arrays[a] || tell_array(p, all->backend, arrays[a], count, err);
    }
    if (done) m->followed = p != NULL;
    return done;
}

bool words_let_follow(model *m, error *err) {
    if (!m->backend->peers || m->followed) return true;
    return words_tell(m, (word){.order = ORDER_VALUES}, err) && words_values(m, false, err);
}

bool words_exchange(model *m, error *err) {
    return (!m->followed || words_tell(m, (word){.order = ORDER_EXCHANGE}, err)) &&
           teacher_exchange(m->parameters, err);
}

/*
 * The ways of a step take turns, so that a machine that grows busy slows all of them. What adding up takes is the
 * median of the differences between neighbours.
 */
#include "experiments/bench/bench_peers.h"
#include "engine/clock.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/bench/shared_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum way { WITHOUT, AFTER, MEANWHILE, ALONE, WAYS };

/* Nobody begins before all are there. */
static bool meet(peers *p, error *err) {
    char *all = p ? malloc((size_t)p->count) : NULL, mine = 0;
    bool met = !p || (all && p->gather(p, &mine, all, 1));
    free(all);
    return met || error_set(err, ERROR_RUN, "the other processes cannot be reached");
}

static bool take(shared_step *s, enum way way, error *err) {
    if (way == ALONE) return shared_step_sum(s, err);
    return shared_step_take(s, way == WITHOUT ? SUMS_NEVER : way == AFTER ? SUMS_AFTER : SUMS_MEANWHILE, err);
}

/* Bytes that left this machine's network interfaces, as far as this process sees them. */
static double bytes_sent(void) {
    char line[512];
    double total = 0, sent;
    FILE *f = fopen("/proc/self/net/dev", "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *counts = strchr(line, ':');
        bool counted = counts && sscanf(counts, ":%*f %*f %*f %*f %*f %*f %*f %*f %lf", &sent) == 1;
        if (counted && !strstr(line, "lo:")) total += sent;
    }
    if (f) fclose(f);
    return total;
}

typedef struct measured {
    double *seconds[WAYS];
    double *beyond[WAYS];  /* what they take beyond the step without sums of the same round */
    peers_traffic traffic; /* of a step */
    double sent;           /* likewise, bytes */
} measured;

/* The first round is not counted. */
static bool measure(shared_step *s, int64_t repeats, measured *out, error *err) {
    int ways = s->peers ? WAYS : 1;
    for (int64_t round = -1; round < repeats; round++) {
        for (int way = 0; way < ways; way++) {
            if (!meet(s->peers, err)) return false;
            peers_traffic had = s->peers ? s->peers->traffic : (peers_traffic){0};
            double sent = bytes_sent(), before = clock_seconds();
            if (!take(s, (enum way)way, err) || !meet(s->peers, err)) return false; /* until all are through */
            if (round < 0) continue;
            out->seconds[way][round] = clock_seconds() - before;
            out->beyond[way][round] = out->seconds[way][round] - out->seconds[WITHOUT][round];
            if (way != MEANWHILE) continue;
            const peers_traffic *has = &s->peers->traffic;
            out->traffic = (peers_traffic){has->gathers - had.gathers, has->gathered - had.gathered,
                                           has->sums - had.sums, has->summed - had.summed};
            out->sent += (bytes_sent() - sent) / (double)repeats;
        }
    }
    return true;
}

static void tell_shared(json_t *out, const shared_step *s, measured *m, int64_t repeats) {
    static const double mib = 1 << 20;
    double with = bench_summary(m->beyond[MEANWHILE], repeats).median;
    double after = bench_summary(m->beyond[AFTER], repeats).median;
    double alone = bench_summary(m->seconds[ALONE], repeats).median;
    json_object_set_new(out, "processes", json_integer(s->peers->count));
    json_object_set_new(out, "mpi", json_string(s->peers->library));
    json_object_set_new(out, "seconds_without", json_real(bench_summary(m->seconds[WITHOUT], repeats).median));
    json_object_set_new(out, "seconds_after", json_real(bench_summary(m->seconds[AFTER], repeats).median));
    json_object_set_new(out, "seconds_alone", json_real(alone));
    json_object_set_new(out, "hidden", json_real(1 - with / alone));
    json_object_set_new(out, "hidden_after", json_real(1 - after / alone));
    json_object_set_new(out, "gathers", json_integer((json_int_t)m->traffic.gathers));
    json_object_set_new(out, "gathered_mib", json_real((double)m->traffic.gathered / mib));
    json_object_set_new(out, "sums", json_integer((json_int_t)m->traffic.sums));
    json_object_set_new(out, "summed_mib", json_real((double)m->traffic.summed / mib));
    json_object_set_new(out, "sent_mib", json_real(m->sent / mib));
}

json_t *bench_peers(const bench_options *o, error *err) {
    shared_step s = {0};
    measured m = {0};
    json_t *out = NULL;
    double *seconds = calloc((size_t)(2 * WAYS * o->repeats), sizeof *seconds);
    for (int way = 0; seconds && way < WAYS; way++) {
        m.seconds[way] = seconds + way * o->repeats;
        m.beyond[way] = m.seconds[way] + WAYS * o->repeats;
    }
    const char *method = *o->method ? o->method : "falcon";
    if (!seconds)
        error_memory(err, (size_t)(2 * WAYS * o->repeats) * sizeof *seconds, "the timings");
    else if (shared_step_begin(&s, o, method, o->batch, o->peers, err) && measure(&s, o->repeats, &m, err)) {
        bench_timing whole = bench_summary(m.seconds[s.peers ? MEANWHILE : WITHOUT], o->repeats);
        out = bench_report("peers", whole, tape_flops(s.model.tape), false);
        json_object_set_new(out, "method", json_string(method));
        json_object_set_new(out, "backbone", json_string(backbone_names[o->backbone]));
        json_object_set_new(out, "batch", json_integer(o->batch));
        backend_memory memory = s.model.backend->memory(s.model.backend);
        json_object_set_new(out, "pool_mib", json_real((double)memory.bytes_peak / (1 << 20)));
        if (s.peers) tell_shared(out, &s, &m, o->repeats);
    }
    shared_step_end(&s);
    free(seconds);
    return out;
}

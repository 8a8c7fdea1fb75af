/*
 * What one process of K computes is measured, with a stand-in for the others: it sends its part of the batch through
 * the backbone, sees the features of the whole batch, and hands over what it would hand over. The network is reckoned.
 * A gather of b bytes from each of K processes takes ⌈log₂K⌉ latencies and b·(K − 1) bytes into each, a sum of b bytes
 * twice these latencies and 2·b·(K − 1)/K bytes. A gather is waited for. Of sums that are waited for together the share
 * options->hidden is hidden behind what was computed since the first of them began, and never more than that took.
 */
#include "experiments/bench/bench_ranks.h"
#include "engine/clock.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/bench/shared_step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Latencies of small messages between two hosts, as published: MPI over the kernel's TCP 25 µs, tuned 10 µs, RDMA over
 * Ethernet 2 µs. */
static const struct {
    const char *name;
    double bytes_a_second, latency;
} networks[] = {{"10 GbE", 10e9 / 8, 25e-6}, {"25 GbE", 25e9 / 8, 10e-6}, {"100 GbE", 100e9 / 8, 2e-6}};
enum { NETWORKS = sizeof networks / sizeof *networks, MOST_COUNTS = 12, MOST_WAITS = 16, WEAK_SHARE = 4 };

static const double worth = 0.5; /* share of the nodes' time below which one more doubling does not pay */

/* Sums that are waited for together: the backbone's gradients, or what a share of the codes adds to the embeddings'. */
typedef struct wait {
    uint64_t sums, summed;
    double window; /* from the first one's beginning to the wait, seconds */
} wait;

/* Stands in for the others. What they gather is this one's, shifted within each half, so that no two rows are alike
 * and means stay means (of BatchNorm's halves). */
typedef struct stand_in {
    peers peers;
    double began; /* the first sum of those on their way */
    wait now, waits[MOST_WAITS];
    int count;
} stand_in;

static bool gather(peers *p, const void *mine, void *all, size_t bytes) {
    size_t half = bytes / 2, unit = sizeof(double);
    p->traffic.gathers++, p->traffic.gathered += bytes;
    for (int r = 0; r < p->count; r++) {
        char *to = (char *)all + (size_t)r * bytes;
        size_t shift = bytes % (2 * unit) ? 0 : (size_t)r * 37 * unit % (half ? half : 1);
        for (int h = 0; h < 2; h++) {
            const char *from = (const char *)mine + (size_t)h * half;
            memcpy(to + (size_t)h * half, from + shift, half - shift);
            memcpy(to + (size_t)h * half + half - shift, from, shift);
        }
        if (bytes % 2) to[bytes - 1] = ((const char *)mine)[bytes - 1];
    }
    return true;
}

static bool begin_sum(peers *p, const float *mine, float *all, size_t count) {
    stand_in *s = (stand_in *)p->under_way;
    if (!s->now.sums) s->began = clock_seconds();
    s->now.sums++, s->now.summed += count * sizeof *mine;
    p->traffic.sums++, p->traffic.summed += count * sizeof *mine;
    memcpy(all, mine, count * sizeof *mine);
    return true;
}

static bool look(peers *p, bool waits) {
    stand_in *s = (stand_in *)p->under_way;
    if (!waits || !s->now.sums) return true;
    s->now.window = clock_seconds() - s->began;
    if (s->count < MOST_WAITS) {
        s->waits[s->count++] = s->now;
    } else {
        wait *last = &s->waits[MOST_WAITS - 1];
        *last = (wait){last->sums + s->now.sums, last->summed + s->now.summed, last->window + s->now.window};
    }
    s->now = (wait){0};
    return true;
}

/* A step of one process of `nodes`. */
typedef struct point {
    int nodes;
    double compute;
    peers_traffic traffic;
    wait waits[MOST_WAITS];
    int waits_count;
} point;

typedef struct curve {
    int count;
    point at[MOST_COUNTS];
} curve;

/* The least of the repetitions: what the code can do, also on a busy machine. */
static bool measure_point(const bench_options *o, const char *method, int64_t pairs, point *out, error *err) {
    shared_step s = {0};
    stand_in others = {
        .peers = {.count = out->nodes, .local = 1, .gather = gather, .begin_sum = begin_sum, .look = look}};
    others.peers.under_way = &others;
    peers *p = out->nodes > 1 ? &others.peers : NULL;
    bool ok = shared_step_begin(&s, o, method, pairs, p, err) && shared_step_take(&s, SUMS_MEANWHILE, err);
    out->compute = INFINITY;
    for (int64_t i = 0; ok && i < o->repeats; i++) {
        peers_traffic before = others.peers.traffic;
        double began = clock_seconds();
        others.count = 0;
        ok = shared_step_take(&s, SUMS_MEANWHILE, err);
        double took = clock_seconds() - began;
        if (took >= out->compute) continue;
        const peers_traffic *now = &others.peers.traffic;
        out->compute = took;
        memcpy(out->waits, others.waits, sizeof out->waits);
        out->waits_count = others.count;
        out->traffic = (peers_traffic){now->gathers - before.gathers, now->gathered - before.gathered,
                                       now->sums - before.sums, now->summed - before.summed};
    }
    shared_step_end(&s);
    free(others.peers.mine);
    free(others.peers.sums);
    return ok;
}

static double seconds_on(const point *p, int network, double hidden) {
    double k = p->nodes, steps = ceil(log2(k)), latency = networks[network].latency;
    double bytes_a_second = networks[network].bytes_a_second;
    double gathers =
        (double)p->traffic.gathers * steps * latency + (double)p->traffic.gathered * (k - 1) / bytes_a_second;
    double seen = 0;
    for (int i = 0; i < p->waits_count; i++) {
        const wait *w = &p->waits[i];
        double sums = (double)w->sums * 2 * steps * latency + 2 * (double)w->summed * (k - 1) / k / bytes_a_second;
        seen += fmax((1 - hidden) * sums, sums - w->window);
    }
    return p->compute + gathers + seen;
}

/* Of the nodes' time, how much goes into what one alone would have to compute as well. */
static double efficiency(const curve *c, int i, int network, double hidden, bool strong) {
    double alone = c->at[0].compute, shared = seconds_on(&c->at[i], network, hidden);
    return alone / shared / (strong ? c->at[i].nodes : 1);
}

/* The last place in the curve up to which all are worth it. */
static int last_worth(const curve *c, int network, double hidden, bool strong) {
    int last = 0;
    while (last + 1 < c->count && efficiency(c, last + 1, network, hidden, strong) >= worth) last++;
    return last;
}

static bool measure_curve(const bench_options *o, const char *method, bool strong, curve *c, error *err) {
    for (int64_t nodes = 1; nodes <= o->ranks && c->count < MOST_COUNTS; nodes *= 2) {
        int64_t pairs = strong ? o->batch : o->batch / WEAK_SHARE * nodes;
        if (strong && o->batch % nodes) break;
        c->at[c->count].nodes = (int)nodes;
        if (!measure_point(o, method, pairs, &c->at[c->count], err)) return false;
        c->count++;
    }
    return true;
}

static json_t *curve_json(const curve *c, double hidden, bool strong) {
    static const double mib = 1 << 20;
    json_t *out = json_object(), *last = json_object(), *at = json_array();
    for (int i = 0; i < c->count; i++) {
        const point *p = &c->at[i];
        json_t *one =
            json_pack("{s:i, s:f, s:f, s:i, s:I, s:f, s:I, s:f}", "nodes", p->nodes, "compute", p->compute, "window",
                      p->waits_count ? p->waits[p->waits_count - 1].window : 0.0, "waits", p->waits_count, "gathers",
                      (json_int_t)p->traffic.gathers, "gathered_mib", (double)p->traffic.gathered / mib, "sums",
                      (json_int_t)p->traffic.sums, "summed_mib", (double)p->traffic.summed / mib);
        for (int n = 0; n < NETWORKS; n++)
            json_object_set_new(one, networks[n].name, json_real(seconds_on(p, n, hidden)));
        json_array_append_new(at, one);
    }
    for (int n = 0; n < NETWORKS; n++)
        json_object_set_new(last, networks[n].name, json_integer(c->at[last_worth(c, n, hidden, strong)].nodes));
    json_object_set_new(out, "at", at);
    json_object_set_new(out, "pays_to", last);
    return out;
}

/* "one batch of 256 pairs to 8, 16 and 64 nodes (0.55, 0.51 and 0.62 of their time)". */
static void put_curve(const curve *c, double hidden, bool strong, char *out, size_t size) {
    static const char *const before[NETWORKS] = {"", ", ", " and "};
    size_t used = 0;
    for (int n = 0; n < NETWORKS; n++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%d", before[n], c->at[last_worth(c, n, hidden, strong)].nodes);
    used += (size_t)snprintf(out + used, size - used, " nodes (");
    for (int n = 0; n < NETWORKS; n++)
        used += (size_t)snprintf(out + used, size - used, "%s%.2f", before[n],
                                 efficiency(c, last_worth(c, n, hidden, strong), n, hidden, strong));
    snprintf(out + used, size - used, ")");
}

static bool add_method(const bench_options *o, const char *method, json_t *list, json_t *findings, error *err) {
    curve strong = {0}, weak = {0};
    char one[160], other[160];
    if (!measure_curve(o, method, true, &strong, err) || !measure_curve(o, method, false, &weak, err)) {
        if (*o->method) return false;
        json_array_append_new(findings, json_sprintf("%s: %s", method, err->text));
        *err = (error){0};
        return true;
    }
    put_curve(&strong, o->hidden, true, one, sizeof one);
    put_curve(&weak, o->hidden, false, other, sizeof other);
    json_array_append_new(findings, json_sprintf("%s: one batch pays to %s, %lld pairs a node to %s", method, one,
                                                 (long long)(o->batch / WEAK_SHARE), other));
    return json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "method", method, "strong",
                                                 curve_json(&strong, o->hidden, true), "weak",
                                                 curve_json(&weak, o->hidden, false))) == 0 ||
           error_memory(err, sizeof strong, "the model");
}

json_t *bench_ranks(const bench_options *o, error *err) {
    json_t *list = json_array(), *findings = json_array(), *out = NULL;
    double began = clock_seconds();
    bool ok = o->batch % WEAK_SHARE == 0 ||
              error_set(err, ERROR_USAGE, "--batch %lld has to be a multiple of %d", (long long)o->batch, WEAK_SHARE);
    if (ok && *o->method)
        ok = add_method(o, o->method, list, findings, err);
    else
        for (int i = 0; ok && method_names[i]; i++)
            if (method_at(i)->loss) ok = add_method(o, method_names[i], list, findings, err);
    bench_timing whole = {.median = clock_seconds() - began};
    whole.least = whole.most = whole.median;
    if (ok && (out = bench_report("scaling", whole, 0, false))) {
        json_object_set_new(out, "backbone", json_string(backbone_names[o->backbone]));
        json_object_set_new(out, "batch", json_integer(o->batch));
        json_object_set_new(out, "hidden", json_real(o->hidden));
        json_object_set_new(out, "networks",
                            json_string("10, 25 and 100 GbE, in this order; in brackets the share of "
                                        "the nodes' time, which from there on falls below 0.5"));
        json_object_set(out, "methods", list);
        json_object_set(out, "findings", findings);
    }
    json_decref(list);
    json_decref(findings);
    return out;
}

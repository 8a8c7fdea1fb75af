/*
 * The Pareto front by one sweep from the quickest setting on: a setting is on it when it is better than all before.
 */
#include "analysis/report/study/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_seconds(const void *a, const void *b) {
    const cost_point *p = a, *q = b;
    if (p->seconds != q->seconds) return p->seconds < q->seconds ? -1 : 1;
    return (p->value < q->value) - (p->value > q->value);
}

static double mean_seconds(const study_point *p) {
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) sum += record_seconds(p->records[i], "train");
    return sum / (double)p->count;
}

static bool same_machine(const study *s) {
    char first[200] = "", own[200];
    bool same = true;
    for (size_t i = 0; i < s->records.count; i++) {
        const record *r = &s->records.items[i];
        char threads[32], processor[160];
        if (!r->finished) continue;
        snprintf(own, sizeof own, "%s %s", record_text(r, "threads", threads, sizeof threads),
                 record_text(r, "machine.processor", processor, sizeof processor));
        if (!*first) memcpy(first, own, sizeof first);
        same = same && strcmp(first, own) == 0;
    }
    return same;
}

/* The seconds of one run are those of whatever else the machine did: only repetitions tell how far to trust them. */
static bool beyond_noise(const cost *c) {
    double apart = 1;
    if (c->count < 3) return false;
    for (size_t i = 0; i < c->count; i++) {
        double low = INFINITY, high = 0;
        if (c->points[i].point->count < 2) return false;
        for (size_t k = 0; k < c->points[i].point->count; k++) {
            double seconds = record_seconds(c->points[i].point->records[k], "train");
            low = fmin(low, seconds), high = fmax(high, seconds);
        }
        if (!(low > 0)) return false;
        apart = fmax(apart, high / low);
    }
    return c->points[c->count - 1].seconds / c->points[0].seconds > fmax(2, apart * apart * apart);
}

bool cost_read(cost *c, const study *s, error *err) {
    size_t settings = 0;
    double best = -INFINITY;
    *c = (cost){.metric = study_primary(&s->records)};
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++) settings += s->blocks[b].series[k].count;
    c->points = malloc((settings + 1) * sizeof *c->points);
    if (!c->points) return error_memory(err, settings * sizeof *c->points, "the settings' cost");
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t i = 0; i < s->blocks[b].series[k].count; i++) {
                const study_point *p = &s->blocks[b].series[k].points[i];
                double seconds = mean_seconds(p), value = study_measure(p, c->metric).mean;
                if (isfinite(seconds) && isfinite(value))
                    c->points[c->count++] =
                        (cost_point){&s->blocks[b], &s->blocks[b].series[k], p, seconds, value, false};
            }
    qsort(c->points, c->count, sizeof *c->points, by_seconds);
    for (size_t i = 0; i < c->count; i++) {
        c->points[i].front = c->points[i].value > best;
        best = fmax(best, c->points[i].value);
    }
    c->told = same_machine(s) && beyond_noise(c);
    return true;
}

void cost_free(cost *c) {
    free(c->points);
    *c = (cost){0};
}

char *cost_name(const cost_point *p, bool with_block, char *out, size_t size) {
    char setting[300];
    study_setting(p->block, p->point, setting, sizeof setting);
    snprintf(out, size, "%.90s%s%.160s%s%.160s", with_block ? p->block->name : "", with_block ? ", " : "", setting,
             *p->series->label ? ", " : "", p->series->label);
    return out;
}

#include "analysis/report/study/twins.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Whether a key says how a run is called, paced or measured, rather than what it trains. */
static bool says_nothing(const char *key) {
    static const char *const whole[] = {"train.seed",
                                        "train.threads",
                                        "train.loader_threads",
                                        "train.log_every",
                                        "train.eval_every",
                                        "train.checkpoint_every",
                                        "data.path",
                                        "data.cache",
                                        NULL};
    for (const char *const *k = whole; *k; k++)
        if (strcmp(key, *k) == 0) return true;
    return strncmp(key, "eval.", 5) == 0;
}

/* In how many keys two runs' specs differ, or more than `most`; `keys` takes those, as `b` has them. */
static size_t differences(const record *a, const record *b, size_t most, char *keys, size_t size) {
    json_t *mine = json_object_get(a->run, "spec"), *other = json_object_get(b->run, "spec"), *value;
    const char *key;
    char text[64];
    size_t count = 0, used = 0;
    *keys = 0;
    json_object_foreach(other, key, value) {
        if (says_nothing(key) || json_equal(value, json_object_get(mine, key))) continue;
        if (++count > most) return count;
        if (used < size)
            used += (size_t)snprintf(keys + used, size - used, "%s%s = %s", used ? ", " : "", key,
                                     record_scalar(value, text, sizeof text));
    }
    return count;
}

/* How many directions embeddings could have: their rank over its share of them. NaN where a record has no share. */
static double directions(const study_point *p) {
    return study_measure(p, "rankme").mean / study_measure(p, "rankme_share").mean;
}

twin twin_of(const study *s, const study_point *p) {
    const double most = directions(p);
    twin found = {.rank = study_measure(p, "rankme").mean, .of = NAN};
    size_t least = 0;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t i = 0; i < s->blocks[b].series[k].count; i++) {
                const study_point *q = &s->blocks[b].series[k].points[i];
                char keys[sizeof found.keys];
                if (q == p || strcmp(q->records[0]->method, p->records[0]->method) != 0) continue;
                if (fabs(directions(q) - most) > 0.01 * most) continue;
                size_t apart = differences(p->records[0], q->records[0], least ? least : SIZE_MAX, keys, sizeof keys);
                if (!apart || (least && apart > least)) continue;
                double rank = study_measure(q, "rankme").mean;
                if (!isfinite(rank) || (apart == least && !(rank > found.of))) continue;
                least = apart, found.of = rank, found.point = q;
                memcpy(found.keys, keys, sizeof keys);
            }
    if (!(found.of > found.rank)) found.point = NULL;
    return found;
}

char *twin_text(const twin *t, char *out, size_t size) {
    *out = 0;
    if (t->point && t->rank < TWIN_LOWER * t->of)
        snprintf(out, size, "%.2g of its twin's RankMe (%.1f of %.1f with %s)", t->rank / t->of, t->rank, t->of,
                 t->keys);
    return out;
}

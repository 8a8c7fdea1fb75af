/*
 * Numbering what runs were set to. A grid gives every key contexts that hold all its values; a random search gives
 * none, and its numbers, of which no two runs share one, become four ranges (fewer where there are few runs) of as many
 * runs each.
 */
#include "analysis/report/study/factors.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEVELS = 8, RUNS_A_RANGE = 6, MOST_RANGES = 4 }; /* more levels than that, unmatched, become ranges */

/* Which runs share a text: numbered as they appear. Returns how many there are, 0 when out of memory. */
static size_t number_texts(const record **runs, size_t count, const char *key, char (*texts)[96], size_t *number) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        char text[96];
        size_t at = 0;
        record_text(runs[i], key, text, sizeof text);
        while (at < distinct && strcmp(texts[at], text) != 0) at++;
        if (at == distinct) memcpy(texts[distinct++], text, sizeof text);
        number[i] = at;
    }
    return distinct;
}

/* Numbers 64-bit marks as they appear. */
static size_t number_marks(const uint64_t *marks, size_t count, size_t *number) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && marks[j] != marks[i]) j++;
        number[i] = j < i ? number[j] : distinct++;
    }
    return distinct;
}

static uint64_t mix(uint64_t mark, size_t value) { /* splitmix64's finaliser */
    uint64_t x = mark * 0x9E3779B97F4A7C15u + value + 1;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* ---- levels ----------------------------------------------------------------------------------------------------- */

static int by_x(const void *a, const void *b) {
    double x = ((const factor_level *)a)->x, y = ((const factor_level *)b)->x;
    return (x > y) - (x < y);
}

static void set_scale(factor *f) {
    double low = f->levels[0].x, high = f->levels[f->count - 1].x;
    f->log = f->numeric && low > 0 && high >= 8 * low;
}

/* One level for each value: numbers in order, names as they appear. */
static bool read_levels(factor *f, const record **runs, size_t count) {
    char(*texts)[96] = malloc(count * sizeof *texts);
    size_t *order = malloc((count + 1) * sizeof *order);
    f->level = malloc(count * sizeof *f->level);
    f->count = texts && order && f->level ? number_texts(runs, count, f->key, texts, f->level) : 0;
    f->levels = f->count ? calloc(f->count, sizeof *f->levels) : NULL;
    for (size_t l = 0; f->levels && l < f->count; l++) {
        f->levels[l].x = f->numeric ? strtod(texts[l], NULL) : (double)l;
        memcpy(f->levels[l].label, texts[l], sizeof texts[l]);
        f->levels[l].runs = l; /* its number before sorting, for a moment */
    }
    if (f->levels) {
        qsort(f->levels, f->count, sizeof *f->levels, by_x);
        for (size_t l = 0; l < f->count; l++) order[f->levels[l].runs] = l, f->levels[l].runs = 0;
        for (size_t i = 0; i < count; i++) f->levels[f->level[i] = order[f->level[i]]].runs++;
        set_scale(f);
    }
    free(texts);
    free(order);
    return f->levels != NULL;
}

/* Neighbouring levels become ranges of about as many runs each. False when out of memory. */
static bool join_levels(factor *f, size_t count) {
    size_t ranges = count / RUNS_A_RANGE < MOST_RANGES ? count / RUNS_A_RANGE : MOST_RANGES, at = 0, before = 0;
    factor_level joined[MOST_RANGES] = {{"", 0, 0}};
    if (ranges < 2) return true;
    size_t *range = malloc(f->count * sizeof *range);
    if (!range) return false;
    for (size_t first = 0, l = 0; l < f->count; l++) {
        range[l] = at;
        before += f->levels[l].runs, joined[at].runs += f->levels[l].runs;
        if (l + 1 < f->count && before * ranges < (at + 1) * count) continue;
        const char *from = f->levels[first].label, *to = f->levels[l].label;
        snprintf(joined[at].label, sizeof joined->label, first < l ? "%.40s … %.40s" : "%.40s", from, to);
        double low = f->levels[first].x, high = f->levels[l].x;
        joined[at].x = low > 0 && f->log ? sqrt(low * high) : (low + high) / 2;
        first = l + 1, at++;
    }
    for (size_t i = 0; i < count; i++) f->level[i] = range[f->level[i]];
    memcpy(f->levels, joined, at * sizeof *joined);
    f->count = at, f->ranges = true;
    free(range);
    return true;
}

/* ---- contexts --------------------------------------------------------------------------------------------------- */

/* Whether contexts (with their seed) that hold every level make up a third of the runs. False when out of memory. */
static bool read_matched(factor *f, const size_t *seed, size_t seeds, size_t count) {
    size_t blocks = f->contexts * seeds, runs = 0;
    if ((double)blocks * (double)f->count > 16e6) return true;
    unsigned *there = calloc(blocks * f->count, sizeof *there);
    if (!there) return false;
    for (size_t i = 0; i < count; i++) there[(f->context[i] * seeds + seed[i]) * f->count + f->level[i]]++;
    for (size_t b = 0; b < blocks; b++) {
        size_t here = 0;
        bool complete = true;
        for (size_t l = 0; l < f->count; l++)
            here += there[b * f->count + l], complete = complete && there[b * f->count + l];
        if (complete) runs += here;
    }
    free(there);
    f->matched = 3 * runs >= count;
    return true;
}

static bool read_contexts(factors *f) {
    uint64_t *marks = malloc(f->count * sizeof *marks);
    bool done = marks != NULL;
    for (size_t k = 0; done && k < f->factor_count; k++) {
        factor *own = &f->items[k];
        if (!(done = (own->context = malloc(f->count * sizeof *own->context)) != NULL)) break;
        memset(marks, 0, f->count * sizeof *marks);
        for (size_t o = 0; o < f->factor_count; o++)
            for (size_t i = 0; o != k && i < f->count; i++) marks[i] = mix(marks[i], f->items[o].level[i]);
        own->contexts = number_marks(marks, f->count, own->context);
        done = read_matched(own, f->seed, f->seeds, f->count);
    }
    free(marks);
    for (size_t k = 0; done && k < f->factor_count; k++) /* only now: contexts are made of the values themselves */
        if (f->items[k].numeric && !f->items[k].matched && f->items[k].count > MOST_LEVELS)
            done = join_levels(&f->items[k], f->count);
    return done;
}

/* ---- a block ---------------------------------------------------------------------------------------------------- */

static bool is_seed(const char *key) {
    size_t length = strlen(key);
    return length >= 5 && strcmp(key + length - 5, ".seed") == 0;
}

/* Runs that agree in every swept seed share a number. */
static bool read_seeds(factors *f) {
    uint64_t *marks = calloc(f->count, sizeof *marks);
    char(*texts)[96] = malloc(f->count * sizeof *texts);
    size_t *number = malloc(f->count * sizeof *number);
    bool done = marks && texts && number;
    const char *key;
    json_t *value;
    if (done) json_object_foreach(json_object_get(f->runs[0]->run, "spec"), key, value) {
            if (!is_seed(key)) continue;
            number_texts(f->runs, f->count, key, texts, number);
            for (size_t i = 0; i < f->count; i++) marks[i] = mix(marks[i], number[i]);
        }
    if (done) f->seeds = number_marks(marks, f->count, f->seed);
    free(marks);
    free(texts);
    free(number);
    return done;
}

static bool read_runs(factors *f, const study_block *b) {
    for (size_t s = 0; s < b->count; s++)
        for (size_t p = 0; p < b->series[s].count; p++) f->count += b->series[s].points[p].count;
    f->runs = malloc(f->count * sizeof *f->runs);
    f->setting = malloc(f->count * sizeof *f->setting);
    f->seed = malloc(f->count * sizeof *f->seed);
    f->items = calloc(b->key_count + 1, sizeof *f->items);
    if (!f->runs || !f->setting || !f->seed || !f->items) return false;
    size_t at = 0;
    for (size_t s = 0; s < b->count; s++)
        for (size_t p = 0; p < b->series[s].count; p++, f->settings++)
            for (size_t i = 0; i < b->series[s].points[p].count; i++, at++)
                f->runs[at] = b->series[s].points[p].records[i], f->setting[at] = f->settings;
    return true;
}

bool factors_read(factors *f, const study_block *b, error *err) {
    *f = (factors){0};
    bool done = read_runs(f, b) && read_seeds(f);
    for (size_t k = 0; done && k < b->key_count; k++) {
        factor *own = &f->items[f->factor_count++];
        const char *key = b->keys[k].key;
        own->numeric = b->keys[k].numeric;
        snprintf(own->key, sizeof own->key, "%s", key);
        study_short_key(key, own->name, sizeof own->name);
        memcpy(own->with, b->keys[k].with, sizeof own->with);
        done = read_levels(own, f->runs, f->count);
    }
    if (done && read_contexts(f)) return true;
    size_t count = f->count;
    factors_free(f);
    return error_memory(err, count * sizeof *f->runs, "what the runs were set to");
}

void factors_free(factors *f) {
    for (size_t k = 0; k < f->factor_count; k++) {
        free(f->items[k].levels);
        free(f->items[k].level);
        free(f->items[k].context);
    }
    free(f->items);
    free(f->runs);
    free(f->setting);
    free(f->seed);
    *f = (factors){0};
}

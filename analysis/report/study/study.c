/*
 * Sorting runs into blocks, series and points. A block's axis is the swept key with the most distinct numeric values
 * (failing that, the most distinct values); the other swept keys that vary name the series. When nothing was declared
 * as swept, the resolved specs are compared instead, so a folder of single runs works as well. Keys that always moved
 * together count as one.
 */
#include "analysis/report/study/study.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Keys that repeat or pace a run rather than set what it does; where nothing was declared as swept, also those that
 * only say where things are. */
static bool key_ignored(const char *key, bool declared) {
    static const char *const suffixes[] = {".seed", ".threads", ".cache", ".path", NULL};
    size_t length = strlen(key);
    for (const char *const *s = suffixes; *s; s++)
        if (length >= strlen(*s) && strcmp(key + length - strlen(*s), *s) == 0)
            return !declared || strcmp(*s, ".path") != 0;
    return false;
}

static bool in_block(const record *r, const char *name) {
    const json_t *block = json_object_get(r->run, "block"), *item;
    size_t i;
    if (!json_is_array(block)) {
        const char *own = json_string_value(block);
        return strcmp(own && *own ? own : r->method, name) == 0;
    }
    json_array_foreach(block, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0) return true;
    }
    return false;
}

/* ---- what varies in a block ------------------------------------------------------------------------------------- */

enum { MOST_KEYS = 32, VALUE_SIZE = 64 };

/* A key that varies, and which of its values, numbered as they appear, each member has. */
typedef struct varied {
    study_key key;
    size_t *value; /* (members) */
} varied;

static bool is_number(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*value);
}

/* False when out of memory. */
static bool measure_key(varied *v, const record **members, size_t count, const char *key) {
    char(*seen)[VALUE_SIZE] = malloc(count * sizeof *seen), text[VALUE_SIZE];
    double x;
    *v = (varied){.key.numeric = true, .value = malloc(count * sizeof *v->value)};
    snprintf(v->key.key, sizeof v->key.key, "%s", key);
    for (size_t i = 0; seen && v->value && i < count; i++) {
        size_t at = 0;
        record_text(members[i], key, text, sizeof text);
        while (at < v->key.values && strcmp(seen[at], text) != 0) at++;
        if (at == v->key.values) memcpy(seen[v->key.values++], text, sizeof text);
        v->value[i] = at;
        v->key.numeric = v->key.numeric && is_number(text, &x);
    }
    bool done = seen && v->value;
    free(seen);
    return done;
}

static int by_interest(const void *pa, const void *pb) {
    const study_key *a = &((const varied *)pa)->key, *b = &((const varied *)pb)->key;
    if (a->numeric != b->numeric) return a->numeric ? -1 : 1;
    if (a->values != b->values) return a->values > b->values ? -1 : 1;
    return strcmp(a->key, b->key);
}

static double number_of(const record *r, const char *key) {
    char text[VALUE_SIZE];
    return strtod(record_text(r, key, text, sizeof text), NULL);
}

/* Whether two keys change at the same runs. Where no two runs share a value, as in a random search, all keys do: there
 * one must rise or fall with the other. */
static bool move_together(const record **members, size_t count, const varied *a, const varied *b) {
    bool rises = true, falls = true;
    if (memcmp(a->value, b->value, count * sizeof *a->value) != 0) return false;
    if (a->key.values < count || !a->key.numeric || !b->key.numeric) return true;
    for (size_t i = 0; i < count && (rises || falls); i++)
        for (size_t j = 0; j < i; j++) {
            double x = number_of(members[i], a->key.key) - number_of(members[j], a->key.key);
            double y = number_of(members[i], b->key.key) - number_of(members[j], b->key.key);
            rises = rises && (x > 0) == (y > 0);
            falls = falls && (x > 0) == (y < 0);
        }
    return rises || falls;
}

/* Keys that move together are one: the first keeps the names of the others. */
static size_t merge_aliases(const record **members, varied *keys, size_t found, size_t count) {
    size_t kept = 0;
    for (size_t k = 0; k < found; k++) {
        size_t like = 0;
        while (like < kept && !move_together(members, count, &keys[like], &keys[k])) like++;
        if (like == kept) {
            keys[kept++] = keys[k];
            continue;
        }
        size_t used = strlen(keys[like].key.with);
        snprintf(keys[like].key.with + used, sizeof keys[like].key.with - used, "%s%s", used ? ", " : "",
                 keys[k].key.key);
        free(keys[k].value);
    }
    return kept;
}

/* The keys of `part` ("swept" or "spec") that vary among the members, the axis first; SIZE_MAX when out of memory. */
static size_t find_varied(const record **members, size_t count, const char *part, varied keys[MOST_KEYS]) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(members[i]->run, part), key, value) {
            bool known = key_ignored(key, strcmp(part, "swept") == 0) || found == MOST_KEYS;
            for (size_t k = 0; k < found && !known; k++) known = strcmp(keys[k].key.key, key) == 0;
            if (known) continue;
            varied v;
            bool measured = measure_key(&v, members, count, key);
            if (measured && v.key.values > 1)
                keys[found++] = v;
            else
                free(v.value);
            if (measured) continue;
            for (size_t k = 0; k < found; k++) free(keys[k].value);
            return SIZE_MAX;
        }
    }
    if (found) qsort(keys, found, sizeof *keys, by_interest);
    return merge_aliases(members, keys, found, count);
}

/* Distinct combinations of the values of keys[from …]. */
static size_t combinations(const varied *keys, size_t from, size_t to, size_t count) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) {
            seen = true;
            for (size_t k = from; k < to && seen; k++) seen = keys[k].value[i] == keys[k].value[j];
        }
        distinct += !seen;
    }
    return distinct;
}

/* A sweep that stopped early still fills most of a grid; a random search fills next to nothing of one. */
static bool is_scattered(const varied *keys, size_t varying, size_t count) {
    size_t others = combinations(keys, 1, varying, count);
    return others > 6 && 3 * combinations(keys, 0, varying, count) < keys[0].key.values * others;
}

/* ---- filling ---------------------------------------------------------------------------------------------------- */

static bool point_add(study_point *p, const record *r) {
    const record **grown = realloc(p->records, (p->count + 1) * sizeof *grown);
    if (!grown) return false;
    p->records = grown;
    grown[p->count++] = r;
    return true;
}

static bool series_add(study_series *s, const record *r, const char *label, double x) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->points[i].label, label) == 0) return point_add(&s->points[i], r);
    study_point *grown = realloc(s->points, (s->count + 1) * sizeof *grown);
    if (!grown) return false;
    s->points = grown;
    grown[s->count] = (study_point){.x = x};
    snprintf(grown[s->count].label, sizeof grown->label, "%s", label);
    return point_add(&grown[s->count++], r);
}

static bool block_add(study_block *b, const record *r, const char *series, const char *label, double x) {
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->series[i].label, series) == 0) return series_add(&b->series[i], r, label, x);
    study_series *grown = realloc(b->series, (b->count + 1) * sizeof *grown);
    if (!grown) return false;
    b->series = grown;
    grown[b->count] = (study_series){0};
    snprintf(grown[b->count].label, sizeof grown->label, "%s", series);
    return series_add(&grown[b->count++], r, label, x);
}

static int by_x(const void *a, const void *b) {
    double x = ((const study_point *)a)->x, y = ((const study_point *)b)->x;
    return (x > y) - (x < y);
}

static int by_label(const void *a, const void *b) {
    return strcmp(((const study_series *)a)->label, ((const study_series *)b)->label);
}

static void name_block(study_block *b, const char *name, const record **members, size_t count) {
    snprintf(b->name, sizeof b->name, "%s", name);
    size_t length = 0;
    for (const char *c = name; *c && length + 1 < sizeof b->slug; c++)
        b->slug[length++] = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    b->slug[length] = 0;
    for (size_t i = 0; i < count; i++) {
        if (strstr(b->methods, members[i]->method)) continue;
        size_t used = strlen(b->methods);
        snprintf(b->methods + used, sizeof b->methods - used, "%s%s", used ? ", " : "", members[i]->method);
    }
}

static void set_axis(study_block *b, const study_key *key) {
    snprintf(b->axis, sizeof b->axis, "%s", key->key);
    study_short_key(key->key, b->axis_name, sizeof b->axis_name);
    b->numeric = key->numeric;
}

/* "method.beta = 1, optimizer.lr = 0.001": the values of a run's keys from the `first` on. */
static void name_values(const study_block *b, const record *r, size_t first, char *out, size_t size) {
    char value[VALUE_SIZE];
    *out = 0;
    for (size_t k = first; k < b->key_count; k++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s = %s", k > first ? ", " : "", b->keys[k].key,
                 record_text(r, b->keys[k].key, value, sizeof value));
    }
}

static int by_worth(const void *a, const void *b) {
    double x = ((const study_point *)a)->x, y = ((const study_point *)b)->x;
    return (x < y) - (x > y);
}

/* Settings without an axis stand in order of what they are ranked by, those without it last. */
static void rank_points(study_series *s, const char *primary) {
    for (size_t p = 0; p < s->count; p++) {
        double mean = study_measure(&s->points[p], primary).mean;
        s->points[p].x = isnan(mean) ? -INFINITY : mean;
    }
    qsort(s->points, s->count, sizeof *s->points, by_worth);
    for (size_t p = 0; p < s->count; p++) s->points[p].x = (double)p;
}

static bool keep_keys(study_block *b, varied *keys, size_t varying) {
    b->keys = calloc(varying + 1, sizeof *b->keys);
    for (size_t k = 0; k < varying; k++) {
        if (b->keys) b->keys[b->key_count++] = keys[k].key;
        free(keys[k].value);
    }
    return b->keys != NULL;
}

static bool add_run(study_block *b, const record *r) {
    char label[160] = "", series[160] = "";
    double x = 0;
    if (b->scattered)
        name_values(b, r, 0, label, sizeof label);
    else if (*b->axis)
        record_text(r, b->axis, label, VALUE_SIZE);
    else
        snprintf(label, sizeof label, "%s", r->method);
    if (b->numeric) is_number(label, &x);
    if (!b->scattered) name_values(b, r, 1, series, sizeof series);
    return block_add(b, r, series, label, x);
}

static bool fill_block(study_block *b, const char *name, const record **members, size_t count, const char *primary,
                       error *err) {
    varied keys[MOST_KEYS] = {0};
    size_t varying = find_varied(members, count, "swept", keys);
    if (!varying && !json_object_size(json_object_get(members[0]->run, "swept")))
        varying = find_varied(members, count, "spec", keys);
    name_block(b, name, members, count);
    if (varying == SIZE_MAX) return error_memory(err, count * sizeof *members, "the runs' order");
    b->scattered = varying > 1 && is_scattered(keys, varying, count);
    if (varying && !b->scattered) set_axis(b, &keys[0].key);
    if (!keep_keys(b, keys, varying)) return error_memory(err, count * sizeof *members, "the runs' order");
    for (size_t i = 0; i < count; i++)
        if (!add_run(b, members[i])) return error_memory(err, count * sizeof *b->series, "the runs' order");
    double low = INFINITY, high = -INFINITY;
    qsort(b->series, b->count, sizeof *b->series, by_label);
    for (size_t s = 0; s < b->count; s++) {
        for (size_t p = 0; p < b->series[s].count; p++) {
            if (!b->numeric) b->series[s].points[p].x = (double)p;
            low = fmin(low, b->series[s].points[p].x), high = fmax(high, b->series[s].points[p].x);
        }
        qsort(b->series[s].points, b->series[s].count, sizeof(study_point), by_x);
        if (b->scattered) rank_points(&b->series[s], primary);
    }
    b->log = b->numeric && low > 0 && high >= 8 * low;
    return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The blocks' names, each once, sorted. */
static size_t block_names(const records *all, const char **names, size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const json_t *block = json_object_get(all->items[i].run, "block");
        size_t many = json_is_array(block) ? json_array_size(block) : 1;
        for (size_t k = 0; k < many && count < capacity; k++) {
            const char *name = json_string_value(json_is_array(block) ? json_array_get(block, k) : block);
            bool known = false;
            if (!name || !*name) name = all->items[i].method;
            for (size_t j = 0; j < count && !known; j++) known = strcmp(names[j], name) == 0;
            if (!known) names[count++] = name;
        }
    }
    qsort(names, count, sizeof *names, by_text);
    return count;
}

enum { MOST_BLOCKS = 64 };

bool study_read(study *s, const char *folder, error *err) {
    *s = (study){0};
    const char *names[MOST_BLOCKS];
    const record **members = NULL;
    bool ok = false;
    if (!records_read(&s->records, folder, err)) return false;
    size_t length = strlen(folder), count = block_names(&s->records, names, MOST_BLOCKS);
    while (length > 1 && folder[length - 1] == '/') length--;
    size_t start = length;
    while (start > 0 && folder[start - 1] != '/') start--;
    s->name = strndup(folder + start, length - start);
    s->blocks = calloc(count, sizeof *s->blocks);
    members = malloc(s->records.count * sizeof *members);
    if (!s->name || !s->blocks || !members) {
        error_memory(err, s->records.count * sizeof *members, "the runs' order");
        goto done;
    }
    for (size_t b = 0; b < count; b++) {
        size_t found = 0;
        for (size_t i = 0; i < s->records.count; i++) {
            const record *r = &s->records.items[i];
            if (r->finished && in_block(r, names[b])) members[found++] = r;
        }
        if (!found) continue;
        if (!fill_block(&s->blocks[s->count++], names[b], members, found, study_primary(&s->records), err)) goto done;
    }
    s->seeds_min = SIZE_MAX;
    for (size_t i = 0; i < s->records.count; i++) {
        s->finished += s->records.items[i].finished;
        s->halved += s->records.items[i].halved != NULL;
    }
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t p = 0; p < s->blocks[b].series[k].count; p++) {
                size_t seeds = s->blocks[b].series[k].points[p].count;
                if (seeds < s->seeds_min) s->seeds_min = seeds;
                if (seeds > s->seeds_max) s->seeds_max = seeds;
            }
    if (!s->seeds_max) s->seeds_min = 0;
    ok = study_list(s) || error_memory(err, s->records.count * sizeof *members, "lists of runs and keys");
done:
    free(members);
    if (!ok) study_free(s);
    return ok;
}

void study_free(study *s) {
    for (size_t b = 0; b < s->count; b++) {
        for (size_t k = 0; k < s->blocks[b].count; k++) {
            for (size_t p = 0; p < s->blocks[b].series[k].count; p++) free(s->blocks[b].series[k].points[p].records);
            free(s->blocks[b].series[k].points);
        }
        free(s->blocks[b].series);
        free(s->blocks[b].keys);
    }
    free(s->blocks);
    free(s->name);
    free(s->runs);
    free(s->metrics);
    free(s->keys);
    records_free(&s->records);
    *s = (study){0};
}

study_figure study_measure(const study_point *p, const char *metric) {
    study_figure f = {0, 0, 0, INFINITY, -INFINITY};
    double squares = 0;
    for (size_t i = 0; i < p->count; i++) {
        double value = record_metric(p->records[i], metric);
        if (!isfinite(value)) continue;
        f.n++, f.mean += value;
        f.min = fmin(f.min, value), f.max = fmax(f.max, value);
    }
    if (!f.n) return (study_figure){0, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    f.mean /= (double)f.n;
    for (size_t i = 0; i < p->count; i++) {
        double value = record_metric(p->records[i], metric);
        if (isfinite(value)) squares += (value - f.mean) * (value - f.mean);
    }
    f.sd = f.n > 1 ? sqrt(squares / (double)(f.n - 1)) : (double)NAN;
    return f;
}

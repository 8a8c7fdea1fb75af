/*
 * Sorting runs into blocks, series and points. A block's axis is the swept key with the most distinct numeric values
 * (failing that, the most distinct values); the other swept keys that vary name the series. When nothing was declared
 * as swept, the resolved specs are compared instead, so a folder of single runs works as well.
 */
#include "analysis/report/study.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Keys that repeat, place or pace a run rather than set what it does. */
static bool key_ignored(const char *key) {
    static const char *const suffixes[] = {".seed", ".path", ".threads", ".cache", NULL};
    size_t length = strlen(key);
    for (const char *const *s = suffixes; *s; s++)
        if (length >= strlen(*s) && strcmp(key + length - strlen(*s), *s) == 0) return true;
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

/* ---- the axis of a block ---------------------------------------------------------------------------------------- */

typedef struct varied {
    char key[96];
    size_t values; /* distinct ones */
    bool numeric;
} varied;

static bool is_number(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*value);
}

static varied measure_key(const record **members, size_t count, const char *key) {
    varied v = {.numeric = true};
    char a[64], b[64];
    double x;
    snprintf(v.key, sizeof v.key, "%s", key);
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        record_text(members[i], key, a, sizeof a);
        for (size_t j = 0; j < i && !seen; j++) seen = strcmp(a, record_text(members[j], key, b, sizeof b)) == 0;
        v.values += !seen;
        v.numeric = v.numeric && is_number(a, &x);
    }
    return v;
}

static int by_interest(const void *pa, const void *pb) {
    const varied *a = pa, *b = pb;
    if (a->numeric != b->numeric) return a->numeric ? -1 : 1;
    if (a->values != b->values) return a->values > b->values ? -1 : 1;
    return strcmp(a->key, b->key);
}

/* The keys of `part` ("swept" or "spec") that vary among the members, the axis first. */
static size_t find_varied(const record **members, size_t count, const char *part, varied *out, size_t capacity) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(members[i]->run, part), key, value) {
            bool known = key_ignored(key);
            for (size_t k = 0; k < found && !known; k++) known = strcmp(out[k].key, key) == 0;
            if (known || found == capacity) continue;
            varied v = measure_key(members, count, key);
            if (v.values > 1) out[found++] = v;
        }
    }
    qsort(out, found, sizeof *out, by_interest);
    return found;
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

enum { MOST_KEYS = 32 };

static bool fill_block(study_block *b, const char *name, const record **members, size_t count, error *err) {
    varied keys[MOST_KEYS] = {0};
    size_t varying = find_varied(members, count, "swept", keys, MOST_KEYS);
    if (!varying && !json_object_size(json_object_get(members[0]->run, "swept")))
        varying = find_varied(members, count, "spec", keys, MOST_KEYS);
    name_block(b, name, members, count);
    if (varying) {
        const char *dot = strchr(keys[0].key, '.');
        bool of_method = strncmp(keys[0].key, "method.", 7) == 0;
        snprintf(b->axis, sizeof b->axis, "%s", keys[0].key);
        snprintf(b->axis_name, sizeof b->axis_name, "%s", of_method && dot ? dot + 1 : keys[0].key);
        b->numeric = keys[0].numeric;
    }
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        char label[64] = "", series[160] = "", value[64];
        double x = 0;
        if (varying)
            record_text(members[i], b->axis, label, sizeof label);
        else
            snprintf(label, sizeof label, "%s", members[i]->method);
        if (b->numeric) is_number(label, &x);
        low = fmin(low, x), high = fmax(high, x);
        for (size_t k = 1; k < varying; k++) {
            size_t used = strlen(series);
            snprintf(series + used, sizeof series - used, "%s%s = %s", k > 1 ? ", " : "", keys[k].key,
                     record_text(members[i], keys[k].key, value, sizeof value));
        }
        if (!block_add(b, members[i], series, label, x))
            return error_memory(err, count * sizeof *b->series, "the runs' order");
    }
    b->log = b->numeric && low > 0 && high >= 8 * low;
    qsort(b->series, b->count, sizeof *b->series, by_label);
    for (size_t s = 0; s < b->count; s++) {
        for (size_t p = 0; !b->numeric && p < b->series[s].count; p++) b->series[s].points[p].x = (double)p;
        qsort(b->series[s].points, b->series[s].count, sizeof(study_point), by_x);
    }
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
        if (!fill_block(&s->blocks[s->count++], names[b], members, found, err)) goto done;
    }
    s->seeds_min = SIZE_MAX;
    for (size_t i = 0; i < s->records.count; i++) s->finished += s->records.items[i].finished;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t p = 0; p < s->blocks[b].series[k].count; p++) {
                size_t seeds = s->blocks[b].series[k].points[p].count;
                if (seeds < s->seeds_min) s->seeds_min = seeds;
                if (seeds > s->seeds_max) s->seeds_max = seeds;
            }
    if (!s->seeds_max) s->seeds_min = 0;
    ok = true;
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
    }
    free(s->blocks);
    free(s->name);
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

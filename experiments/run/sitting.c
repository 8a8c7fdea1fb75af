#include "experiments/run/sitting.h"
#include "engine/buckets.h"
#include "engine/threads.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const parts[] = {"threads", "kernels", "libraries"};
enum { PARTS = sizeof parts / sizeof *parts };

static int threads_of(const json_t *record) { return (int)json_integer_value(json_object_get(record, "threads")); }

/* More threads than processors only where they are asked for again: waiting for each other, they would crawl. */
static bool can_have(int threads, int asked) {
    threads_limits limits = threads_look();
    int processors = threads_processors(&limits);
    return threads <= (asked > processors ? asked : processors) && (!limits.limit || threads <= limits.limit);
}

int sitting_threads(const json_t *record, int asked) {
    int began = threads_of(record);
    return began > 0 && can_have(began, asked) ? began : asked;
}

static void add(char *told, size_t size, const char *format, const char *a, const char *b, const char *c) {
    size_t used = strlen(told);
    snprintf(told + used, size - used, format, a, b, c);
}

/* Of an object of texts: those that are no longer the same. */
static void tell_changes(const json_t *was, const json_t *is, char *told, size_t size) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(void *)is, key, value) {
        const char *before = json_string_value(json_object_get(was, key)), *now = json_string_value(value);
        if (before && now && strcmp(before, now) != 0) {
            add(told, size, "%s%s ", *told ? ", " : "", key, "");
            add(told, size, "%s where it had %s%s", now, before, "");
        }
    }
}

static void put_processes(const json_t *processes, char *out, size_t size) {
    const char *mpi = json_string_value(json_object_get(processes, "mpi"));
    json_int_t count = json_integer_value(json_object_get(processes, "count"));
    json_int_t bucket = json_integer_value(json_object_get(processes, "bucket"));
    int used = mpi ? snprintf(out, size, "%d processes of %s", (int)count, mpi) : snprintf(out, size, "one process");
    if (mpi && bucket) snprintf(out + used, size - (size_t)used, " (%lld gradients a sum)", (long long)bucket);
}

void sitting_note_processes(json_t *record, const peers *p, char *told, size_t size) {
    char before[160], now[160];
    json_t *was = json_object_get(record, "processes");
    json_t *is = p ? json_pack("{s:i, s:s, s:i}", "count", p->count, "mpi", p->library, "bucket", BUCKET_VALUES) : NULL;
    *told = '\0';
    if (was && !(is && json_equal(was, is))) {
        json_t *had = json_object_get(record, "computed_before");
        if (!had) json_object_set_new(record, "computed_before", had = json_array());
        json_array_append_new(had, json_pack("{s:O}", "processes", was));
        put_processes(was, before, sizeof before);
        put_processes(is, now, sizeof now);
        snprintf(told, size, "goes on with %s where it had %s: its last bits will be others than if it had not stopped",
                 now, before);
    }
    json_object_del(record, "processes");
    if (is) json_object_set_new(record, "processes", is);
}

int sitting_goes_on(const json_t *old, json_t *fresh, char *told, size_t size) {
    int asked = threads_of(fresh), began = threads_of(old), threads = sitting_threads(old, asked);
    char changes[512] = "";
    bool differs = false;
    *told = '\0';
    json_object_set_new(fresh, "threads", json_integer(threads));
    json_t *had = json_object_get(old, "computed_before"), *earlier = json_object();
    for (int i = 0; i < PARTS; i++) {
        json_t *was = json_object_get(old, parts[i]), *is = json_object_get(fresh, parts[i]);
        if (!was) continue;
        json_object_set(earlier, parts[i], was);
        differs = differs || !json_equal(was, is);
        if (json_is_object(is)) tell_changes(was, is, changes, sizeof changes);
    }
    json_t *all = json_is_array(had) ? json_deep_copy(had) : json_array();
    if (differs) json_array_append(all, earlier);
    if (json_array_size(all)) json_object_set(fresh, "computed_before", all);
    json_decref(all);
    json_decref(earlier);
    if (began > 0 && began != threads)
        snprintf(told, size, "was begun with %d threads, which this process cannot have; it goes on with %d%s%s", began,
                 threads, *changes ? ", and with " : "", changes);
    else if (*changes)
        snprintf(told, size, "goes on with %s", changes);
    else if (threads != asked)
        snprintf(told, size, "goes on with the %d threads that it was begun with, not %d, for the same bits", threads,
                 asked);
    if (*told && (*changes || began != threads))
        add(told, size, "%s%s%s", ": its last bits will be others than if it had not stopped", "", "");
    return threads;
}

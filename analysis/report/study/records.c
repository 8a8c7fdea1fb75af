/*
 * Reading run directories. Nothing here knows a metric's name or a method's: a record is JSON with a few fields looked
 * up, so that a run written by a later version, with figures this one has not met, still reads.
 */
#include "analysis/report/study/records.h"

#include "engine/files/file.h"
#include "engine/files/lease.h"
#include "engine/files/record.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *text_of(const json_t *object, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

static char *path_join(const char *folder, const char *name) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static bool exists(const char *path) {
    struct stat status;
    return path && stat(path, &status) == 0;
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static bool note_unreadable(records *all, const char *why) {
    char **grown = realloc(all->unreadable, (all->unreadable_count + 1) * sizeof *grown);
    if (!grown) return false;
    all->unreadable = grown;
    char *line = strdup(why);
    if (line) all->unreadable[all->unreadable_count++] = line;
    return line != NULL;
}

/* What a run's diagnosis says, NULL where there is none that can be believed, which digests tell, or that can be read,
 * which is noted. False for want of room. */
static bool read_diagnosis(records *all, json_t **out, const char *folder, error *err) {
    char *path = path_join(folder, "diagnosis.json");
    error why = {0};
    *out = path && exists(path) ? record_read(path, &why) : NULL;
    free(path);
    if (!path) return error_memory(err, strlen(folder), "a path");
    if (error_is_shortage(&why)) return error_set(err, why.code, "%s", why.text);
    return !error_is_unread(&why) || note_unreadable(all, why.text) ||
           error_memory(err, sizeof why, "the list of runs");
}

static bool add_run(records *all, const char *folder, json_t *run, error *err) {
    record *grown = realloc(all->items, (all->count + 1) * sizeof *grown);
    char *copy = strdup(folder);
    if (grown) all->items = grown;
    json_t *diagnosis = NULL;
    bool ok = (grown && copy) || error_memory(err, (all->count + 1) * sizeof *grown, "the list of runs");
    if (!ok || !read_diagnosis(all, &diagnosis, folder, err)) {
        free(copy);
        json_decref(run);
        return false;
    }
    const char *slash = strrchr(copy, '/');
    json_t *final = json_object_get(run, "final");
    record *r = &grown[all->count++];
    *r = (record){.folder = copy,
                  .run = run,
                  .diagnosis = diagnosis,
                  .id = text_of(run, "id", slash ? slash + 1 : copy),
                  .method = text_of(run, "method", ""),
                  .status = lease_status(folder, text_of(run, "status", "")),
                  .reason = text_of(run, "reason", "")};
    if (!*r->method) r->method = text_of(json_object_get(run, "spec"), "method.name", "unknown method");
    if (strcmp(r->status, "stopped") == 0) r->halved = json_object_get(run, "halving");
    r->finished = json_object_size(final) > 0 && (!*r->status || strcmp(r->status, "finished") == 0);
    return true;
}

/* A history is read up to its first line that is none. The last may be cut off, when a run is killed; a line in the
 * middle is damage, which digests tell where there are any. */
static bool note_garbled(records *all, const json_t *run, const char *folder, error *err) {
    char why[600];
    error unread = {0};
    size_t size = 0, number = 1;
    if (json_object_get(json_object_get(run, "files"), "metrics.jsonl")) return true;
    char *path = path_join(folder, "metrics.jsonl"), *text = NULL;
    if (!path) return error_memory(err, strlen(folder), "a path");
    if (exists(path)) text = file_read(path, &size, &unread);
    bool ok = !error_is_shortage(&unread) || error_set(err, unread.code, "%s", unread.text);
    for (char *line = text, *end = text ? text + size : text, *next;
         line && (next = memchr(line, '\n', (size_t)(end - line))); line = next + 1, number++) {
        json_t *json = json_loadb(line, (size_t)(next - line), 0, NULL);
        json_decref(json);
        if (json) continue;
        snprintf(why, sizeof why, "%.400s:%zu: is no line of a history; what follows is left out", path, number);
        ok = note_unreadable(all, why) || error_memory(err, sizeof why, "the list of runs");
        break;
    }
    free(path);
    free(text);
    return ok;
}

static bool add_record(records *all, const char *folder, error *err) {
    static const char *const beside[] = {"diagnosis.json", "metrics.jsonl", "embeddings.npy", "labels.npy",
                                         "assignments.npy"};
    error why = {0};
    char *path = path_join(folder, "run.json");
    if (!path) return error_memory(err, strlen(folder), "a path");
    json_t *run = record_read(path, &why);
    free(path);
    for (size_t i = 0; run && i < sizeof beside / sizeof *beside; i++) record_check_file(run, folder, beside[i], &why);
    if (error_is_shortage(&why)) {
        json_decref(run);
        return error_set(err, why.code, "%s", why.text);
    }
    if (!run || why.code) { /* one run that cannot be believed must not keep the others from being told of */
        json_decref(run);
        all->left_out++;
        return note_unreadable(all, why.text) || error_memory(err, sizeof why, "the list of runs");
    }
    if (note_garbled(all, run, folder, err)) return add_run(all, folder, run, err);
    json_decref(run);
    return false;
}

/* Runs that a living sweep has yet to begin: they have no folder, or one without a record. */
static bool add_queued(records *all, const char *folder, const char *queue, error *err) {
    const char *id;
    json_t *record, *note = lease_note(queue);
    bool ok = true;
    json_object_foreach(note, id, record) {
        char *path = path_join(folder, id), *own = path ? path_join(path, "run.json") : NULL;
        if (!own) ok = error_memory(err, strlen(folder), "a path");
        if (ok && !exists(own)) ok = add_run(all, path, json_incref(record), err);
        free(path);
        free(own);
    }
    json_decref(note);
    return ok;
}

static int by_folder(const void *a, const void *b) {
    return strcmp(((const record *)a)->folder, ((const record *)b)->folder);
}

bool records_read(records *all, const char *folder, error *err) {
    *all = (records){0};
    bool ok = false;
    char *own = path_join(folder, "run.json"), *path = NULL;
    DIR *directory = NULL;
    if (!own) {
        error_memory(err, strlen(folder), "a path");
        goto done;
    }
    if (exists(own)) {
        all->single = true;
        if (!add_record(all, folder, err)) goto done;
    } else {
        directory = opendir(folder);
        if (!directory) {
            error_set(err, ERROR_USAGE, "%s: no such results directory", folder);
            goto done;
        }
        for (struct dirent *entry; (entry = readdir(directory));) {
            if (entry->d_name[0] == '.') continue;
            free(path);
            free(own);
            path = path_join(folder, entry->d_name);
            own = path ? path_join(path, "run.json") : NULL;
            if (!own) {
                error_memory(err, strlen(folder), "a path");
                goto done;
            }
            if (exists(own) && !add_record(all, path, err)) goto done;
            bool queue = strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0;
            if (queue && !add_queued(all, folder, path, err)) goto done;
        }
    }
    if (all->count == 0) {
        if (all->unreadable_count)
            error_set(err, ERROR_RUN, "%s", all->unreadable[0]);
        else
            error_set(
                err, ERROR_USAGE,
                "%s: holds no runs (a run is a folder with a run.json; give a sweep's results folder or one run's)",
                folder);
        goto done;
    }
    qsort(all->items, all->count, sizeof *all->items, by_folder);
    ok = true;
done:
    if (directory) closedir(directory);
    free(own);
    free(path);
    if (!ok) records_free(all);
    return ok;
}

void records_free(records *all) {
    for (size_t i = 0; i < all->count; i++) {
        json_decref(all->items[i].run);
        json_decref(all->items[i].diagnosis);
        free(all->items[i].folder);
    }
    for (size_t i = 0; i < all->unreadable_count; i++) free(all->unreadable[i]);
    free(all->unreadable);
    free(all->items);
    *all = (records){0};
}

/* ---- one record ------------------------------------------------------------------------------------------------- */

double record_metric(const record *r, const char *name) {
    const json_t *value = json_object_get(json_object_get(r->run, "final"), name);
    if (!json_is_number(value)) value = json_object_get(r->diagnosis, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

double record_seconds(const record *r, const char *phase) {
    const json_t *value = json_object_get(json_object_get(r->run, "seconds"), phase);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

char *record_scalar(const json_t *value, char *out, size_t size) {
    if (json_is_string(value))
        snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, size, "%.6g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
    else {
        char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT); /* NULL for no value */
        snprintf(out, size, "%s", dump ? dump : "");
        free(dump);
    }
    return out;
}

char *record_text(const record *r, const char *key, char *out, size_t size) {
    const json_t *value = json_object_get(json_object_get(r->run, "swept"), key);
    if (!value) value = json_object_get(json_object_get(r->run, "spec"), key);
    if (!value) value = json_object_get(r->run, key);
    const char *dot = strchr(key, '.');
    if (!value && dot) {
        char section[64];
        snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
        value = json_object_get(json_object_get(r->run, section), dot + 1);
    }
    return record_scalar(value, out, size);
}

double *record_array(const record *r, const char *name, size_t *count) {
    const json_t *array = json_object_get(r->diagnosis, name);
    *count = json_array_size(array);
    double *values = *count ? malloc(*count * sizeof *values) : NULL;
    for (size_t i = 0; values && i < *count; i++) {
        const json_t *value = json_array_get(array, i);
        values[i] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
    return values;
}

const json_t *record_verdict(const record *r, const char *mode) {
    const json_t *verdict = json_object_get(json_object_get(r->diagnosis, "verdicts"), mode);
    return json_is_object(verdict) ? verdict : NULL;
}

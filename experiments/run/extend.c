/*
 * What may be gone on from is told by ids, which end with the hash of all that decides a run: the longer run's spec
 * with the shorter one's epochs must come to the shorter one's hash.
 */
#include "experiments/run/extend.h"
#include "engine/files/file.h"
#include "engine/files/record.h"
#include "experiments/run/code.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HASH = 9 }; /* an id's end: "_1f3a92bc" */

static int64_t epochs_of(const json_t *record) {
    return json_integer_value(json_object_get(json_object_get(record, "spec"), "train.epochs"));
}

static bool is_finished(const json_t *record) {
    const char *status = json_string_value(json_object_get(record, "status"));
    return status && strcmp(status, "finished") == 0;
}

bool extension_is_shorter(const json_t *record, const spec *s) {
    const json_t *keys = json_object_get(record, "follows_length");
    return is_finished(record) && epochs_of(record) > 0 && epochs_of(record) < s->train.epochs && json_is_array(keys) &&
           json_array_size(keys) == 0;
}

/* ---- Finding ---- */

static bool sweeps_epochs(const run_plan *plan) {
    for (size_t i = 0; i < plan->swept_count; i++)
        if (strcmp(plan->swept[i].key, "train.epochs") == 0) return true;
    return false;
}

/* Whether a folder of this name may be what is looked for, before its record is read: all but the hash is the same,
 * unless the id says the epochs too, or the spec sweeps nothing and so goes on with any sweep's run. */
static bool may_be(const char *name, const char *id, const run_plan *plan) {
    size_t length = strlen(name), own = strlen(id);
    if (*name == '.' || length <= HASH || strcmp(name, id) == 0) return false;
    if (!plan->swept_count || sweeps_epochs(plan)) return true;
    return length == own && strncmp(name, id, own - HASH) == 0;
}

static bool same_but_for_epochs(const json_t *record, const char *name, const run_plan *plan, const char *data_checksum,
                                bool *same, error *err) {
    char hash[65];
    spec shorter = plan->spec;
    const char *block = json_string_value(json_object_get(record, "block"));
    *same = false;
    if (*plan->block && (!block || strcmp(block, plan->block) != 0)) return true;
    shorter.train.epochs = epochs_of(record);
    if (!spec_identity_hash(&shorter, data_checksum, hash, err)) return false;
    *same = strncmp(name + strlen(name) - HASH + 1, hash, HASH - 1) == 0;
    return true;
}

/* "optimizer.schedule and method.momentum" */
static void list_keys(const json_t *keys, char *out, size_t size) {
    size_t i, used = 0;
    json_t *key;
    *out = '\0';
    json_array_foreach(keys, i, key) if (used < size) used +=
        (size_t)snprintf(out + used, size - used, "%s%s", i ? " and " : "", json_string_value(key));
}

/* Why the run that was found cannot be gone on from, if it cannot. */
static void look_for_hindrances(extension *e, const char *method, bool reuse) {
    char keys[200];
    const json_t *follows = json_object_get(e->record, "follows_length");
    const char *other = code_difference(e->record, method);
    bool mixed = json_object_get(e->record, "code_before") || json_object_get(e->record, "accepted_code");
    if (!reuse && (other || mixed)) {
        snprintf(e->hinders, sizeof e->hinders, "it was made by other code (%s); --reuse goes on from it all the same",
                 other ? other : "in part");
    } else if (!json_is_array(follows)) {
        snprintf(e->hinders, sizeof e->hinders, "its record does not say whether it depends on its length");
    } else if (json_array_size(follows)) {
        list_keys(follows, keys, sizeof keys);
        snprintf(e->hinders, sizeof e->hinders,
                 "%s follow%s a cosine over the whole training, so that the first epochs of a longer one are others",
                 keys, json_array_size(follows) > 1 ? "" : "s");
    } else {
        checkpoint_position at;
        error why = {0};
        checkpoint_place place = {.folder = e->folder, .run = e->id, .any_code = true, .history = "metrics.jsonl"};
        if (!checkpoint_newest(&place, &at, &why)) snprintf(e->hinders, sizeof e->hinders, "%.511s", why.text);
    }
}

static bool consider(extension *e, const char *parent, const char *name, const run_plan *plan,
                     const char *data_checksum, error *err) {
    char path[1400];
    error ignored = {0};
    snprintf(path, sizeof path, "%s/%s/run.json", parent, name);
    json_t *record = access(path, F_OK) == 0 ? record_read(path, &ignored) : NULL;
    const char *method = json_string_value(json_object_get(record, "method"));
    int64_t epochs = epochs_of(record);
    bool same = false, ok = true;
    if (method && is_finished(record) && strcmp(method, plan->spec.method->name) == 0 && epochs > e->epochs &&
        epochs < plan->spec.train.epochs)
        ok = same_but_for_epochs(record, name, plan, data_checksum, &same, err);
    if (same) {
        json_decref(e->record);
        e->record = json_incref(record), e->epochs = epochs;
        snprintf(e->id, sizeof e->id, "%s", name);
        snprintf(e->folder, sizeof e->folder, "%.*s/%.*s", 1023 - RUN_ID_SIZE, parent, RUN_ID_SIZE - 1, name);
    }
    json_decref(record);
    return ok;
}

bool extension_find(extension *e, const run_plan *plan, const char *id, const char *folder, const char *data_checksum,
                    bool reuse, error *err) {
    char parent[1024];
    bool ok = true;
    *e = (extension){.expected = sweeps_epochs(plan)};
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(folder, '/') - folder), folder);
    DIR *runs = opendir(parent);
    for (struct dirent *entry; ok && runs && (entry = readdir(runs));)
        if (may_be(entry->d_name, id, plan)) ok = consider(e, parent, entry->d_name, plan, data_checksum, err);
    if (runs) closedir(runs);
    if (ok && e->record) look_for_hindrances(e, plan->spec.method->name, reuse);
    if (!ok) extension_free(e);
    return ok;
}

void extension_free(extension *e) {
    json_decref(e->record);
    *e = (extension){0};
}

/* ---- Taking ---- */

/* A run notes its last step whether or not it is one of every train.log_every: a longer one would not have. */
static bool is_for_the_end(const char *line, uint64_t last, uint64_t every) {
    json_t *root = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
    bool of_step = json_object_get(root, "loss") != NULL;
    uint64_t step = (uint64_t)json_integer_value(json_object_get(root, "step"));
    json_decref(root);
    return of_step && step == last && step != 1 && step % every != 0;
}

/* The first `size` bytes of its history, as a longer run would have written them; how long that is into `offset`. */
static bool take_history(const extension *e, const run *r, uint64_t size, uint64_t last, uint64_t *offset, error *err) {
    char path[1200];
    size_t there;
    snprintf(path, sizeof path, "%.1100s/metrics.jsonl", e->folder);
    char *text = file_read(path, &there, err), *end = text ? text + (size < there ? size : there) : NULL, *to = text;
    int64_t every = json_integer_value(json_object_get(json_object_get(e->record, "spec"), "train.log_every"));
    for (char *line = text, *next; line && line < end; line = next) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        char kept = *next;
        *next = '\0';
        bool drop = is_for_the_end(line, last, every > 0 ? (uint64_t)every : 1);
        *next = kept;
        if (drop) continue;
        memmove(to, line, (size_t)(next - line));
        to += next - line;
    }
    *offset = (uint64_t)(to - text);
    bool ok = text && file_write(run_path(r, "metrics.jsonl", path, sizeof path), text, (size_t)*offset, err);
    free(text);
    return ok;
}

bool extension_take(const extension *e, const run *r, error *err) {
    checkpoint_position at;
    checkpoint_place to = run_checkpoints(r, NULL, NULL), from = to;
    from.folder = e->folder, from.run = e->id, from.any_code = true; /* the record has said whose code it is */
    return checkpoint_newest(&from, &at, err) &&
           take_history(e, r, at.metrics_offset, at.step, &at.metrics_offset, err) &&
           checkpoint_copy(&from, &to, &at, err);
}

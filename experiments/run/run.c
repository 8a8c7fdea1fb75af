/*
 * The run store. Order matters for what a crash may leave behind: the lease is taken first, spec.yaml is written before
 * run.json, and "finished" is the last word written. A run.json that says "running" while no living process holds the
 * lease is a run that was interrupted; it goes on. What was measured is described by the record's own spec, so that a
 * changed `eval:` shows as a difference between the record and the plan.
 */
#include "experiments/run/run.h"
#include "engine/files/file.h"
#include "engine/files/record.h"
#include "engine/libraries.h"
#include "engine/threads.h"
#include "engine/version.h"
#include "experiments/run/code.h"
#include "experiments/run/extend.h"
#include "experiments/run/landing.h"
#include "experiments/run/sitting.h"

#include <dirent.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

char *run_path(const run *r, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", r->folder, name);
    return out;
}

checkpoint_place run_checkpoints(const run *r, void (*warn)(void *, const char *), void *context) {
    const char *method = json_string_value(json_object_get(r->record, "method"));
    checkpoint_place place = {.folder = r->folder,
                              .run = r->id,
                              .any_code = r->reuse,
                              .history = "metrics.jsonl",
                              .warn = warn,
                              .context = context};
    code_word(method ? method : "", place.code);
    return place;
}

int run_threads(const spec *s) { return s->train.threads ? (int)s->train.threads : threads_default(); }

/* ---- What a record says ---- */

/* A spec's value as JSON of its own type. */
static json_t *item_json(field_type type, const char *text) {
    switch (type) {
    case FIELD_BOOL: return json_boolean(strcmp(text, "true") == 0);
    case FIELD_INT: return json_integer(strtoll(text, NULL, 10));
    case FIELD_REAL: return json_real(strtod(text, NULL));
    case FIELD_SET: {
        json_t *list = json_array();
        char copy[FIELD_TEXT_SIZE], *rest = copy;
        snprintf(copy, sizeof copy, "%s", text);
        for (char *word; (word = strsep(&rest, "[], "));)
            if (*word) json_array_append_new(list, json_string(word));
        return list;
    }
    case FIELD_CHOICE:
    case FIELD_TEXT:
    case FIELD_LIST: break;
    }
    json_t *string = json_string(text);
    return string ? string : json_string("(not UTF-8)");
}

json_t *run_spec_json(const spec *s) {
    json_t *all = json_object();
    spec_item item;
    for (size_t i = 0; spec_item_at(s, i, &item); i++) {
        char key[FIELD_TEXT_SIZE];
        snprintf(key, sizeof key, "%s.%s", item.section, item.key);
        json_object_set_new(all, key, item_json(item.type, item.text));
    }
    return all;
}

/* The machine without its name: what timings depend on. */
static json_t *machine_json(void) {
    char line[256], model[256] = "unknown";
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && fgets(line, sizeof line, info))
        if (sscanf(line, "model name : %255[^\n]", model) == 1) break;
    if (info) fclose(info);
    struct utsname os = {0};
    uname(&os);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE) / (1 << 30);
    return json_pack("{s:s, s:i, s:f, s:s++}", "processor", model, "cores", omp_get_num_procs(), "memory_gib",
                     round(memory * 10) / 10, "system", os.sysname, " ", os.release);
}

json_t *run_plan_record(const run_plan *plan, const char *id, const char *data_name, const char *data_checksum,
                        const char *status) {
    json_t *swept = json_object();
    for (size_t i = 0; i < plan->swept_count; i++)
        json_object_set_new(swept, plan->swept[i].key, item_json(plan->swept[i].type, plan->swept[i].value));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:{s:s, s:s}, s:s, s:o, s:o, s:{}, s:{}, s:o, s:o, s:o}",
                     "id", id, "name", plan->spec.name, "block", plan->block, "status", status, "version", MEWS_VERSION,
                     "threads", run_threads(&plan->spec), "machine", machine_json(), "data", "name", data_name,
                     "checksum", data_checksum, "method", plan->spec.method->name, "swept", swept, "spec",
                     run_spec_json(&plan->spec), "final", "seconds", "code", code_of(plan->spec.method->name),
                     "libraries", libraries_json(), "kernels", libraries_kernels_json());
}

/* Whether a record's settings hold the spec's value of a key of `eval:`; a key that has come since was at its default.
 */
static bool had_alike(const json_t *was, const spec_item *item) {
    char key[FIELD_TEXT_SIZE];
    snprintf(key, sizeof key, "eval.%s", item->key);
    json_t *wanted = item_json(item->type, item->text), *had = json_object_get(was, key);
    had = had ? json_incref(had) : item_json(item->type, item->fallback);
    bool alike = json_equal(wanted, had);
    if (!alike && strcmp(item->key, "metrics") == 0 && json_is_array(had)) { /* more than was asked for is as good */
        size_t w, h, found = 0;
        json_t *a, *b;
        json_array_foreach(wanted, w, a) json_array_foreach(had, h, b) found += (size_t)json_equal(a, b);
        alike = found == json_array_size(wanted);
    }
    json_decref(wanted);
    json_decref(had);
    return alike;
}

/* Whether the record's figures are those that the spec asks for: measured the same way, and all of them there. */
static bool measured_as(const json_t *record, const spec *s) {
    const json_t *was = json_object_get(record, "spec");
    spec_item item;
    for (size_t i = 0; spec_item_at(s, i, &item); i++)
        if (strcmp(item.section, "eval") == 0 && !had_alike(was, &item)) return false;
    return true;
}

bool run_measured_alike(const run *r, const spec *s) {
    const json_t *was = json_object_get(r->record, "spec");
    const char *status = json_string_value(json_object_get(r->record, "status"));
    bool alike = status && strcmp(status, "finished") == 0;
    spec_item item;
    for (size_t i = 0; alike && spec_item_at(s, i, &item); i++)
        if (strcmp(item.section, "eval") == 0 && strcmp(item.key, "metrics") != 0) alike = had_alike(was, &item);
    return alike;
}

static run_status status_of(const json_t *record, const spec *s) {
    const char *status = json_string_value(json_object_get(record, "status"));
    if (!status || strcmp(status, "running") == 0) return RUN_UNFINISHED;
    if (strcmp(status, "stopped") == 0) return RUN_STOPPED;
    if (strcmp(status, "failed") == 0) return RUN_FAILED;
    return !s || measured_as(record, s) ? RUN_FINISHED : RUN_TRAINED;
}

/* ---- Opening ---- */

/* Reads run.json into r->record if there is one; a damaged one is told in r->damaged, and is none. */
static bool read_record(run *r, error *err) {
    char path[1200];
    error why = {0};
    run_path(r, "run.json", path, sizeof path);
    if (access(path, F_OK) != 0) return true;
    r->record = record_read(path, &why);
    if (r->record) return true;
    if (error_is_unread(&why)) return error_set(err, why.code, "%s", why.text);
    snprintf(r->damaged, sizeof r->damaged, "%.511s", why.text);
    return true;
}

/* What is damaged is kept; the checkpoints, which say themselves whose they are, carry on without it. */
static void put_record_aside(run *r) {
    char path[1200], aside[1220];
    snprintf(aside, sizeof aside, "%s.aside", run_path(r, "run.json", path, sizeof path));
    bool moved = rename(path, aside) == 0;
    run_log(r, "%s%s%s; going on from what else there is", r->damaged, moved ? "; it is kept as " : "",
            moved ? aside : "");
}

/* For a spec that sweeps nothing: the run that the same spec made as part of a sweep, under a longer id, for ids end
 * with the hash of what decides a run. A block keeps to its own runs. */
static void find_by_hash(run *r, const char *results, const run_plan *plan) {
    char parent[sizeof r->folder], prefix[RUN_ID_SIZE], best[RUN_ID_SIZE] = "";
    const char *hash = r->id + strlen(r->id) - 9; /* with its underscore */
    snprintf(parent, sizeof parent, "%s/%s", results, plan->spec.name);
    int used = snprintf(prefix, sizeof prefix, "%s_%s%s", plan->spec.name, plan->block, *plan->block ? "_" : "");
    bool needless = plan->swept_count || strlen(parent) + RUN_ID_SIZE >= sizeof r->folder;
    DIR *directory = needless || access(r->folder, F_OK) == 0 ? NULL : opendir(parent);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (length < 9 || length >= sizeof best || strcmp(entry->d_name + length - 9, hash) != 0) continue;
        if (strncmp(entry->d_name, prefix, (size_t)used) != 0) continue;
        if (!*best || strcmp(entry->d_name, best) < 0) snprintf(best, sizeof best, "%s", entry->d_name);
    }
    if (directory) closedir(directory);
    if (!*best) return;
    snprintf(r->id, sizeof r->id, "%s", best);
    snprintf(r->folder, sizeof r->folder, "%.*s/%.*s", 1023 - RUN_ID_SIZE, parent, RUN_ID_SIZE - 1, best);
}

bool run_name(run *r, const char *results, const run_plan *plan, const char *data_checksum, error *err) {
    *r = (run){0};
    if (!run_plan_id(plan, data_checksum, r->id, err)) return false;
    if ((size_t)snprintf(r->folder, sizeof r->folder, "%s/%s/%s", results, plan->spec.name, r->id) >= sizeof r->folder)
        return error_set(err, ERROR_USAGE, "%s: the path is too long", results);
    find_by_hash(r, results, plan);
    return true;
}

static void look(run *r, const run_plan *plan) {
    r->status = r->record ? status_of(r->record, &plan->spec) : *r->damaged ? RUN_UNFINISHED : RUN_NEW;
    r->other = r->record ? code_difference(r->record, plan->spec.method->name) : NULL;
}

bool run_peek(run *r, const char *results, const run_plan *plan, const char *data_checksum, error *err) {
    if (!run_name(r, results, plan, data_checksum, err) || !read_record(r, err)) return false;
    look(r, plan);
    return true;
}

static bool take_lease(run *r, error *err) {
    char path[1200];
    bool held;
    r->lease = lease_take(run_path(r, LEASE_FILE, path, sizeof path), NULL, &held, err);
    return r->lease != NULL;
}

bool run_is_held(const char *folder) {
    char path[1200];
    snprintf(path, sizeof path, "%.1100s/%s", folder, LEASE_FILE);
    return lease_is_held(path);
}

bool run_is_ours(const run *r, error *err) {
    return lease_is_ours(r->lease) ||
           error_set(err, ERROR_RUN,
                     "%s has been taken over by another process, as if this one were dead; this one writes no more",
                     r->folder);
}

/* log.txt grows over all sittings of a run. */
static void open_log(run *r) {
    char path[1200];
    r->log = fopen(run_path(r, "log.txt", path, sizeof path), "ae");
    if (r->log) setvbuf(r->log, NULL, _IOLBF, 0);
}

static bool refuse_other(const run *r, error *err) {
    bool done = r->status == RUN_FINISHED || r->status == RUN_TRAINED;
    return error_set(err, ERROR_RUN, "%s was %s by other code (%s%s): --redo runs it anew, --reuse %s", r->folder,
                     done ? "made" : "begun", r->other, strchr(r->other, ' ') ? "" : " differs",
                     done ? "takes it as it is" : "goes on with it");
}

static bool extends(const extension *e) { return e->record && !*e->hinders; }

/* A run of which nothing stands yet looks for a shorter one to go on from. */
static bool look_for_shorter(run *r, const run_plan *plan, const char *data_checksum, run_again again, extension *e,
                             error *err) {
    bool done = r->status == RUN_FINISHED || r->status == RUN_TRAINED;
    *e = (extension){0};
    if (done || again == RUN_REDO || checkpoint_stands(r->folder)) return true;
    if (!extension_find(e, plan, r->id, r->folder, data_checksum, again == RUN_REUSE, err)) return false;
    if (extends(e))
        snprintf(r->extends, sizeof r->extends, "goes on from %s, which has trained %lld of its %lld epochs", e->id,
                 (long long)e->epochs, (long long)plan->spec.train.epochs);
    else if (e->record && !e->expected)
        snprintf(r->extends, sizeof r->extends, "begins anew rather than going on from the %lld epochs of %s: %s",
                 (long long)e->epochs, e->id, e->hinders);
    return true;
}

/* The record that a run begins with, or goes on with; from a shorter run, if there is one. */
static bool begin_record(run *r, const run_plan *plan, const char *data_name, const char *data_checksum,
                         const extension *e, error *err) {
    char path[1200];
    json_t *fresh = run_plan_record(plan, r->id, data_name, data_checksum, "running");
    if (!fresh) return error_set(err, ERROR_RUN, "%s: a name in the spec is not UTF-8", r->folder);
    json_t *seconds = json_object_get(r->record, "seconds"); /* of the sittings before */
    if (seconds && r->status != RUN_NEW) json_object_set(fresh, "seconds", seconds);
    static const char *const place[] = {"block", "swept"}; /* of which its own spec.yaml says nothing */
    for (int i = 0; r->record && !*plan->block && !plan->swept_count && i < 2; i++) {
        json_t *had = json_object_get(r->record, place[i]);
        if (had) json_object_set(fresh, place[i], had);
    }
    if (r->other && r->status != RUN_NEW) { /* other code had a part in it, and before that perhaps another one */
        json_t *codes = json_object_get(r->record, "code_before"), *was = json_object_get(r->record, "code");
        json_t *all = json_is_array(codes) ? json_deep_copy(codes) : json_array();
        json_array_append_new(all, was ? json_incref(was) : json_null());
        json_object_set_new(fresh, "code_before", all);
    } else if (r->status != RUN_NEW && json_object_get(r->record, "code_before")) {
        json_object_set(fresh, "code_before", json_object_get(r->record, "code_before"));
    }
    static const char *const lasting[] = {"extends", "follows_length", "processes"};
    for (int i = 0; i < 3 && r->status != RUN_NEW && checkpoint_stands(r->folder); i++)
        if (json_object_get(r->record, lasting[i]))
            json_object_set(fresh, lasting[i], json_object_get(r->record, lasting[i]));
    r->threads = run_threads(&plan->spec);
    if (extends(e)) {
        json_object_set_new(fresh, "extends", json_pack("{s:s, s:I}", "run", e->id, "epochs", (json_int_t)e->epochs));
        r->threads = sitting_goes_on(e->record, fresh, r->told, sizeof r->told);
    } else if (r->status != RUN_NEW && checkpoint_stands(r->folder)) {
        r->threads = sitting_goes_on(r->record, fresh, r->told, sizeof r->told);
    }
    json_decref(r->record);
    r->record = fresh;
    return spec_write_resolved(&plan->spec, run_path(r, "spec.yaml", path, sizeof path), err) && run_save(r, err);
}

/* All that an earlier life left, but for its log. Its record says "running" by now: a crash in here leaves a run that
 * goes on, and its checkpoints, which name the code that made them, are not taken. */
static void forget_results(const run *r) {
    static const char *const names[] = {"metrics.jsonl", "embeddings.npy", "labels.npy", "assignments.npy",
                                        "diagnosis.json"};
    char path[1200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(run_path(r, names[i], path, sizeof path));
    checkpoint_remove_all(r->folder);
}

/* Whether all that the record speaks of is what it was. */
static bool check_files(run *r) {
    const char *name;
    json_t *sum;
    error why = {0};
    json_object_foreach(json_object_get(r->record, "files"), name, sum)
        record_check_file(r->record, r->folder, name, &why);
    snprintf(r->damaged, sizeof r->damaged, "%.511s", why.text);
    return why.code == ERROR_NONE;
}

/* The refusal, the acceptance or the fresh start of what is there. */
static bool settle_code(run *r, const run_plan *plan, const char *data_name, const char *data_checksum, run_again again,
                        const extension *e, error *err) {
    const char *method = plan->spec.method->name;
    bool done = r->status == RUN_FINISHED || r->status == RUN_TRAINED;
    if (r->record && (again == RUN_REDO || (r->other && again == RUN_ASK && r->status == RUN_FAILED))) {
        run_log(r, "run anew%s%s", r->other ? "; what was there had been made by other code: " : "",
                r->other ? r->other : "");
        r->status = RUN_NEW, r->other = NULL;
        if (!begin_record(r, plan, data_name, data_checksum, e, err)) return false;
        forget_results(r);
        return !extends(e) || extension_take(e, r, err);
    }
    if (r->other && again == RUN_ASK) return refuse_other(r, err);
    if (r->status == RUN_FINISHED && !check_files(r)) { /* measured anew, and trained anew as far as need be */
        run_log(r, "%s; measuring anew", r->damaged);
        r->status = RUN_TRAINED;
    }
    if (r->other && done) json_object_set_new(r->record, "accepted_code", code_of(method));
    if (r->other) run_log(r, "taken, though made by other code: %s", r->other);
    r->reuse = r->other || json_object_get(r->record, "accepted_code") || json_object_get(r->record, "code_before");
    if (done) r->threads = sitting_threads(r->record, run_threads(&plan->spec)); /* what is measured again, as before */
    if (done) return !r->other || run_save(r, err);
    return begin_record(r, plan, data_name, data_checksum, e, err) && (!extends(e) || extension_take(e, r, err));
}

bool run_open(run *r, const char *results, const run_plan *plan, const char *data_name, const char *data_checksum,
              run_again again, error *err) {
    if (!run_name(r, results, plan, data_checksum, err)) return false;
    if (!file_make_folders(r->folder, err) || !take_lease(r, err)) goto failed;
    file_remove_leftovers(r->folder); /* the lease is ours: a killed process wrote them */
    if (!landing_recover(r->folder, err) || !read_record(r, err)) goto failed;
    open_log(r);
    if (*r->damaged) put_record_aside(r);
    look(r, plan);
    extension e;
    if (!look_for_shorter(r, plan, data_checksum, again, &e, err)) goto failed;
    bool settled = settle_code(r, plan, data_name, data_checksum, again, &e, err);
    extension_free(&e);
    if (settled) return true;

failed:
    run_close(r);
    return false;
}

bool run_open_folder(run *r, const char *folder, error *err) {
    *r = (run){0};
    char path[1200];
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    snprintf(r->folder, sizeof r->folder, "%.*s", (int)length, folder);
    if (access(run_path(r, "run.json", path, sizeof path), F_OK) != 0)
        return error_set(err, ERROR_USAGE, "%s is no run: it holds no run.json", folder);
    bool ours = take_lease(r, err);
    if (ours) file_remove_leftovers(r->folder); /* of a killed process */
    if (!ours || !landing_recover(r->folder, err) || !read_record(r, err) ||
        (*r->damaged &&
         !error_set(err, ERROR_RUN, "%s; `mews train` with the run's spec makes it again", r->damaged))) {
        run_close(r);
        return false;
    }
    const char *id = json_string_value(json_object_get(r->record, "id"));
    snprintf(r->id, sizeof r->id, "%s", id ? id : "");
    r->status = status_of(r->record, NULL);
    const char *method = json_string_value(json_object_get(r->record, "method"));
    r->other = code_difference(r->record, method ? method : "");
    r->reuse = true; /* the weights there are, are those that are meant */
    open_log(r);
    return true;
}

void run_close(run *r) {
    json_decref(r->record);
    if (r->metrics) fclose(r->metrics);
    if (r->log) fclose(r->log);
    lease_release(r->lease);
    r->record = NULL, r->metrics = r->log = NULL, r->lease = NULL;
}

/* ---- run.json ---- */

static bool set_number(run *r, const char *part, const char *key, double value, error *err) {
    json_t *object = json_object_get(r->record, part);
    if (!object) {
        object = json_object();
        json_object_set_new(r->record, part, object);
    }
    return json_object_set_new(object, key, run_json_number(value)) == 0 || error_memory(err, strlen(key), "a figure");
}

bool run_set_seconds(run *r, const char *phase, double seconds, error *err) {
    return set_number(r, "seconds", phase, seconds, err);
}

double run_seconds(const run *r, const char *phase) {
    return json_number_value(json_object_get(json_object_get(r->record, "seconds"), phase));
}

bool run_save(run *r, error *err) {
    char path[1200];
    return run_is_ours(r, err) && record_write(run_path(r, "run.json", path, sizeof path), r->record, err);
}

bool run_land(run *r, error *err) {
    static const char *const measured[] = {"spec.yaml", "embeddings.npy", "labels.npy", "assignments.npy",
                                           "diagnosis.json"};
    char path[1200], folder[1100];
    landing_path(r->folder, "", folder, sizeof folder);
    folder[strlen(folder) - 1] = '\0';
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        /* what was not measured anew is still what it was, and noted so, unless it is to go */
        char without[1200], name[64];
        snprintf(name, sizeof name, "without-%s", measured[i]);
        bool there = access(landing_path(r->folder, measured[i], path, sizeof path), F_OK) == 0;
        bool gone = access(landing_path(r->folder, name, without, sizeof without), F_OK) == 0;
        if ((there || gone) && !record_note_file(r->record, folder, measured[i], err)) return false;
    }
    return run_is_ours(r, err) &&
           record_write(landing_path(r->folder, "run.json", path, sizeof path), r->record, err) &&
           landing_commit(r->folder, err);
}

bool run_finish(run *r, const spec *s, error *err) {
    char path[1200];
    landing_path(r->folder, "", path, sizeof path);
    if (access(path, F_OK) != 0 && !landing_begin(r->folder, err)) return false;
    json_t *ranges = run_metrics_ranges(r, err);
    if (!ranges) return false;
    json_object_set_new(r->record, "ranges", ranges);
    json_object_set_new(r->record, "status", json_string("finished"));
    json_object_del(r->record, "reason");
    json_object_set_new(r->record, "spec", run_spec_json(s));
    if (!spec_write_resolved(s, landing_path(r->folder, "spec.yaml", path, sizeof path), err)) return false;
    bool noted = json_object_get(json_object_get(r->record, "files"), "metrics.jsonl") != NULL;
    return (noted || record_note_file(r->record, r->folder, "metrics.jsonl", err)) && run_land(r, err);
}

bool run_pause(run *r, error *err) {
    return record_note_file(r->record, r->folder, "metrics.jsonl", err) && run_save(r, err);
}

static bool end_with(run *r, const char *status, const char *reason, error *err) {
    json_t *text = json_string(reason);
    json_object_set_new(r->record, "status", json_string(status));
    json_object_set_new(r->record, "reason", text ? text : json_string("(not UTF-8)"));
    run_log(r, "%s: %s", status, reason);
    return run_pause(r, err);
}

bool run_fail(run *r, const char *reason, error *err) { return end_with(r, "failed", reason, err); }

bool run_stop(run *r, const char *reason, error *err) { return end_with(r, "stopped", reason, err); }

bool run_ends_at(const json_t *record, uint64_t step) {
    const json_t *steps = json_object_get(record, "steps");
    const char *status = json_string_value(json_object_get(record, "status"));
    if (steps) return (uint64_t)json_integer_value(steps) == step;
    return status && strcmp(status, "finished") == 0; /* as earlier versions noted it */
}

/*
 * A history is read as lines, and only the last look's line as JSON: looking every other second at a hundred runs
 * should not slow them down.
 */
#include "experiments/sweep/progress.h"
#include "engine/files/file.h"
#include "engine/files/lease.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number after `key` in the beginning of a line; NaN when it is not there. */
static double number_in(const char *line, const char *key) {
    const char *end = strchr(line, '\n'), *at = strstr(line, key);
    return at && (!end || at < end) ? strtod(at + strlen(key), NULL) : (double)NAN;
}

static void note_verdicts(run_progress *run, const char *line) {
    json_t *look = json_loadb(line, strcspn(line, "\n"), 0, NULL), *collapse = json_object_get(look, "collapse");
    for (int m = 0; m < COLLAPSE_MODES; m++) {
        const char *word = json_string_value(
            json_object_get(json_object_get(collapse, collapse_mode_name((collapse_mode)m)), "verdict"));
        snprintf(run->verdicts[m], sizeof run->verdicts[m], "%.15s", word ? word : "unknown");
    }
    json_decref(look);
}

/* Thins the losses to half when the row of them is full; returns how many lines a place stands for. */
static size_t add_loss(run_progress *run, double loss, size_t line, size_t stride) {
    if (line % stride != 0) return stride;
    if (run->loss_count == PROGRESS_LOSSES) {
        for (size_t i = 0; i < PROGRESS_LOSSES / 2; i++) run->losses[i] = run->losses[2 * i];
        run->loss_count = PROGRESS_LOSSES / 2;
        stride *= 2;
        if (line % stride != 0) return stride;
    }
    run->losses[run->loss_count++] = loss;
    return stride;
}

static void read_history(run_progress *run, const char *folder) {
    char path[2200];
    size_t size, lines = 0, stride = 1;
    error ignored = {0}; /* a run that has no history yet */
    const char *look = NULL;
    snprintf(path, sizeof path, "%.2100s/metrics.jsonl", folder);
    char *text = file_read(path, &size, &ignored);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (!strchr(line, '\n')) break; /* being written */
        double loss = number_in(line, "\"loss\":"), epoch = number_in(line, "\"epoch\":");
        if (isfinite(epoch)) run->epoch = epoch;
        if (strstr(line, "\"collapse\":{") && strstr(line, "\"collapse\":{") < strchr(line, '\n')) look = line;
        if (!isfinite(loss)) continue;
        run->loss = loss;
        stride = add_loss(run, loss, lines++, stride);
    }
    if (look) note_verdicts(run, look);
    free(text);
}

static bool add_run(sweep_progress *p, size_t *room, const char *id, error *err) {
    if (p->count == *room) {
        size_t wanted = *room ? 2 * *room : 64;
        run_progress *grown = realloc(p->runs, wanted * sizeof *grown);
        if (!grown) return error_memory(err, wanted * sizeof *grown, "a list of runs");
        p->runs = grown, *room = wanted;
    }
    run_progress *run = &p->runs[p->count++];
    *run = (run_progress){.loss = NAN, .epochs = NAN};
    snprintf(run->id, sizeof run->id, "%.255s", id);
    return true;
}

static void read_run(run_progress *run, const char *folder) {
    char path[2200];
    snprintf(path, sizeof path, "%.2100s/run.json", folder);
    json_t *record = json_load_file(path, 0, NULL);
    const char *recorded = json_string_value(json_object_get(record, "status"));
    run->status = recorded ? lease_status(folder, recorded) : "unreadable";
    static const char *const known[] = {"queued", "running", "interrupted", "stopped", "finished", "failed"};
    const char *word = "unreadable"; /* the record's own text goes with it */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(run->status, known[i]) == 0) word = known[i];
    run->status = word;
    const char *reason = json_string_value(json_object_get(record, "reason"));
    if (reason && strcmp(word, "stopped") == 0) snprintf(run->reason, sizeof run->reason, "%s", reason);
    const json_t *epochs = json_object_get(json_object_get(record, "spec"), "train.epochs");
    if (json_is_number(epochs)) run->epochs = json_number_value(epochs);
    json_decref(record);
    read_history(run, folder);
}

static bool has_run(const sweep_progress *p, const char *id) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->runs[i].id, id) == 0) return true;
    return false;
}

/* What a living sweep has yet to begin. */
static bool add_queued(sweep_progress *p, size_t *room, const char *path, error *err) {
    json_t *note = lease_note(path), *record;
    const char *id;
    bool done = true;
    json_object_foreach(note, id, record) {
        if (!done || has_run(p, id)) continue;
        done = add_run(p, room, id, err);
        if (!done) continue;
        p->runs[p->count - 1].status = "queued";
        p->runs[p->count - 1].epochs =
            json_number_value(json_object_get(json_object_get(record, "spec"), "train.epochs"));
    }
    json_decref(note);
    return done;
}

/* What was handed to Slurm and has not begun. */
static bool add_submitted(sweep_progress *p, size_t *room, const char *folder, error *err) {
    char path[2200];
    size_t i, k;
    json_t *job, *id;
    bool done = true;
    snprintf(path, sizeof path, "%s/slurm/jobs.json", folder);
    json_t *jobs = json_load_file(path, 0, NULL);
    json_array_foreach(jobs, i, job) json_array_foreach(json_object_get(job, "runs"), k, id) {
        const char *name = json_string_value(id);
        if (!done || !name || has_run(p, name)) continue;
        done = add_run(p, room, name, err);
        if (done) p->runs[p->count - 1].status = "queued";
    }
    json_decref(jobs);
    return done;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const run_progress *)a)->id, ((const run_progress *)b)->id);
}

bool sweep_progress_read(sweep_progress *p, const char *folder, error *err) {
    *p = (sweep_progress){0};
    size_t room = 0;
    bool done = true;
    char path[2200];
    DIR *directory = opendir(folder);
    if (!directory) return error_set(err, ERROR_RUN, "cannot read %.800s: %s", folder, strerror(errno));
    for (struct dirent *entry; done && (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%.1000s/%s/run.json", folder, entry->d_name);
        if (*entry->d_name == '.' || access(path, F_OK) != 0) continue;
        done = add_run(p, &room, entry->d_name, err);
        path[strlen(path) - strlen("/run.json")] = '\0';
        if (done) read_run(&p->runs[p->count - 1], path);
    }
    rewinddir(directory);
    for (struct dirent *entry; done && (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%.1000s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0) done = add_queued(p, &room, path, err);
    }
    closedir(directory);
    done = done && add_submitted(p, &room, folder, err);
    if (p->count) qsort(p->runs, p->count, sizeof *p->runs, by_id);
    if (!done) sweep_progress_free(p);
    return done;
}

void sweep_progress_free(sweep_progress *p) {
    free(p->runs);
    *p = (sweep_progress){0};
}

/*
 * What is handed over, and what was: the arrays, the list of their jobs, and Slurm's commands. Where the spec halves,
 * each rung has an array of its own that begins when the one before is over, whichever way its tasks ended.
 */
#include "experiments/sweep/slurm_parts.h"
#include "engine/files/file.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    USUAL_ARRAY_SIZE = 1001, /* Slurm's MaxArraySize where it does not say */
};

static const char *const with_slurm[] = {"--partition", "--time", "--cpus", "--mem", "--array-limit", "--sbatch"};
static const char *const not_with_slurm[] = {"--jobs", "--plan", "--json"};

bool slurm_check(const arguments *args, error *err) {
    bool slurm = arguments_has(args, "--slurm");
    for (size_t i = 0; i < sizeof with_slurm / sizeof *with_slurm; i++)
        if (!slurm && arguments_has(args, with_slurm[i]))
            return error_set(err, ERROR_USAGE, "%s goes with --slurm, which is not given", with_slurm[i]);
    for (size_t i = 0; i < sizeof not_with_slurm / sizeof *not_with_slurm; i++)
        if (slurm && arguments_has(args, not_with_slurm[i]))
            return error_set(err, ERROR_USAGE, "%s does not go with --slurm%s", not_with_slurm[i],
                             i == 0 ? "; --array-limit says how many tasks run at a time" : "");
    for (size_t i = 0; i < args->given_count; i++)
        for (const char *p = args->given[i].value; slurm && *p; p++)
            if (iscntrl((unsigned char)*p))
                return error_set(err, ERROR_USAGE, "%s holds a control character, which no script is given",
                                 args->given[i].name);
    return true;
}

/* ---- Commands of Slurm ---- */

/* Runs a command of the shell and keeps the beginning of what it prints; its complaints go into the error. */
static bool ask(const char *command, char *out, size_t size, error *err) {
    char line[PATH_MAX + 512], said[512];
    size_t used = 0, got;
    snprintf(line, sizeof line, "%s 2>&1", command);
    fflush(NULL);
    FILE *pipe = popen(line, "r");
    if (!pipe) return error_set(err, ERROR_RUN, "cannot start `%.100s`: %s", command, strerror(errno));
    while (used < size - 1 && (got = fread(out + used, 1, size - 1 - used, pipe))) used += got;
    out[used] = '\0';
    while (fread(said, 1, sizeof said, pipe)) continue;
    int status = pclose(pipe);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    out[strcspn(out, "\n")] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return error_set(err, ERROR_RUN, "%.*s is not there: a sweep is handed to Slurm on a machine that has it",
                         (int)strcspn(command, " "), command);
    return error_set(err, ERROR_RUN, "Slurm refused: %.400s", *out ? out : "it says nothing");
}

/* How many tasks an array may have. */
static size_t array_size(void) {
    enum { ROOM = 1 << 16 };
    char *text = malloc(ROOM);
    error ignored = {0};
    long size = 0;
    if (text && ask("scontrol show config", text, ROOM, &ignored)) {
        const char *at = strstr(text, "MaxArraySize");
        if (at && (at = strchr(at, '='))) size = strtol(at + 1, NULL, 10);
    }
    free(text);
    return size > 1 ? (size_t)size - 1 : USUAL_ARRAY_SIZE - 1;
}

/* ---- What was submitted ---- */

/* [{"job": "12", "script": …, "submitted": time, "runs": [id, …]}]: the caller's to json_decref. */
static json_t *jobs_read(const char *folder, error *err) {
    char path[1200];
    json_error_t why;
    snprintf(path, sizeof path, "%s/slurm/jobs.json", folder);
    if (access(path, F_OK) != 0) return json_array();
    json_t *jobs = json_load_file(path, 0, &why);
    if (json_is_array(jobs)) return jobs;
    error_set(err, ERROR_RUN, "%s:%d: not a list of jobs: %s", path, why.line,
              jobs ? "another kind of JSON" : why.text);
    json_decref(jobs);
    return NULL;
}

static bool jobs_write(const char *folder, const json_t *jobs, error *err) {
    char path[1200];
    snprintf(path, sizeof path, "%s/slurm/jobs.json", folder);
    char *text = json_dumps(jobs, JSON_INDENT(1));
    bool done = text ? file_write(path, text, strlen(text), err) : error_memory(err, 1 << 12, "a list of jobs");
    free(text);
    return done;
}

/* The runs that a task of ours waits or works for, as keys of an object; the caller's to json_decref. */
static json_t *runs_at_slurm(const json_t *jobs, error *err) {
    enum { ROOM = 1 << 22 };
    char *text = json_array_size(jobs) ? malloc(ROOM) : NULL, *rest, *line;
    json_t *runs = json_object(), *job;
    size_t i;
    if (!text) return runs;
    if (!ask("squeue --noheader --array --me --format='%F %K'", text, ROOM, err)) {
        free(text);
        json_decref(runs);
        return NULL;
    }
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char number[32];
        unsigned long task;
        if (sscanf(line, "%31s %lu", number, &task) != 2) continue;
        json_array_foreach((json_t *)jobs, i, job) {
            const char *id = json_string_value(json_array_get(json_object_get(job, "runs"), task));
            if (id && strcmp(json_string_value(json_object_get(job, "job")), number) == 0)
                json_object_set_new(runs, id, json_true());
        }
    }
    free(text);
    return runs;
}

/* ---- Handing over ---- */

/* A sweep on its way to Slurm, or to paper. */
typedef struct handing {
    const queue *queue;
    const halving *halving; /* NULL: nothing is halved */
    const arguments *args;
    const char *results;
    json_t *jobs, *at_slurm; /* NULL on paper */
    size_t most;             /* tasks of an array */
    size_t *chosen;          /* room for all runs */
    char after[512];         /* the jobs of the rung before */
    bool begun;              /* something that is halved is with Slurm */
    slurm_outcome *out;
} handing;

/* Whether a run is to do, is not yet handed over, and is not halved (rung 0), or is still to come to this rung. Each
 * rung waits for the one before alone: so of what is halved nothing is handed over while something of it is with Slurm.
 */
static bool is_meant(const handing *h, size_t run, size_t rung) {
    const queue_item *item = &h->queue->items[run];
    bool halved = halving_rungs(h->halving, run) > 0;
    if (!item->to_do || json_object_get(h->at_slurm, item->id) || halved != (rung > 0)) return false;
    return !halved || (!h->begun && halving_leads_to(h->halving, run, rung));
}

static size_t choose(const handing *h, size_t rung) {
    size_t count = 0;
    for (size_t i = 0; i < h->queue->sweep.count; i++)
        if (is_meant(h, i, rung)) h->chosen[count++] = i;
    return count;
}

/* Writes one script and hands it over; its number goes behind those in `numbers`. */
static bool submit(handing *h, const slurm_array *array, char *numbers, size_t size, error *err) {
    char folder[1100], path[1200], command[PATH_MAX + 64], said[512];
    const queue *q = h->queue;
    file_writer w;
    snprintf(folder, sizeof folder, "%.800s/%.200s", h->results, q->file.name);
    snprintf(path, sizeof path, "%s/slurm/array-%ld-%zu.sh", folder, (long)time(NULL), json_array_size(h->jobs));
    if (strchr(path, '\'')) return error_set(err, ERROR_USAGE, "%.400s: sbatch is not given names with a '", path);
    if (!file_begin(&w, path, err)) return false;
    if (!slurm_print_script(w.stream, q, h->args, h->results, array, err)) {
        file_abandon(&w);
        return false;
    }
    if (!file_commit(&w, err)) return false;
    snprintf(command, sizeof command, "sbatch --parsable '%s'", path);
    if (!ask(command, said, sizeof said, err)) return false;
    char *number = said; /* a line that begins with it, "12;cluster" where there are several; warnings have their own */
    while (*number && !isdigit((unsigned char)*number)) number += strcspn(number, "\n"), number += *number == '\n';
    if (!*number) return error_set(err, ERROR_RUN, "sbatch named no job: %.400s", said);
    number[strspn(number, "0123456789")] = '\0';
    json_t *runs = json_array();
    for (size_t i = 0; i < array->count; i++) json_array_append_new(runs, json_string(q->items[array->chosen[i]].id));
    json_array_append_new(h->jobs, json_pack("{s:s, s:s, s:I, s:o}", "job", number, "script", path, "submitted",
                                             (json_int_t)time(NULL), "runs", runs));
    size_t used = strlen(h->out->jobs), length = strlen(numbers);
    snprintf(h->out->jobs + used, sizeof h->out->jobs - used, "%s%s", used ? " " : "", number);
    if (length + strlen(number) + 2 > size)
        return error_set(err, ERROR_RUN, "%zu arrays for one rung are too many to wait for", json_array_size(h->jobs));
    snprintf(numbers + length, size - length, "%s%s", length ? ":" : "", number);
    return jobs_write(folder, h->jobs, err);
}

/* The arrays of a rung, or of what is not halved: printed, or handed over. */
static bool hand_over(handing *h, size_t rung, error *err) {
    char numbers[sizeof h->after] = "";
    size_t count = choose(h, rung);
    bool done = true;
    for (size_t from = 0; done && from < count; from += h->most) {
        size_t left = count - from;
        slurm_array array = {h->chosen + from, left < h->most ? left : h->most, rung, rung ? h->after : ""};
        done = h->jobs ? submit(h, &array, numbers, sizeof numbers, err)
                       : slurm_print_script(stdout, h->queue, h->args, h->results, &array, err);
    }
    if (rung && count) snprintf(h->after, sizeof h->after, "%s", h->jobs ? numbers : "THE-ARRAYS-BEFORE");
    return done;
}

/* What is not halved, and rung by rung what is. */
static bool hand_over_all(handing *h, error *err) {
    size_t most = 0, n = h->queue->sweep.count;
    for (size_t i = 0; i < n; i++) {
        size_t rungs = halving_rungs(h->halving, i);
        most = rungs > most ? rungs : most;
        h->begun |= rungs && json_object_get(h->at_slurm, h->queue->items[i].id);
    }
    for (size_t i = 0; i < n; i++) { /* each is halved to its end */
        size_t rungs = halving_rungs(h->halving, i);
        h->out->submitted += is_meant(h, i, rungs ? rungs + 1 : 0);
        h->out->halved += rungs && is_meant(h, i, rungs + 1);
    }
    h->chosen = malloc((n + 1) * sizeof *h->chosen);
    bool done = h->chosen || error_memory(err, n * sizeof *h->chosen, "an array of runs");
    for (size_t rung = 0; done && rung <= (most ? most + 1 : 0); rung++) done = hand_over(h, rung, err);
    free(h->chosen);
    return done;
}

bool slurm_print(const queue *q, const halving *halves, const arguments *args, const char *results, error *err) {
    slurm_outcome ignored = {0};
    handing h = {
        .queue = q, .halving = halves, .args = args, .results = results, .most = USUAL_ARRAY_SIZE - 1, .out = &ignored};
    return hand_over_all(&h, err);
}

bool slurm_submit(const queue *q, const halving *halves, const arguments *args, const char *results, slurm_outcome *out,
                  error *err) {
    char folder[1100], path[1200];
    size_t to_do = 0;
    *out = (slurm_outcome){0};
    handing h = {.queue = q, .halving = halves, .args = args, .results = results, .out = out};
    snprintf(folder, sizeof folder, "%.800s/%.200s", results, q->file.name);
    snprintf(path, sizeof path, "%s/slurm", folder);
    if (!file_make_folders(path, err)) return false;
    h.jobs = jobs_read(folder, err);
    h.at_slurm = h.jobs ? runs_at_slurm(h.jobs, err) : NULL;
    for (size_t i = 0; i < q->sweep.count; i++) to_do += q->items[i].to_do;
    h.most = h.at_slurm && to_do ? array_size() : 1;
    bool done = h.at_slurm && hand_over_all(&h, err);
    out->waiting = to_do - out->submitted;
    json_decref(h.at_slurm);
    json_decref(h.jobs);
    return done;
}

bool slurm_cancel(const char *folder, size_t *count, error *err) {
    json_t *jobs = jobs_read(folder, err), *job;
    char command[128], said[512];
    size_t i;
    bool done = jobs != NULL;
    *count = 0;
    json_array_foreach(jobs, i, job) {
        const char *number = json_string_value(json_object_get(job, "job"));
        if (!done || !number || strspn(number, "0123456789") != strlen(number)) continue;
        snprintf(command, sizeof command, "scancel --quiet %s", number);
        done = ask(command, said, sizeof said, err);
        ++*count;
    }
    if (done && *count) done = json_array_clear(jobs) == 0 && jobs_write(folder, jobs, err);
    json_decref(jobs);
    return done && (*count || error_set(err, ERROR_USAGE, "%s: nothing of it was handed to Slurm", folder));
}

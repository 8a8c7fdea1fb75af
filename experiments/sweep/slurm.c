/*
 * The script's shape follows from what Slurm does. A signal ahead of the time limit reaches the batch shell alone, and
 * a shell that dies of SIGTERM takes its program with it: so the shell traps both and hands them on. A task started
 * again would truncate its output: so that is appended to. A task that the controller starts twice, or again after its
 * node was lost, waits for the run's lease (`train --wait`) and then finds the run finished or goes on with it.
 */
#include "experiments/sweep/slurm.h"
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
    NOTICE_SECONDS = 120,    /* from the signal to the limit: many steps, and a checkpoint */
    MOST_RESTARTS = 50,      /* of a task by itself, so that one that gets nowhere ends */
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

/* ---- The script ---- */

/* A word as a shell reads it back. */
static void print_word(FILE *out, const char *word) {
    putc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            putc(*word, out);
    putc('\'', out);
}

static void print_option(FILE *out, const char *name, const char *value) {
    putc(' ', out);
    fputs(name, out);
    putc(' ', out);
    print_word(out, value);
}

/* `mews train SPEC …` with all that the sweep's own line said of runs. */
static bool print_train(FILE *out, const queue *q, const arguments *args, const char *results, error *err) {
    static const char *const handed_on[] = {"--base", "--set", "--block"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0) return error_set(err, ERROR_RUN, "cannot tell where this program is: %s", strerror(errno));
    program[length] = '\0';
    print_word(out, program);
    fputs(" train ", out);
    print_word(out, q->file.path);
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++) {
        const char *value;
        for (size_t k = 0; (value = arguments_nth(args, handed_on[i], k)); k++) print_option(out, handed_on[i], value);
    }
    print_option(out, "--out", results);
    fputs(" $other --wait --unindexed --only \"${runs[SLURM_ARRAY_TASK_ID]}\" &\n", out);
    return true;
}

static void print_header(FILE *out, const queue *q, const arguments *args, const char *results, size_t count,
                         long cpus) {
    const char *value;
    fprintf(out, "#!/bin/bash\n#SBATCH --job-name=%s\n#SBATCH --array=0-%zu", q->file.name, count - 1);
    if ((value = arguments_value(args, "--array-limit", NULL))) fprintf(out, "%%%s", value);
    fprintf(out, "\n#SBATCH --cpus-per-task=%ld\n", cpus);
    if ((value = arguments_value(args, "--partition", NULL))) fprintf(out, "#SBATCH --partition=%s\n", value);
    if ((value = arguments_value(args, "--time", NULL))) fprintf(out, "#SBATCH --time=%s\n", value);
    if ((value = arguments_value(args, "--mem", NULL))) fprintf(out, "#SBATCH --mem=%s\n", value);
    for (size_t i = 0; (value = arguments_nth(args, "--sbatch", i)); i++) fprintf(out, "#SBATCH %s\n", value);
    fprintf(out, "#SBATCH --output=\"%s/%s/slurm/%%A_%%a.log\"\n#SBATCH --open-mode=append\n#SBATCH --requeue\n",
            results, q->file.name);
    fprintf(out, "#SBATCH --signal=B:USR1@%d\n", NOTICE_SECONDS);
}

/* Runs that other code made are begun anew once, not again by each restart. */
static void print_other(FILE *out, const queue *q, const arguments *args, const size_t *chosen, size_t count) {
    const char *flag = arguments_has(args, "--redo") ? "--redo" : "--reuse";
    fputs("others=(", out);
    for (size_t i = 0; i < count; i++) {
        const queue_item *item = &q->items[chosen[i]];
        if (item->other && item->status != RUN_FAILED) fprintf(out, " [%zu]=%s", i, flag);
    }
    fputs(" )\nother=${others[SLURM_ARRAY_TASK_ID]}\n"
          "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || [ \"$other\" != --redo ] || other=\n",
          out);
}

/* One array: the runs `chosen`, indices into the queue. */
static bool print_script(FILE *out, const queue *q, const arguments *args, const char *results, const size_t *chosen,
                         size_t count, error *err) {
    long cpus;
    if (!arguments_number(args, "--cpus", 1, 4096, 1, &cpus, err)) return false;
    print_header(out, q, args, results, count, cpus);
    fputs("\n# One run a task, by its number.\nruns=(\n", out);
    for (size_t i = 0; i < count; i++) fprintf(out, "    %s\n", q->items[chosen[i]].id);
    fputs(")\n", out);
    print_other(out, q, args, chosen, count);
    fputs("export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} # one thread a core; Slurm sets none\n\n"
          "# Slurm tells this shell alone; a run ends at its next step, with a checkpoint and code 130.\n"
          "again= run=\n"
          "trap 'again=yes; kill -USR1 $run 2>/dev/null' USR1\n"
          "trap 'kill -TERM $run 2>/dev/null' TERM\n",
          out);
    if (!print_train(out, q, args, results, err)) return false;
    fprintf(out,
            "run=$!\n"
            "wait $run\n"
            "while kill -0 $run 2>/dev/null; do wait $run; done # a signal ends a wait\n"
            "wait $run\n"
            "code=$?\n"
            "if [ \"$again\" ] && [ $code = 130 ] && [ \"${SLURM_RESTART_COUNT:-0}\" -lt %d ]; then\n"
            "    echo 'the time limit is near: back into the queue' >&2\n"
            "    exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"\n"
            "fi\n"
            "exit $code\n",
            MOST_RESTARTS);
    return true;
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

/* ---- Submitting ---- */

/* What is to do and not yet handed over; indices into the queue, to be freed. */
static size_t *choose(const queue *q, const json_t *at_slurm, size_t *count, error *err) {
    size_t *chosen = malloc((q->sweep.count + 1) * sizeof *chosen);
    *count = 0;
    if (!chosen) {
        error_memory(err, q->sweep.count * sizeof *chosen, "an array of runs");
        return NULL;
    }
    for (size_t i = 0; i < q->sweep.count; i++)
        if (q->items[i].to_do && !json_object_get(at_slurm, q->items[i].id)) chosen[(*count)++] = i;
    return chosen;
}

bool slurm_print(const queue *q, const arguments *args, const char *results, error *err) {
    size_t count, most = USUAL_ARRAY_SIZE - 1;
    size_t *chosen = choose(q, NULL, &count, err);
    bool done = chosen != NULL;
    for (size_t from = 0; done && from < count; from += most)
        done = print_script(stdout, q, args, results, chosen + from, count - from < most ? count - from : most, err);
    free(chosen);
    return done;
}

/* Writes one script and hands it over. */
static bool submit(const queue *q, const arguments *args, const char *results, const size_t *chosen, size_t count,
                   json_t *jobs, slurm_outcome *out, error *err) {
    char folder[1100], path[1200], command[PATH_MAX + 64], said[512];
    file_writer w;
    snprintf(folder, sizeof folder, "%.800s/%.200s", results, q->file.name);
    snprintf(path, sizeof path, "%s/slurm/array-%ld-%zu.sh", folder, (long)time(NULL), json_array_size(jobs));
    if (strchr(path, '\'')) return error_set(err, ERROR_USAGE, "%.400s: sbatch is not given names with a '", path);
    if (!file_begin(&w, path, err)) return false;
    if (!print_script(w.stream, q, args, results, chosen, count, err)) {
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
    for (size_t i = 0; i < count; i++) json_array_append_new(runs, json_string(q->items[chosen[i]].id));
    json_array_append_new(jobs, json_pack("{s:s, s:s, s:I, s:o}", "job", number, "script", path, "submitted",
                                          (json_int_t)time(NULL), "runs", runs));
    size_t used = strlen(out->jobs);
    snprintf(out->jobs + used, sizeof out->jobs - used, "%s%s", used ? " " : "", number);
    out->submitted += count;
    return jobs_write(folder, jobs, err);
}

bool slurm_submit(const queue *q, const arguments *args, const char *results, slurm_outcome *out, error *err) {
    char folder[1100], path[1200];
    size_t count = 0, to_do = 0;
    *out = (slurm_outcome){0};
    snprintf(folder, sizeof folder, "%.800s/%.200s", results, q->file.name);
    snprintf(path, sizeof path, "%s/slurm", folder);
    if (!file_make_folders(path, err)) return false;
    json_t *jobs = jobs_read(folder, err);
    json_t *at_slurm = jobs ? runs_at_slurm(jobs, err) : NULL;
    size_t *chosen = at_slurm ? choose(q, at_slurm, &count, err) : NULL;
    for (size_t i = 0; i < q->sweep.count; i++) to_do += q->items[i].to_do;
    out->waiting = to_do - count;
    bool done = chosen != NULL;
    size_t most = done && count ? array_size() : 1;
    for (size_t from = 0; done && from < count; from += most)
        done = submit(q, args, results, chosen + from, count - from < most ? count - from : most, jobs, out, err);
    free(chosen);
    json_decref(at_slurm);
    json_decref(jobs);
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

/*
 * `mews sweep`: every run of a spec. Says what is there already, runs the rest, and ends by telling where the results
 * are and how to look at them.
 */
#include "experiments/command.h"
#include "experiments/results_folder.h"
#include "experiments/scheduler.h"
#include "experiments/watch.h"

#include <math.h>
#include <string.h>

static const char *status_word(run_status status) {
    switch (status) {
    case RUN_NEW: return "new";
    case RUN_UNFINISHED: return "unfinished";
    case RUN_FAILED: return "failed";
    case RUN_TRAINED: return "to evaluate";
    case RUN_FINISHED: return "finished";
    }
    return "";
}

static void print_plan(const queue *q) {
    for (size_t i = 0; i < q->sweep.count; i++)
        printf("%4zu  %-12s %s\n", i + 1, status_word(q->items[i].status), q->items[i].id);
}

/* {name, folder, runs: [{id, block, status, reason, final}]}, read back from the runs' records. */
static void print_json(const queue *q, const char *results) {
    json_t *runs = json_array();
    for (size_t i = 0; i < q->sweep.count; i++) {
        const queue_item *item = &q->items[i];
        char path[1200];
        snprintf(path, sizeof path, "%s/run.json", item->folder);
        json_t *record = json_load_file(path, 0, NULL);
        const char *status = json_string_value(json_object_get(record, "status"));
        json_array_append_new(runs,
                              json_pack("{s:s, s:s, s:s, s:s, s:O*, s:O*}", "id", item->id, "folder", item->folder,
                                        "block", item->plan->block, "status", status ? status : "new", "reason",
                                        json_object_get(record, "reason"), "final", json_object_get(record, "final")));
        json_decref(record);
    }
    json_t *all =
        json_pack("{s:s, s:s++, s:o}", "name", q->file.name, "folder", results, "/", q->file.name, "runs", runs);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void say_beginning(terminal *t, const queue *q, int jobs) {
    size_t finished = 0, n = q->sweep.count;
    for (size_t i = 0; i < n; i++) finished += q->items[i].status == RUN_FINISHED;
    if (finished) terminal_line(t, "%zu of %zu %s finished already", finished, n, n == 1 ? "run" : "runs");
    if (finished < n)
        terminal_line(t, "%zu %s to do, %d at a time", n - finished, n - finished == 1 ? "run" : "runs", jobs);
}

static bool run_queue(const command_context *context, const arguments *args, const queue *q, const char *results,
                      terminal *t, int jobs, error *err) {
    bool json = arguments_has(args, "--json"), to_do = false;
    schedule plan = {.args = args, .results = results, .jobs = jobs, .interrupted = context->interrupted};
    schedule_outcome out;
    for (size_t i = 0; i < q->sweep.count; i++) to_do |= q->items[i].status != RUN_FINISHED;
    if (to_do && !results_folder_open(results, q->file.name, err)) return false;
    if (to_do && !arguments_has(args, "--force") && !results_folder_check(q, results, err)) return false;
    say_beginning(t, q, jobs);
    if (!schedule_run(q, &plan, t, &out, err)) return false;
    if (json) print_json(q, results);
    if (out.interrupted) return error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to go on");
    if (!json)
        printf("%zu of %zu runs finished, in %s/%s\n`mews report %s/%s` draws them\n", out.found + out.finished,
               q->sweep.count, results, q->file.name, results, q->file.name);
    return out.failed == 0 ||
           error_set(err, ERROR_RUN, "%zu of %zu runs failed; their run.json says why", out.failed, q->sweep.count);
}

static bool run_sweep(const command_context *context, const arguments *args, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    const char *results = arguments_value(args, "--out", "results");
    long jobs;
    queue q;
    if (!arguments_number(args, "--jobs", 1, SCHEDULE_MAX_JOBS, 1, &jobs, err)) return false;
    bool opened = queue_open(&q, args->words[0], args, results, &hooks, err), done = opened;
    terminal_clear(&t);
    if (!opened) return false;
    if (!arguments_has(args, "--dry-run"))
        done = run_queue(context, args, &q, results, &t, (int)jobs, err);
    else if (arguments_has(args, "--json"))
        print_json(&q, results);
    else
        print_plan(&q);
    queue_close(&q);
    return done;
}

static const option options[] = {
    {"--set", "-s", "KEY=VALUE",
     "change a key of the spec; `sweep.KEY=[A, B]` changes what is swept, `random.runs=N` how often is drawn; may come "
     "often"},
    {"--base", NULL, "KEY=VALUE", "the same under `methods:` and blocks: those that say otherwise keep their say"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {"--jobs", "-j", "JOBS", "runs at a time, which share the cores (default: 1)"},
    {"--force", NULL, NULL, "put runs beside those of another spec by the same name"},
    {"--dry-run", "-n", NULL, "only list the runs and how they stand"},
    {"--json", NULL, NULL, "print all outcomes as one JSON object on stdout"},
    {0},
};

const command command_sweep = {
    .name = "sweep",
    .rules = {.words = "SPEC", .min_words = 1, .max_words = 1, .options = options},
    .summary = "every run of a spec's `sweep:`; finished runs are skipped",
    .details =
        "Runs that fail are noted and the rest goes on; the exit code is 1 then. Stopped with Ctrl-C, a sweep goes\n"
        "on where it was when the same command is given again. When the spec has changed since, it says what has.\n",
    .run = run_sweep,
};

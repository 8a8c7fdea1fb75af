/*
 * `mews sweep`: every run of a spec. Says what is there already, runs the rest, and ends by telling where the results
 * are and how to look at them.
 */
#include "engine/files/record.h"
#include "experiments/commands/command.h"
#include "experiments/commands/stopping.h"
#include "experiments/sweep/estimate.h"
#include "experiments/sweep/results_folder.h"
#include "experiments/sweep/scheduler.h"
#include "experiments/sweep/slurm.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <string.h>

static const char *status_word(const queue_item *item) {
    if (item->stopped) return "stopped";
    if (item->other && !item->to_do) return "other code";
    if (item->waits && item->status == RUN_STOPPED) return "at a rung";
    switch (item->status) {
    case RUN_NEW: return "new";
    case RUN_UNFINISHED: return lease_status(item->folder, "running");
    case RUN_STOPPED: return "stopped";
    case RUN_FAILED: return "failed";
    case RUN_TRAINED: return "to evaluate";
    case RUN_FINISHED: return "finished";
    }
    return "";
}

/* ---- The plan ---- */

static void print_totals(const estimates *e, int jobs) {
    char took[32];
    size_t works = e->to_do - e->refused;
    if (!works) return;
    printf("\n%zu %s to do: about %s, %d at a time, %.0f %% of it evaluation; %.0f MiB of memory\n", works,
           works == 1 ? "run" : "runs", terminal_duration(e->seconds, took), jobs, 100 * e->eval_share, e->mib);
    if (e->saved > 0)
        printf("halving is expected to save %.0f %% of what all of them would take to their ends, %s\n",
               100 * e->saved_share, terminal_duration(e->saved, took));
    if (e->shapes == 1)
        printf("reckoned from a measured step of %.3g s, as busy as this machine is now\n", e->least_step);
    else if (e->shapes)
        printf("reckoned from %zu measured steps of %.3g to %.3g s, as busy as this machine is now\n", e->shapes,
               e->least_step, e->most_step);
}

/* A line a run: how it stands, its id, what it will take. */
static void print_plan(const queue *q, const halving *h, const estimates *e, int jobs) {
    int width = 0;
    char words[256];
    for (size_t i = 0; i < q->sweep.count; i++)
        if ((int)strlen(q->items[i].id) > width) width = (int)strlen(q->items[i].id);
    for (size_t i = 0; i < q->sweep.count; i++) {
        const estimate *run = &e->items[i];
        char took[32];
        printf("%4zu  %-12s %-*s", i + 1, status_word(&q->items[i]), width, q->items[i].id);
        if (*run->refused)
            printf("  cannot work: %s", run->refused);
        else if (!isnan(run->step))
            printf("  %s%s, %.0f MiB", run->measured ? "" : "about ", terminal_duration(run->train + run->eval, took),
                   run->mib);
        if (q->items[i].stopped) printf("  %s", halving_words(h, q, i, words, sizeof words));
        if (q->items[i].trained) printf(", from epoch %lld of a shorter run on", (long long)q->items[i].trained);
        putchar('\n');
    }
    print_totals(e, jobs);
    halving_print(h, q, stdout);
}

static json_t *estimate_json(const estimate *run) {
    if (*run->refused) return json_pack("{s:s}", "refused", run->refused);
    return json_pack("{s:f, s:f, s:f, s:f, s:b}", "step_seconds", run->step, "train_seconds", run->train,
                     "eval_seconds", run->eval, "memory_mib", run->mib, "measured", run->measured);
}

/* ---- Outcomes ---- */

/* {name, folder, runs: [{id, block, status, reason, final}]}, read back from the runs' records; a plan's estimates
   beside them. */
static void print_json(const queue *q, const char *results, const estimates *e) {
    json_t *runs = json_array();
    for (size_t i = 0; i < q->sweep.count; i++) {
        const queue_item *item = &q->items[i];
        char path[1200];
        snprintf(path, sizeof path, "%s/run.json", item->folder);
        error ignored = {0};
        json_t *record = record_read(path, &ignored);
        const char *status = lease_status(item->folder, json_string_value(json_object_get(record, "status")));
        if (item->stopped) status = "stopped"; /* a setting that has lost, before this run of it began */
        json_array_append_new(runs,
                              json_pack("{s:s, s:s, s:s, s:s, s:O*, s:O*}", "id", item->id, "folder", item->folder,
                                        "block", item->plan->block, "status", status ? status : "new", "reason",
                                        json_object_get(record, "reason"), "final", json_object_get(record, "final")));
        if (item->other) json_object_set_new(json_array_get(runs, i), "other_code", json_string(item->other));
        if (e && (*e->items[i].refused || !isnan(e->items[i].step)))
            json_object_set_new(json_array_get(runs, i), "estimate", estimate_json(&e->items[i]));
        json_decref(record);
    }
    json_t *all =
        json_pack("{s:s, s:s++, s:o}", "name", q->file.name, "folder", results, "/", q->file.name, "runs", runs);
    if (e)
        json_object_set_new(all, "estimate",
                            json_pack("{s:I, s:f, s:f, s:f}", "runs", (json_int_t)(e->to_do - e->refused), "seconds",
                                      e->seconds, "eval_share", e->eval_share, "memory_mib", e->mib));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

/* "19 runs, about 9 min": before hours go by. What cannot be reckoned is not said; the runs tell why. */
static bool say_plan(const command_context *context, const queue *q, const halving *h, terminal *t, int jobs,
                     error *err) {
    estimates e;
    char took[32];
    terminal_status(t, true, "estimating");
    if (!estimates_make(&e, q, h, jobs, t, context->interrupted, err)) return false;
    size_t runs = e.to_do - e.refused;
    if (runs && e.seconds > 0)
        terminal_line(t, "%zu %s, about %s, %d at a time, up to %.1f GiB", runs, runs == 1 ? "run" : "runs",
                      terminal_duration(e.seconds, took), jobs, e.mib / 1024);
    estimates_free(&e);
    return true;
}

static void say_beginning(terminal *t, const queue *q, int jobs) {
    size_t finished = 0, kept = 0, stopped = 0, n = q->sweep.count;
    char label[RUN_ID_SIZE];
    for (size_t i = 0; i < n; i++) {
        const queue_item *item = &q->items[i];
        stopped += item->stopped;
        finished += !item->to_do && !item->other && !item->stopped;
        if (item->to_do || !item->other || item->stopped) continue;
        kept++;
        terminal_line(t, "[%zu/%zu] %s: made by other code (%s); kept as it is", i + 1, n, queue_label(item, label),
                      item->other);
    }
    if (finished) terminal_line(t, "%zu of %zu %s finished already", finished, n, n == 1 ? "run" : "runs");
    if (stopped) terminal_line(t, "%zu of %zu %s stopped by halving", stopped, n, n == 1 ? "run" : "runs");
    size_t to_do = n - finished - kept - stopped;
    if (to_do) terminal_line(t, "%zu %s to do, %d at a time", to_do, to_do == 1 ? "run" : "runs", jobs);
}

static bool run_queue(const command_context *context, const arguments *args, queue *q, halving *h, const char *results,
                      terminal *t, int jobs, error *err) {
    bool json = arguments_has(args, "--json"), to_do = false;
    schedule plan = {.args = args, .results = results, .jobs = jobs, .interrupted = context->interrupted, .halving = h};
    schedule_outcome out;
    for (size_t i = 0; i < q->sweep.count; i++) to_do |= q->items[i].to_do;
    if (to_do && !results_folder_open(results, q->file.name, err)) return false;
    if (to_do && !arguments_has(args, "--force") && !results_folder_check(q, results, err)) return false;
    say_beginning(t, q, jobs);
    if (to_do && arguments_has(args, "--plan") && !say_plan(context, q, h, t, jobs, err)) return false;
    stopping_wait_for_step(true); /* the runs have to save theirs */
    bool scheduled = schedule_run(q, &plan, t, &out, err);
    stopping_wait_for_step(false);
    if (!scheduled) return false;
    if (json) print_json(q, results, NULL);
    if (out.interrupted) return error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to go on");
    if (!json && out.kept)
        printf("%zu of %zu runs made by other code: kept; --redo runs them anew, --reuse takes them for finished\n",
               out.kept, q->sweep.count);
    if (!json && out.stopped) printf("%zu of %zu runs stopped by halving\n", out.stopped, q->sweep.count);
    if (!json)
        printf("%zu of %zu runs finished, in %s/%s\n`mews report %s/%s` draws them\n", out.found + out.finished,
               q->sweep.count, results, q->file.name, results, q->file.name);
    return out.failed == 0 ||
           error_set(err, ERROR_RUN, "%zu of %zu runs failed; their run.json says why", out.failed, q->sweep.count);
}

/* The arrays' scripts, or their handing over. */
static bool to_slurm(const arguments *args, const queue *q, const halving *h, const char *results, error *err) {
    slurm_outcome out;
    if (arguments_has(args, "--dry-run")) return slurm_print(q, h, args, results, err);
    if (!results_folder_open(results, q->file.name, err)) return false;
    if (!arguments_has(args, "--force") && !results_folder_check(q, results, err)) return false;
    if (!slurm_submit(q, h, args, results, &out, err)) return false;
    if (out.waiting) printf("%zu %s with Slurm already\n", out.waiting, out.waiting == 1 ? "run is" : "runs are");
    if (!out.submitted) return printf("nothing to hand over\n") > 0;
    printf("%zu %s handed to Slurm as job %s, a task each\n", out.submitted, out.submitted == 1 ? "run" : "runs",
           out.jobs);
    if (out.halved)
        printf(
            "%zu of them by an array for each rung, after the one before; a task ends at once where its run does not "
            "go on\n",
            out.halved);
    printf("`mews watch %s/%s` shows how they do, `mews cancel %s/%s` ends them; the same command hands over what was "
           "lost\n",
           results, q->file.name, results, q->file.name);
    return true;
}

static bool plan_queue(const command_context *context, const arguments *args, const queue *q, const halving *h,
                       const char *results, terminal *t, int jobs, error *err) {
    estimates e;
    error changed = {0};
    if (!results_folder_check(q, results, &changed)) terminal_line(t, "mews: warning: %s", changed.text);
    if (!estimates_make(&e, q, h, jobs, t, context->interrupted, err)) return false;
    if (arguments_has(args, "--json"))
        print_json(q, results, &e);
    else
        print_plan(q, h, &e, jobs);
    size_t refused = e.refused;
    estimates_free(&e);
    return !refused ||
           error_set(err, ERROR_USAGE, "%zu of %zu runs cannot work; the plan says why", refused, q->sweep.count);
}

/* Where nothing is held out of the training images, the best is chosen by those that it is then measured on. */
static void warn_of_selection(terminal *t, const queue *q) {
    for (size_t i = 0; i < q->sweep.count; i++) {
        if (q->sweep.runs[i].spec.data.validation > 0) continue;
        terminal_line(t, "mews: warning: `halving` judges by the test images, on which its best then look better than "
                         "they are; data.validation holds others out");
        return;
    }
}

static bool run_sweep(const command_context *context, const arguments *args, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    const char *results = arguments_value(args, "--out", "results");
    long jobs;
    queue q;
    if (!slurm_check(args, err)) return false;
    if (!arguments_number(args, "--jobs", 1, SCHEDULE_MAX_JOBS, 1, &jobs, err)) return false;
    halving *h = NULL;
    bool opened = queue_open(&q, args->words[0], args, results, &hooks, err);
    terminal_clear(&t);
    if (!opened) return false;
    bool judged = halving_open(&h, &q, err);
    if (h) warn_of_selection(&t, &q);
    bool done =
        judged && (arguments_has(args, "--slurm")     ? to_slurm(args, &q, h, results, err)
                   : arguments_has(args, "--dry-run") ? plan_queue(context, args, &q, h, results, &t, (int)jobs, err)
                                                      : run_queue(context, args, &q, h, results, &t, (int)jobs, err));
    halving_close(h);
    queue_close(&q);
    return done;
}

static const option options[] = {
    {"--set", "-s", "KEY=VALUE",
     "change a key of the spec; `sweep.KEY=[A, B]` changes what is swept, `random.runs=N` how often is drawn; may come "
     "often"},
    {"--base", NULL, "KEY=VALUE", "the same under `methods:` and blocks: those that say otherwise keep their say"},
    {"--block", NULL, "NAME", "only this block of `sweeps:`; may come often"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {"--jobs", "-j", "JOBS", "runs at a time, which share the cores (default: 1)"},
    {"--force", NULL, NULL, "put runs beside those of another spec by the same name"},
    {"--redo", NULL, NULL, "run anew what other code made (an engine, method or loop that has been changed since)"},
    {"--reuse", NULL, NULL, "take what other code made"},
    {"--dry-run", "-n", NULL,
     "only list the runs, how they stand, and what they will take: time and memory, from a measured step"},
    {"--plan", NULL, NULL, "say first how many runs and how long, from a measured step of each shape"},
    {"--json", NULL, NULL, "print all outcomes as one JSON object on stdout"},
    SLURM_OPTIONS,
    {0},
};

const command command_sweep = {
    .name = "sweep",
    .rules = {.words = "SPEC", .min_words = 1, .max_words = 1, .options = options},
    .summary = "every run of a spec's `sweep:`; finished runs are skipped",
    .details =
        "Runs that fail are noted and the rest goes on; the exit code is 1 then. What another process works on is "
        "waited\n"
        "for, so a spec may be swept by several at once. Stopped with Ctrl-C, a sweep goes\n"
        "on where it was when the same command is given again. When the spec has changed since, it says what has.\n",
    .go_on = "run the same command to go on",
    .run = run_sweep,
};

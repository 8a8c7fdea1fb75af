/*
 * `mews train`: one run, in this process. Progress goes to stderr (a line that is rewritten, or one line an epoch), the
 * outcome to stdout; with --events both go to stdout as JSON lines, which is how `mews sweep` watches its children.
 */
#include "experiments/commands/command.h"
#include "engine/clock.h"
#include "engine/files/lease.h"
#include "engine/peers.h"
#include "experiments/commands/stopping.h"
#include "experiments/run/words.h"
#include "experiments/sweep/halving.h"
#include "experiments/sweep/results_folder.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Who watches the run, and what they have been shown. */
typedef struct watcher {
    terminal terminal;
    bool events;
    double event_at; /* when the last event went out */
    char phase[16];  /* of the last progress */
    uint32_t epoch;  /* last one told in plain lines */
    uint64_t first;  /* steps done when this sitting began */
    double started;  /* when it did */
} watcher;

static void tell_event(watcher *w, const experiment_progress *now, bool new_phase) {
    double at = clock_seconds();
    if (!new_phase && at - w->event_at < 0.2) return;
    w->event_at = at;
    watch_print_json(json_pack("{s:s, s:s, s:s?, s:I, s:I, s:i, s:i, s:o, s:o}", "event", "progress", "phase",
                               now->phase, "what", now->what, "done", (json_int_t)now->done, "total",
                               (json_int_t)now->total, "epoch", (int)now->epoch, "epochs", (int)now->epochs, "loss",
                               run_json_number(now->loss), "chance_loss", run_json_number(now->chance)));
}

static void tell_training(watcher *w, const experiment_progress *now) {
    char took[32], left[48] = "estimating", loss[64];
    int used = snprintf(loss, sizeof loss, "%.4f", now->loss);
    if (isfinite(now->chance)) snprintf(loss + used, sizeof loss - (size_t)used, " (chance %.4f)", now->chance);
    double done = (double)(now->done - w->first), rate = (clock_seconds() - w->started) / done;
    if (done > 0)
        snprintf(left, sizeof left, "%s left", terminal_duration(rate * (double)(now->total - now->done), took));
    unsigned epoch = now->epoch < now->epochs ? now->epoch + 1 : now->epochs; /* people count from 1 */
    if (w->terminal.live) {
        terminal_status(&w->terminal, false, "epoch %u/%u   step %llu/%llu   loss %s   %s", epoch, now->epochs,
                        (unsigned long long)now->done, (unsigned long long)now->total, loss, left);
    } else if (epoch != w->epoch) {
        w->epoch = epoch;
        terminal_line(&w->terminal, "epoch %u of %u, step %llu of %llu, loss %s, %s", epoch, now->epochs,
                      (unsigned long long)now->done, (unsigned long long)now->total, loss, left);
    }
}

static void on_progress(void *context, const experiment_progress *now) {
    watcher *w = context;
    bool new_phase = strcmp(w->phase, now->phase) != 0;
    if (new_phase) {
        stopping_wait_for_step(strcmp(now->phase, "train") == 0); /* evaluating, nothing is there to be saved */
        snprintf(w->phase, sizeof w->phase, "%s", now->phase);
        w->first = now->done;
        w->started = clock_seconds();
    }
    if (w->events) {
        tell_event(w, now, new_phase);
    } else if (strcmp(now->phase, "train") == 0) {
        tell_training(w, now);
    } else {
        char text[256];
        watch_text(now, text, sizeof text);
        terminal_status(&w->terminal, new_phase, "%s", text);
        if (new_phase && !w->terminal.live) terminal_line(&w->terminal, "%s", text);
    }
}

static void on_warning(void *context, const char *line) {
    watcher *w = context;
    if (w->events)
        watch_print_json(json_pack("{s:s, s:s}", "event", "warning", "text", line));
    else
        terminal_line(&w->terminal, "mews: warning: %s", line);
}

static void on_note(void *context, const char *line) {
    watcher *w = context;
    if (w->events)
        watch_print_json(json_pack("{s:s, s:s}", "event", "note", "text", line));
    else
        terminal_line(&w->terminal, "%s", line);
}

/* The run that is meant: the only one, or the one --only names. */
static const queue_item *pick(const queue *q, const char *only, error *err) {
    if (!only && q->sweep.count == 1) return &q->items[0];
    if (!only) {
        error_set(err, ERROR_USAGE, "%s stands for %zu runs: `mews sweep` does them all, --only ID one of them",
                  q->file.path, q->sweep.count);
        return NULL;
    }
    for (size_t i = 0; i < q->sweep.count; i++)
        if (strcmp(q->items[i].id, only) == 0) return &q->items[i];
    error_set(err, ERROR_USAGE, "%s has no run `%.240s`; `mews sweep --dry-run` lists them", q->file.path, only);
    return NULL;
}

/* A training has no epoch beyond its last. */
static bool ends_by(long until, const queue_item *item, error *err) {
    long long epochs = (long long)item->plan->spec.train.epochs;
    return until <= epochs || error_set(err, ERROR_USAGE, "--until %ld is beyond train.epochs, %lld", until, epochs);
}

/* Sleeps until nobody works on the run, looking once a second. False when interrupted meanwhile. */
static bool wait_for_others(watcher *w, const queue_item *item, const volatile sig_atomic_t *interrupted) {
    const struct timespec second = {.tv_sec = 1};
    if (!run_is_held(item->folder)) return true;
    if (!w->events) terminal_line(&w->terminal, "another process works on it; it is waited for");
    while (!*interrupted && run_is_held(item->folder)) nanosleep(&second, NULL);
    return !*interrupted;
}

/* Trains and evaluates; with --wait after whoever else is at it, however often another one is faster. */
static bool work_on(watcher *w, const queue_item *item, const arguments *args, const char *results, run_again again,
                    const experiment_hooks *hooks, run_outcome *out, error *err) {
    bool waits = arguments_has(args, "--wait");
    for (;;) {
        if (waits && !wait_for_others(w, item, hooks->interrupted))
            return error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to go on");
        if (experiment_run(item->plan, results, again, hooks, out, err)) return true;
        if (!waits || !strstr(err->text, LEASE_HELD)) return false;
        *err = (error){0};
    }
}

/* ---- As a task of a sweep that halves ---- */

/* A run that goes no further since the task before this one was lost says so itself: nobody else was there. */
static bool tell_lost(const halving *h, const queue *q, size_t run, error *err) {
    const queue_item *item = &q->items[run];
    char words[256], reason[400];
    struct run r;
    error ignored = {0}; /* it never began */
    halving_words(h, q, run, words, sizeof words);
    snprintf(reason, sizeof reason, "it never came to %s", words);
    if (run_open_folder(&r, item->folder, &ignored)) {
        if (r.status == RUN_UNFINISHED || r.status == RUN_STOPPED) run_fail(&r, reason, &ignored);
        run_close(&r);
    }
    return error_set(err, ERROR_RUN, "%s: %s; the same `mews sweep --slurm` tries it again", item->id, reason);
}

/* Whether the run goes on, by what all runs have recorded, and up to where. */
static bool ask_rung(queue *q, const queue_item *item, long rung, const volatile sig_atomic_t *interrupted,
                     bool *goes_on, error *err) {
    halving *h;
    halving_task found;
    char words[256];
    size_t run = (size_t)(item - q->items);
    if (!halving_open(&h, q, err)) return false;
    size_t rungs = halving_rungs(h, run);
    bool done = rungs && (size_t)rung <= rungs + 1;
    *goes_on = false;
    if (!rungs)
        error_set(err, ERROR_USAGE, "--rung %ld: the spec does not halve %s", rung, item->id);
    else if (!done)
        error_set(err, ERROR_USAGE, "--rung %ld: %s is halved at %zu rungs, behind which is its end", rung, item->id,
                  rungs);
    else if (!halving_ask(h, q, run, (size_t)rung, interrupted, &found))
        done = error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to go on");
    else if (found == HALVING_IS_LOST)
        done = tell_lost(h, q, run, err);
    else if (found == HALVING_STOPS) {
        halving_record(h, q, run, false);
        printf("%s is stopped at %s\n", item->id, halving_words(h, q, run, words, sizeof words));
    } else if (found == HALVING_WAITS)
        printf("%s has nothing to do before rung %ld is judged\n", item->id, rung);
    else
        *goes_on = true;
    halving_close(h);
    return done;
}

/* ---- As one of several processes ---- */

/* Of several processes: kernels that agree, and the threads of each where the spec says none. */
static bool meet(const queue *q, peers *p, error *err) {
    if (!p) return true;
    int threads = peers_threads(p); /* asks all of them */
    for (size_t i = 0; i < q->sweep.count; i++)
        if (q->sweep.runs[i].spec.train.threads == 0) q->sweep.runs[i].spec.train.threads = threads;
    return words_same_kernels(p, err);
}

/* Of another rank than 0: trains along. Rank 0 hears the signals, and says when it is over. */
static bool run_along(const command_context *context, const arguments *args, error *err) {
    static const int heard_by_rank_0[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU};
    experiment_hooks hooks = {.interrupted = context->interrupted, .peers = context->peers};
    queue q;
    for (size_t i = 0; i < sizeof heard_by_rank_0 / sizeof *heard_by_rank_0; i++) signal(heard_by_rank_0[i], SIG_IGN);
    if (!queue_name(&q, args->words[0], args, arguments_value(args, "--out", "results"), &hooks, err)) return false;
    error ignored = {0}; /* rank 0 says which run is meant, or that none is */
    const queue_item *item = pick(&q, arguments_value(args, "--only", NULL), &ignored);
    bool done = meet(&q, context->peers, err) && (!item || experiment_follow(item->plan, &hooks, err));
    queue_close(&q);
    return done;
}

/* The run that is meant and what stands in its way, up to its outcome. */
static bool find_and_work(watcher *w, const command_context *context, const arguments *args, experiment_hooks *hooks,
                          run_outcome *out, bool *goes_on, error *err) {
    const char *results = arguments_value(args, "--out", "results"), *spec = args->words[0];
    long until, rung;
    run_again again;
    queue q;
    if (!arguments_number(args, "--until", 1, INT32_MAX, 0, &until, err) ||
        !arguments_number(args, "--rung", 1, HALVING_MOST_RUNGS + 1, 0, &rung, err) || !queue_again(args, &again, err))
        return false;
    if (rung && until) return error_set(err, ERROR_USAGE, "--until or --rung, not both");
    if (rung && (w->events || arguments_has(args, "--json")))
        return error_set(err, ERROR_USAGE, "--rung tells in words alone, without --json and --events");
    if (!(rung ? queue_open(&q, spec, args, results, hooks, err) : queue_name(&q, spec, args, results, hooks, err)))
        return false;
    bool done = meet(&q, context->peers, err);
    const queue_item *item = done ? pick(&q, arguments_value(args, "--only", NULL), err) : NULL;
    done = item && ends_by(until, item, err);
    if (done && rung) done = ask_rung(&q, item, rung, context->interrupted, goes_on, err);
    if (done && *goes_on) {
        hooks->until = rung ? item->until : until;
        if (rung && !(item->other && item->status != RUN_FAILED)) again = RUN_ASK; /* as a sweep has it */
        if (context->peers)
            terminal_line(&w->terminal, "%d processes of %lld threads, by %s", context->peers->count,
                          (long long)item->plan->spec.train.threads, context->peers->library);
        done =
            results_folder_open(results, q.file.name, err) && work_on(w, item, args, results, again, hooks, out, err);
    }
    queue_close(&q);
    return done;
}

static bool run_train(const command_context *context, const arguments *args, error *err) {
    if (context->peers && context->peers->rank) return run_along(context, args, err);
    watcher w = {.terminal = terminal_open(stderr), .events = arguments_has(args, "--events")};
    experiment_hooks hooks = {
        .context = &w,
        .progress = on_progress,
        .warn = on_warning,
        .note = on_note,
        .interrupted = context->interrupted,
        .unindexed = arguments_has(args, "--unindexed"),
        .peers = context->peers,
    };
    run_outcome out = {0};
    bool goes_on = true, done = find_and_work(&w, context, args, &hooks, &out, &goes_on, err);
    terminal_clear(&w.terminal);
    if (done && !goes_on) return true;
    if (w.events || (done && arguments_has(args, "--json"))) {
        json_t *outcome = watch_outcome_json(&out, err);
        if (w.events) json_object_set_new(outcome, "event", json_string("end"));
        watch_print_json(outcome);
    } else if (done) {
        watch_print_outcome(&out);
    }
    json_decref(out.final);
    json_decref(out.verdicts);
    if (done && out.end == RUN_END_INTERRUPTED)
        return error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to go on");
    return done;
}

static const option options[] = {
    {"--set", "-s", "KEY=VALUE", "change a key of the spec, as in method.codes=64; may come often"},
    {"--base", NULL, "KEY=VALUE", "the same under `methods:` and blocks: those that say otherwise keep their say"},
    {"--block", NULL, "NAME", "only this block of `sweeps:`; may come often"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {"--only", NULL, "ID", "one run out of a spec with a sweep"},
    {"--redo", NULL, NULL, "run it anew, whatever is there"},
    {"--reuse", NULL, NULL, "take or go on with what other code made (an engine, method or loop changed since)"},
    {"--wait", NULL, NULL, "wait while another process works on it, rather than refuse"},
    {"--until", NULL, "EPOCH", "stop after this epoch, as a part of the whole training, which goes on later"},
    {"--rung", NULL, "RUNG", "as a task of `mews sweep --slurm` with `halving`: up to that rung, if it still goes on"},
    {"--unindexed", NULL, NULL, "write the run's folder alone; whoever reads the results brings runs.db up to date"},
    {"--json", NULL, NULL, "print the outcome as one JSON object on stdout"},
    {"--events", NULL, NULL, "print progress and outcome as JSON lines on stdout, for programs that watch"},
    {0},
};

const command command_train = {
    .name = "train",
    .rules = {.words = "SPEC", .min_words = 1, .max_words = 1, .options = options},
    .summary = "train and evaluate one run; goes on where it stopped",
    .details =
        "SPEC is a YAML file; `mews keys` lists every key it may hold. The same spec finds its own run again:\n"
        "finished, it only prints the figures; interrupted, it goes on from the last checkpoint. With more\n"
        "train.epochs it goes on from the finished run that has fewer, where nothing in the training depends on\n"
        "its length (`optimizer.schedule: constant`), with the bits of one that began anew; else it says why not.\n"
        "--until stops within a training: schedules run over its whole length, and without --until it ends as if\n"
        "it had never stopped.\n",
    .go_on = "run the same command to go on",
    .run = run_train,
};

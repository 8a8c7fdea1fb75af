/*
 * Runs go into child processes (`mews train --only ID --events`), one after the other or several at a time, and are
 * watched through their event lines. The time left is reckoned from the running runs' own pace and, for those to come,
 * from what an image has cost in the runs already done.
 */
#include "experiments/sweep/scheduler.h"
#include "experiments/sweep/watch.h"
#include "engine/clock.h"
#include "engine/threads.h"
#include "experiments/sweep/child.h"
#include "experiments/commands/command.h"
#include "experiments/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef enum fate { WAITING, RUNNING, ELSEWHERE, DONE, FAILED, STOPPED } fate; /* elsewhere: by another process */

/* One run under way. */
typedef struct job {
    child child;
    size_t run;            /* index into the queue */
    double started, first; /* when, and the share of training that was done before */
    double share;          /* of training done now */
    double eval_started;   /* 0 while training */
    uint32_t epoch, epochs;
    double loss;
    char doing[64], reason[1024], last_words[512], stopped[160];
    json_t *final, *verdicts;
    bool ended; /* told its outcome */
} job;

/* The whole sweep. */
typedef struct scheduler {
    const queue *queue;
    const schedule *plan;
    terminal *terminal;
    fate *fates; /* one a run of the queue */
    job jobs[SCHEDULE_MAX_JOBS];
    size_t next;                      /* first run not looked at yet */
    double work_done, seconds_done;   /* of the runs done: what an image costs */
    double eval_seconds, evaluations; /* of the runs done in this sitting */
    double said, looked; /* when the last plain line was printed, and other processes' runs were last looked at */
    bool stopping;
    schedule_outcome *outcome;
} scheduler;

/* ---- Time ---- */

/* Of a run that waits: all of it, but for the epochs of a shorter one that it goes on from. */
static double to_be_done(const queue_item *item) {
    double epochs = (double)item->plan->spec.train.epochs;
    return epochs > 0 ? item->work * (1 - (double)item->trained / epochs) : item->work;
}

static double cost_of(const scheduler *s, double work) {
    return s->work_done > 0 ? s->seconds_done / s->work_done * work : NAN;
}

static double job_left(const scheduler *s, const job *j, double now) {
    double eval = s->evaluations > 0 ? s->eval_seconds / s->evaluations : 0;
    if (j->eval_started > 0) return fmax(0, eval - (now - j->eval_started));
    double gained = j->share - j->first;
    if (gained > 0.01) return (now - j->started) / gained * (1 - j->share) + eval;
    return cost_of(s, s->queue->items[j->run].work) * (1 - j->share);
}

/* Seconds until everything is done, NaN while nothing is known. */
static double time_left(const scheduler *s, double now) {
    double total = 0, longest = 0, known_cost = 0, known_work = 0, work = 0;
    for (int i = 0; i < s->plan->jobs; i++) {
        const job *j = &s->jobs[i];
        if (!j->child.pid) continue;
        double left = job_left(s, j, now);
        total += left;
        longest = fmax(longest, left);
        known_cost += left + now - j->started;
        known_work += s->queue->items[j->run].work * (1 - j->first);
    }
    for (size_t i = 0; i < s->queue->sweep.count; i++)
        if (s->fates[i] == WAITING) work += to_be_done(&s->queue->items[i]);
    double cost = cost_of(s, work);
    if (work > 0) total += isfinite(cost) ? cost : known_cost / known_work * work;
    return fmax(total / s->plan->jobs, longest);
}

/* ---- What a child says ---- */

static double number(const json_t *event, const char *key) {
    const json_t *value = json_object_get(event, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void note_progress(job *j, const json_t *event) {
    const char *phase = json_string_value(json_object_get(event, "phase"));
    const char *what = json_string_value(json_object_get(event, "what"));
    double now = clock_seconds(), done = number(event, "done"), total = number(event, "total");
    if (!phase) return;
    if (strcmp(phase, "train") != 0) {
        snprintf(j->doing, sizeof j->doing, "%s%s%s", phase, what ? ": " : "", what ? what : "");
        if (strcmp(phase, "eval") == 0 && j->eval_started == 0) j->eval_started = now;
        return;
    }
    *j->doing = '\0';
    j->share = total > 0 ? done / total : 0;
    if (j->epochs == 0) j->first = j->share, j->started = now;
    j->epoch = (uint32_t)number(event, "epoch");
    j->epochs = (uint32_t)number(event, "epochs");
    j->loss = number(event, "loss");
}

typedef struct line_context {
    scheduler *scheduler;
    job *job;
} line_context;

static void on_line(void *context, const char *text) {
    const line_context *c = context;
    json_t *event = json_loads(text, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (!kind) { /* what a crash leaves behind */
        snprintf(c->job->last_words, sizeof c->job->last_words, "%s", text);
    } else if (strcmp(kind, "progress") == 0) {
        note_progress(c->job, event);
    } else if (strcmp(kind, "warning") == 0 || strcmp(kind, "note") == 0) {
        const char *text_of = json_string_value(json_object_get(event, "text"));
        terminal_line(c->scheduler->terminal, "%s%s", *kind == 'w' ? "mews: warning: " : "", text_of ? text_of : "");
    } else if (strcmp(kind, "end") == 0) {
        const char *reason = json_string_value(json_object_get(event, "reason"));
        snprintf(c->job->reason, sizeof c->job->reason, "%s", reason ? reason : "");
        const char *stopped = json_string_value(json_object_get(event, "stopped"));
        snprintf(c->job->stopped, sizeof c->job->stopped, "%s%s", stopped ? "; " : "", stopped ? stopped : "");
        json_decref(c->job->final);
        json_decref(c->job->verdicts);
        c->job->final = json_incref(json_object_get(event, "final"));
        c->job->verdicts = json_incref(json_object_get(event, "verdicts"));
        c->job->ended = true;
    }
    json_decref(event);
}

/* ---- Runs that another process works on ---- */

/* Two sweeps of one spec share its runs: each leaves the other's alone, and takes up those that it left unfinished. */
static void leave_to_others(scheduler *s, size_t run) {
    char label[RUN_ID_SIZE];
    s->fates[run] = ELSEWHERE;
    terminal_line(s->terminal, "[%zu/%zu] %s: another process works on it; it is waited for", run + 1,
                  s->queue->sweep.count, queue_label(&s->queue->items[run], label));
}

/* Whether there is still something to do for a run that waited: another process may have finished it, or be at it. */
static bool is_ours(scheduler *s, size_t run) {
    const queue_item *item = &s->queue->items[run];
    char label[RUN_ID_SIZE];
    struct run now = {0};
    error ignored = {0}; /* the run itself will tell */
    if (run_is_held(item->folder)) {
        leave_to_others(s, run);
        return false;
    }
    bool seen = run_peek(&now, s->plan->results, item->plan, item->checksum, &ignored);
    bool finished = seen && now.status == RUN_FINISHED && !now.other;
    if (seen) run_close(&now);
    if (!finished) return true;
    s->fates[run] = DONE;
    s->outcome->found++;
    terminal_line(s->terminal, "[%zu/%zu] %s: finished by another process", run + 1, s->queue->sweep.count,
                  queue_label(item, label));
    return false;
}

/* Once a second: runs that nobody works on any more wait for us again. Returns how many are still elsewhere. */
static size_t look_elsewhere(scheduler *s) {
    double now = clock_seconds();
    bool look = now - s->looked >= 1;
    size_t elsewhere = 0;
    if (look) s->looked = now;
    for (size_t i = 0; i < s->queue->sweep.count; i++) {
        if (s->fates[i] != ELSEWHERE) continue;
        if (look && !run_is_held(s->queue->items[i].folder)) {
            s->fates[i] = WAITING;
            if (i < s->next) s->next = i;
        }
        elsewhere++;
    }
    return elsewhere;
}

/* ---- Starting and ending runs ---- */

int schedule_threads(const spec *s, int jobs) {
    int share = threads_default() / jobs;
    return jobs > 1 && s->train.threads == 0 ? share > 0 ? share : 1 : run_threads(s);
}

static bool start(scheduler *s, job *j, size_t run, error *err) {
    enum { ROOM = 2 * MAX_GIVEN + 16 };
    const char *argv[ROOM] = {"mews", "train", s->queue->file.path, "--events"}, *set;
    int n = 4;
    char threads[64];
    const queue_item *item = &s->queue->items[run];
    for (size_t i = 0; (set = arguments_nth(s->plan->args, "--base", i)); i++) argv[n++] = "--base", argv[n++] = set;
    for (size_t i = 0; (set = arguments_nth(s->plan->args, "--set", i)); i++) argv[n++] = "--set", argv[n++] = set;
    argv[n++] = "--out", argv[n++] = s->plan->results;
    argv[n++] = "--only", argv[n++] = item->id;
    if (item->other && item->status != RUN_FAILED)
        argv[n++] = arguments_has(s->plan->args, "--redo") ? "--redo" : "--reuse";
    for (size_t i = 0; (set = arguments_nth(s->plan->args, "--block", i)); i++) argv[n++] = "--block", argv[n++] = set;
    if (s->plan->jobs > 1 && item->plan->spec.train.threads == 0) {
        snprintf(threads, sizeof threads, "train.threads=%d", schedule_threads(&item->plan->spec, s->plan->jobs));
        argv[n++] = "--set", argv[n++] = threads;
    }
    *j = (job){.run = run, .started = clock_seconds(), .loss = NAN};
    snprintf(j->doing, sizeof j->doing, "starting");
    s->fates[run] = RUNNING;
    return child_start(&j->child, argv, err);
}

/* The figures that a line has room for. */
static void few_figures(const json_t *final, char *out, size_t size) {
    static const char *const names[] = {"linear", "knn", "kmeans_ami", "prototype_ami", "rankme"};
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names && used < size; i++) {
        const json_t *value = json_object_get(final, names[i]);
        if (json_is_number(value))
            used += (size_t)snprintf(out + used, size - used, "%s %s %.4g", used ? "," : ":", names[i],
                                     json_number_value(value));
    }
}

/* A run whose process died has not said so itself. */
static void record_death(const queue_item *item, const char *reason) {
    run r;
    error ignored = {0};
    if (!run_open_folder(&r, item->folder, &ignored)) return;
    if (r.status == RUN_UNFINISHED || r.status == RUN_STOPPED) run_fail(&r, reason, &ignored);
    store_note_run(item->folder, false, &ignored);
    run_close(&r);
}

static void finish(scheduler *s, job *j) {
    const queue_item *item = &s->queue->items[j->run];
    char label[RUN_ID_SIZE], took[32], figures[256], verdicts[160];
    double now = clock_seconds(), seconds = now - j->started;
    int status = child_wait(&j->child);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    queue_label(item, label);
    terminal_duration(seconds, took);
    if (code == 0) {
        s->fates[j->run] = DONE;
        s->outcome->finished++;
        s->work_done += item->work * (1 - j->first);
        s->seconds_done += seconds;
        if (j->eval_started > 0) s->eval_seconds += now - j->eval_started, s->evaluations++;
        few_figures(j->final, figures, sizeof figures);
        terminal_line(s->terminal, "[%zu/%zu] %s: finished in %s%s%s%s", j->run + 1, s->queue->sweep.count, label, took,
                      figures, watch_verdicts(j->verdicts, verdicts, sizeof verdicts), j->stopped);
    } else if (code == EXIT_INTERRUPTED || (s->stopping && !j->ended)) {
        s->fates[j->run] = STOPPED;
        s->stopping = true;
    } else if (strstr(j->reason, LEASE_HELD)) { /* taken in the moment before ours began */
        leave_to_others(s, j->run);
    } else {
        s->fates[j->run] = FAILED;
        s->outcome->failed++;
        if (!j->ended) {
            char end[128], why[sizeof j->reason] = "";
            child_end(status, end, sizeof end);
            snprintf(why, sizeof why, "%s%s%s", end, *j->last_words ? ": " : "", j->last_words);
            memcpy(j->reason, why, sizeof why);
            record_death(item, j->reason);
        }
        terminal_line(s->terminal, "[%zu/%zu] %s: failed: %s", j->run + 1, s->queue->sweep.count, label, j->reason);
    }
    json_decref(j->final);
    json_decref(j->verdicts);
    j->final = j->verdicts = NULL;
}

/* ---- Showing ---- */

/* "[14/16] 12 min left in all   codes-256 seed-0   epoch 3/20   loss 7.91": a narrow terminal cuts off what matters
 * least.
 */
static void show(scheduler *s) {
    double now = clock_seconds();
    if (!s->terminal->live && now - s->said < 60) return;
    const job *first = NULL;
    int running = 0;
    for (int i = 0; i < s->plan->jobs; i++)
        if (s->jobs[i].child.pid && running++ == 0) first = &s->jobs[i];
    if (!first) return;
    char label[RUN_ID_SIZE], doing[128], left[32], more[32] = "", line[512];
    queue_label(&s->queue->items[first->run], label);
    double seconds = time_left(s, now);
    bool known = isfinite(seconds) && seconds >= 0;
    if (known) terminal_duration(seconds, left);
    snprintf(doing, sizeof doing, "%s", first->doing);
    if (!*first->doing)
        snprintf(doing, sizeof doing, "epoch %u/%u   loss %.4f",
                 first->epoch < first->epochs ? first->epoch + 1 : first->epochs, first->epochs, first->loss);
    if (running > 1) snprintf(more, sizeof more, "   (and %d more)", running - 1);
    snprintf(line, sizeof line, "[%zu/%zu] %s%s   %s   %s%s", first->run + 1, s->queue->sweep.count,
             s->stopping ? "stopping at the next step"
             : known     ? left
                         : "estimating",
             s->stopping || !known ? "" : " left in all", label, doing, more);
    if (s->terminal->live)
        terminal_status(s->terminal, false, "%s", line);
    else
        terminal_line(s->terminal, "%s", line);
    s->said = now;
}

/* ---- The loop ---- */

/* Gives every idle job the next run that waits. */
static bool fill_jobs(scheduler *s, error *err) {
    for (int i = 0; i < s->plan->jobs; i++) {
        if (s->jobs[i].child.pid) continue;
        while (s->next < s->queue->sweep.count && (s->fates[s->next] != WAITING || !is_ours(s, s->next))) s->next++;
        if (s->next == s->queue->sweep.count) break;
        if (!start(s, &s->jobs[i], s->next, err)) return false;
    }
    return true;
}

static void stop_jobs(scheduler *s) {
    s->stopping = true;
    for (int i = 0; i < s->plan->jobs; i++)
        if (s->jobs[i].child.pid) kill(s->jobs[i].child.pid, SIGTERM);
}

/* Reads what the children said in the next fifth of a second, and notes those that ended. Returns how many run. */
static int attend(scheduler *s) {
    struct pollfd polls[SCHEDULE_MAX_JOBS];
    int running = 0;
    for (int i = 0; i < s->plan->jobs; i++)
        polls[i] = (struct pollfd){.fd = s->jobs[i].child.pid ? s->jobs[i].child.output : -1, .events = POLLIN};
    poll(polls, (nfds_t)s->plan->jobs, 200);
    for (int i = 0; i < s->plan->jobs; i++) {
        job *j = &s->jobs[i];
        if (!j->child.pid) continue;
        child_read(&j->child, &(line_context){s, j}, on_line);
        if (j->child.output < 0)
            finish(s, j);
        else
            running++;
    }
    return running;
}

/* What is finished is skipped, and what it took tells what an image costs. */
static void skip_finished(scheduler *s) {
    for (size_t i = 0; i < s->queue->sweep.count; i++) {
        const queue_item *item = &s->queue->items[i];
        if (item->to_do) continue;
        s->fates[i] = DONE;
        s->outcome->found += !item->other;
        s->outcome->kept += item->other != NULL;
        if (item->seconds > 0) s->work_done += item->work, s->seconds_done += item->seconds;
    }
}

/* ---- The queue, for others to see ---- */

/* Takes the lease whose note lists what is to do; those of sweeps that died are swept up. */
static lease *announce(const queue *q, const char *results, error *err) {
    char folder[1100], path[1500];
    bool held;
    snprintf(folder, sizeof folder, "%.1000s/%s", results, q->file.name);
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0 && !lease_is_held(path)) unlink(path);
    }
    if (directory) closedir(directory);
    json_t *note = json_object();
    for (size_t i = 0; i < q->sweep.count; i++) {
        const queue_item *item = &q->items[i];
        if (!item->to_do) continue;
        json_object_set_new(note, item->id,
                            run_plan_record(item->plan, item->id, item->data, item->checksum, "queued"));
    }
    snprintf(path, sizeof path, "%s/" QUEUE_PREFIX "%ld-%ld", folder, (long)getpid(), (long)time(NULL));
    return lease_take(path, note, &held, err);
}

bool schedule_run(const queue *q, const schedule *plan, terminal *t, schedule_outcome *out, error *err) {
    *out = (schedule_outcome){0};
    scheduler s = {.queue = q, .plan = plan, .terminal = t, .outcome = out, .said = clock_seconds()};
    s.fates = calloc(q->sweep.count, sizeof *s.fates);
    if (!s.fates) return error_memory(err, q->sweep.count * sizeof *s.fates, "a sweep");
    skip_finished(&s);
    lease *queued = out->found + out->kept < q->sweep.count ? announce(q, plan->results, err) : NULL;
    int running = err->code == ERROR_NONE;
    while (running) {
        if (*plan->interrupted && !s.stopping) stop_jobs(&s);
        if (!s.stopping && !fill_jobs(&s, err)) stop_jobs(&s);
        running = attend(&s);
        size_t elsewhere = s.stopping ? 0 : look_elsewhere(&s);
        if (!running) running = elsewhere > 0;
        for (size_t i = s.next; !s.stopping && !running && i < q->sweep.count; i++) running = s.fates[i] == WAITING;
        show(&s);
    }
    terminal_clear(t);
    lease_release(queued);
    out->interrupted = s.stopping;
    free(s.fates);
    return err->code == ERROR_NONE;
}

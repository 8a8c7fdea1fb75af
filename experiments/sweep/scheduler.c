/*
 * Runs go into child processes (`mews train --only ID --events`), one after the other or several at a time, and are
 * watched through their event lines.
 */
#include "experiments/sweep/scheduler_parts.h"
#include "experiments/sweep/watch.h"
#include "engine/clock.h"
#include "engine/threads.h"
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
        const char *status = json_string_value(json_object_get(event, "status"));
        c->job->at_rung = status && strcmp(status, "stopped") == 0;
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

/* Whether a run waits for nothing but a job. */
static bool may_begin(const scheduler *s, size_t run) {
    return s->fates[run] == WAITING && !s->queue->items[run].waits && !s->queue->items[run].stopped;
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
    bool at_rung = seen && now.status == RUN_STOPPED && !now.other && item->until;
    if (seen) run_close(&now);
    if (at_rung) { /* perhaps it is there already */
        halving_look(s->plan->halving, s->queue, run, HALVING_ON);
        halving_judge(s->plan->halving, s->queue);
        s->judged = false;
        if (!may_begin(s, run)) return false;
    }
    if (!finished) return true;
    if (s->plan->halving) halving_look(s->plan->halving, s->queue, run, HALVING_OVER);
    s->judged = false;
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
    enum { ROOM = 2 * MAX_GIVEN + 20 };
    const char *argv[ROOM] = {"mews", "train", s->queue->file.path, "--events"}, *set;
    int n = 4;
    char threads[64], until[32];
    const queue_item *item = &s->queue->items[run];
    for (size_t i = 0; (set = arguments_nth(s->plan->args, "--base", i)); i++) argv[n++] = "--base", argv[n++] = set;
    for (size_t i = 0; (set = arguments_nth(s->plan->args, "--set", i)); i++) argv[n++] = "--set", argv[n++] = set;
    argv[n++] = "--out", argv[n++] = s->plan->results;
    argv[n++] = "--only", argv[n++] = item->id;
    if (item->until) {
        snprintf(until, sizeof until, "%lld", (long long)item->until);
        argv[n++] = "--until", argv[n++] = until;
    }
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

/* What a run has come to, for its rung; without a look there it would be begun for ever. */
static void note_for_halving(scheduler *s, size_t run, const char *label) {
    halving *h = s->plan->halving;
    halving_end end = s->fates[run] == FAILED ? HALVING_FAILED : s->fates[run] == DONE ? HALVING_OVER : HALVING_ON;
    s->judged = false;
    if (!h || halving_look(h, s->queue, run, end) || s->fates[run] != WAITING) return;
    s->fates[run] = FAILED;
    s->outcome->failed++;
    halving_look(h, s->queue, run, HALVING_FAILED);
    terminal_line(s->terminal, "[%zu/%zu] %s: failed: its metrics.jsonl holds no look after epoch %lld", run + 1,
                  s->queue->sweep.count, label, (long long)s->queue->items[run].until);
}

static void finish(scheduler *s, job *j) {
    const queue_item *item = &s->queue->items[j->run];
    char label[RUN_ID_SIZE], took[32], figures[256], verdicts[160];
    double now = clock_seconds(), seconds = now - j->started;
    int status = child_wait(&j->child);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    queue_label(item, label);
    terminal_duration(seconds, took);
    if (code == 0 && j->at_rung) {
        s->fates[j->run] = WAITING;           /* until its rung is judged */
        s->queue->items[j->run].other = NULL; /* it is of this code by now, and is gone on with */
        s->work_done += item->work * (j->share - j->first);
        s->seconds_done += seconds;
        terminal_line(s->terminal, "[%zu/%zu] %s: epoch %lld of %lld in %s", j->run + 1, s->queue->sweep.count, label,
                      (long long)item->until, (long long)item->plan->spec.train.epochs, took);
    } else if (code == 0) {
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
    note_for_halving(s, j->run, label);
}

/* ---- The loop ---- */

/* Gives every idle job the next run that waits. */
static bool fill_jobs(scheduler *s, error *err) {
    for (int i = 0; i < s->plan->jobs; i++) {
        if (s->jobs[i].child.pid) continue;
        while (s->next < s->queue->sweep.count && (!may_begin(s, s->next) || !is_ours(s, s->next))) s->next++;
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

/* By what runs have recorded since: who goes on, from the first run on, and who is stopped, which is written down. */
static void judge(scheduler *s) {
    halving *h = s->plan->halving;
    char label[RUN_ID_SIZE], words[256];
    if (!h || s->judged) return;
    halving_judge(h, s->queue);
    s->judged = true;
    s->next = 0;
    for (size_t i = 0; i < s->queue->sweep.count; i++) {
        bool stopped = s->queue->items[i].stopped;
        if (s->fates[i] == HALTED && !stopped) { /* others had to begin anew, and recorded something else */
            s->fates[i] = WAITING;
            s->outcome->stopped--;
        }
        if (s->fates[i] != WAITING || !stopped) continue;
        s->fates[i] = HALTED;
        s->outcome->stopped++;
        halving_record(h, s->queue, i, true);
        terminal_line(s->terminal, "[%zu/%zu] %s: stopped at %s", i + 1, s->queue->sweep.count,
                      queue_label(&s->queue->items[i], label), halving_words(h, s->queue, i, words, sizeof words));
    }
}

/* What is finished is skipped, and what it took tells what an image costs. */
static void skip_finished(scheduler *s) {
    for (size_t i = 0; i < s->queue->sweep.count; i++) {
        const queue_item *item = &s->queue->items[i];
        if (item->to_do) continue;
        s->fates[i] = item->stopped ? HALTED : DONE;
        s->outcome->stopped += item->stopped;
        s->outcome->found += !item->other && !item->stopped;
        s->outcome->kept += item->other != NULL && !item->stopped;
        if (item->stopped)
            halving_record(s->plan->halving, s->queue, i, true); /* a sweep that was killed may not have */
        if (item->seconds > 0 && !item->stopped) s->work_done += item->work, s->seconds_done += item->seconds;
    }
}

/* ---- The queue, for others to see ---- */

/* The queues of sweeps that died. */
static void remove_dead_queues(const char *folder) {
    char path[1500];
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0 && !lease_is_held(path)) unlink(path);
    }
    if (directory) closedir(directory);
}

/* Takes the lease whose note lists what is to do. */
static lease *announce(const queue *q, const char *folder, error *err) {
    char path[1500];
    bool held;
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

bool schedule_run(queue *q, const schedule *plan, terminal *t, schedule_outcome *out, error *err) {
    char folder[1100];
    *out = (schedule_outcome){0};
    scheduler s = {.queue = q, .plan = plan, .terminal = t, .outcome = out, .said = clock_seconds()};
    s.fates = calloc(q->sweep.count, sizeof *s.fates);
    if (!s.fates) return error_memory(err, q->sweep.count * sizeof *s.fates, "a sweep");
    skip_finished(&s);
    snprintf(folder, sizeof folder, "%.1000s/%s", plan->results, q->file.name);
    remove_dead_queues(folder);
    lease *queued = out->found + out->kept + out->stopped < q->sweep.count ? announce(q, folder, err) : NULL;
    int running = err->code == ERROR_NONE;
    while (running) {
        if (*plan->interrupted && !s.stopping) stop_jobs(&s);
        if (!s.stopping) judge(&s);
        if (!s.stopping && !fill_jobs(&s, err)) stop_jobs(&s);
        running = attend(&s);
        size_t elsewhere = s.stopping ? 0 : look_elsewhere(&s);
        if (!running) running = elsewhere > 0;
        for (size_t i = 0; !s.stopping && !running && i < q->sweep.count; i++) running = s.fates[i] == WAITING;
        scheduler_show(&s);
    }
    terminal_clear(t);
    lease_release(queued);
    out->interrupted = s.stopping;
    free(s.fates);
    return err->code == ERROR_NONE;
}

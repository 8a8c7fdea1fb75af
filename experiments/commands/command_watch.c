/*
 * `mews watch`: how a sweep does, drawn anew every other second from its folder, whoever runs it and wherever.
 * `mews cancel`: ends what was handed to Slurm.
 */
#include "experiments/commands/command.h"
#include "experiments/commands/terminal.h"
#include "experiments/sweep/progress.h"
#include "experiments/sweep/results_folder.h"
#include "experiments/sweep/slurm.h"
#include "experiments/sweep/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static bool find_sweep(const arguments *args, char folder[1024], error *err) {
    const char *word = args->words[0], *results = arguments_value(args, "--out", "results");
    return results_folder_find(word, results, folder) ||
           error_set(err, ERROR_USAGE,
                     "there is no sweep `%.200s` in %.200s, nor a folder of that name; `mews runs` lists "
                     "what there is",
                     word, results);
}

/* ---- watch ---- */

/* What wants looking at comes first. */
static const char *const order[] = {"running", "failed", "unreadable", "interrupted", "finished", "queued", "stopped"};
enum { STATUSES = sizeof order / sizeof *order };

/* Losses as a row of eighths, from the least to the most of them. */
static void draw_losses(const run_progress *run) {
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < run->loss_count; i++) least = fmin(least, run->losses[i]), most = fmax(most, run->losses[i]);
    for (size_t i = 0; i < run->loss_count; i++)
        fputs(bars[most > least ? lround(7 * (run->losses[i] - least) / (most - least)) : 0], stdout);
    printf("%*s", (int)(PROGRESS_LOSSES - run->loss_count), "");
}

static void draw_verdicts(const run_progress *run) {
    bool said = false;
    for (int m = 0; m < COLLAPSE_MODES; m++) {
        const char *word = run->verdicts[m];
        if (strcmp(word, "collapsed") != 0 && strcmp(word, "warning") != 0) continue;
        const char *colour = terminal_colour(stdout, word);
        printf("  %s%s %s%s", colour, collapse_mode_name((collapse_mode)m), word, *colour ? TERMINAL_PLAIN : "");
        said = true;
    }
    if (!said && *run->verdicts[0]) fputs("  nothing collapsed", stdout);
}

static void draw_run(const run_progress *run, const char *label, int label_width, int width) {
    const char *colour = terminal_colour(stdout, run->status);
    printf("  %s%-11s%s %-*.*s", colour, run->status, *colour ? TERMINAL_PLAIN : "", label_width, label_width, label);
    if (isnan(run->loss)) {
        putchar('\n');
        return;
    }
    printf("  epoch %4.1f/%-3.0f  loss %-9.4g ", run->epoch, run->epochs, run->loss);
    if (label_width + 48 + PROGRESS_LOSSES < width) draw_losses(run);
    draw_verdicts(run);
    if (*run->reason) printf("  %s", run->reason);
    putchar('\n');
}

/* At most `lines` of runs, those first that want looking at; the rest only counted. */
static void draw(const sweep_progress *p, const char *name, int lines) {
    size_t counts[STATUSES] = {0}, drawn = 0;
    int width = terminal_width(stdout), widest = 8;
    char label[RUN_ID_SIZE];
    for (size_t i = 0; i < p->count; i++) {
        for (size_t s = 0; s < STATUSES; s++) counts[s] += strcmp(p->runs[i].status, order[s]) == 0;
        run_label(name, p->runs[i].id, label);
        if ((int)strlen(label) > widest) widest = (int)strlen(label);
    }
    if (widest > width / 3) widest = width / 3;
    printf("%s: %zu %s", name, p->count, p->count == 1 ? "run" : "runs");
    for (size_t s = 0; s < STATUSES; s++)
        if (counts[s]) printf(", %zu %s", counts[s], order[s]);
    putchar('\n');
    for (size_t s = 0; s < STATUSES; s++)
        for (size_t i = 0; i < p->count; i++) {
            if (strcmp(p->runs[i].status, order[s]) != 0 || (int)drawn >= lines) continue;
            run_label(name, p->runs[i].id, label);
            draw_run(&p->runs[i], label, widest, width);
            drawn++;
        }
    if (drawn < p->count) printf("  and %zu more\n", p->count - drawn);
    fflush(stdout);
}

static bool goes_on(const sweep_progress *p) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->runs[i].status, "running") == 0 || strcmp(p->runs[i].status, "queued") == 0) return true;
    return false;
}

/* Lines that a screen has for runs. */
static int room_for_runs(void) {
    struct winsize window;
    return ioctl(1, TIOCGWINSZ, &window) == 0 && window.ws_row > 6 ? window.ws_row - 3 : 20;
}

static bool run_watch(const command_context *context, const arguments *args, error *err) {
    char folder[1024];
    long every;
    bool live = terminal_open(stdout).live && !arguments_has(args, "--once"), more = true;
    if (!find_sweep(args, folder, err) || !arguments_number(args, "--every", 1, 3600, 2, &every, err)) return false;
    while (strlen(folder) > 1 && folder[strlen(folder) - 1] == '/') folder[strlen(folder) - 1] = '\0';
    const char *name = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
    while (more && !*context->interrupted) {
        sweep_progress p;
        if (!sweep_progress_read(&p, folder, err)) return false;
        if (live) fputs("\033[H\033[2J", stdout);
        draw(&p, name, live ? room_for_runs() : 100000);
        more = live && goes_on(&p);
        sweep_progress_free(&p);
        const struct timespec pause = {.tv_sec = every};
        if (more) nanosleep(&pause, NULL);
    }
    return true;
}

static const option watch_options[] = {
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {"--every", NULL, "SECONDS", "how often it is drawn (default: 2)"},
    {"--once", NULL, NULL, "draw it once"},
    {0},
};

const command command_watch = {
    .name = "watch",
    .rules = {.words = "NAME|DIR", .min_words = 1, .max_words = 1, .options = watch_options},
    .summary = "how a sweep does: progress, losses and verdicts so far, drawn anew until it ends",
    .details =
        "NAME is a sweep's folder in results. It is read from the disk alone, so it may be watched from another\n"
        "machine. Where stdout is no terminal it is drawn once.\n",
    .run = run_watch,
};

/* ---- cancel ---- */

static bool run_cancel(const command_context *context, const arguments *args, error *err) {
    (void)context;
    char folder[1024];
    size_t jobs;
    if (!find_sweep(args, folder, err) || !slurm_cancel(folder, &jobs, err)) return false;
    printf("%zu %s told to end; runs under way write a checkpoint, and `mews sweep --slurm` hands over what is left\n",
           jobs, jobs == 1 ? "job array" : "job arrays");
    return true;
}

static const option cancel_options[] = {
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {0},
};

const command command_cancel = {
    .name = "cancel",
    .rules = {.words = "NAME|DIR", .min_words = 1, .max_words = 1, .options = cancel_options},
    .summary = "end what a sweep handed to Slurm",
    .details = "A sweep in a terminal ends with Ctrl-C.\n",
    .run = run_cancel,
};

/*
 * What the suites kills, flips and faults share: a toy run whose every file is known, a state that each trial starts
 * from, and the comparison of what a trial ended with to what an undisturbed life ends with.
 */
#ifndef MEWS_TESTS_HARNESS_H
#define MEWS_TESTS_HARNESS_H

#include "tests/experiments/program.h"

#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

/* MEWS_SCENES=train,sweep: these alone. */
static inline bool is_chosen(const char *scene) {
    const char *only = getenv("MEWS_SCENES");
    return !only || strstr(only, scene);
}

/* How many trials: the environment's, for a long one, or a few. */
static inline int trials(const char *variable, int few) {
    const char *given = getenv(variable);
    int many = given ? atoi(given) : few;
    return many > 0 ? many : few;
}

typedef struct dice {
    unsigned long long state;
} dice;

static inline unsigned roll(dice *d, unsigned below) {
    d->state = d->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(d->state >> 33) % (below ? below : 1);
}

static inline dice dice_of(const char *variable) {
    const char *given = getenv(variable);
    return (dice){given ? strtoull(given, NULL, 10) : 1}; /* a check finds today what it found yesterday */
}

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Tells what is wrong and goes on to the next trial; the test fails at its end, where `wrong` has to be 0. */
static int wrong;

__attribute__((format(printf, 2, 3))) static inline bool hold(bool holds, const char *format, ...) {
    va_list more;
    if (holds) return true;
    wrong++;
    va_start(more, format);
    printf("wrong: ");
    vprintf(format, more);
    puts("");
    fflush(stdout);
    va_end(more);
    return false;
}

/* A shell's command in the test's folder: its exit code. */
static inline int try(const char *commands) {
    char command[3000];
    snprintf(command, sizeof command, "cd %s && { %s; } >/dev/null 2>&1", folder, commands);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static inline void write_toys(void) {
    shell("printf 'name: toy\\ndata: {name: shapes, size: 8, limit: 64, cache: cache}\\naugment: none\\n"
          "backbone: {name: resnet8, width: 2}\\nmethod: {name: falcon, features: 8, codes: 16}\\n"
          "train: {epochs: 3, batch: 16, threads: 1, loader_threads: 1, checkpoint_every: 1, log_every: 1}\\n"
          "eval: [knn, kmeans, prototypes, collapse]\\n' >toy.yaml");
    shell("sed 's/name: toy/name: two/' toy.yaml >two.yaml; printf 'sweep:\\n  train.seed: [0, 1]\\n' >>two.yaml");
}

/* Whether two run folders hold the same results, in the same files: arrays, diagnosis and figures to the bit, history
 * but for times. */
static inline bool same_run(const char *a, const char *b) {
    char command[2400];
    snprintf(command, sizeof command,
             "a=%s; b=%s; for f in embeddings.npy labels.npy assignments.npy diagnosis.json spec.yaml; do "
             "test -e $a/$f || test -e $b/$f || continue; cmp $a/$f $b/$f || exit 1; done; "
             "strip() { sed 's/,\"time\":{[^}]*}//' $1/metrics.jsonl; sed -n '/\"final\"/,/}/p' $1/run.json; "
             "grep '\"status\"' $1/run.json; }; strip $a >a.txt && strip $b >b.txt && cmp a.txt b.txt",
             a, b);
    return try(command) == 0;
}

/* From the life in whole/: long/, a training of twenty epochs, and cut/, one that was told to stop when it had two
 * checkpoints. */
static inline void write_cut(void) {
    char command[1600];
    snprintf(
        command, sizeof command,
        "mkdir long && cd long && sed 's/epochs: 3/epochs: 20/' ../toy.yaml >toy.yaml && cp -r ../whole/cache . && "
        "'%s' train toy.yaml",
        program);
    ck_assert_int_eq(try(command), 0);
    snprintf(command, sizeof command,
             "rm -rf cut; mkdir cut; cd cut; cp ../long/toy.yaml .; cp -r ../whole/cache .; '%s' train toy.yaml & "
             "child=$!; for i in $(seq 3000); do test $(ls results/toy/*/checkpoint-* | wc -l) -ge 2 && break; "
             "sleep 0.01; done; kill $child; wait $child; test $? = 130",
             program);
    for (int i = 0; i < 20; i++)
        if (try(command) == 0) return;
    ck_abort_msg("no training was stopped on its way");
}

/* Whether the index in state/ says of the runs what the one in whole/ does. */
static inline bool same_index(void) {
    char command[2600];
    snprintf(command, sizeof command,
             "cd state && '%s' runs --json --show knn,method.codes >../a.txt && cd ../whole && "
             "'%s' runs --json --show knn,method.codes >../b.txt && cd .. && cmp a.txt b.txt",
             program, program);
    return try(command) == 0;
}

/* PDFs carry the day that gnuplot drew them on; the numbers beside them and the page do not. */
static inline bool same_report(void) {
    return try("cd whole/results/two/figures && for f in *.csv; do cmp $f ../../../../state/results/two/figures/$f || "
               "exit 1; done; cd ../../../.. && cmp whole/results/two/index.html state/results/two/index.html && "
               "! find state/results/two -name '*.tmp-*' | grep .") == 0;
}

/* Starts `mews WORDS` through a shell that becomes it, in a group of its own. */
static inline pid_t begin(const char *words) {
    char command[2048];
    snprintf(command, sizeof command, "cd %s && exec '%s' %s >out 2>err </dev/null", folder, program, words);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setpgid(0, 0);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    setpgid(child, child);
    return child;
}

/* Waits for a process; kills its group after so many seconds. Exit code, −signal, or −1000 when it hung. */
static inline int end_within(pid_t child, double limit) {
    double until = seconds() + limit;
    int status;
    while (waitpid(child, &status, WNOHANG) != child) {
        if (seconds() > until) {
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            return -1000;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif

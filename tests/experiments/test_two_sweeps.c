/*
 * Two sweeps of one spec at once on one store, one of them killed five times, with and without its runs: every run is
 * trained once, stands in the index once, and both sweeps end well. MEWS_KILL_RUNS=200 makes it a long one.
 */
#include "engine/files/file.h"
#include "engine/files/lease.h"
#include "tests/experiments/index_dump.h"
#include "tests/experiments/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { KILLS = 5, LONGEST_S = 3600 };

static int runs_wanted(void) {
    const char *given = getenv("MEWS_KILL_RUNS");
    int runs = given ? atoi(given) : 24;
    return runs >= 12 ? runs : 12;
}

static void write_spec(int runs) {
    char path[160], text[4096];
    error err = {0};
    size_t used = (size_t)snprintf(text, sizeof text,
                                   "name: toy\n"
                                   "data: {name: shapes, size: 8, limit: 64}\n"
                                   "augment: none\n"
                                   "backbone: {name: resnet8, width: 2}\n"
                                   "method: {name: falcon, features: 8, codes: 8}\n"
                                   "train: {epochs: 1, batch: 32, threads: 1}\n"
                                   "eval: [knn]\n"
                                   "sweep:\n"
                                   "  method.beta: [0.5, 1]\n"
                                   "  train.seed: [0");
    for (int seed = 1; seed < runs / 2; seed++) used += (size_t)snprintf(text + used, sizeof text - used, ", %d", seed);
    used += (size_t)snprintf(text + used, sizeof text - used, "]\n");
    snprintf(path, sizeof path, "%s/toy.yaml", folder);
    ck_assert(file_write(path, text, used, &err));
}

/* A sweep in a process group of its own; what it says goes to a file of this name. */
static pid_t start_sweep(const char *log) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid) return pid;
    setpgid(0, 0);
    if (chdir(folder)) _exit(127);
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0) _exit(127);
    execl(program, "mews", "sweep", "toy.yaml", "-j", "2", (char *)NULL);
    _exit(127);
}

static int code_of(pid_t pid) {
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int folders_of_runs(void) {
    char path[160];
    int count = 0;
    snprintf(path, sizeof path, "%s/results/toy", folder);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) count += *entry->d_name != '.';
    if (directory) closedir(directory);
    return count;
}

/* Until so many runs have begun. */
static void wait_for_runs(int runs) {
    struct timespec pause = {.tv_nsec = 10000000};
    time_t start = time(NULL);
    while (folders_of_runs() < runs) {
        ck_assert_msg(time(NULL) - start < LONGEST_S, "no progress beyond %d runs", folders_of_runs());
        nanosleep(&pause, NULL);
    }
}

static char *log_of(const char *name) {
    char path[160];
    size_t size;
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = file_read(path, &size, &err);
    ck_assert_msg(text != NULL, "%s", err.text);
    return text;
}

START_TEST(test_two_sweeps_share_their_runs_though_one_is_killed_again_and_again) {
    int runs = runs_wanted() / 2 * 2;
    char path[160];
    write_spec(runs);
    const said *dry = mews("sweep toy.yaml --dry-run"); /* imports the images once, before anyone is killed */
    ck_assert_msg(dry->code == 0, "%s", dry->err);
    pid_t steady = start_sweep("steady.log"), victim = start_sweep("victim.log");
    for (int kills = 0; kills < KILLS; kills++) {
        wait_for_runs((kills + 1) * runs / (KILLS + 2));
        ck_assert_msg(kill(kills % 2 ? victim : -victim, SIGKILL) == 0, "it ended before it was killed");
        ck_assert_int_eq(code_of(victim), -SIGKILL);
        victim = start_sweep("victim.log");
    }
    int last = code_of(victim), first = code_of(steady);
    ck_assert_msg(first == 0 && last == 0, "codes %d and %d:\n%s\n%s", first, last, log_of("steady.log"),
                  log_of("victim.log"));
    ck_assert_int_eq(folders_of_runs(), runs);

    const said *counted = mews("runs --where 'status = finished' --csv"); /* brings the index up to date */
    ck_assert_msg(counted->code == 0, "%s", counted->err);
    snprintf(path, sizeof path, "%s/results/runs.db", folder);
    char *grown = index_dump(path);
    ck_assert_uint_eq(lines_with(grown, "|finished|"), (size_t)runs);
    ck_assert_uint_eq(lines_with(grown, "|toy/toy_"), (size_t)runs);
    ck_assert_int_eq(mews("index")->code, 0);
    char *rebuilt = index_dump(path);
    ck_assert_str_eq(grown, rebuilt);
    free(grown);
    free(rebuilt);
    char *log = log_of("steady.log");
    ck_assert_msg(strstr(log, "failed") == NULL, "%s", log);
    free(log);
    const said *again = mews("sweep toy.yaml");
    ck_assert_int_eq(again->code, 0);
    char all[64];
    snprintf(all, sizeof all, "%d of %d runs finished already", runs, runs);
    ck_assert_msg(strstr(again->err, all) != NULL, "%s", again->err);
}
END_TEST

START_TEST(test_a_run_that_another_process_works_on_is_waited_for) {
    char path[600], id[300] = "";
    write_spec(2); /* beta 0.5 and 1, one seed */
    const char *at = strstr(mews("sweep toy.yaml --dry-run --json")->out, "\"id\": \"");
    ck_assert_msg(at && sscanf(at, "\"id\": \"%299[^\"]", id) == 1, "no id");
    snprintf(path, sizeof path, "mkdir -p results/toy/%s", id);
    shell(path);
    snprintf(path, sizeof path, "%s/results/toy/%s/" LEASE_FILE, folder, id);
    error err = {0};
    bool held;
    lease *ours = lease_take(path, NULL, &held, &err); /* another process, as far as the sweep can tell */
    ck_assert_msg(ours != NULL, "%s", err.text);
    shell("touch waiting.log");
    pid_t sweep = start_sweep("waiting.log");
    struct timespec pause = {.tv_nsec = 20000000};
    for (int i = 0; i < 3000; i++) {
        char *said_so_far = log_of("waiting.log");
        bool said_it = strstr(said_so_far, "another process works on it; it is waited for") != NULL &&
                       strstr(said_so_far, "finished in") != NULL;
        free(said_so_far);
        if (said_it) break;
        nanosleep(&pause, NULL);
    }
    ck_assert_int_eq(waitpid(sweep, NULL, WNOHANG), 0);
    lease_release(ours); /* gone without having finished it: the sweep takes the run up */
    int code = code_of(sweep);
    char *log = log_of("waiting.log");
    ck_assert_msg(code == 0 && strstr(log, "2 of 2 runs finished"), "code %d: %s", code, log);
    free(log);
}
END_TEST

Suite *suite_two_sweeps(void) {
    Suite *suite = suite_create("two_sweeps");
    TCase *tests = tcase_create("two sweeps");
    tcase_set_timeout(tests, LONGEST_S);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_two_sweeps_share_their_runs_though_one_is_killed_again_and_again);
    tcase_add_test(tests, test_a_run_that_another_process_works_on_is_waited_for);
    suite_add_tcase(suite, tests);
    return suite;
}

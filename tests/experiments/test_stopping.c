/*
 * Being stopped from outside: whichever signal comes, and however often, training leaves a checkpoint and goes on from
 * it to the same bits; a sweep's runs do so when the sweep dies; what has nothing to save ends although it never looks.
 */
#include "tests/experiments/program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

static void setup(void) {
    program_setup();
    /* Thousands of small steps, so that a signal always finds a step to come. */
    shell("printf 'name: stop\\ndata: {name: shapes, limit: 64, size: 16}\\nbackbone: {name: resnet8, width: 4}\\n"
          "method: {name: falcon, features: 8, codes: 16}\\ntrain: {epochs: 20000, batch: 16, threads: 1, "
          "loader_threads: 1, checkpoint_every: 20000, log_every: 100}\\neval: [knn]\\n' >stop.yaml");
    shell("sed 's/name: stop/name: sweep/' stop.yaml >sweep.yaml; printf 'sweep:\\n  train.seed: [0, 1]\\n' "
          ">>sweep.yaml");
}

static void pause_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

/* Starts the program in the test's folder, in a group of its own; stdout and stderr to files. */
static pid_t start(const char *const *words) {
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setpgid(0, 0);
        if (chdir(folder) != 0 || !freopen("out", "w", stdout) || !freopen("err", "w", stderr)) _exit(126);
        execv(program, (char *const *)(void *)words);
        _exit(127);
    }
    setpgid(child, child);
    return child;
}

/* Exit code, or −signal; a program that does not end within a minute is a failure of its own. */
static int finish(pid_t child) {
    int status;
    for (int i = 0; i < 6000; i++, pause_ms(10))
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    kill(-child, SIGKILL);
    ck_abort_msg("it did not end");
    return 0;
}

static int count(const char *pattern) {
    char command[256], number[32] = "";
    snprintf(command, sizeof command, "ls %s/%s 2>/dev/null | wc -l", folder, pattern);
    FILE *list = popen(command, "r");
    ck_assert(list && fgets(number, sizeof number, list));
    pclose(list);
    return atoi(number);
}

/* Until the history has a line: training is under way. */
static void wait_for_training(const char *pattern, int files) {
    char command[256];
    snprintf(command, sizeof command, "test $(cat %s/%s 2>/dev/null | wc -l) -ge %d", folder, pattern, files);
    for (int i = 0; i < 3000; i++, pause_ms(20))
        if (system(command) == 0) return;
    ck_abort_msg("no training began");
}

static const char *const train[] = {"mews", "train", "stop.yaml", "--out", "results", NULL};

static void assert_said(const char *text) {
    char said[4096];
    read_start("err", said, sizeof said);
    ck_assert_msg(strstr(said, text), "%s", said);
}

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1, SIGPIPE};

START_TEST(test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on) {
    signal(SIGHUP, SIG_DFL); /* whoever runs the tests may ignore it, as nohup does */
    pid_t child = start(train);
    wait_for_training("results/stop/*/metrics.jsonl", 2);
    kill(child, signals[_i]);
    if (signals[_i] != SIGINT)
        for (int i = 0; i < 20; i++) kill(child, signals[_i]); /* the checkpoint being written must outlive these */
    ck_assert_int_eq(finish(child), 130);
    ck_assert_int_eq(count("results/stop/*/checkpoint-*.safetensors"), 1);
    ck_assert_int_eq(count("results/stop/*/*.tmp-*"), 0);
    assert_said("interrupted; run the same command to go on");
    const said *s = mews("eval results/stop/*");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "has not been trained to its end; `mews train` goes on with it"), "%s", s->err);
    shell("sed -i '1s/[0-8]/9/' results/stop/*/metrics.jsonl"); /* until it goes on, the record speaks of its history */
    s = mews("compare results/stop/* results/stop/*");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "metrics.jsonl: is not the file that run.json speaks of"), "%s", s->err);
}
END_TEST

START_TEST(test_a_group_that_is_told_twice_leaves_a_checkpoint_of_every_run) {
    static const char *const words[] = {"mews", "sweep", "sweep.yaml", "--out", "results", "-j", "2", NULL};
    pid_t child = start(words);
    wait_for_training("results/sweep/*seed-0*/metrics.jsonl", 2);
    wait_for_training("results/sweep/*seed-1*/metrics.jsonl", 2);
    kill(-child, SIGTERM);
    kill(-child, SIGTERM);
    ck_assert_int_eq(finish(child), 130);
    ck_assert_int_eq(count("results/sweep/*/checkpoint-*.safetensors"), 2);
    ck_assert_int_eq(count("results/sweep/*/*.tmp-*"), 0);
}
END_TEST

START_TEST(test_runs_whose_sweep_is_killed_save_themselves) {
    static const char *const words[] = {"mews", "sweep", "sweep.yaml", "--out", "results", "-j", "2", NULL};
    pid_t child = start(words);
    wait_for_training("results/sweep/*seed-0*/metrics.jsonl", 2);
    wait_for_training("results/sweep/*seed-1*/metrics.jsonl", 2);
    kill(child, SIGKILL);
    ck_assert_int_eq(finish(child), -SIGKILL);
    for (int i = 0; i < 3000 && count("results/sweep/*/lease") > 0; i++) pause_ms(20);
    ck_assert_int_eq(count("results/sweep/*/checkpoint-*.safetensors"), 2);
    ck_assert_int_eq(count("results/sweep/queue-*"), 1);
}
END_TEST

/* Also one that died when the last of its runs was done, so that nothing is left to do. */
START_TEST(test_the_queue_of_a_sweep_that_was_killed_goes_with_the_next_sweep) {
    static const char *const words[] = {"mews", "sweep", "sweep.yaml", "--out", "results", NULL};
    static const char done[] = "sweep sweep.yaml --set name=done --set train.epochs=0 --set eval.metrics=[]";
    pid_t child = start(words);
    wait_for_training("results/sweep/*seed-0*/metrics.jsonl", 2);
    kill(-child, SIGKILL);
    ck_assert_int_eq(finish(child), -SIGKILL);
    ck_assert_int_eq(mews(done)->code, 0);
    ck_assert_int_eq(count("results/done/queue-*"), 0);
    shell("cp results/sweep/queue-* results/done/");
    const said *s = mews(done);
    ck_assert_msg(s->code == 0 && strstr(s->err, "finished already"), "%d: %s%s", s->code, s->out, s->err);
    ck_assert_int_eq(count("results/done/queue-*"), 0);
}
END_TEST

/* Lines of `mews runs` with this status, of the index read directly, and mentions in the report's table. */
static void assert_standing(const char *status, int runs) {
    char words[160];
    snprintf(words, sizeof words, "runs results --csv --show id,status --where 'status = %s'", status);
    const said *s = mews(words);
    int lines = 0;
    for (const char *c = s->out; *c; c++) lines += *c == '\n';
    ck_assert_msg(s->code == 0 && lines == runs + 1, "%s: %s%s", status, s->out, s->err);
    snprintf(words, sizeof words,
             "test $(sqlite3 results/runs.db \"SELECT count(*) FROM runs WHERE status = '%s'\") = %d", status, runs);
    if (system("command -v sqlite3 >/dev/null") == 0) shell(words);
    ck_assert_int_eq(mews("report results/sweep")->code, 0);
    snprintf(words, sizeof words, "test $(grep -o '<td>%s</td>' results/sweep/index.html | wc -l) = %d", status, runs);
    shell(words);
}

START_TEST(test_how_runs_stand_is_told_alike_everywhere) {
    static const char *const words[] = {"mews", "sweep", "sweep.yaml", "--out", "results", NULL};
    pid_t child = start(words);
    wait_for_training("results/sweep/*seed-0*/metrics.jsonl", 2);
    assert_standing("running", 1);
    assert_standing("queued", 1);
    assert_standing("interrupted", 0);
    kill(-child, SIGKILL);
    ck_assert_int_eq(finish(child), -SIGKILL);
    for (int i = 0; i < 3000 && strstr(mews("runs results --show status")->out, "running"); i++) pause_ms(20);
    assert_standing("running", 0);
    assert_standing("queued", 0);
    assert_standing("interrupted", 1);
    ck_assert_ptr_nonnull(strstr(mews("sweep sweep.yaml -n")->out, "interrupted"));
}
END_TEST

START_TEST(test_training_whose_reader_goes_away_saves_itself) {
    char line[1536];
    snprintf(line, sizeof line,
             "cd %s && { '%s' train stop.yaml --out results --events 2>err; echo $? >code; } | head -3 "
             ">/dev/null; cat code",
             folder, program);
    FILE *f = popen(line, "r");
    ck_assert(f && fgets(line, sizeof line, f));
    pclose(f);
    ck_assert_int_eq(atoi(line), 130);
    ck_assert_int_eq(count("results/stop/*/checkpoint-*.safetensors"), 1);
}
END_TEST

/* A server that takes a connection and says nothing. */
static int silent_server(char url[64]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(server >= 0 && bind(server, (struct sockaddr *)&at, sizeof at) == 0 && listen(server, 5) == 0);
    ck_assert_int_eq(getsockname(server, (struct sockaddr *)&at, &size), 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(at.sin_port));
    return server;
}

/* Commands that would work for minutes and have nothing to save. */
START_TEST(test_what_has_nothing_to_save_ends_although_it_never_looks) {
    char url[64], log[160];
    int server = silent_server(url);
    const char *const bench[] = {"mews", "bench", "spectrum", "--rows", "20000", "--cols", "4000", NULL};
    const char *const fetch[] = {"mews", "data", "fetch", "cifar10", "--mirror", url, "--out", "cache", NULL};
    const char *const diagnose[] = {"mews", "diagnose", "-", NULL}; /* of a pipe that nobody writes to */
    const char *const *all[] = {bench, fetch, diagnose};
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[0], 0), 0);
    pid_t child = start(all[_i]);
    pause_ms(1500); /* its handlers stand; if they did not yet, it would end by the signal itself */
    kill(child, SIGTERM);
    int code = finish(child);
    snprintf(log, sizeof log, "code %d", code);
    ck_assert_msg(code == 130 || code == -SIGTERM, "%s", log);
    if (code == 130) assert_said("interrupted; ");
    close(server);
}
END_TEST

START_TEST(test_a_program_started_under_nohup_outlives_its_terminal) {
    shell("sed 's/20000/4/g' stop.yaml >short.yaml");
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGHUP, &ignore, &before);
    static const char *const words[] = {"mews", "train", "short.yaml", "--out", "results", NULL};
    pid_t child = start(words);
    sigaction(SIGHUP, &before, NULL);
    for (int i = 0; i < 10; i++, pause_ms(10)) kill(child, SIGHUP);
    ck_assert_int_eq(finish(child), 0);
}
END_TEST

START_TEST(test_closed_standard_files_are_not_written_into_the_run) {
    shell("sed 's/20000/2/g' stop.yaml >short.yaml");
    char command[1536];
    snprintf(command, sizeof command, "cd %s && '%s' train short.yaml --out results 2>&- >&-", folder, program);
    int status = system(command);
    ck_assert(WIFEXITED(status));
    snprintf(command, sizeof command,
             "! grep -qs 'epoch 1 of' %s/results/stop/*/lock %s/results/stop/*/lease "
             "%s/results/stop/*/run.json %s/results/runs.db",
             folder, folder, folder, folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(count("results/stop/*/run.json"), 1);
}
END_TEST

Suite *suite_stopping(void) {
    Suite *s = suite_create("stopping");
    TCase *t = tcase_create("stopping");
    tcase_set_timeout(t, 180);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on, 0,
                        sizeof signals / sizeof *signals);
    tcase_add_test(t, test_a_group_that_is_told_twice_leaves_a_checkpoint_of_every_run);
    tcase_add_test(t, test_runs_whose_sweep_is_killed_save_themselves);
    tcase_add_test(t, test_the_queue_of_a_sweep_that_was_killed_goes_with_the_next_sweep);
    tcase_add_test(t, test_how_runs_stand_is_told_alike_everywhere);
    tcase_add_test(t, test_training_whose_reader_goes_away_saves_itself);
    tcase_add_loop_test(t, test_what_has_nothing_to_save_ends_although_it_never_looks, 0, 3);
    tcase_add_test(t, test_a_program_started_under_nohup_outlives_its_terminal);
    tcase_add_test(t, test_closed_standard_files_are_not_written_into_the_run);
    suite_add_tcase(s, t);
    return s;
}

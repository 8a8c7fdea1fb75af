/*
 * Killed at random moments, and run again: what is there in the end is what an uninterrupted life leaves.
 * MEWS_KILLS=1000 makes it a long one, MEWS_SEED repeats one. Who is killed is the process alone, or with all that it
 * started.
 */
#include "tests/experiments/harness.h"

#include "engine/data/sets/fetch.h"
#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "tests/engine/http_server.h"

/* What is killed: from which state, by which words, and how it is told that the end is right. */
typedef struct scene {
    const char *name, *start, *words;
    bool (*right)(void);
    int share; /* of 100 kills */
} scene;

static const char archive[] = "tests/golden/formats/cifar-100-binary.tar.gz";

static bool right_train(void) { return same_run("state/results/toy/*", "whole/results/toy/*"); }

static bool right_sweep(void) {
    return same_run("state/results/two/*seed-0*", "whole/results/two/*seed-0*") &&
           same_run("state/results/two/*seed-1*", "whole/results/two/*seed-1*") &&
           try("! ls state/results/two/queue-*") == 0;
}

static bool right_eval(void) { return same_run("state/results/toy/*", "whole/evaluated/toy/*"); }
static bool right_import(void) { return try("cmp state/cache/cifar100*.mews whole/pack/cifar100*.mews") == 0; }

static const scene scenes[] = {
    {"train", "true", "train toy.yaml", right_train, 38},
    {"sweep", "true", "sweep two.yaml -j 2", right_sweep, 20},
    {"eval", "cp -r ../whole/results .", "eval results/toy/* --set eval.sample=33", right_eval, 20},
    {"import", "true", "data import ../archive.tar.gz --kind cifar100 --out cache", right_import, 10},
    {"index", "cp -r ../whole/results . && rm -f results/runs.db", "index", same_index, 8},
    {"report", "cp -r ../whole/results . && rm -rf results/two/figures results/two/index.html", "report results/two",
     same_report, 4},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static void setup(void) {
    char here[1024], command[2400];
    program_setup();
    write_toys();
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(command, sizeof command, "cp '%.900s/%s' %s/archive.tar.gz", here, archive, folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command,
             "mkdir whole && cd whole && cp ../*.yaml . && m='%.1000s' && $m train toy.yaml && $m sweep two.yaml && "
             "$m data import ../archive.tar.gz --kind cifar100 --out pack && $m report results/two && "
             "cp -r results evaluated && mv evaluated kept && $m eval results/toy/* --set eval.sample=33 && "
             "mkdir evaluated && mv results/toy evaluated/ && cp -r kept/toy results/ && rm -r kept && $m index",
             program);
    ck_assert_int_eq(try(command), 0);
}

static void fresh_state(const scene *s) {
    char command[512];
    snprintf(command, sizeof command,
             "rm -rf state && mkdir state && cd state && cp ../*.yaml . && cp -r ../whole/cache . && %s", s->start);
    ck_assert_int_eq(try(command), 0);
}

/* Seconds that a scene takes undisturbed. */
static double length_of(const scene *s) {
    char command[1600];
    fresh_state(s);
    snprintf(command, sizeof command, "cd state && '%s' %s", program, s->words);
    double before = seconds();
    ck_assert_msg(try(command) == 0, "%s does not even work undisturbed", s->name);
    ck_assert_msg(s->right(), "%s: an undisturbed life is not like another", s->name);
    return seconds() - before;
}

static void kill_once(const scene *s, double length, dice *d, int *killed, int trial) {
    char command[2048];
    fresh_state(s);
    snprintf(command, sizeof command, "cd %s/state && exec '%s' %s >out 2>err </dev/null", folder, program, s->words);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    setpgid(child, child);
    double moment = length * roll(d, 10000) / 10000;
    nanosleep(&(struct timespec){.tv_sec = (time_t)moment, .tv_nsec = (long)((moment - (double)(time_t)moment) * 1e9)},
              NULL);
    bool all = roll(d, 2);
    kill(all ? -child : child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    *killed += WIFSIGNALED(status);
    snprintf(command, sizeof command, "cd state && timeout 120 '%s' %s >out 2>err", program, s->words);
    int code = try(command);
    char said[4096];
    read_start("state/err", said, sizeof said);
    hold(code == 0, "trial %d, %s killed%s after %.3f s: then code %d: %s", trial, s->name,
         all ? " with its children" : "", moment, code, said);
    hold(s->right(), "trial %d, %s killed%s after %.3f s: another end", trial, s->name, all ? " with its children" : "",
         moment);
    snprintf(command, sizeof command, "! find state -name '*.tmp-*' | grep .");
    hold(try(command) == 0, "trial %d, %s killed after %.3f s: a temporary stays", trial, s->name, moment);
}

START_TEST(test_what_is_killed_and_run_again_ends_like_what_was_not) {
    const scene *s = &scenes[_i];
    if (!is_chosen(s->name)) return;
    int kills = trials("MEWS_KILLS", 12) * s->share / 100, killed = 0;
    dice d = dice_of("MEWS_SEED");
    double length = length_of(s);
    if (kills < 2) kills = 2;
    for (int i = 0; i < kills; i++) kill_once(s, length, &d, &killed, i);
    printf("kills: %s, %d trials, %d killed before the end, the others just after it\n", s->name, kills, killed);
    fflush(stdout); /* a test that fails loses what is not */
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* Fetching, against a server that gives a quarter of the file at a time. */
START_TEST(test_a_fetch_that_is_killed_goes_on_to_the_whole_file) {
    if (!is_chosen("fetch")) return;
    int kills = trials("MEWS_KILLS", 12) / 12 + 1, killed = 0;
    char sum[33], mirror[64], place[160], path[300];
    size_t size, got;
    error err = {0};
    dice d = dice_of("MEWS_SEED");
    http_server server;
    char *bytes = file_read(archive, &size, &err);
    checksum_md5(bytes, size, sum);
    http_start(&server, bytes, size);
    catalog_entry entry = {"cifar100", {{"cifar-100-binary.tar.gz", "http://127.0.0.1:9", sum, size}}};
    fetch_options how = fetch_defaults;
    snprintf(mirror, sizeof mirror, "http://127.0.0.1:%d/cut", server.port);
    snprintf(place, sizeof place, "%s/fetched", folder);
    snprintf(path, sizeof path, "%s/cifar-100-binary.tar.gz", place);
    how.mirror = mirror, how.pause = 0.01;
    for (int i = 0; i < kills; i++) {
        try("rm -rf fetched");
        pid_t child = fork();
        if (child == 0) {
            error failed = {0};
            _exit(!fetch_files(&how, &entry, place, &failed));
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)roll(&d, 60) * 1000000}, NULL);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        killed += WIFSIGNALED(status);
        ck_assert_msg(fetch_files(&how, &entry, place, &err), "%s", err.text);
        char *whole = file_read(path, &got, &err);
        ck_assert(whole && got == size && memcmp(whole, bytes, size) == 0);
        free(whole);
    }
    http_stop(&server);
    free(bytes);
    printf("kills: fetch, %d trials, %d killed before the end\n", kills, killed);
}
END_TEST

Suite *suite_kills(void) {
    Suite *s = suite_create("kills");
    TCase *t = tcase_create("kills");
    tcase_set_timeout(t, 7200);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_what_is_killed_and_run_again_ends_like_what_was_not, 0, SCENES);
    tcase_add_test(t, test_a_fetch_that_is_killed_goes_on_to_the_whole_file);
    suite_add_tcase(s, t);
    return s;
}

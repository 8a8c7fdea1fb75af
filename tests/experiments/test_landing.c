/*
 * An evaluation lands as one: at whatever moment it is killed, the run holds the arrays, the diagnosis and the record
 * of one evaluation, the old or the new one. And what lies beside a record is what it speaks of, or is told not to be.
 */
#include "experiments/run/landing.h"
#include "tests/experiments/record_edit.h"

#include "engine/clock.h"
#include "engine/files/file.h"

#include <math.h>
#include <signal.h>
#include <time.h>

static void setup(void) {
    program_setup();
    shell("printf 'name: toy\\ndata: {name: shapes, size: 8, limit: 96}\\naugment: none\\n"
          "backbone: {name: resnet8, width: 2}\\nmethod: {name: falcon, features: 8, codes: 16}\\n"
          "train: {epochs: 1, batch: 16, threads: 1, loader_threads: 1}\\neval: [knn, collapse]\\n' >toy.yaml");
    ck_assert_int_eq(mews("train toy.yaml")->code, 0);
    shell("ln -s results/toy/toy_* run");
}

/* Makes what an evaluation writes, by hand: `text` in each of its files. */
static void gather(const char *text) {
    char run[80], path[300];
    error err = {0};
    snprintf(run, sizeof run, "%s/run", folder);
    ck_assert(landing_begin(run, &err));
    static const char *const names[] = {"embeddings.npy", "labels.npy", "run.json"};
    for (int i = 0; i < 3; i++)
        ck_assert(file_write(landing_path(run, names[i], path, sizeof path), text, strlen(text), &err));
    ck_assert(landing_without(run, "diagnosis.json", &err));
}

START_TEST(test_what_was_not_decided_never_counts) {
    char run[80];
    error err = {0};
    snprintf(run, sizeof run, "%s/run", folder);
    shell("cp run/embeddings.npy was.npy");
    gather("new");
    ck_assert(landing_recover(run, &err));
    shell("cmp run/embeddings.npy was.npy && test -e run/diagnosis.json && test ! -e run/.landing");
}
END_TEST

/* Killed after any number of moves, the rest follows when the run is opened again. */
START_TEST(test_what_was_decided_is_finished_whoever_comes_next) {
    char run[80];
    error err = {0};
    snprintf(run, sizeof run, "%s/run", folder);
    gather("new");
    shell("mv run/.landing run/.landed");
    static const char *const moved[] = {"true",
                                        "mv run/.landed/labels.npy run/",
                                        "rm -f run/diagnosis.json",
                                        "rm run/.landed/without-diagnosis.json",
                                        "mv run/.landed/embeddings.npy run/",
                                        "mv run/.landed/run.json run/"};
    for (int i = 0; i <= _i; i++) shell(moved[i]);
    ck_assert_msg(landing_recover(run, &err), "%s", err.text);
    shell("test \"$(cat run/embeddings.npy run/labels.npy run/run.json)\" = newnewnew");
    shell("test ! -e run/diagnosis.json && test ! -e run/.landed");
}
END_TEST

static bool says(const char *words, const char *part) { return strstr(mews(words)->err, part) != NULL; }

/* `mews eval` killed at random moments, in turns of two ways to measure. */
START_TEST(test_an_evaluation_that_is_killed_leaves_one_evaluation) {
    const char *given = getenv("MEWS_KILLS");
    int kills = given ? atoi(given) : 12, killed = 0;
    unsigned random = (unsigned)getpid();
    char sample[32];
    double before = clock_seconds();
    ck_assert_int_eq(mews("eval run --set eval.sample=21")->code, 0);
    double whole = clock_seconds() - before;
    for (int i = 0; i < kills; i++) {
        snprintf(sample, sizeof sample, "eval.sample=%d", 20 + i % 2);
        pid_t child = fork();
        if (child == 0) {
            if (chdir(folder) != 0 || !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
                _exit(126);
            execl(program, "mews", "eval", "run", "--set", sample, (char *)NULL);
            _exit(127);
        }
        random = random * 1103515245 + 12345;
        double moment = fmin((random >> 8) % 1000 / 1000.0 * whole, 0.9);
        nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * moment)}, NULL);
        kill(child, SIGKILL);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        /* whoever opens it next, as eval and train do, finds one evaluation */
        const said *s = mews("train toy.yaml --set eval.sample=20 --reuse");
        ck_assert_msg(s->code == 0, "%s", s->err);
        ck_assert_int_eq(mews("diagnose run")->code, 0);
        shell("test $(tail -c +129 run/labels.npy | wc -c) = 80"); /* 20 of 4 bytes */
    }
    ck_assert_int_gt(killed, 0);
}
END_TEST

START_TEST(test_figures_measured_otherwise_do_not_stay_beside_new_ones) {
    ck_assert_int_eq(mews("eval run --set eval=[kmeans]")->code, 0);
    shell("grep -q '\"knn\"' run/run.json && grep -q kmeans_ami run/run.json && test -e run/diagnosis.json");
    ck_assert_int_eq(mews("eval run --set eval=[kmeans] --set eval.sample=30")->code, 0);
    shell("! grep -q '\"knn\":' run/run.json && grep -q kmeans_ami run/run.json && test ! -e run/diagnosis.json");
    ck_assert_int_eq(mews("diagnose run")->code, 0);
}
END_TEST

static const char *const beside[] = {"embeddings.npy", "labels.npy", "assignments.npy", "diagnosis.json",
                                     "metrics.jsonl"};

START_TEST(test_a_file_that_its_record_does_not_speak_of_is_named) {
    char change[200], name[128];
    snprintf(name, sizeof name, "%s: is not the file that run.json speaks of", beside[_i]);
    /* one bit in the middle */
    snprintf(change, sizeof change,
             "f=run/%s; n=$(($(wc -c <$f) / 2)); b=$(tail -c +$((n + 1)) $f | head -c 1 | od -An -tu1); "
             "printf \"\\\\$(printf %%o $((b ^ 1)))\" | dd of=$f bs=1 seek=$n conv=notrunc 2>/dev/null",
             beside[_i]);
    shell(change);
    ck_assert_int_eq(mews("diagnose run")->code, 1);
    ck_assert_msg(says("diagnose run", name), "%s", mews("diagnose run")->err);
    ck_assert_int_eq(mews("report run")->code, 1);
}
END_TEST

/* The header's checksums hold, and the pixels are zeros. */
START_TEST(test_a_packed_file_whose_pixels_are_gone_is_imported_again) {
    ck_assert_int_eq(mews("train toy.yaml --set data.cache=cache --set name=cached")->code, 0);
    shell("cp results/cached/*/embeddings.npy was.npy; cp cache/shapes* pack");
    shell("head -c 6000 /dev/zero | dd of=$(ls cache/shapes*) bs=1 seek=4200 conv=notrunc 2>/dev/null");
    const said *s = mews("train toy.yaml --set data.cache=cache --set name=cached --redo");
    ck_assert_int_eq(s->code, 0);
    ck_assert_msg(strstr(s->err, "importing again"), "%s", s->err);
    shell("cmp results/cached/*/embeddings.npy was.npy && cmp cache/shapes* pack");
}
END_TEST

/* Told before the training rather than after it. */
START_TEST(test_too_few_images_to_measure_on_are_refused_at_once) {
    refused("train toy.yaml --set eval=[kmeans] --set eval.sample=3 --set name=few --set train.epochs=100000",
            "eval.sample 3: k-means into 10 classes needs as many images to measure on; take more, or leave `kmeans` "
            "out of eval");
    shell("test ! -e results/few || test -z \"$(ls results/few)\"");
}
END_TEST

/* A run that lies elsewhere is not ours to remove. */
START_TEST(test_removing_a_linked_run_leaves_what_it_points_at) {
    shell("mkdir results/links && mv results/toy/toy_* elsewhere && ln -s ../../elsewhere results/links/run");
    ck_assert_int_eq(mews("rm results/links/run --yes")->code, 0);
    shell("test ! -e results/links/run && test -e elsewhere/run.json && test -e elsewhere/embeddings.npy");
}
END_TEST

Suite *suite_landing(void) {
    Suite *s = suite_create("landing");
    TCase *t = tcase_create("landing");
    tcase_set_timeout(t, 3600);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_what_was_not_decided_never_counts);
    tcase_add_loop_test(t, test_what_was_decided_is_finished_whoever_comes_next, 0, 6);
    tcase_add_test(t, test_an_evaluation_that_is_killed_leaves_one_evaluation);
    tcase_add_test(t, test_figures_measured_otherwise_do_not_stay_beside_new_ones);
    tcase_add_loop_test(t, test_a_file_that_its_record_does_not_speak_of_is_named, 0, 5);
    tcase_add_test(t, test_a_packed_file_whose_pixels_are_gone_is_imported_again);
    tcase_add_test(t, test_too_few_images_to_measure_on_are_refused_at_once);
    tcase_add_test(t, test_removing_a_linked_run_leaves_what_it_points_at);
    suite_add_tcase(s, t);
    return s;
}

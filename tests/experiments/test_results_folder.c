/* The folder of a sweep before it begins: whose runs it holds, and whether it can be written. */
#include "engine/files/file.h"
#include "experiments/sweep/results_folder.h"
#include "tests/experiments/program.h"

#include <sys/stat.h>

static void write_spec(const char *method, const char *rest) {
    char path[128], text[1024];
    error err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    snprintf(text, sizeof text,
             "name: tiny\ndata: {name: shapes, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 4}\n"
             "method: {name: falcon, features: 16%s}\ntrain: {epochs: 0, batch: 32, threads: 1}\n"
             "eval: {metrics: [], sample: 100}\n%s",
             method, rest);
    ck_assert(file_write(path, text, strlen(text), &err));
}

static void taken(const char *words) {
    const said *s = mews(words);
    ck_assert_msg(s->code == 0, "%s: %s", words, s->err);
}

START_TEST(test_a_sweep_finds_its_own_runs_its_own) {
    write_spec(", codes: 16", "sweep: {method.beta: [1, 2]}\n");
    taken("sweep a.yaml");
    taken("sweep a.yaml --set sweep.method.beta=[3]");                      /* other values of what is swept */
    taken("sweep a.yaml --set method.beta=2 --set sweep.train.seed=[0,1]"); /* a part of it, more seeds */
    taken("sweep a.yaml --set eval.sample=50 --set train.threads=2");       /* what does not decide results */
    write_spec(", codes: \"${backbone.width}\"", "sweep: {method.beta: [1, 2], backbone.width: [4, 8]}\n");
    taken("sweep a.yaml --set name=other");
    taken("sweep a.yaml --set name=other --set backbone.width=2"); /* the codes follow */
    taken("sweep results/other/$(ls results/other | head -1)/spec.yaml --set sweep.method.beta=[5]"); /* one of its runs
                                                                                                       */
}
END_TEST

START_TEST(test_a_spec_that_changed_under_its_runs_is_refused_unless_forced) {
    write_spec(", codes: 16", "sweep: {method.beta: [1, 2]}\n");
    taken("sweep a.yaml");
    write_spec(", codes: 32, symmetric: false", "sweep: {method.beta: [1, 2]}\n");
    static const char line[] =
        "results/tiny holds 2 runs of another spec by this name: method.symmetric was true, is false; method.codes was "
        "16, is 32. Give this one another name (--set name=NAME), or put its runs beside the others with --force";
    refused("sweep a.yaml", line);
    refused("sweep a.yaml --set train.seed=5", line);
    taken("sweep a.yaml --dry-run");
    taken("sweep a.yaml --set name=tiny2");
    taken("sweep a.yaml --force");
    taken("sweep a.yaml");                                    /* nothing left to do */
    write_spec(", codes: 16", "sweep: {method.beta: [3]}\n"); /* as at first, and of either spec runs are there now */
    taken("sweep a.yaml");
    write_spec(", codes: 16", "augment: {preset: none}\nsweep: {method.beta: [1, 2]}\n");
    const said *s = mews("sweep a.yaml");
    ck_assert_msg(strstr(s->err, "augment.crop_min was 0.08, is 1.0; ") && strstr(s->err, "; and 4 more."), "%s",
                  s->err);
}
END_TEST

/* Forty images in MNIST's files, all in class 1; others for another `start`. */
static void write_images(int start) {
    char commands[600];
    snprintf(commands, sizeof commands,
             "mkdir -p mnist && for s in train t10k; do "
             "{ printf '\\0\\0\\10\\3\\0\\0\\0\\50\\0\\0\\0\\34\\0\\0\\0\\34'; seq %d 9999 | head -c 31360; } "
             ">mnist/$s-images-idx3-ubyte && "
             "{ printf '\\0\\0\\10\\1\\0\\0\\0\\50'; head -c 40 /dev/zero | tr '\\0' '\\1'; } "
             ">mnist/$s-labels-idx1-ubyte; done",
             start);
    shell(commands);
}

START_TEST(test_images_that_changed_under_their_runs_are_refused) {
    write_images(1);
    write_spec(", codes: 16", "sweep: {method.beta: [1, 2]}\n");
    taken("sweep a.yaml --set data.name=mnist --set data.path=mnist --set data.limit=0");
    write_images(2);
    const said *s = mews("sweep a.yaml --set data.name=mnist --set data.path=mnist --set data.limit=0");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "holds 2 runs of another spec by this name: the images' checksum was ") != NULL, "%s",
                  s->err);
}
END_TEST

START_TEST(test_a_method_that_the_sweep_no_longer_runs_is_a_part_left_out) {
    write_spec(", codes: 16",
               "methods: {supervised: {augment: {global_crops: 1}}}\nsweep: {method.name: [falcon, supervised]}\n");
    taken("sweep a.yaml");
    taken("sweep a.yaml --set sweep.method.name=[supervised]");
    refused("sweep a.yaml --set method=supervised --set train.batch=64 --set sweep.train.seed=[7]",
            "results/tiny holds 1 run of another spec by this name: train.batch was 32, is 64. Give this one another "
            "name (--set name=NAME), or put its runs beside the others with --force");
}
END_TEST

START_TEST(test_a_folder_that_cannot_be_written_is_refused_before_anything_runs) {
    write_spec(", codes: 16", "sweep: {method.beta: [1, 2]}\n");
    shell("touch results");
    refused("sweep a.yaml",
            "cannot make folder results: a file of that name is in the way; --out DIR keeps runs elsewhere");
    refused("train a.yaml --set method.beta=1",
            "cannot make folder results: a file of that name is in the way; --out DIR keeps runs elsewhere");
    taken("sweep a.yaml --set method.beta=1 --out elsewhere");
}
END_TEST

/* Root may write anywhere, so the test becomes somebody else; it runs in a process of its own. */
/* It would else take longer the more of thousands are done. A folder in a record's place hurts whoever reads it. */
START_TEST(test_one_run_of_a_sweep_reads_no_other_record) {
    write_spec(", codes: 16", "sweep: {method.beta: [1, 2]}\n");
    taken("sweep a.yaml");
    shell("cd results/tiny/*beta-1* && rm run.json && mkdir run.json");
    taken("train a.yaml --only $(basename results/tiny/*beta-2*)");
    const said *s = mews("sweep a.yaml");
    ck_assert_msg(s->code == 1 && strstr(s->err, "run.json"), "%d: %s", s->code, s->err);
}
END_TEST

START_TEST(test_a_read_only_folder_is_refused) {
    char path[128], expected[256];
    error err = {0};
    ck_assert_int_eq(chmod(folder, 0755), 0);
    shell("mkdir -p results/tiny && chmod 555 results/tiny results");
    if (geteuid() == 0) ck_assert_int_eq(seteuid(65534), 0);
    snprintf(path, sizeof path, "%s/results", folder);
    snprintf(expected, sizeof expected, "cannot write %s/tiny: Permission denied; --out DIR keeps runs elsewhere",
             path);
    bool opened = results_folder_open(path, "tiny", &err);
    ck_assert_str_eq(err.text, expected);
    ck_assert(!opened && err.code == ERROR_USAGE);
    err = (error){0};
    snprintf(expected, sizeof expected, "cannot make folder %s/new: Permission denied; --out DIR keeps runs elsewhere",
             path);
    ck_assert(!results_folder_open(path, "new", &err));
    ck_assert_str_eq(err.text, expected);
    if (getuid() == 0) ck_assert_int_eq(seteuid(0), 0);
    shell("chmod 755 results results/tiny");
}
END_TEST

Suite *suite_results_folder(void) {
    Suite *suite = suite_create("results_folder");
    TCase *tests = tcase_create("results_folder");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_a_sweep_finds_its_own_runs_its_own);
    tcase_add_test(tests, test_a_spec_that_changed_under_its_runs_is_refused_unless_forced);
    tcase_add_test(tests, test_images_that_changed_under_their_runs_are_refused);
    tcase_add_test(tests, test_a_method_that_the_sweep_no_longer_runs_is_a_part_left_out);
    tcase_add_test(tests, test_a_folder_that_cannot_be_written_is_refused_before_anything_runs);
    tcase_add_test(tests, test_one_run_of_a_sweep_reads_no_other_record);
    tcase_add_test(tests, test_a_read_only_folder_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

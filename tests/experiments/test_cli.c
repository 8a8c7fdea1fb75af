/* The program as a user meets it: $MEWS (or ./mews) is run, its exit code and what it prints are looked at. */
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static void write_spec(const char *text) {
    char path[128];
    error err = {0};
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    ck_assert(file_write(path, text, strlen(text), &err));
}

START_TEST(test_help_is_no_error_and_goes_to_stdout) {
    static const char *const asks[] = {
        "--help",        "help",        "train --help",    "sweep --help",    "eval -h",      "data --help",
        "report --help", "keys --help", "datasets --help", "diagnose --help", "bench --help", "backbones --help",
        "methods --help"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        const said *s = mews(asks[i]);
        ck_assert_msg(s->code == 0 && !*s->err && strstr(s->out, "usage: mews"), "%s", asks[i]);
    }
    ck_assert_int_eq(strncmp(mews("--version")->out, "mews ", 5), 0);
}
END_TEST

/* The page and the completions name every command, since they are made of the same table. */
START_TEST(test_the_man_page_and_completions_hold_every_command) {
    char commands[64][24], pattern[64];
    size_t count = 0;
    const char *at = mews("help")->out;
    for (at = strstr(at, "\n  "); at && count < 64; at = strstr(at + 1, "\n  "))
        if (sscanf(at + 3, "%23[a-z]", commands[count]) == 1) count++;
    ck_assert_uint_ge(count, 15);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(mews("help --man")->code, 0);
        snprintf(pattern, sizeof pattern, "grep -q '^.SS \"mews %.20s' out", commands[i]);
        shell(pattern);
    }
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t k = 0; k < sizeof shells / sizeof *shells; k++) {
        snprintf(pattern, sizeof pattern, "help --completion %s", shells[k]);
        ck_assert_int_eq(mews(pattern)->code, 0);
        for (size_t i = 0; i < count; i++) {
            snprintf(pattern, sizeof pattern, "grep -qw '%.20s' out", commands[i]);
            shell(pattern);
        }
    }
    mews("help --completion bash");
    shell("bash -n out");
    refused("help --completion tcsh", "--completion takes bash, zsh or fish, not `tcsh`");
    refused("help diagnos", "unknown command `diagnos`; did you mean `diagnose`?");
    ck_assert_ptr_nonnull(strstr(mews("help runs")->out, "usage: mews runs [DIR]"));
}
END_TEST

START_TEST(test_no_command_is_a_bad_command) {
    const said *s = mews("");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "usage: mews"));
}
END_TEST

START_TEST(test_slips_get_one_line_with_the_nearest_name) {
    write_spec("method: falcon\nmethdo: {codes: 3}\n");
    refused("trian", "unknown command `trian`; did you mean `train`?");
    refused("frobnicate", "unknown command `frobnicate`; `mews --help` lists them");
    refused("train --ste x", "unknown option `--ste` of `mews train`; did you mean `--set`?");
    refused("train", "`mews train` takes SPEC; `mews train --help` tells more");
    refused("train a b", "`b` is one word too many for `mews train`");
    refused("train a.yaml --set", "`--set` takes a value: KEY=VALUE");
    refused("sweep a.yaml -j lots", "`--jobs` takes an integer from 1 to 64, not `lots`");
    refused("sweep a.yaml --dry-run=3", "`--dry-run` takes no value");
    refused("train a.yaml", "unknown key `methdo` in a.yaml:2; did you mean `method`?");
    refused("sweep none.yaml", "cannot read none.yaml: No such file or directory");
    refused("keys trian", "no key begins with `trian`; did you mean `train`?");
    refused("bench step --backbon x", "unknown option `--backbon` of `mews bench`; did you mean `--backbone`?");
}
END_TEST

START_TEST(test_a_key_that_is_set_wrong_is_named) {
    write_spec("method: falcon\n");
    refused("train a.yaml --set method.code=3",
            "unknown key `method.code` in --set method.code=3; did you mean `method.codes`?");
    refused("train a.yaml --set train.epochs=soon",
            "--set train.epochs=soon: `train.epochs` takes an integer from 0 to 1000000, not `soon`");
    write_spec("method: falcon\nsweep: {train.seed: []}\n");
    refused("sweep a.yaml", "a.yaml:2: `train.seed` has nothing to sweep: its list is empty");
}
END_TEST

START_TEST(test_keys_come_from_the_tables) {
    const said *s = mews("keys");
    ck_assert_int_eq(s->code, 0);
    static const char *const some[] = {"data.path",    "augment.flip", "backbone.width", "method.codes",
                                       "optimizer.lr", "train.epochs", "eval.metrics"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) ck_assert_msg(strstr(s->out, some[i]), "%s", some[i]);
    s = mews("keys train.e");
    ck_assert_ptr_nonnull(strstr(s->out, "train.epochs"));
    ck_assert_ptr_null(strstr(s->out, "train.batch"));
    s = mews("keys barlow_twins");
    ck_assert_ptr_nonnull(strstr(s->out, "method.lambda"));
    ck_assert_ptr_null(strstr(s->out, "method.codes"));
}
END_TEST

START_TEST(test_lists_name_what_there_is) {
    ck_assert_ptr_nonnull(strstr(mews("methods")->out, "falcon"));
    ck_assert_ptr_nonnull(strstr(mews("backbones")->out, "resnet18"));
    ck_assert_ptr_nonnull(strstr(mews("datasets")->out, "shapes"));
}
END_TEST

/* The whole road on a very small run: sweep, found again, one run of it, its figures, and what `train` says to it. */
START_TEST(test_a_sweep_runs_and_is_found_finished) {
    write_spec("name: tiny\ndata: {name: shapes, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 4}\n"
               "method: {name: falcon, features: 16}\ntrain: {epochs: 1, batch: 32, threads: 1}\n"
               "eval: {metrics: [knn], sample: 100}\nsweep: {method.codes: [16, 32]}\n");
    const said *s = mews("sweep a.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_str_eq(s->out, "2 of 2 runs finished, in results/tiny\n`mews report results/tiny` draws them\n");
    ck_assert_ptr_nonnull(strstr(s->err, "2 runs to do, 1 at a time\n"));
    ck_assert_ptr_nonnull(strstr(s->err, "[1/2] codes-16: finished in "));
    s = mews("sweep a.yaml");
    ck_assert_str_eq(s->err, "2 of 2 runs finished already\n");
    s = mews("sweep a.yaml --dry-run --set 'sweep.method.codes=[32, 64]'");
    ck_assert_ptr_nonnull(strstr(s->out, "   1  finished     tiny_codes-32_"));
    ck_assert_ptr_nonnull(strstr(s->out, "   2  new          tiny_codes-64_"));
    refused("train a.yaml", "a.yaml stands for 2 runs: `mews sweep` does them all, --only ID one of them");
    s = mews("train a.yaml --only \"$(ls results/tiny | head -1)\" --json");
    ck_assert_msg(s->code == 0 && strstr(s->out, "{\"status\":\"found\"") == s->out, "%s%s", s->out, s->err);
    ck_assert_ptr_nonnull(strstr(s->out, "\"knn\":"));
    s = mews("eval results/tiny/$(ls results/tiny | head -1) --set eval.knn_k=5");
    ck_assert_msg(s->code == 0 && strstr(s->out, "  knn "), "%s%s", s->out, s->err);
}
END_TEST

/* A plan knows what its runs will take, one measurement for all that share a shape, and which cannot work. */
START_TEST(test_a_plan_tells_time_and_memory) {
    write_spec("name: tiny\ndata: {name: shapes, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 4}\n"
               "method: {name: falcon, features: 16}\ntrain: {epochs: 1, batch: 32, threads: 1}\n"
               "eval: {metrics: [knn, linear], sample: 100}\n"
               "sweep: {method.codes: [16, 32], train.epochs: [1, 1000000], method.beta: [1, 2]}\n");
    const said *s = mews("sweep a.yaml --dry-run -j 2");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_ptr_nonnull(strstr(s->out, "\n8 runs to do: about "));
    ck_assert_ptr_nonnull(strstr(s->out, ", 2 at a time, "));
    ck_assert_ptr_nonnull(strstr(s->out, "reckoned from 2 measured steps of "));
    ck_assert_ptr_nonnull(strstr(s->out, " MiB\n"));
    json_t *plan = json_loads(mews("sweep a.yaml --dry-run --json")->out, 0, NULL);
    json_t *runs = json_object_get(plan, "runs"), *total = json_object_get(plan, "estimate"), *few, *many;
    few = json_object_get(json_array_get(runs, 0), "estimate"),
    many = json_object_get(json_array_get(runs, 2), "estimate");
    double step = json_number_value(json_object_get(few, "step_seconds"));
    ck_assert(step > 1e-5 && step < 10);
    ck_assert_double_eq_tol(json_number_value(json_object_get(few, "train_seconds")), 2 * step, 1e-9);
    ck_assert_double_eq_tol(json_number_value(json_object_get(many, "train_seconds")) / step, 2e6, 1);
    ck_assert_double_gt(json_number_value(json_object_get(few, "memory_mib")), 1);
    double sum = 0;
    for (size_t i = 0; i < 8; i++) {
        json_t *e = json_object_get(json_array_get(runs, i), "estimate");
        sum += json_number_value(json_object_get(e, "train_seconds")) +
               json_number_value(json_object_get(e, "eval_seconds"));
    }
    ck_assert_double_eq_tol(json_number_value(json_object_get(total, "seconds")) / sum, 1, 1e-9);
    json_decref(plan);

    s = mews("sweep a.yaml --dry-run --set method.beta=1 --set train.epochs=1 --set 'sweep.train.batch=[32, 128]'");
    ck_assert_int_eq(s->code, 2);
    ck_assert_str_eq(s->err, "mews: 2 of 4 runs cannot work; the plan says why\n");
    ck_assert_ptr_nonnull(strstr(s->out,
                                 "cannot work: train.batch 128 x train.accumulate 1 is more than the 64 training "
                                 "images\n"));
}
END_TEST

START_TEST(test_no_epochs_measure_the_untrained_backbone) {
    write_spec("name: tiny\ndata: {name: shapes, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 4}\n"
               "method: {name: supervised}\ntrain: {epochs: 0, batch: 32, threads: 1}\n"
               "eval: {metrics: [knn, linear], sample: 100}\n");
    const said *s = mews("train a.yaml");
    ck_assert_msg(s->code == 0 && strstr(s->out, "  knn ") && strstr(s->out, "  linear "), "%s%s", s->out, s->err);
    s = mews("train a.yaml --json");
    ck_assert_msg(strstr(s->out, "{\"status\":\"found\"") == s->out, "%s%s", s->out, s->err);
    refused(
        "train a.yaml --set method.name=simclr --set augment.local_crops=2 --set augment.local_size=8",
        "augment.local_crops 2: simclr compares global views only; methods that take local ones: falcon, swav, dino, "
        "lejepa, visreg, mmcr, msn");
    refused("train a.yaml --set method.name=byol --set augment.global_crops=1",
            "augment.global_crops 1: byol compares two views of each image; set it to 2");
    refused("train a.yaml --set method.name=swav --set method.queue=40",
            "method.queue 40 must be a multiple of train.batch 32; the nearest is 32");
}
END_TEST

START_TEST(test_a_failed_run_is_recorded_and_the_rest_goes_on) {
    write_spec("name: tiny\ndata: {name: shapes, limit: 64, cache: cache}\nbackbone: {name: resnet8, width: 4}\n"
               "method: {name: falcon, features: 16, codes: 16}\ntrain: {epochs: 1, threads: 1}\n"
               "eval: {metrics: [knn], sample: 100}\nsweep: {train.batch: [128, 32]}\n"); /* 128 pairs of 64 images */
    const said *s = mews("sweep a.yaml -j 2");
    ck_assert_int_eq(s->code, 1);
    ck_assert_ptr_nonnull(strstr(s->err, "[1/2] batch-128: failed: "));
    ck_assert_ptr_nonnull(strstr(s->err, "[2/2] batch-32: finished in "));
    ck_assert_ptr_nonnull(strstr(s->err, "mews: 1 of 2 runs failed; their run.json says why\n"));
    char path[128], text[4096];
    snprintf(path, sizeof path, "cd %s && cat results/tiny/*batch-128*/run.json > record", folder);
    ck_assert_int_eq(system(path), 0);
    read_start("record", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\"status\": \"failed\""));
}
END_TEST

Suite *suite_cli(void) {
    Suite *suite = suite_create("cli");
    TCase *tests = tcase_create("cli");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_help_is_no_error_and_goes_to_stdout);
    tcase_add_test(tests, test_the_man_page_and_completions_hold_every_command);
    tcase_add_test(tests, test_no_command_is_a_bad_command);
    tcase_add_test(tests, test_slips_get_one_line_with_the_nearest_name);
    tcase_add_test(tests, test_a_key_that_is_set_wrong_is_named);
    tcase_add_test(tests, test_keys_come_from_the_tables);
    tcase_add_test(tests, test_lists_name_what_there_is);
    tcase_add_test(tests, test_a_sweep_runs_and_is_found_finished);
    tcase_add_test(tests, test_a_plan_tells_time_and_memory);
    tcase_add_test(tests, test_no_epochs_measure_the_untrained_backbone);
    tcase_add_test(tests, test_a_failed_run_is_recorded_and_the_rest_goes_on);
    suite_add_tcase(suite, tests);
    return suite;
}

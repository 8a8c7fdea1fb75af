#include "engine/file.h"
#include "experiments/sweep.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void setup(void) {
    strcpy(path, "/tmp/mews-sweep-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

static void teardown(void) { unlink(path); }

static bool expand(const char *text, const char *set, sweep *sw, error *err) {
    spec_file file;
    *err = (error){0};
    ck_assert(file_write(path, text, strlen(text), err));
    if (!spec_file_read(&file, path, err)) return false;
    bool done = (!set || spec_file_set(&file, set, err)) && sweep_expand(sw, &file, err);
    spec_file_free(&file);
    return done;
}

/* The sweep as one line a run: "block key=value key=value". */
static void runs_are(const char *text, const char *set, const char *expected) {
    sweep sw;
    error err;
    char lines[4096] = "";
    size_t used = 0;
    ck_assert_msg(expand(text, set, &sw, &err), "%s", err.text);
    for (size_t i = 0; i < sw.count; i++) {
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%s", sw.runs[i].block);
        for (size_t j = 0; j < sw.runs[i].swept_count; j++)
            used += (size_t)snprintf(lines + used, sizeof lines - used, " %s=%s", sw.runs[i].swept[j].key,
                                     sw.runs[i].swept[j].value);
        used += (size_t)snprintf(lines + used, sizeof lines - used, "\n");
    }
    ck_assert_str_eq(lines, expected);
    sweep_free(&sw);
}

static void refused(const char *text, const char *set, const char *message) {
    sweep sw;
    error err;
    ck_assert_msg(!expand(text, set, &sw, &err), "taken: %s", text);
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_msg(strstr(err.text, message) != NULL, "%s", err.text);
}

static const char two_blocks[] = "name: ablation\n"
                                 "method: {name: falcon, codes: 32}\n"
                                 "sweep: {train.seed: [0, 1]}\n"
                                 "sweeps:\n"
                                 "  codes:  {sweep: {method.codes: [16, 64]}}\n"
                                 "  barlow: {method: {name: barlow_twins}, train: {epochs: 3}}\n";

START_TEST(test_a_spec_without_sweep_is_one_run) { runs_are("method: falcon\n", NULL, "\n"); }
END_TEST

START_TEST(test_a_grid_holds_every_combination_in_order) {
    runs_are("method: falcon\nsweep:\n  method.codes: [64, 16]\n  train.seed: [0, 1, 2]\n", NULL,
             " method.codes=64 train.seed=0\n method.codes=64 train.seed=1\n method.codes=64 train.seed=2\n"
             " method.codes=16 train.seed=0\n method.codes=16 train.seed=1\n method.codes=16 train.seed=2\n");
}
END_TEST

START_TEST(test_blocks_stand_side_by_side_and_the_top_sweep_inside_each) {
    runs_are(two_blocks, NULL,
             "codes method.codes=16 train.seed=0\ncodes method.codes=16 train.seed=1\n"
             "codes method.codes=64 train.seed=0\ncodes method.codes=64 train.seed=1\n"
             "barlow train.seed=0\nbarlow train.seed=1\n");
}
END_TEST

START_TEST(test_a_blocks_own_values_of_a_key_stand_for_the_top_ones) {
    runs_are("method: falcon\nsweep: {train.seed: [0, 1]}\nsweeps: {a: {sweep: {train.seed: [7]}}, b: {}}\n", NULL,
             "a train.seed=7\nb train.seed=0\nb train.seed=1\n");
}
END_TEST

START_TEST(test_a_block_lays_its_sections_over_the_files) {
    sweep sw;
    error err;
    ck_assert_msg(expand(two_blocks, NULL, &sw, &err), "%s", err.text);
    ck_assert_str_eq(sw.runs[0].spec.method->name, "falcon");
    ck_assert_str_eq(sw.runs[5].spec.method->name, "barlow_twins");
    ck_assert_int_eq(sw.runs[0].spec.train.epochs, 20);
    ck_assert_int_eq(sw.runs[5].spec.train.epochs, 3);
    ck_assert_int_eq(sw.runs[5].spec.train.seed, 1);
    sweep_free(&sw);
}
END_TEST

START_TEST(test_set_fixes_a_swept_key_and_can_sweep_another) {
    runs_are(two_blocks, "train.seed=7",
             "codes method.codes=16 train.seed=7\ncodes method.codes=64 train.seed=7\nbarlow train.seed=7\n");
    runs_are("method: falcon\n", "sweep.train.seed=[3, 4]", " train.seed=3\n train.seed=4\n");
    runs_are("method: falcon\nsweep: {train.seed: [0]}\n", "sweep.train.seed=[3,4]", " train.seed=3\n train.seed=4\n");
}
END_TEST

START_TEST(test_sections_and_sets_can_be_swept) {
    runs_are("method: falcon\nsweep: {method: [falcon, barlow_twins], augment: [none, symmetric]}\n", NULL,
             " method.name=falcon augment.preset=none\n method.name=falcon augment.preset=symmetric\n"
             " method.name=barlow_twins augment.preset=none\n method.name=barlow_twins augment.preset=symmetric\n");
    runs_are("method: falcon\nsweep:\n  eval.metrics: [[knn, linear], [knn]]\n", NULL,
             " eval.metrics=[linear, knn]\n eval.metrics=[knn]\n");
}
END_TEST

START_TEST(test_a_run_picked_out_of_a_sweep_keeps_its_id) {
    sweep all, one;
    error err;
    char a[RUN_ID_SIZE], b[RUN_ID_SIZE];
    ck_assert_msg(expand(two_blocks, NULL, &all, &err), "%s", err.text);
    ck_assert_msg(expand(two_blocks, "train.seed=1", &one, &err), "%s", err.text);
    ck_assert(run_plan_id(&all.runs[3], "data", a, &err));
    ck_assert(run_plan_id(&one.runs[1], "data", b, &err));
    ck_assert_str_eq(a, b);
    ck_assert_msg(strncmp(a, "ablation_codes_codes-64_seed-1_", 31) == 0 && strlen(a) == 39, "%s", a);
    sweep_free(&all);
    sweep_free(&one);
}
END_TEST

START_TEST(test_ids_are_safe_as_names_of_files) {
    sweep sw;
    error err;
    char id[RUN_ID_SIZE];
    ck_assert_msg(expand("name: n\nmethod: falcon\nsweep:\n  data.path: [../up//and away, "
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                         "]\n  augment: [none]\n",
                         NULL, &sw, &err),
                  "%s", err.text);
    ck_assert(run_plan_id(&sw.runs[0], "data", id, &err));
    ck_assert_msg(strncmp(id, "n_path-..-up-and-away_augment-none_", 35) == 0, "%s", id);
    ck_assert(run_plan_id(&sw.runs[1], "data", id, &err));
    ck_assert_uint_lt(strlen(id), 240);
    sweep_free(&sw);
}
END_TEST

START_TEST(test_sweeps_that_make_no_sense_are_refused) {
    refused("method: falcon\nsweep: {train.seed: []}\n", NULL,
            ":2: `train.seed` has nothing to sweep: its list is empty");
    refused("method: falcon\nsweep: {train.seed: 3}\n", NULL, ":2: `train.seed` takes a list of values to sweep");
    refused("method: falcon\nsweep:\n", NULL, ":2: `sweep` takes a mapping from keys to lists of values");
    refused("method: falcon\nsweep: {train.seed: [0, 1, 1]}\n", NULL, ":2: `train.seed` sweeps over 1 twice");
    refused("method: falcon\nsweep:\n  optimizer.lr: [1e-3,\n   0.001]\n", NULL,
            ":4: `optimizer.lr` sweeps over 0.001 twice");
    refused("method: falcon\nsweep:\n  train.seed: [0,\n   one]\n", NULL, ":4: `train.seed` takes an integer");
    refused("method: falcon\nsweep: {method: [falcon], method.name: [falcon]}\n", NULL,
            ":2: `method.name` is swept twice");
    refused("method: falcon\nsweeps: {}\n", NULL, ":2: `sweeps` takes a mapping from names to blocks");
    refused("method: falcon\nsweeps: {a: 3}\n", NULL, ":2: `a` takes a mapping of sections and a `sweep:`");
    refused("method: falcon\nsweeps: {a b: {}}\n", NULL, ":2: `a b` is no name");
    refused("method: falcon\n", "sweep.train.seed=[]", "--set sweep.train.seed=[]: `train.seed` has nothing to sweep");
    refused(two_blocks, "sweep.method.codes=[4]x", "takes an integer");
}
END_TEST

Suite *suite_sweep(void) {
    Suite *suite = suite_create("sweep");
    TCase *tests = tcase_create("sweep");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_spec_without_sweep_is_one_run);
    tcase_add_test(tests, test_a_grid_holds_every_combination_in_order);
    tcase_add_test(tests, test_blocks_stand_side_by_side_and_the_top_sweep_inside_each);
    tcase_add_test(tests, test_a_blocks_own_values_of_a_key_stand_for_the_top_ones);
    tcase_add_test(tests, test_a_block_lays_its_sections_over_the_files);
    tcase_add_test(tests, test_set_fixes_a_swept_key_and_can_sweep_another);
    tcase_add_test(tests, test_sections_and_sets_can_be_swept);
    tcase_add_test(tests, test_a_run_picked_out_of_a_sweep_keeps_its_id);
    tcase_add_test(tests, test_ids_are_safe_as_names_of_files);
    tcase_add_test(tests, test_sweeps_that_make_no_sense_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

#include "engine/files/file.h"
#include "experiments/sweep/sweep.h"
#include "tests/scratch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void setup(void) { scratch_file(path); }

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
    ck_assert_msg(expand("name: n\ndata: {name: folder}\nmethod: falcon\nsweep:\n  data.path: [../up//and away, "
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
    refused(two_blocks, "sweep.method.codes=[4]x", "takes one value (integer from 2");
}
END_TEST

/* ---- zip ---- */

START_TEST(test_the_keys_of_a_zip_move_together) {
    runs_are("method: falcon\nzip: {method.codes: [64, 128], method.features: [16, 32]}\nsweep: {train.seed: [0, 1]}\n",
             NULL,
             " method.codes=64 method.features=16 train.seed=0\n method.codes=64 method.features=16 train.seed=1\n"
             " method.codes=128 method.features=32 train.seed=0\n method.codes=128 method.features=32 train.seed=1\n");
    runs_are("method: falcon\nzip:\n- {method.codes: [64, 128], method.features: [16, 32]}\n"
             "- {train.seed: [0, 1], data.seed: [5, 6]}\n",
             "method.codes=128",
             " method.codes=128 method.features=32 train.seed=0 data.seed=5\n"
             " method.codes=128 method.features=32 train.seed=1 data.seed=6\n");
}
END_TEST

static const char zipped[] = "method: falcon\nzip: {optimizer.lr: [1e-3, 1e-2, 1e-3],\n  train.epochs: [1, 2, 3]}\n";

START_TEST(test_set_picks_the_rows_of_a_zip) {
    runs_are(zipped, "optimizer.lr=0.001", " optimizer.lr=0.001 train.epochs=1\n optimizer.lr=0.001 train.epochs=3\n");
    runs_are(zipped, "sweep.train.epochs=[4,5,6]",
             " optimizer.lr=0.001 train.epochs=4\n optimizer.lr=0.01 train.epochs=5\n"
             " optimizer.lr=0.001 train.epochs=6\n");
    refused(zipped, "train.epochs=4", "--set train.epochs=4: `train.epochs` moves together with other keys (");
    refused(zipped, "train.epochs=4", ":3) and is one of 1, 2, 3");
    refused(zipped, "sweep.train.epochs=[4,5]",
            "`train.epochs` has 2 values, but `optimizer.lr`, with which it moves, has 3");
}
END_TEST

START_TEST(test_zips_that_make_no_sense_are_refused) {
    refused("method: falcon\nzip:\n  method.codes: [64, 128]\n  method.features: [16]\n", NULL,
            ":4: `method.features` has 1 value, but `method.codes`, with which it moves, has 2");
    refused("method: falcon\nzip: {method.codes: [64, 64], method.features: [16, 16]}\n", NULL,
            ":2: `method.codes` and what moves with it run over 64 twice");
    refused("method: falcon\nzip: {train.seed: []}\n", NULL, ":2: `train.seed` has nothing to sweep");
    refused("method: falcon\nzip: 3\n", NULL,
            ":2: `zip` takes a mapping from keys to lists of one length, or a list of such mappings");
    refused("method: falcon\nsweep: {train.seed: [1]}\nzip: {train.seed: [1]}\n", NULL,
            ":3: `train.seed` is swept twice");
}
END_TEST

/* ---- random ---- */

static const char drawn[] = "method: falcon\n"
                            "random:\n"
                            "  runs: 40\n"
                            "  optimizer.lr: {log_uniform: [1e-4, 1e-2]}\n"
                            "  method.beta: {uniform: [0.5, 2]}\n"
                            "  train.epochs: {integer: [1, 4]}\n"
                            "  method.codes: {log_integer: [16, 4096]}\n"
                            "  method.dictionary: {choice: [rademacher, hadamard]}\n";

static void draws_of(const char *set, sweep *sw) {
    error err;
    ck_assert_msg(expand(drawn, set, sw, &err), "%s", err.text);
}

START_TEST(test_draws_lie_in_their_ranges_and_have_three_digits) {
    sweep sw;
    int below = 0, epochs[5] = {0}, few = 0, hadamard = 0;
    draws_of(NULL, &sw);
    ck_assert_uint_eq(sw.count, 40);
    for (size_t i = 0; i < sw.count; i++) {
        const spec *s = &sw.runs[i].spec;
        char text[32];
        ck_assert(s->optimizer.lr >= 1e-4 && s->optimizer.lr <= 1e-2);
        below += s->optimizer.lr < 1e-3;
        snprintf(text, sizeof text, "%.3g", s->optimizer.lr);
        ck_assert_double_eq(strtod(text, NULL), s->optimizer.lr);
        ck_assert(s->train.epochs >= 1 && s->train.epochs <= 4);
        epochs[s->train.epochs]++;
        const char *codes = sw.runs[i].swept[3].value;
        ck_assert_msg(atoi(codes) >= 16 && atoi(codes) <= 4096, "%s", codes);
        few += atoi(codes) < 256;
        hadamard += strcmp(sw.runs[i].swept[4].value, "hadamard") == 0;
    }
    ck_assert_msg(below > 10 && below < 30, "%d of 40 in the lower decade", below);
    ck_assert_msg(few > 10 && few < 30, "%d of 40 below the geometric mean", few);
    ck_assert_msg(hadamard > 10 && hadamard < 30, "%d of 40", hadamard);
    for (int e = 1; e <= 4; e++) ck_assert_int_gt(epochs[e], 3);
    sweep_free(&sw);
}
END_TEST

static void same_draws(const sweep *a, const sweep *b, size_t runs, size_t from, size_t to) {
    for (size_t i = 0; i < runs; i++)
        for (size_t k = from; k < to; k++) ck_assert_str_eq(a->runs[i].swept[k].value, b->runs[i].swept[k].value);
}

START_TEST(test_draws_are_the_same_every_time_and_more_of_them_leave_the_first) {
    sweep a, b, more, fixed, other;
    draws_of(NULL, &a);
    draws_of(NULL, &b);
    draws_of("random.runs=60", &more);
    draws_of("optimizer.lr=0.5", &fixed);
    draws_of("random.seed=1", &other);
    ck_assert_uint_eq(more.count, 60);
    same_draws(&a, &b, 40, 0, 5);
    same_draws(&a, &more, 40, 0, 5);
    same_draws(&a, &fixed, 40, 1, 5);
    ck_assert_str_eq(fixed.runs[7].swept[0].value, "0.5");
    ck_assert_str_ne(a.runs[0].swept[0].value, other.runs[0].swept[0].value);
    ck_assert_str_ne(a.runs[0].swept[0].value, a.runs[1].swept[0].value);
    sweep_free(&a), sweep_free(&b), sweep_free(&more), sweep_free(&fixed), sweep_free(&other);
}
END_TEST

START_TEST(test_every_draw_meets_every_value_of_a_grid) {
    sweep sw;
    error err;
    const char *text = "method: falcon\nsweep: {train.seed: [0, 1, 2]}\n"
                       "random: {runs: 2, seed: 3, optimizer.lr: {uniform: [0, 1]}}\n";
    ck_assert_msg(expand(text, NULL, &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 6);
    sweep_free(&sw);
    ck_assert_msg(expand(text, "sweep.optimizer.lr=[0.1, 0.2]", &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 6);
    ck_assert_str_eq(sw.runs[0].swept[1].value, "0.1");
    sweep_free(&sw);
    ck_assert_msg(expand(text, "optimizer.lr=0.1", &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 3);
    sweep_free(&sw);
}
END_TEST

START_TEST(test_no_draw_comes_twice) {
    sweep sw;
    error err;
    const char *text = "method: falcon\nrandom: {runs: 6, train.epochs: {integer: [1, 3]}, "
                       "train.seed: {choice: [4, 5]}}\n";
    ck_assert_msg(expand(text, NULL, &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 6);
    sweep_free(&sw);
    ck_assert_msg(expand(text, "train.seed=9", &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 3);
    sweep_free(&sw);
    refused(text, "random.runs=7", ":2: `random` asks for 7 runs, but its choices make only 6");
}
END_TEST

START_TEST(test_draws_that_make_no_sense_are_refused) {
#define RANDOM(what) "method: falcon\nrandom:\n  runs: 3\n  optimizer.lr: " what "\n"
    refused(RANDOM("{log_uniform: [1e-2, 1e-4]}"), NULL,
            ":4: log_uniform of `optimizer.lr` runs from low to high: 1e-2 is not below 1e-4");
    refused(RANDOM("{log_uniform: [0, 1]}"), NULL, ":4: log_uniform of `optimizer.lr` takes numbers above 0, not `0`");
    refused(RANDOM("{uniform: [a, 1]}"), NULL, ":4: uniform of `optimizer.lr` takes two numbers, not `a`");
    refused(RANDOM("{integer: [1, 2.5]}"), NULL, ":4: integer of `optimizer.lr` takes two whole numbers, not `2.5`");
    refused(RANDOM("{log_unifrm: [1, 2]}"), NULL,
            ":4: `optimizer.lr` cannot be drawn by `log_unifrm`; did you mean `log_uniform`?");
    refused(RANDOM("{uniform: [1, 2, 3]}"), NULL, ":4: `optimizer.lr` takes one of {uniform: [low, high]}");
    refused(RANDOM("[1, 2]"), NULL, ":4: `optimizer.lr` takes one of {uniform: [low, high]}");
    refused(RANDOM("{choice: []}"), NULL, ":4: `optimizer.lr` has nothing to draw from: its list is empty");
#undef RANDOM
    refused("method: falcon\nrandom: 0\n", NULL, ":2: `random` takes a mapping: {runs: N, KEY: {log_uniform:");
    refused("method: falcon\nrandom: {runs: 0, train.seed: {integer: [0, 9]}}\n", NULL,
            ":2: `random.runs` takes the number of draws, from 1 to 10000, not `0`");
    refused("method: falcon\nrandom: {run: 3, train.seed: {integer: [0, 9]}}\n", NULL, ":2; did you mean `runs`?");
    refused("method: falcon\nrandom: {train.seed: {integer: [0, 9]}}\n", NULL,
            ":2: `random` needs `runs: N`, how often to draw");
    refused("method: falcon\nrandom: {runs: 3}\n", NULL, ":2: `random` has nothing to draw");
    refused("method: falcon\nrandom: {runs: 3, method.code: {integer: [2, 9]}}\n", NULL,
            ":2; did you mean `method.codes`?");
    refused("method: falcon\nrandom: {runs: 3, train.epochs: {uniform: [1, 9]}}\n", NULL,
            ":2: `train.epochs` takes an integer");
    refused("method: falcon\n", "random.runs=3", "--set random.runs=3: the spec draws nothing; it has no `random:`");
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
    tcase_add_test(tests, test_the_keys_of_a_zip_move_together);
    tcase_add_test(tests, test_set_picks_the_rows_of_a_zip);
    tcase_add_test(tests, test_zips_that_make_no_sense_are_refused);
    tcase_add_test(tests, test_draws_lie_in_their_ranges_and_have_three_digits);
    tcase_add_test(tests, test_draws_are_the_same_every_time_and_more_of_them_leave_the_first);
    tcase_add_test(tests, test_every_draw_meets_every_value_of_a_grid);
    tcase_add_test(tests, test_no_draw_comes_twice);
    tcase_add_test(tests, test_draws_that_make_no_sense_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

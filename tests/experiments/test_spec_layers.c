/* What lies over what: included files, sections for one method, references between keys, --base. */
#include "engine/files/file.h"
#include "experiments/sweep/sweep.h"
#include "tests/scratch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Specs are written to a folder of their own and read by relative path, so that messages hold the bare name. */
static char folder[64], home[1024];
static error err;

static void setup(void) {
    scratch_folder(folder);
    ck_assert_ptr_nonnull(getcwd(home, sizeof home));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert(file_make_folders("sub", &err));
}

static void teardown(void) {
    ck_assert_int_eq(chdir(home), 0);
    scratch_remove(folder);
}

static void put(const char *path, const char *text) {
    err = (error){0};
    ck_assert_msg(file_write(path, text, strlen(text), &err), "%s", err.text);
}

/* Reads a.yaml, and sets and expands it; true when all went well. */
static bool expand(const char *base, const char *set, sweep *sw) {
    spec_file file;
    err = (error){0};
    if (!spec_file_read(&file, "a.yaml", &err)) return false;
    bool done = (!base || spec_file_base(&file, base, &err)) && (!set || spec_file_set(&file, set, &err)) &&
                sweep_expand(sw, &file, &err);
    spec_file_free(&file);
    return done;
}

/* The values of a key over all runs of a.yaml: "64 128". */
static void values_are(const char *base, const char *set, const char *key, const char *expected) {
    sweep sw;
    char all[512] = "", value[FIELD_TEXT_SIZE];
    ck_assert_msg(expand(base, set, &sw), "%s", err.text);
    for (size_t i = 0; i < sw.count; i++) {
        const char *found = spec_value(&sw.runs[i].spec, key, value, sizeof value);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%.60s", i ? " " : "", found ? found : "-");
    }
    ck_assert_str_eq(all, expected);
    sweep_free(&sw);
}

static void refused(const char *message) {
    sweep sw;
    ck_assert(!expand(NULL, NULL, &sw));
    ck_assert_str_eq(err.text, message);
    ck_assert_int_eq(err.code, ERROR_USAGE);
}

/* ---- include ---- */

START_TEST(test_an_included_file_lies_below) {
    put("a.yaml", "train: {epochs: 7}\ninclude: sub/b.yaml\nsweep: {train.seed: [5]}\n");
    put("sub/b.yaml",
        "name: below\ninclude: c.yaml\nmethod: {name: falcon, codes: 64}\ntrain: {epochs: 3, batch: 32}\n");
    put("sub/c.yaml",
        "optimizer: {lr: 0.5}\ntrain: {batch: 16}\nsweep: {train.seed: [0, 1, 2], method.beta: [1, 2]}\n");
    values_are(NULL, NULL, "train.epochs", "7 7");
    values_are(NULL, NULL, "train.batch", "32 32");
    values_are(NULL, NULL, "method.codes", "64 64");
    values_are(NULL, NULL, "optimizer.lr", "0.5 0.5");
    values_are(NULL, NULL, "train.seed", "5 5");
    values_are(NULL, NULL, "method.beta", "1.0 2.0");
    sweep sw;
    ck_assert(expand(NULL, NULL, &sw));
    ck_assert_str_eq(sw.runs[0].spec.name, "a"); /* an included file's name stays behind */
    sweep_free(&sw);
}
END_TEST

START_TEST(test_later_includes_lie_over_earlier_ones) {
    put("a.yaml", "include: [b.yaml, sub/c.yaml]\n");
    put("b.yaml", "method: {name: falcon, codes: 64, beta: 2}\n");
    put("sub/c.yaml", "method: {codes: 32}\n");
    values_are(NULL, NULL, "method.codes", "32");
    values_are(NULL, NULL, "method.beta", "2.0");
}
END_TEST

START_TEST(test_blocks_of_one_name_are_one_block) {
    put("a.yaml", "include: b.yaml\nmethod: {codes: 8}\nsweeps:\n  one: {method: {features: 4}}\n  two: {}\n");
    put("b.yaml", "method: falcon\nsweeps:\n  one: {method: {codes: 64, features: 32}, sweep: {train.seed: [0, 1]}}\n");
    values_are(NULL, NULL, "method.codes", "64 64 8");
    values_are(NULL, NULL, "method.features", "4 4 512");
    values_are(NULL, NULL, "train.seed", "0 1 0");
}
END_TEST

START_TEST(test_another_method_may_lie_over_the_included_ones_keys) {
    put("a.yaml", "include: b.yaml\nmethod: barlow_twins\n");
    put("b.yaml", "method: {name: falcon, codes: 64}\n");
    values_are(NULL, NULL, "method.name", "barlow_twins");
}
END_TEST

START_TEST(test_includes_that_cannot_be_are_refused) {
    put("a.yaml", "method: falcon\ninclude: sub/none.yaml\n");
    refused("a.yaml:2: `include` finds no file sub/none.yaml; paths are relative to this file's folder");
    put("a.yaml", "method: falcon\ninclude: {b: c}\n");
    refused("a.yaml:2: `include` takes the name of a file, or a list of them");
    put("a.yaml", "method: falcon\ninclude: sub\n");
    refused("a.yaml:2: `include` finds no file sub; paths are relative to this file's folder");
    put("a.yaml", "method: falcon\ninclude: a.yaml\n");
    refused("a.yaml:2: `include` goes round in a circle: a.yaml → a.yaml");
    put("a.yaml", "method: falcon\ninclude: sub/b.yaml\n");
    put("sub/b.yaml", "train:\n  epochs: 3\ninclude:\n- ../sub/c.yaml\n");
    put("sub/c.yaml", "include: ../a.yaml\n");
    refused("sub/../sub/c.yaml:1: `include` goes round in a circle: a.yaml → sub/b.yaml → sub/../sub/c.yaml → a.yaml");
    put("sub/b.yaml", "train:\n  epoch: 3\n");
    refused("unknown key `train.epoch` in sub/b.yaml:2; did you mean `train.epochs`?");
    put("sub/b.yaml", "trian: {}\n");
    refused("unknown key `trian` in sub/b.yaml:1; did you mean `train`?");
    put("sub/b.yaml", "");
    refused("sub/b.yaml: is empty; a spec needs at least `method: <name>`");
    put("a.yaml", "method: falcon\ninclude: [sub/b.yaml, sub/b.yaml]\n");
    put("sub/b.yaml", "include: [c.yaml, c.yaml]\n");
    put("sub/c.yaml",
        "include: [d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, d.yaml, "
        "d.yaml, d.yaml, d.yaml, d.yaml, d.yaml]\n");
    put("sub/d.yaml", "{}\n");
    refused("sub/c.yaml:1: `include` reads more than 64 files");
}
END_TEST

/* ---- methods ---- */

static const char by_method[] = "optimizer: {lr: 0.1}\n"
                                "train: {epochs: 1}\n"
                                "methods:\n"
                                "  falcon: {method: {codes: 64}, train: {epochs: 2}}\n"
                                "  swav: {method: {prototypes: 32}, optimizer: {lr: 0.2}}\n"
                                "sweeps:\n"
                                "  all: {sweep: {method: [falcon, swav, vicreg]}}\n"
                                "  long: {method: swav, optimizer: {lr: 0.3}, methods: {swav: {train: {epochs: 9}}}}\n";

START_TEST(test_a_methods_sections_lie_over_its_runs_alone) {
    put("a.yaml", by_method);
    values_are(NULL, NULL, "method.name", "falcon swav vicreg swav");
    values_are(NULL, NULL, "method.codes", "64 - - -");
    values_are(NULL, NULL, "method.prototypes", "- 32 - 32");
    values_are(NULL, NULL, "train.epochs", "2 1 1 9");
    values_are(NULL, NULL, "optimizer.lr", "0.1 0.2 0.1 0.3"); /* a block over the file's methods: */
}
END_TEST

START_TEST(test_references_of_a_method_that_no_run_has_are_left_alone) {
    put("a.yaml",
        "backbone: {name: falcon8, width: 16}\nmethods: {falcon: {method: {features: \"${backbone.width}\"}}}\n"
        "sweep: {method: [falcon, swav]}\n");
    values_are(NULL, "method=swav", "method.name", "swav");
    values_are(NULL, NULL, "method.features", "16 128");
}
END_TEST

START_TEST(test_set_lies_over_everything_and_base_under_methods_and_blocks) {
    put("a.yaml", by_method);
    values_are(NULL, "train.epochs=5", "train.epochs", "5 5 5 5");
    values_are("train.epochs=5", NULL, "train.epochs", "2 5 5 9");
    values_are(NULL, "method=swav", "method.prototypes", "32 32");
}
END_TEST

START_TEST(test_base_does_not_touch_what_varies) {
    sweep sw;
    put("a.yaml", "method: falcon\nsweeps:\n  one: {sweep: {train.seed: [0, 1]}}\n  two: {}\n");
    ck_assert(!expand("train.seed=3", NULL, &sw));
    ck_assert_str_eq(err.text, "--base train.seed=3: `train.seed` varies (a.yaml:3); --set fixes it");
}
END_TEST

START_TEST(test_blocks_can_be_chosen_by_name) {
    spec_file file;
    sweep sw;
    err = (error){0};
    put("a.yaml", by_method);
    ck_assert(spec_file_read(&file, "a.yaml", &err));
    ck_assert(spec_file_keep_blocks(&file, (const char *const[]){"long", NULL}, &err) &&
              sweep_expand(&sw, &file, &err));
    ck_assert_uint_eq(sw.count, 1);
    ck_assert_str_eq(sw.runs[0].block, "long");
    sweep_free(&sw);
    ck_assert(!spec_file_keep_blocks(&file, (const char *const[]){"long", "lung", NULL}, &err));
    ck_assert_str_eq(err.text, "--block lung: a.yaml has no such block; did you mean `long`?");
    spec_file_free(&file);
}
END_TEST

START_TEST(test_methods_that_make_no_sense_are_refused) {
    put("a.yaml", "method: falcon\nmethods:\n  swv: {train: {epochs: 3}}\n");
    refused("unknown method `swv` in a.yaml:3; did you mean `swav`?");
    put("a.yaml", "method: falcon\nmethods:\n  swav: {method: {prototype: 3}}\n"); /* though no run is SwAV's */
    refused("unknown key `method.prototype` in a.yaml:3; did you mean `method.prototypes`?");
    put("a.yaml", "method: falcon\nmethods:\n  swav: {method: dino}\n");
    refused("a.yaml:3: the sections for method `swav` cannot name another method");
    put("a.yaml", "method: falcon\nmethods:\n  swav: {sweep: {train.seed: [1]}}\n");
    refused("unknown key `sweep` in a.yaml:3; `mews keys` lists what there is");
    put("a.yaml", "method: falcon\nmethods: [swav]\n");
    refused("a.yaml:2: `methods` takes a mapping from methods to sections");
}
END_TEST

/* ---- References ---- */

START_TEST(test_a_reference_is_what_the_other_key_comes_to) {
    put("a.yaml", "method:\n  name: falcon\n  features: ${method.codes}\n  codes: ${backbone.width}\n"
                  "backbone: {width: \"${train.batch}\"}\ntrain: {batch: 32}\n"
                  "data: {name: svhn, path: \"/data/${name}/${data}-${data.size}\"}\n");
    values_are(NULL, NULL, "method.features", "32");
    values_are(NULL, NULL, "data.path", "/data/a/svhn-32");
    values_are(NULL, "train.batch=48", "method.features", "48");
    values_are(NULL, "sweep.method.codes=[8, 16]", "method.features", "8 16");
    values_are(NULL, "sweep.method.features=[8, ${train.batch}]", "method.features", "8 32");
}
END_TEST

START_TEST(test_a_reference_that_is_covered_is_not_looked_at) {
    put("a.yaml", "method: falcon\noptimizer: {lr: \"${method.temperature}\"}\nsweep: {optimizer.lr: [0.5]}\n");
    values_are(NULL, NULL, "optimizer.lr", "0.5");
    put("a.yaml", "method: falcon\nmethods: {swav: {method: {hidden: \"${method.features}\"}}}\n");
    values_are(NULL, NULL, "method.features", "512");
    values_are(NULL, "method=swav", "method.hidden", "128");
}
END_TEST

START_TEST(test_references_that_cannot_be_are_refused) {
    put("a.yaml", "method:\n  name: falcon\n  features: ${method.code}\n");
    refused("unknown key `method.code` in ${method.code}, a.yaml:3; did you mean `method.codes`?");
    put("a.yaml", "method:\n  name: falcon\n  features: ${trian.batch}\n");
    refused("unknown key `trian.batch` in ${trian.batch}, a.yaml:3; did you mean `train.batch`?");
    put("a.yaml", "method:\n  name: falcon\n  features: ${method.codes}\n  codes: ${train.batch}\n"
                  "train:\n  batch: ${method.features}\n");
    refused(
        "a.yaml:3: references go round in a circle: method.features → method.codes → train.batch → method.features");
    put("a.yaml", "method: falcon\ntrain:\n  batch: ${train.batch}\n");
    refused("a.yaml:3: references go round in a circle: train.batch → train.batch");
    put("a.yaml", "method: falcon\ntrain:\n  epochs: ${optimizer.lr}\n");
    refused("a.yaml:3: `train.epochs` takes an integer from 0 to 1000000, not `0.001`");
    put("a.yaml", "method: falcon\ntrain:\n  epochs: ${train.batch\n");
    refused("a.yaml:3: `train.epochs` holds `${` without a key and `}` behind it");
    put("a.yaml", "method: ${data.name}\n");
    refused("a.yaml:1: `method.name` takes no reference: it decides what other keys are");
    put("a.yaml", "method: falcon\naugment: ${data.name}\n");
    refused("a.yaml:2: `augment.preset` takes no reference: it decides what other keys are");
    put("a.yaml", "method: {name: falcon, features: ${method.codes}}\n");
    refused("a.yaml:1: not YAML: did not find expected ',' or '}'; inside {…} a reference wants quotes: "
            "\"${section.key}\"");
}
END_TEST

Suite *suite_spec_layers(void) {
    Suite *suite = suite_create("spec_layers");
    TCase *tests = tcase_create("spec_layers");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_an_included_file_lies_below);
    tcase_add_test(tests, test_later_includes_lie_over_earlier_ones);
    tcase_add_test(tests, test_blocks_of_one_name_are_one_block);
    tcase_add_test(tests, test_another_method_may_lie_over_the_included_ones_keys);
    tcase_add_test(tests, test_includes_that_cannot_be_are_refused);
    tcase_add_test(tests, test_a_methods_sections_lie_over_its_runs_alone);
    tcase_add_test(tests, test_references_of_a_method_that_no_run_has_are_left_alone);
    tcase_add_test(tests, test_set_lies_over_everything_and_base_under_methods_and_blocks);
    tcase_add_test(tests, test_base_does_not_touch_what_varies);
    tcase_add_test(tests, test_blocks_can_be_chosen_by_name);
    tcase_add_test(tests, test_methods_that_make_no_sense_are_refused);
    tcase_add_test(tests, test_a_reference_is_what_the_other_key_comes_to);
    tcase_add_test(tests, test_a_reference_that_is_covered_is_not_looked_at);
    tcase_add_test(tests, test_references_that_cannot_be_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

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

static void setup(void) {
    scratch_folder(folder);
    ck_assert_ptr_nonnull(getcwd(home, sizeof home));
    ck_assert_int_eq(chdir(folder), 0);
}

static void teardown(void) {
    unlink("a.yaml");
    ck_assert_int_eq(chdir(home), 0);
    rmdir(folder);
}

/* Reads, sets and expands; true when all went well. */
static bool expand(const char *text, const char *set, sweep *sw, error *err) {
    spec_file file;
    *err = (error){0};
    ck_assert(file_write("a.yaml", text, strlen(text), err));
    if (!spec_file_read(&file, "a.yaml", err)) return false;
    bool done = (!set || spec_file_set(&file, set, err)) && sweep_expand(sw, &file, err);
    spec_file_free(&file);
    return done;
}

/* The one run of a spec without sweep. */
static run_plan resolved(const char *text, const char *set) {
    sweep sw;
    error err;
    ck_assert_msg(expand(text, set, &sw, &err), "%s", err.text);
    ck_assert_uint_eq(sw.count, 1);
    run_plan plan = sw.runs[0];
    free(sw.runs);
    return plan;
}

static void value_is(const char *text, const char *set, const char *key, const char *expected) {
    char out[FIELD_TEXT_SIZE];
    run_plan plan = resolved(text, set);
    ck_assert_ptr_nonnull(spec_value(&plan.spec, key, out, sizeof out));
    ck_assert_str_eq(out, expected);
    run_plan_free(&plan);
}

static void refused(const char *text, const char *set, const char *message) {
    sweep sw;
    error err;
    ck_assert_msg(!expand(text, set, &sw, &err), "taken: %s", text);
    ck_assert_str_eq(err.text, message);
    ck_assert_int_eq(err.code, ERROR_USAGE);
}

START_TEST(test_a_spec_means_what_it_says) {
    const char *text = "method: {name: falcon, codes: 64}\n"
                       "optimizer:\n  lr: 1e-3\n"
                       "eval: [knn, linear]\n"
                       "train: {epochs: 3}\n";
    value_is(text, NULL, "method.codes", "64");
    value_is(text, NULL, "method.name", "falcon");
    value_is(text, NULL, "optimizer.lr", "0.001");
    value_is(text, NULL, "eval.metrics", "[linear, knn]");
    value_is(text, NULL, "train.epochs", "3");
    value_is(text, NULL, "train.batch", "256");
    value_is(text, "method.codes=32", "method.codes", "32");
    value_is(text, "eval=[kmeans]", "eval.metrics", "[kmeans]");
    value_is(text, "method=barlow_twins", "method.name", "barlow_twins");
}
END_TEST

START_TEST(test_a_preset_comes_before_the_keys_on_top_of_it) {
    value_is("method: falcon\naugment: none\n", NULL, "augment.jitter", "0.0");
    value_is("method: falcon\naugment: {flip: 0.25, preset: none}\n", NULL, "augment.flip", "0.25");
    value_is("method: falcon\naugment: {flip: 0.25, preset: none}\n", NULL, "augment.greyscale", "0.0");
    value_is("method: falcon\naugment: {flip: 0.25}\n", "augment=none", "augment.flip", "0.25");
    value_is("method: falcon\n", NULL, "augment.jitter", "0.8");
}
END_TEST

START_TEST(test_truth_is_written_as_yaml_does) {
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "On"}, *const no[] = {"false", "FALSE", "No"};
    char set[64];
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        snprintf(set, sizeof set, "train.joint_batchnorm=%s", yes[i]);
        value_is("method: falcon\n", set, "train.joint_batchnorm", "true");
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        snprintf(set, sizeof set, "train.joint_batchnorm=%s", no[i]);
        value_is("method: falcon\n", set, "train.joint_batchnorm", "false");
    }
    refused("method: falcon\n", "train.joint_batchnorm=tRUE",
            "--set train.joint_batchnorm=tRUE: `train.joint_batchnorm` takes true or false, not `tRUE`");
}
END_TEST

START_TEST(test_merged_mappings_give_the_keys_that_are_not_there) {
    const char *text = "method: &m {name: falcon, codes: 64, features: 32}\n"
                       "sweeps:\n"
                       "  one: {method: {<<: *m, codes: 16}}\n";
    value_is(text, NULL, "method.codes", "16");
    value_is(text, NULL, "method.features", "32");
    text = "method: falcon\noptimizer: &a {lr: 0.5, name: sgd}\n"
           "sweeps:\n  one: {optimizer: &b {<<: *a, lr: 0.25}, train: {<<: [{epochs: 3}, {epochs: 4, batch: 8}]}}\n";
    value_is(text, NULL, "optimizer.lr", "0.25");
    value_is(text, NULL, "optimizer.name", "sgd");
    value_is(text, NULL, "train.epochs", "3");
    value_is(text, NULL, "train.batch", "8");
    refused("method: falcon\ntrain: {<<: 3}\n", NULL,
            "a.yaml:2: `<<` takes a mapping or a list of them, as in `<<: *name`");
    refused("method: falcon\ntrain: &t {epochs: 2, <<: *t}\n", NULL, "a.yaml:2: `<<` merges too deep");
}
END_TEST

START_TEST(test_a_spec_is_called_by_its_name_or_its_file) {
    run_plan plan = resolved("name: trial.1\nmethod: falcon\n", NULL);
    ck_assert_str_eq(plan.spec.name, "trial.1");
    run_plan_free(&plan);
    plan = resolved("method: falcon\n", NULL);
    ck_assert_str_eq(plan.spec.name, "a");
    run_plan_free(&plan);
}
END_TEST

START_TEST(test_unknown_names_get_the_nearest_one) {
    refused("method:\n  name: falcon\n  code: 3\n", NULL,
            "unknown key `method.code` in a.yaml:3; did you mean `method.codes`?");
    refused("method: falcon\n", "method.code=3",
            "unknown key `method.code` in --set method.code=3; did you mean `method.codes`?");
    refused("method: falcon\noptimiser: {lr: 1}\n", NULL,
            "unknown key `optimiser` in a.yaml:2; did you mean `optimizer`?");
    refused("method: falcon\nsweeep: {}\n", NULL, "unknown key `sweeep` in a.yaml:2; did you mean `sweep`?");
    refused("method: falcon\n", "trian.seed=1",
            "unknown key `trian.seed` in --set trian.seed=1; did you mean `train.seed`?");
    refused("method: falcn\n", NULL, "unknown method `falcn` in a.yaml:1; did you mean `falcon`?");
    refused("method: {name: falcon, queue_length: 3}\n", NULL,
            "unknown key `method.queue_length` in a.yaml:1; `mews keys falcon` lists what there is");
    refused("method: falcon\nsweep:\n  method.code: [1]\n", NULL,
            "unknown key `method.code` in a.yaml:3; did you mean `method.codes`?");
    refused("method: falcon\nsweeps:\n  one:\n    metod: {codes: 3}\n", NULL,
            "unknown key `metod` in a.yaml:4; did you mean `method`?");
    refused("data: shapes\n", NULL, "a.yaml: no method is named; add `method: <name>` (`mews methods` lists them)");
}
END_TEST

START_TEST(test_values_that_do_not_fit_are_refused_with_their_line) {
    refused("method: falcon\ntrain:\n  epochs: soon\n", NULL,
            "a.yaml:3: `train.epochs` takes an integer from 0 to 1000000, not `soon`");
    refused("method: falcon\ntrain:\n  epochs: -1\n", NULL,
            "a.yaml:3: `train.epochs` takes an integer from 0 to 1000000, not `-1`");
    refused("method: falcon\n", "train.joint_batchnorm=maybe",
            "--set train.joint_batchnorm=maybe: `train.joint_batchnorm` takes true or false, not `maybe`");
    refused("method: falcon\naugment: asymetric\n", NULL,
            "a.yaml:2: `augment.preset` does not know `asymetric`; did you mean `asymmetric`?");
    refused("method: falcon\neval: [linear, kn]\n", NULL,
            "a.yaml:2: `eval.metrics` does not know `kn`; did you mean `knn`?");
    refused("method: falcon\ntrain: {epochs: [1, 2]}\n", NULL,
            "a.yaml:2: `train.epochs` takes one value (integer from 0 to 1000000); lists of values go under `sweep:`");
    refused("method: falcon\ntrain:\n  epochs: {a: 1}\n", NULL,
            "a.yaml:3: `train.epochs` takes a value, not a mapping");
    refused("method: falcon\ntrain:\n  epochs:\n", NULL, "a.yaml:3: `train.epochs` has no value");
    refused("method: falcon\ntrain: 20\n", NULL, "a.yaml:2: `train` takes a mapping of keys");
    refused("name: a/b\nmethod: falcon\n", NULL,
            "a.yaml:1: `a/b` is no name: letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first");
    refused("name: runs.db\nmethod: falcon\n", NULL,
            "a.yaml:1: `runs.db` is the index of all runs, which lies among the folders of that name; take another");
    refused("method: falcon\n", "name=runs.db",
            "--set name=runs.db: `runs.db` is the index of all runs, which lies among the folders of that name; take "
            "another");
    refused("method: falcon\n", "method.codes", "--set method.codes: takes KEY=VALUE");
}
END_TEST

START_TEST(test_what_is_not_a_spec_is_refused) {
    error err = {0};
    spec_file file;
    ck_assert(!spec_file_read(&file, "none.yaml", &err));
    ck_assert_str_eq(err.text, "cannot read none.yaml: No such file or directory");
    ck_assert_int_eq(err.code, ERROR_USAGE);
    refused("", NULL, "a.yaml: is empty; a spec needs at least `method: <name>`");
    refused("- a\n", NULL, "a.yaml:1: a spec is a mapping of sections (data, backbone, method, …)");
    refused("method: falcon\ntrain: {epochs: 3\n", NULL, "a.yaml:3: not YAML: did not find expected ',' or '}'");
    refused("method: falcon\n[a]: 3\n", NULL, "a.yaml:2: a key must be a word");
    refused("method: falcon\n---\nmethod: falcon\n", NULL, "a.yaml:4: a second document; a file holds one spec");
    refused("method: falcon\ndata: shapes\nmethod: falcon\n", NULL,
            "a.yaml:3: `method` stands twice (first in line 1)");
    refused("method: falcon\ntrain: {seed: 1,\n seed: 2}\n", NULL, "a.yaml:3: `seed` stands twice (first in line 2)");
    refused("method: falcon\nname: &x [*x]\n", NULL,
            "a.yaml:2: `name` is no name: letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first");
    refused("method: falcon\neval: &x [*x]\n", NULL,
            "a.yaml:2: `eval.metrics` takes a list of words, not a list of lists or mappings");
}
END_TEST

START_TEST(test_a_file_too_large_for_a_spec_is_not_parsed) {
    static char brackets[100001];
    memset(brackets, '[', sizeof brackets - 1);
    refused(brackets, NULL, "a.yaml: is too large for a spec (100000 bytes; at most 65536)");
}
END_TEST

START_TEST(test_a_resolved_spec_reads_back_to_itself) {
    run_plan plan =
        resolved("name: x\nmethod: {name: falcon, beta: 0.1}\naugment: {preset: symmetric, hue: 0.3}\n"
                 "optimizer: {lr: 3.3e-4}\neval: [knn]\ndata: {name: folder, path: \"a \\\"b\\\" \\\\ \\t#c: d\"}\n",
                 NULL);
    error err = {0};
    char *first = spec_text(&plan.spec, &err);
    run_plan again = resolved(first, NULL);
    char *second = spec_text(&again.spec, &err);
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(again.spec.data.path, "a \"b\" \\ \t#c: d");
    ck_assert_str_eq(again.spec.name, "x");
    free(first);
    free(second);
    run_plan_free(&plan);
    run_plan_free(&again);
}
END_TEST

static void hash_of(const char *set, const char *checksum, char out[65]) {
    error err = {0};
    run_plan plan = resolved("method: falcon\n", set);
    ck_assert(spec_identity_hash(&plan.spec, checksum, out, &err));
    run_plan_free(&plan);
}

START_TEST(test_identity_is_what_decides_the_result) {
    static const char *const same[] = {"train.threads=3", "train.log_every=7", "eval=[knn]",
                                       "data.cache=/x",   "name=other",        "train.precision=float32"};
    static const char *const others[] = {"train.seed=1", "method.codes=64",  "method=barlow_twins",
                                         "augment=none", "optimizer.lr=0.5", "train.precision=bfloat16"};
    char base[65], other[65];
    hash_of(NULL, "data", base);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        hash_of(same[i], "data", other);
        ck_assert_msg(strcmp(base, other) == 0, "%s", same[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        hash_of(others[i], "data", other);
        ck_assert_msg(strcmp(base, other) != 0, "%s", others[i]);
    }
    hash_of(NULL, "other data", other);
    ck_assert_str_ne(base, other);
    hash_of("optimizer.lr=1e-3", "data", base);
    hash_of("optimizer.lr=0.001", "data", other);
    ck_assert_str_eq(base, other);
}
END_TEST

/* Hashes of an early version: keys that came since are part of an id only where they are not at their default. */
START_TEST(test_ids_of_runs_stay_what_they_were) {
    static const struct {
        const char *method, *hash;
    } known[] = {
        {"falcon", "68ea8871468c246d"},
        {"barlow_twins", "1a94b9985c9ee631"},
        {"vicreg", "c68bfb74bbf8e518"},
        {"swav", "5d3872890f1df982"},
        {"dino", "ac7ad1d81fea1e08"},
        {"gedi", "3a854530b4939203"},
        {"self_classifier", "988bdafc9a73b66b"},
        {"simsiam", "ec69718fbf1d062d"},
        {"byol", "02a01fca4b8d26cf"},
        {"simclr", "a8285713212916d2"},
        {"wmse", "768b75f63b743422"},
        {"supervised", "3beb0347f4ca8aca"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char set[64], hash[65];
        snprintf(set, sizeof set, "method=%s", known[i].method);
        hash_of(set, "data", hash);
        hash[16] = '\0';
        ck_assert_msg(strcmp(hash, known[i].hash) == 0, "%s: %s", known[i].method, hash);
    }
}
END_TEST

Suite *suite_spec(void) {
    Suite *suite = suite_create("spec");
    TCase *tests = tcase_create("spec");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_spec_means_what_it_says);
    tcase_add_test(tests, test_a_preset_comes_before_the_keys_on_top_of_it);
    tcase_add_test(tests, test_a_spec_is_called_by_its_name_or_its_file);
    tcase_add_test(tests, test_truth_is_written_as_yaml_does);
    tcase_add_test(tests, test_merged_mappings_give_the_keys_that_are_not_there);
    tcase_add_test(tests, test_unknown_names_get_the_nearest_one);
    tcase_add_test(tests, test_values_that_do_not_fit_are_refused_with_their_line);
    tcase_add_test(tests, test_what_is_not_a_spec_is_refused);
    tcase_add_test(tests, test_a_file_too_large_for_a_spec_is_not_parsed);
    tcase_add_test(tests, test_a_resolved_spec_reads_back_to_itself);
    tcase_add_test(tests, test_identity_is_what_decides_the_result);
    tcase_add_test(tests, test_ids_of_runs_stay_what_they_were);
    suite_add_tcase(suite, tests);
    return suite;
}

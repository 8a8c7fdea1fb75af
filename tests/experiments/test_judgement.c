/*
 * The verdicts of a run where people look: at the end of `mews train`, in run.json, in the index; and judged again from
 * what a run kept, also one that an earlier version trained.
 */
#include "engine/files/record.h"
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static void setup(void) {
    program_setup();
    error err = {0};
    char path[128], spec[512];
    int length = snprintf(spec, sizeof spec,
                          "name: run\n"
                          "data: {name: shapes, size: 8, limit: 512, cache: %s}\n"
                          "backbone: {name: resnet8, width: 4}\n"
                          "method: {name: falcon, features: 32, codes: 256}\n"
                          "train: {epochs: 2, batch: 64, threads: 2}\n"
                          "eval: [collapse]\n",
                          folder);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    ck_assert_msg(file_write(path, spec, (size_t)length, &err), "%s", err.text);
}

static void says(const said *s, const char *words) {
    ck_assert_msg(s->code == 0 && strstr(s->out, words), "%d: nowhere in: %s%s: %s", s->code, s->out, s->err, words);
}

static json_t *read_json(const char *name) {
    char command[256];
    snprintf(command, sizeof command, "cat results/run/*/%s >found", name);
    shell(command);
    snprintf(command, sizeof command, "%s/found", folder);
    json_t *root = json_load_file(command, 0, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

START_TEST(test_a_run_ends_with_four_verdicts_that_lists_know) {
    const said *s = mews("train run.yaml");
    says(s, "\n  representation  healthy    ");
    says(s, "\n  dimensional     healthy    Directions are kept: `embed` has ");
    says(s, "\n  cluster         healthy    Codes are in use: ");
    says(s, "\n  intracluster    ");
    says(mews("runs --where 'dimensional = healthy and cluster != collapsed'"), "run_");
    says(mews("runs --where 'dimensional = collapsed'"), "no runs fulfil this");
    says(mews("runs --csv --show dimensional"), "dimensional");
    says(mews("compare results/run/* results/run/*"), "verdicts: A, B\n  representation  ");
}
END_TEST

START_TEST(test_a_run_of_an_earlier_version_is_unknown_until_it_is_looked_at) {
    mews("train run.yaml");
    json_t *diagnosis = read_json("diagnosis.json"), *record = read_json("run.json");
    ck_assert_ptr_nonnull(json_object_get(json_object_get(diagnosis, "course"), "untrained"));
    ck_assert_int_eq(json_integer_value(json_object_get(diagnosis, "attainable")), 16); /* the backbone's width */
    json_object_del(diagnosis, "course");
    json_object_del(record, "verdicts");
    char path[128];
    snprintf(path, sizeof path, "%s/diagnosis.json", folder);
    ck_assert_int_eq(json_dump_file(diagnosis, path, 0), 0);
    snprintf(path, sizeof path, "%s/run.json", folder);
    json_object_del(record, "files"); /* what follows is changed by hand */
    error err = {0};
    ck_assert_msg(record_write(path, record, &err), "%s", err.text);
    json_decref(diagnosis);
    json_decref(record);
    shell("cp diagnosis.json run.json results/run/*/; sed -i '/\"collapse\":{/d' results/run/*/metrics.jsonl");
    says(mews("index --judge"), "1 of 1 run judged again, 1 with another verdict");
    diagnosis = read_json("diagnosis.json");
    json_t *v = json_object_get(json_object_get(diagnosis, "verdicts"), "dimensional");
    ck_assert_str_eq(json_string_value(json_object_get(v, "verdict")), "unknown");
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(v, "sentence")), "an earlier version trained it"));
    json_decref(diagnosis);
    says(mews("runs --where 'dimensional = unknown'"), "run_");
    says(mews("eval results/run/*"), "\n  dimensional     healthy    Directions are kept");
    says(mews("index --judge"), "1 of 1 run judged again, 0 with another verdict");
    says(mews("runs --where 'dimensional = healthy'"), "run_");
}
END_TEST

START_TEST(test_an_untrained_run_has_nothing_to_be_held_against) {
    says(mews("train run.yaml --set train.epochs=0"), "\n  dimensional     unknown    Nothing has been trained");
}
END_TEST

Suite *suite_judgement(void) {
    Suite *s = suite_create("judgement");
    TCase *t = tcase_create("whole runs");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_a_run_ends_with_four_verdicts_that_lists_know);
    tcase_add_test(t, test_a_run_of_an_earlier_version_is_unknown_until_it_is_looked_at);
    tcase_add_test(t, test_an_untrained_run_has_nothing_to_be_held_against);
    suite_add_tcase(s, t);
    return s;
}

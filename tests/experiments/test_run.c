#include "engine/files/file.h"
#include "experiments/run/run.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static sweep plans;
static error err;

/* Expands a spec of name "trial" with this text after its method. */
static void plan_of(const char *text) {
    char path[128], spec_text[512];
    spec_file file;
    sweep_free(&plans);
    snprintf(path, sizeof path, "%s/trial.yaml", folder);
    snprintf(spec_text, sizeof spec_text, "name: trial\nmethod: {name: falcon, codes: 32}\n%s", text);
    ck_assert(file_write(path, spec_text, strlen(spec_text), &err));
    ck_assert_msg(spec_file_read(&file, path, &err) && sweep_expand(&plans, &file, &err), "%s", err.text);
    spec_file_free(&file);
}

static void setup(void) {
    scratch_folder(folder);
    err = (error){0};
    plan_of("sweep: {train.seed: [3]}\n");
}

static void teardown(void) {
    sweep_free(&plans);
    scratch_remove(folder);
}

static run opened(void) {
    run r;
    ck_assert_msg(run_open(&r, folder, &plans.runs[0], "shapes", "cafe", RUN_ASK, &err), "%s", err.text);
    return r;
}

static run_status peeked(void) {
    run r;
    ck_assert_msg(run_peek(&r, folder, &plans.runs[0], "cafe", &err), "%s", err.text);
    run_close(&r);
    return r.status;
}

static json_t *record_on_disk(const run *r) {
    char path[1200];
    json_t *record = json_load_file(run_path(r, "run.json", path, sizeof path), 0, NULL);
    ck_assert_ptr_nonnull(record);
    return record;
}

static const char *text_at(const json_t *record, const char *key) {
    return json_string_value(json_object_get(record, key));
}

START_TEST(test_a_new_run_is_recorded_before_it_starts) {
    run r = opened();
    ck_assert_int_eq(r.status, RUN_NEW);
    json_t *record = record_on_disk(&r);
    ck_assert_str_eq(text_at(record, "id"), r.id);
    ck_assert_str_eq(text_at(record, "name"), "trial");
    ck_assert_str_eq(text_at(record, "status"), "running");
    ck_assert_str_eq(text_at(record, "method"), "falcon");
    ck_assert_str_eq(text_at(json_object_get(record, "data"), "checksum"), "cafe");
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(record, "swept"), "train.seed")), 3);
    const json_t *spec = json_object_get(record, "spec");
    ck_assert_int_eq(json_integer_value(json_object_get(spec, "method.codes")), 32);
    ck_assert(json_is_true(json_object_get(spec, "method.symmetric")));
    ck_assert(json_is_real(json_object_get(spec, "optimizer.lr")));
    ck_assert(json_is_array(json_object_get(spec, "eval.metrics")));
    ck_assert_int_gt(json_integer_value(json_object_get(record, "threads")), 0);
    json_decref(record);
    run_close(&r);
}
END_TEST

START_TEST(test_the_resolved_spec_in_the_folder_is_the_plans) {
    run r = opened();
    char path[1200], *expected = spec_text(&plans.runs[0].spec, &err);
    char *text = file_read(run_path(&r, "spec.yaml", path, sizeof path), NULL, &err);
    ck_assert_str_eq(text, expected);
    free(text);
    free(expected);
    run_close(&r);
}
END_TEST

START_TEST(test_a_run_is_worked_on_by_one_process_at_a_time) {
    run first = opened(), second;
    ck_assert(!run_open(&second, folder, &plans.runs[0], "shapes", "cafe", RUN_ASK, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is being worked on by another process"));
    err = (error){0};
    ck_assert(!run_open_folder(&second, first.folder, &err));
    err = (error){0};
    run_close(&first);
    second = opened();
    run_close(&second);
}
END_TEST

START_TEST(test_a_runs_own_spec_finds_it_again_under_its_longer_id) {
    char path[1200];
    spec_file file;
    run r = opened(), again;
    snprintf(path, sizeof path, "%s/spec.yaml", r.folder);
    sweep_free(&plans);
    ck_assert_msg(spec_file_read(&file, path, &err) && sweep_expand(&plans, &file, &err), "%s", err.text);
    spec_file_free(&file);
    ck_assert_uint_eq(plans.runs[0].swept_count, 0);
    run_close(&r);
    again = opened();
    ck_assert_str_eq(again.folder, r.folder);
    ck_assert_str_eq(again.id, r.id);
    json_t *record = record_on_disk(&again); /* the report sorts runs by it */
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(record, "swept"), "train.seed")), 3);
    json_decref(record);
    run_close(&again);
    plan_of("train: {seed: 3, epochs: 7}\n"); /* another training is another run */
    again = opened();
    ck_assert_str_ne(again.folder, r.folder);
    run_close(&again);
    plan_of("sweeps: {other: {train: {seed: 3}}}\n"); /* and so is one of another block */
    again = opened();
    ck_assert_str_ne(again.folder, r.folder);
    run_close(&again);
}
END_TEST

START_TEST(test_a_runs_life_shows_in_its_status) {
    ck_assert_int_eq(peeked(), RUN_NEW);
    run r = opened();
    run_close(&r); /* killed */
    ck_assert_int_eq(peeked(), RUN_UNFINISHED);
    r = opened();
    ck_assert_int_eq(r.status, RUN_UNFINISHED);
    ck_assert(run_fail(&r, "the loss is not a number at step 7", &err));
    run_close(&r);
    ck_assert_int_eq(peeked(), RUN_FAILED);
    r = opened();
    json_object_set_new(json_object_get(r.record, "final"), "knn", json_real(0.5));
    json_object_set_new(json_object_get(r.record, "final"), "rankme", run_json_number((double)NAN));
    ck_assert(run_set_seconds(&r, "train", 12.5, &err));
    ck_assert(run_finish(&r, &plans.runs[0].spec, &err));
    run_close(&r);
    ck_assert_int_eq(peeked(), RUN_FINISHED);
    r = opened();
    json_t *record = record_on_disk(&r);
    ck_assert_str_eq(text_at(record, "status"), "finished");
    ck_assert_ptr_null(json_object_get(record, "reason"));
    ck_assert_double_eq(json_real_value(json_object_get(json_object_get(record, "final"), "knn")), 0.5);
    ck_assert(json_is_null(json_object_get(json_object_get(record, "final"), "rankme")));
    ck_assert_double_eq(run_seconds(&r, "train"), 12.5);
    json_decref(record);
    run_close(&r);
}
END_TEST

START_TEST(test_a_changed_eval_asks_for_measuring_again_and_not_for_training) {
    char id[RUN_ID_SIZE];
    plan_of("eval: [knn, linear]\n");
    run r = opened();
    strcpy(id, r.id);
    ck_assert(run_finish(&r, &plans.runs[0].spec, &err));
    run_close(&r);
    plan_of("eval: {metrics: [knn], knn_k: 5}\n");
    r = opened();
    ck_assert_str_eq(r.id, id);
    ck_assert_int_eq(r.status, RUN_TRAINED);
    ck_assert(run_fail(&r, "k-means ran out of memory", &err));
    ck_assert(run_finish(&r, &plans.runs[0].spec, &err)); /* measured by the new spec now */
    ck_assert_ptr_null(json_object_get(r.record, "reason"));
    run_close(&r);
    ck_assert_int_eq(peeked(), RUN_FINISHED);
    plan_of("eval: [knn, linear]\n");
    ck_assert_int_eq(peeked(), RUN_TRAINED);
    r = opened();
    ck_assert(run_finish(&r, &plans.runs[0].spec, &err));
    run_close(&r);
    plan_of("eval: [knn, kmeans]\n");
    ck_assert_int_eq(peeked(), RUN_TRAINED);
    plan_of("eval: [knn]\n"); /* less than was measured */
    ck_assert_int_eq(peeked(), RUN_FINISHED);
}
END_TEST

START_TEST(test_seconds_of_earlier_sittings_are_kept) {
    run r = opened();
    ck_assert(run_set_seconds(&r, "train", 30, &err) && run_save(&r, &err));
    run_close(&r);
    r = opened();
    ck_assert_double_eq(run_seconds(&r, "train"), 30);
    ck_assert_double_eq(run_seconds(&r, "eval"), 0);
    run_close(&r);
}
END_TEST

START_TEST(test_metrics_are_cut_back_to_the_checkpoint) {
    char path[1200];
    uint64_t offset, end;
    run r = opened();
    ck_assert(run_metrics_begin(&r, 0, &err));
    ck_assert(run_metrics_append(&r, json_pack("{s:i}", "step", 1), &err) && run_metrics_sync(&r, &offset, &err));
    ck_assert(run_metrics_append(&r, json_pack("{s:i, s:o}", "step", 2, "loss", run_json_number((double)NAN)), &err));
    run_close(&r);
    r = opened();
    char *text = file_read(run_path(&r, "metrics.jsonl", path, sizeof path), NULL, &err);
    ck_assert_str_eq(text, "{\"step\":1}\n{\"step\":2,\"loss\":null}\n");
    free(text);
    ck_assert(run_metrics_begin(&r, offset, &err));
    ck_assert(run_metrics_append(&r, json_pack("{s:i}", "step", 3), &err) && run_metrics_sync(&r, &end, &err));
    text = file_read(path, NULL, &err);
    ck_assert_str_eq(text, "{\"step\":1}\n{\"step\":3}\n");
    ck_assert_uint_eq(end, strlen(text));
    free(text);
    ck_assert(!run_metrics_begin(&r, 1000, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is shorter than its checkpoint says"));
    run_close(&r);
}
END_TEST

START_TEST(test_a_broken_record_is_kept_aside_and_the_run_goes_on_without_it) {
    static const char *const broken[] = {"", "{\n\"id\": ", "[]", "{\"code\": {}, \"status\": \"finished\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char path[1200], aside[1220];
        run r = opened();
        run_path(&r, "run.json", path, sizeof path);
        snprintf(aside, sizeof aside, "%s.aside", path);
        char whole[sizeof r.folder];
        memcpy(whole, r.folder, sizeof whole);
        run_close(&r);
        ck_assert(file_write(path, broken[i], strlen(broken[i]), &err));
        ck_assert_int_eq(peeked(), RUN_UNFINISHED);
        ck_assert(!run_open_folder(&r, whole, &err)); /* `mews eval` has nothing to go by */
        ck_assert_msg(strstr(err.text, path) && strstr(err.text, "makes it again"), "%s", err.text);
        err = (error){0};
        r = opened();
        ck_assert_ptr_nonnull(strstr(r.damaged, path));
        run_close(&r);
        char *text = file_read(aside, NULL, &err);
        ck_assert_str_eq(text, broken[i]);
        free(text);
    }
    run r;
    ck_assert(!run_open_folder(&r, folder, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is no run: it holds no run.json"));
    ck_assert_int_eq(err.code, ERROR_USAGE);
}
END_TEST

START_TEST(test_the_log_keeps_every_sitting) {
    char path[1200];
    for (int i = 0; i < 2; i++) {
        run r = opened();
        run_log(&r, "sitting %d", i);
        run_path(&r, "log.txt", path, sizeof path);
        run_close(&r);
    }
    char *text = file_read(path, NULL, &err);
    ck_assert_ptr_nonnull(strstr(text, "Z sitting 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "Z sitting 1\n"));
    free(text);
}
END_TEST

Suite *suite_run(void) {
    Suite *suite = suite_create("run");
    TCase *tests = tcase_create("run");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_new_run_is_recorded_before_it_starts);
    tcase_add_test(tests, test_the_resolved_spec_in_the_folder_is_the_plans);
    tcase_add_test(tests, test_a_run_is_worked_on_by_one_process_at_a_time);
    tcase_add_test(tests, test_a_runs_own_spec_finds_it_again_under_its_longer_id);
    tcase_add_test(tests, test_a_runs_life_shows_in_its_status);
    tcase_add_test(tests, test_a_changed_eval_asks_for_measuring_again_and_not_for_training);
    tcase_add_test(tests, test_seconds_of_earlier_sittings_are_kept);
    tcase_add_test(tests, test_metrics_are_cut_back_to_the_checkpoint);
    tcase_add_test(tests, test_a_broken_record_is_kept_aside_and_the_run_goes_on_without_it);
    tcase_add_test(tests, test_the_log_keeps_every_sitting);
    suite_add_tcase(suite, tests);
    return suite;
}

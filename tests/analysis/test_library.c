/* The C interface of libmews: matrices in memory, and a monitor's folder. */
#include "analysis/library/mews.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/scratch.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 300, D = 12 };

static void noise(float *z) {
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < (size_t)N * D; i++) z[i] = (float)rng_normal(&r);
}

static json_t *diagnosed(const mews_input *input) {
    char *json, why[MEWS_MESSAGE];
    mews_result result = mews_diagnose(input, &json, why, sizeof why);
    ck_assert_msg(result == MEWS_DONE, "%s", why);
    json_t *found = json_loads(json, 0, NULL);
    mews_free(json);
    return found;
}

static double rankme_of(const mews_input *input) {
    json_t *found = diagnosed(input);
    double rankme = json_number_value(json_object_get(found, "rankme"));
    json_decref(found);
    return rankme;
}

static const char *word(const json_t *found, const char *mode) {
    return json_string_value(json_object_get(json_object_get(json_object_get(found, "verdicts"), mode), "verdict"));
}

static void refused(const mews_input *input, const char *message) {
    char *json, why[MEWS_MESSAGE];
    ck_assert_int_eq(mews_diagnose(input, &json, why, sizeof why), MEWS_WRONG);
    ck_assert_ptr_null(json);
    ck_assert_msg(strstr(why, message), "%s", why);
}

START_TEST(test_a_matrix_has_one_rank_whatever_its_type_and_strides) {
    static float z[N * D], columns[N * D], spread[N * D * 2];
    static double doubles[N * D];
    noise(z);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) {
            float x = z[i * D + j];
            columns[j * N + i] = spread[2 * (i * D + j)] = x;
            doubles[i * D + j] = (double)x;
        }
    mews_input input = mews_input_of(N, D);
    input.fast = 1;
    input.embeddings.data = z;
    double expected = rankme_of(&input);
    ck_assert_double_gt(expected, 11);
    input.embeddings = (mews_matrix){columns, N, D, 1, N, MEWS_FLOAT32};
    ck_assert_double_eq_tol(rankme_of(&input), expected, 1e-6);
    input.embeddings = (mews_matrix){spread, N, D, 2 * D, 2, MEWS_FLOAT32};
    ck_assert_double_eq_tol(rankme_of(&input), expected, 1e-6);
    input.embeddings = (mews_matrix){doubles, N, D, 0, 0, MEWS_FLOAT64};
    ck_assert_double_eq_tol(rankme_of(&input), expected, 1e-6);
}
END_TEST

START_TEST(test_half_precision_is_read_as_it_is) {
    static uint16_t bits[N * D];
    static float values[N * D];
    noise(values);
    for (size_t i = 0; i < N * D; i++) { /* the upper half of a float is a bfloat16 */
        uint32_t whole;
        memcpy(&whole, &values[i], sizeof whole);
        bits[i] = (uint16_t)(whole >> 16);
        whole = (uint32_t)bits[i] << 16;
        memcpy(&values[i], &whole, sizeof whole);
    }
    mews_input exact = mews_input_of(N, D), half = mews_input_of(N, D);
    exact.embeddings.data = values, half.embeddings.data = bits;
    exact.fast = half.fast = 1;
    half.embeddings.type = MEWS_BFLOAT16;
    ck_assert_double_eq_tol(rankme_of(&half), rankme_of(&exact), 1e-9);
}
END_TEST

START_TEST(test_what_is_wrong_is_said_and_whose_fault_it_is) {
    static float z[N * D];
    static int64_t codes[N];
    noise(z);
    mews_input input = mews_input_of(N, D);
    refused(&input, "embeddings: there is no data");
    input.embeddings.data = z;
    input.second = (mews_matrix){z, N, D - 1, D, 1, MEWS_FLOAT32};
    refused(&input, "second: is 300 × 11, but embeddings is 300 × 12");
    input.second.data = NULL;
    codes[5] = 40;
    input.codes = codes, input.code_count = 8;
    refused(&input, "assignments: row 5 is assigned to code 40");
    input.codes = NULL;
    z[3 * D + 1] = NAN;
    refused(&input, "row 3");
    input.name = "z";
    refused(&input, "z: ");
    input.size = 8;
    refused(&input, "mews_input_of sets it");
}
END_TEST

START_TEST(test_a_reference_shows_what_was_lost) {
    static float z[N * D], flat[N * D];
    noise(z);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) flat[i * D + j] = z[i * D + j] * (j < 1 ? 1 : 1e-4f);
    mews_input input = mews_input_of(N, D);
    input.embeddings.data = flat;
    input.reference = (mews_matrix){z, N, D, 0, 0, MEWS_FLOAT32};
    json_t *found = diagnosed(&input);
    ck_assert_str_eq(word(found, "dimensional"), "collapsed");
    json_decref(found);
    for (size_t i = 0; i < N; i++) /* a spectrum that falls, without a cliff: narrow, and what it always was */
        for (size_t j = 0; j < D; j++) flat[i * D + j] = z[i * D + j] * powf(0.6f, (float)j);
    input.reference.data = flat;
    found = diagnosed(&input);
    ck_assert_str_eq(word(found, "dimensional"), "healthy");
    json_decref(found);
}
END_TEST

static void log_epoch(mews_monitor *m, int64_t epoch, const float *z, const char *expected) {
    char *json, why[MEWS_MESSAGE];
    mews_input input = mews_input_of(N, D);
    input.embeddings.data = z;
    mews_result result = mews_monitor_log(m, epoch, &input, "{\"loss\": 0.5}", &json, why, sizeof why);
    ck_assert_msg(result == MEWS_DONE, "%s", why);
    json_t *found = json_loads(json, 0, NULL);
    ck_assert_str_eq(word(found, "dimensional"), expected);
    json_decref(found);
    mews_free(json);
}

static double figure_of(const char *path, const char *key) {
    json_t *record = json_load_file(path, 0, NULL), *value = json_object_get(json_object_get(record, "final"), key);
    ck_assert_msg(json_is_number(value), "%s has no %s", path, key);
    double figure = json_number_value(value);
    json_decref(record);
    return figure;
}

static size_t lines_of(const char *path) {
    error err = {0};
    size_t size, lines = 0;
    char *text = file_read(path, &size, &err);
    ck_assert_msg(text != NULL, "%s", err.text);
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    free(text);
    return lines;
}

/* Monitors write where their test stands. */
static char folder[32];

static void enter_folder(void) {
    scratch_folder(folder);
    ck_assert_int_eq(chdir(folder), 0);
}

static void remove_folder(void) { scratch_remove(folder); }

START_TEST(test_a_monitor_holds_later_epochs_against_the_first_and_goes_on) {
    static float z[N * D], flat[N * D];
    char why[MEWS_MESSAGE];
    noise(z);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) flat[i * D + j] = z[i * D + j] * (j < 1 ? 1 : 1e-4f);
    mews_monitor *m;
    ck_assert_int_eq(mews_monitor_open("run/", "{\"lr\": 0.1}", &m, why, sizeof why), MEWS_DONE);
    log_epoch(m, 0, z, "healthy");
    log_epoch(m, 1, flat, "collapsed");
    ck_assert_int_eq(mews_monitor_close(m, why, sizeof why), MEWS_DONE);
    ck_assert_uint_eq(lines_of("run/metrics.jsonl"), 2);
    ck_assert_int_eq(mews_monitor_open("run", NULL, &m, why, sizeof why), MEWS_DONE);
    ck_assert(figure_of("run/run.json", "loss") == 0.5); /* a folder that is opened keeps its figures */
    log_epoch(m, 1, flat, "collapsed");                  /* the first epoch is known from the folder */
    ck_assert_uint_eq(lines_of("run/metrics.jsonl"), 2);
    mews_input input = mews_input_of(N, D);
    char *json;
    input.embeddings.data = z;
    ck_assert_int_eq(mews_monitor_log(m, 2, &input, "{\"loss\": \"low\"}", &json, why, sizeof why), MEWS_WRONG);
    ck_assert_str_eq(why, "figures: loss is no number");
    ck_assert_int_eq(mews_monitor_close(m, why, sizeof why), MEWS_DONE);
    ck_assert_int_eq(access("run/embeddings.npy", R_OK), 0);
}
END_TEST

START_TEST(test_a_monitor_leaves_the_record_of_a_run_alone) {
    char why[MEWS_MESSAGE];
    static const char run[] = "{\"id\": \"sweep_1\", \"name\": \"sweep\", \"status\": \"finished\"}\n";
    error err = {0};
    size_t size;
    mews_monitor *m;
    ck_assert(file_write("run.json", run, sizeof run - 1, &err));
    ck_assert_int_eq(mews_monitor_open(".", NULL, &m, why, sizeof why), MEWS_WRONG);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(why, "is the record of another run; name a folder of its own"), "%s", why);
    char *after = file_read("run.json", &size, &err);
    ck_assert_str_eq(after, run);
    free(after);
}
END_TEST

/* Lightning's metrics hold an "epoch" of their own. */
START_TEST(test_the_epoch_of_a_line_is_the_monitors) {
    char why[MEWS_MESSAGE], *json;
    static float z[N * D];
    error err = {0};
    size_t size;
    mews_monitor *m;
    noise(z);
    ck_assert_int_eq(mews_monitor_open("run", NULL, &m, why, sizeof why), MEWS_DONE);
    mews_input input = mews_input_of(N, D);
    input.embeddings.data = z;
    ck_assert_int_eq(mews_monitor_log(m, 3, &input, "{\"epoch\": 7, \"step\": 90}", &json, why, sizeof why), MEWS_DONE);
    mews_free(json);
    ck_assert_int_eq(mews_monitor_close(m, why, sizeof why), MEWS_DONE);
    char *lines = file_read("run/metrics.jsonl", &size, &err);
    ck_assert_msg(strncmp(lines, "{\"step\":3,\"epoch\":3,", 20) == 0, "%s", lines);
    free(lines);
}
END_TEST

Suite *suite_library(void) {
    Suite *suite = suite_create("library");
    TCase *tests = tcase_create("library");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, test_a_matrix_has_one_rank_whatever_its_type_and_strides);
    tcase_add_test(tests, test_half_precision_is_read_as_it_is);
    tcase_add_test(tests, test_what_is_wrong_is_said_and_whose_fault_it_is);
    tcase_add_test(tests, test_a_reference_shows_what_was_lost);
    suite_add_tcase(suite, tests);
    tests = tcase_create("monitor");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, enter_folder, remove_folder);
    tcase_add_test(tests, test_a_monitor_holds_later_epochs_against_the_first_and_goes_on);
    tcase_add_test(tests, test_a_monitor_leaves_the_record_of_a_run_alone);
    tcase_add_test(tests, test_the_epoch_of_a_line_is_the_monitors);
    suite_add_tcase(suite, tests);
    return suite;
}

/*
 * Looking for collapse while training: SimSiam without its stop-gradient loses directions that its untrained network
 * has and is stopped, FALCON is not; what an earlier sitting saw counts for the next one.
 */
#include "engine/files/file.h"
#include "experiments/run/onset.h"
#include "tests/experiments/program.h"
#include "tests/experiments/record_edit.h"

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
                          "train: {epochs: 6, batch: 64, threads: 2}\n"
                          "eval: [collapse]\n",
                          folder);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    ck_assert_msg(file_write(path, spec, (size_t)length, &err), "%s", err.text);
}

#define COLLAPSES                                                                                                      \
    "train run.yaml --set method=simsiam --set method.stop_gradient=false --set optimizer.name=sgd "                   \
    "--set optimizer.lr=3 --set train.stop_on_collapse=[dimensional] --set train.stop_patience=3 "
#define STOP_ON_ALL                                                                                                    \
    "--set train.stop_on_collapse=[representation,dimensional,cluster,intracluster] --set train.stop_patience=3 "

static json_t *read_json(const char *pattern) {
    char command[256];
    snprintf(command, sizeof command, "cat results/run/*/%s >found", pattern);
    shell(command);
    snprintf(command, sizeof command, "%s/found", folder);
    json_t *root = json_load_file(command, 0, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

/* Lines with verdicts after the untrained network's, and the epoch of the last of them. */
static int looks(int *last) {
    char path[128], line[8192];
    int count = 0;
    shell("cat results/run/*/metrics.jsonl >found");
    snprintf(path, sizeof path, "%s/found", folder);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        json_t *o = json_loads(line, 0, NULL), *epoch = json_object_get(o, "epoch");
        ck_assert_ptr_nonnull(o);
        if (json_object_get(o, "collapse") && json_number_value(epoch) > 0)
            count++, *last = (int)json_number_value(epoch);
        json_decref(o);
    }
    fclose(file);
    return count;
}

static const char *verdict_of(const json_t *root, const char *mode, const char *key) {
    const json_t *m = json_object_get(json_object_get(root, "verdicts"), mode), *value = json_object_get(m, key);
    static char text[64];
    snprintf(text, sizeof text, "%s", json_is_string(value) ? json_string_value(value) : "");
    if (json_is_integer(value)) snprintf(text, sizeof text, "%d", (int)json_integer_value(value));
    return text;
}

/* What a run that ended well says of its early end. */
static void stopped_at(const said *s, int *since, int *after) {
    const char *line = strstr(s->out, "stopped: dimensional collapse since");
    ck_assert_msg(s->code == 0 && line &&
                      sscanf(line, "stopped: dimensional collapse since epoch %d; stopped after epoch %d of 6\n", since,
                             after) == 2,
                  "%d: %s%s", s->code, s->out, s->err);
}

START_TEST(test_a_run_that_collapses_is_stopped_and_says_since_when) {
    const said *s = mews(COLLAPSES);
    int since, after;
    char why[96], onset[16];
    stopped_at(s, &since, &after);
    snprintf(why, sizeof why, "dimensional collapse since epoch %d; stopped after epoch %d of 6", since, after);
    snprintf(onset, sizeof onset, "%d", since);
    ck_assert_int_eq(after, since + 2);
    ck_assert_int_lt(after, 6);
    json_t *record = read_json("run.json"), *diagnosis = read_json("diagnosis.json");
    ck_assert_str_eq(json_string_value(json_object_get(record, "status")), "finished");
    ck_assert_str_eq(json_string_value(json_object_get(record, "stopped")), why);
    ck_assert_str_eq(verdict_of(diagnosis, "dimensional", "verdict"), "collapsed");
    ck_assert_str_eq(verdict_of(diagnosis, "dimensional", "onset"), onset);
    json_t *words = json_object_get(record, "verdicts");
    ck_assert_str_eq(json_string_value(json_object_get(words, "dimensional")), "collapsed");
    ck_assert_str_eq(json_string_value(json_object_get(words, "cluster")), "unknown");
    ck_assert_str_eq(verdict_of(diagnosis, "cluster", "onset"), "");
    json_decref(record);
    json_decref(diagnosis);
    int last = 0;
    ck_assert_int_eq(looks(&last), after);
    ck_assert_int_eq(last, after);
    s = mews(COLLAPSES); /* found again: as finished as any */
    ck_assert_msg(s->code == 0 && strstr(s->out, "was finished already") && strstr(s->out, why), "%s", s->out);
}
END_TEST

START_TEST(test_a_run_that_was_stopped_and_then_killed_does_not_train_on) {
    int since, after, since_again, after_again, last = 0;
    stopped_at(mews(COLLAPSES), &since, &after);
    edit_records("results/run/*/run.json", NULL, "status", json_string("running"));
    stopped_at(mews(COLLAPSES), &since_again, &after_again);
    ck_assert_int_eq(since_again, since);
    ck_assert_int_eq(after_again, after);
    ck_assert_int_eq(looks(&last), after);
}
END_TEST

START_TEST(test_a_healthy_run_is_looked_at_after_every_epoch_and_left_alone) {
    const said *s = mews("train run.yaml " STOP_ON_ALL);
    int last = 0;
    ck_assert_msg(s->code == 0 && !strstr(s->out, "stopped"), "%d: %s%s", s->code, s->out, s->err);
    ck_assert_int_eq(looks(&last), 6);
    ck_assert_int_eq(last, 6);
}
END_TEST

START_TEST(test_being_watched_changes_no_bit_of_a_run) {
    ck_assert_int_eq(mews("train run.yaml --set train.epochs=2")->code, 0);
    ck_assert_int_eq(mews("train run.yaml --set train.epochs=2 --set train.checkpoint_every=2 "
                          "--set eval.batchnorm=batch --out other")
                         ->code,
                     0);
    shell("grep -h loss results/run/*/metrics.jsonl | sed 's/\"time\":{[^}]*}//g' >a;"
          "grep -h loss other/run/*/metrics.jsonl | sed 's/\"time\":{[^}]*}//g' >b; test -s a && cmp a b");
}
END_TEST

START_TEST(test_a_collapse_that_is_unknown_or_cannot_be_seen_is_one_line) {
    refused("train run.yaml --set train.stop_on_collapse=[dimensionl]",
            "--set train.stop_on_collapse=[dimensionl]: `train.stop_on_collapse` does not know `dimensionl`; did you "
            "mean `dimensional`?");
    const said *s = mews("train run.yaml --set method=barlow_twins " STOP_ON_ALL);
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "mews: train.stop_on_collapse: barlow_twins has no codes or prototypes"));
}
END_TEST

/* Classes that take turns have a period, and classes that lie behind each other a length: neither may hide a class. */
START_TEST(test_the_images_that_are_watched_are_of_all_classes) {
    enum { ROWS = 400, HELD_OUT = 4000, CLASSES = 20 };
    int turns[CLASSES] = {0}, stretches[CLASSES] = {0};
    for (uint32_t row = 0, last = 0; row < ROWS; row++) {
        uint32_t image = look_image(row, ROWS, HELD_OUT);
        ck_assert(image < HELD_OUT && (row == 0 || image > last));
        turns[image % CLASSES]++, stretches[image / (HELD_OUT / CLASSES)]++;
        last = image;
    }
    for (int c = 0; c < CLASSES; c++) ck_assert(turns[c] >= 8 && turns[c] <= 36 && stretches[c] == ROWS / CLASSES);
    for (uint32_t row = 0; row < ROWS; row++) ck_assert_uint_eq(look_image(row, ROWS, ROWS), row);
}
END_TEST

Suite *suite_onset(void) {
    Suite *s = suite_create("onset");
    TCase *t = tcase_create("whole runs");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_the_images_that_are_watched_are_of_all_classes);
    tcase_add_test(t, test_a_run_that_collapses_is_stopped_and_says_since_when);
    tcase_add_test(t, test_a_run_that_was_stopped_and_then_killed_does_not_train_on);
    tcase_add_test(t, test_a_healthy_run_is_looked_at_after_every_epoch_and_left_alone);
    tcase_add_test(t, test_being_watched_changes_no_bit_of_a_run);
    tcase_add_test(t, test_a_collapse_that_is_unknown_or_cannot_be_seen_is_one_line);
    suite_add_tcase(s, t);
    return s;
}

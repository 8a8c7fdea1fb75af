/*
 * Figures while a run trains: they are those that the same network has as its final ones, the run keeps its bits, and
 * one that was stopped and goes on has every line once.
 */
#include "engine/files/file.h"
#include "tests/experiments/harness.h"

#include <check.h>
#include <jansson.h>

static void setup(void) {
    program_setup();
    shell("printf 'name: run\\ndata: {name: shapes, size: 8, limit: 256, cache: cache}\\n"
          "backbone: {name: resnet8, width: 4}\\noptimizer: {schedule: constant}\\n"
          "train: {epochs: 4, batch: 64, threads: 2, checkpoint_every: 3}\\n"
          "eval: {metrics: [linear, knn, kmeans, prototypes, collapse], batch_figures: [kmeans, prototypes]}\\n"
          "methods:\\n  falcon: {method: {features: 8, codes: 16}}\\n"
          "  byol: {method: {hidden: 16, features: 8, momentum: 0.9, final_momentum: 0.9}}\\n"
          "method: falcon\\n' >run.yaml");
}

static void train(const char *with) {
    char words[512];
    snprintf(words, sizeof words, "train run.yaml %s", with);
    const said *s = mews(words);
    ck_assert_msg(s->code == 0, "%s", s->err);
}

/* A file of the only run under `results`, as a path that can be opened. */
static const char *file_of(const char *results, const char *name) {
    static char path[256];
    char commands[256];
    snprintf(commands, sizeof commands, "cp %s/run/*/%s copy", results, name);
    shell(commands);
    snprintf(path, sizeof path, "%s/copy", folder);
    return path;
}

/* The figures after `epoch` in the history of the only run under `results`, the caller's; NULL where it has none. */
static json_t *figures_after(const char *results, int epoch) {
    char *line = NULL;
    size_t room = 0;
    json_t *found = NULL;
    FILE *file = fopen(file_of(results, "metrics.jsonl"), "r");
    ck_assert_ptr_nonnull(file);
    while (getline(&line, &room, file) > 0) {
        json_t *o = json_loads(line, 0, NULL), *figures = json_object_get(o, "figures");
        if (figures && json_number_value(json_object_get(o, "epoch")) == epoch) {
            ck_assert_msg(!found, "epoch %d has two lines", epoch);
            ck_assert_double_gt(json_number_value(json_object_get(json_object_get(o, "time"), "figures")), 0);
            found = json_incref(figures);
        }
        json_decref(o);
    }
    free(line);
    fclose(file);
    return found;
}

static json_t *final_of(const char *results) {
    json_t *record = json_load_file(file_of(results, "run.json"), 0, NULL);
    json_t *final = json_incref(json_object_get(record, "final"));
    json_decref(record);
    ck_assert_ptr_nonnull(final);
    return final;
}

/* Every figure midway is the final one of a run that ends there; the verdicts' are not among them. */
static void ends_alike(const char *results, int epoch, const char *shorter, size_t least) {
    const char *name;
    json_t *value, *figures = figures_after(results, epoch), *final = final_of(shorter);
    ck_assert_ptr_nonnull(figures);
    ck_assert_uint_ge(json_object_size(figures), least);
    ck_assert_ptr_null(json_object_get(figures, "rankme"));
    json_object_foreach(figures, name, value)
        ck_assert_msg(json_equal(value, json_object_get(final, name)), "%s after epoch %d", name, epoch);
    json_decref(figures);
    json_decref(final);
}

START_TEST(test_figures_midway_are_the_final_ones_of_a_run_that_ends_there) {
    train("--out long --set train.eval_every=2 --set eval.online=[linear]");
    train("--out none --set train.epochs=0 --set eval.online=[linear]");
    train("--out two --set train.epochs=2 --set eval.online=[linear]");
    ends_alike("long", 0, "none", 16);
    ends_alike("long", 2, "two", 16);
    ck_assert_ptr_null(figures_after("long", 1));
    ck_assert_ptr_null(figures_after("long", 4)); /* its end has the run's own */
}
END_TEST

START_TEST(test_a_teacher_is_measured_midway_as_at_the_end) {
    train("--out long --set method=byol --set eval.network=teacher --set train.eval_every=2");
    train("--out two --set method=byol --set eval.network=teacher --set train.epochs=2");
    ends_alike("long", 2, "two", 9);
}
END_TEST

START_TEST(test_a_run_that_is_measured_midway_keeps_its_bits) {
    static const char *const methods[] = {"falcon", "byol"};
    for (int i = 0; i < 2; i++) {
        char with[160];
        snprintf(with, sizeof with, "--set method=%s --out plain%d", methods[i], i);
        train(with);
        snprintf(with, sizeof with, "--set method=%s --out often%d --set train.eval_every=1", methods[i], i);
        train(with);
    }
    shell("strip() { grep -v '\"figures\":{' $1/run/*/metrics.jsonl | sed 's/,\"time\":{[^}]*}//'; };"
          "for i in 0 1; do strip plain$i >a; strip often$i >b; cmp a b || exit 1; test $(grep -c . a) -gt 4 || exit 1;"
          "cmp plain$i/run/*/embeddings.npy often$i/run/*/embeddings.npy || exit 1; done");
}
END_TEST

START_TEST(test_a_run_that_goes_on_has_every_line_once) {
    train("--out whole --set train.eval_every=2");
    train("--out parts --set train.eval_every=2 --until 1"); /* between two of them: it goes back to no checkpoint */
    train("--out parts --set train.eval_every=2 --until 2"); /* at one, which is measured by who goes on */
    ck_assert_ptr_null(figures_after("parts", 2));
    train("--out parts --set train.eval_every=2");
    ck_assert(same_run("whole/run/*", "parts/run/*"));
    json_t *figures = figures_after("parts", 2);
    ck_assert_ptr_nonnull(figures);
    json_decref(figures);
}
END_TEST

/* Told to stop while it measures after the second epoch: it has saved, leaves no line, and measures when it goes on. */
START_TEST(test_a_run_that_is_stopped_while_it_measures_goes_on_as_if_it_had_not_been) {
    static const char with[] = "--set train.eval_every=2 --set eval=[kmeans] --set eval.kmeans_restarts=300";
    char commands[1800], words[256];
    snprintf(words, sizeof words, "--out whole %s", with);
    train(words);
    snprintf(
        commands, sizeof commands,
        "'%s' train run.yaml --out cut %s >out 2>err & "
        "for i in $(seq 3000); do ls cut/run/*/checkpoint-*8.safetensors >/dev/null 2>&1 && break; sleep 0.01; done;"
        "kill -TERM $!; wait $!; test $? = 130",
        program, with);
    shell(commands);
    ck_assert_ptr_null(figures_after("cut", 2));
    snprintf(words, sizeof words, "--out cut %s", with);
    train(words);
    ck_assert(same_run("whole/run/*", "cut/run/*"));
}
END_TEST

START_TEST(test_how_often_changes_nothing_of_a_finished_run) {
    train("--out runs");
    const said *s = mews("train run.yaml --out runs --set train.eval_every=2 --json");
    ck_assert_msg(s->code == 0 && strstr(s->out, "found"), "%s%s", s->out, s->err);
    s = mews("eval runs/run/* --set train.eval_every=2");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "`mews eval` changes only keys of eval; `train.eval_every` decides the training"),
                  "%s", s->err);
}
END_TEST

Suite *suite_midway(void) {
    Suite *suite = suite_create("midway");
    TCase *tests = tcase_create("midway");
    tcase_add_checked_fixture(tests, setup, program_teardown);
    tcase_add_test(tests, test_figures_midway_are_the_final_ones_of_a_run_that_ends_there);
    tcase_add_test(tests, test_a_teacher_is_measured_midway_as_at_the_end);
    tcase_add_test(tests, test_a_run_that_is_measured_midway_keeps_its_bits);
    tcase_add_test(tests, test_a_run_that_goes_on_has_every_line_once);
    tcase_add_test(tests, test_a_run_that_is_stopped_while_it_measures_goes_on_as_if_it_had_not_been);
    tcase_add_test(tests, test_how_often_changes_nothing_of_a_finished_run);
    suite_add_tcase(suite, tests);
    return suite;
}

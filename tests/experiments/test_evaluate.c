/*
 * What a finished run is measured on: BatchNorm's mode figure by figure, and student or teacher.
 */
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static void setup(void) {
    error err = {0};
    char path[128], spec[512];
    program_setup();
    int length = snprintf(spec, sizeof spec,
                          "name: run\n"
                          "data: {name: shapes, size: 8, limit: 256, cache: %s}\n"
                          "backbone: {name: resnet8, width: 4}\n"
                          "method: {name: falcon, features: 16, codes: 32}\n"
                          "train: {epochs: 2, batch: 64, threads: 2}\n"
                          "eval: {metrics: [knn, kmeans, prototypes, collapse], sample: 1000}\n",
                          folder);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    ck_assert_msg(file_write(path, spec, (size_t)length, &err), "%s", err.text);
}

/* The figures of a run trained, or evaluated again, with these settings. */
static json_t *figures(const char *words) {
    char path[128];
    const said *s = mews(words);
    ck_assert_msg(s->code == 0, "%s: %s", words, s->err);
    shell("cat results/run/*/run.json >found");
    snprintf(path, sizeof path, "%s/found", folder);
    json_t *record = json_load_file(path, 0, NULL), *final = json_incref(json_object_get(record, "final"));
    ck_assert_ptr_nonnull(final);
    json_decref(record);
    return final;
}

static void ck_same(const json_t *a, const json_t *b, const char *figure, bool same) {
    const json_t *x = json_object_get(a, figure), *y = json_object_get(b, figure);
    ck_assert_msg(x && y && json_equal(x, y) == same, "%s: %.17g, %.17g", figure, json_number_value(x),
                  json_number_value(y));
}

START_TEST(test_a_figure_may_be_measured_by_the_batch_and_the_others_as_before) {
    json_t *running = figures("train run.yaml"), *batch = figures("eval results/run/* --set eval.batchnorm=batch");
    json_t *pair =
        figures("eval results/run/* --set eval.batchnorm=running --set eval.batch_figures=[kmeans,prototypes]");
    ck_same(running, batch, "knn", false);
    ck_same(running, batch, "prototype_nmi", false);
    static const char *const by_batch[] = {"prototype_nmi", "prototype_ami", "codes_used", "code_perplexity",
                                           "kmeans_nmi"};
    static const char *const as_before[] = {"knn", "rankme", "rankme_backbone"};
    for (size_t i = 0; i < sizeof by_batch / sizeof *by_batch; i++) ck_same(batch, pair, by_batch[i], true);
    for (size_t i = 0; i < sizeof as_before / sizeof *as_before; i++) ck_same(running, pair, as_before[i], true);
    json_t *again = figures("eval results/run/*"); /* by the spec that the last one left */
    ck_assert(json_equal(again, pair));
    const said *s = mews("train run.yaml --set eval.batch_figures=[kmeans,prototypes]");
    ck_assert_msg(strstr(s->out, "was finished already") != NULL, "%s", s->out);
    json_t *back = figures("train run.yaml"); /* other figures are asked for: measured again, not trained */
    ck_assert(json_equal(back, running));
    json_t *const all[] = {running, batch, pair, again, back};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_decref(all[i]);
}
END_TEST

#define BYOL "--set method=byol --set method.hidden=16 --set method.features=8 --set eval.metrics=[knn,collapse] "

/* A teacher that is its student after every step has seen the same batches with the same weights. */
START_TEST(test_the_teacher_is_measured_where_it_is_asked_for) {
    json_t *student = figures("train run.yaml " BYOL "--set method.momentum=0.9 --set eval.online=[linear,knn]");
    json_t *teacher = figures("eval results/run/* --set eval.network=teacher");
    ck_same(student, teacher, "rankme", false);
    ck_same(student, teacher, "knn", false);
    ck_same(student, teacher, "online_linear", true); /* what learnt beside the student is the student's */
    ck_same(student, teacher, "online_knn", true);
    shell("grep -q '\"network\": \"teacher\"' results/run/*/diagnosis.json");
    json_t *back = figures("eval results/run/* --set eval.network=student");
    ck_assert(json_equal(back, student));
    shell("rm -rf results");
    json_t *const all[] = {student, teacher, back};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_decref(all[i]);
    student = figures("train run.yaml " BYOL "--set method.momentum=0 --set method.final_momentum=0");
    teacher = figures("eval results/run/* --set eval.network=teacher");
    ck_assert(json_equal(student, teacher));
    json_decref(student);
    json_decref(teacher);
}
END_TEST

START_TEST(test_a_method_without_a_teacher_says_so) {
    const said *s = mews("train run.yaml --set eval.network=teacher");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "eval.network teacher: falcon has none; methods that have one: ") &&
                      strstr(s->err, "byol"),
                  "%s", s->err);
}
END_TEST

Suite *suite_evaluate(void) {
    Suite *suite = suite_create("evaluate");
    TCase *tests = tcase_create("evaluate");
    tcase_add_checked_fixture(tests, setup, program_teardown);
    tcase_add_test(tests, test_a_figure_may_be_measured_by_the_batch_and_the_others_as_before);
    tcase_add_test(tests, test_the_teacher_is_measured_where_it_is_asked_for);
    tcase_add_test(tests, test_a_method_without_a_teacher_says_so);
    suite_add_tcase(suite, tests);
    return suite;
}

/*
 * What is trained beside a method: its step is the formula's, it learns what there is to learn, it changes no bit of
 * the run that it watches, and its keys are the training's.
 */
#include "engine/backend.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "experiments/run/online.h"
#include "tests/experiments/program.h"
#include "tests/experiments/record_edit.h"

#include <check.h>
#include <math.h>

/* ---- the probe by itself ---- */

enum { VIEWS = 2, PAIRS = 16, FEATURES = 6, CLASSES = 3, ROWS = VIEWS * PAIRS, BANK = 40 };

typedef struct bench {
    backend *backend;
    parameters *parameters;
    tape *tape;
    online *online;
    eval_options options;
    float z[ROWS * FEATURES];
    int labels[PAIRS];
} bench;

static bench probe;

static void probe_open(unsigned figures) {
    error err = {0};
    probe.options =
        (eval_options){.online = figures, .online_lr = 0.1, .online_bank = BANK, .knn_k = 5, .knn_temperature = 0.07};
    probe.backend = backend_cpu(1, &err);
    probe.parameters = parameters_create(probe.backend, 0, &err);
    probe.tape = tape_create(probe.backend, &err);
    probe.online = online_create(probe.parameters, &probe.options, FEATURES, VIEWS, PAIRS, CLASSES, &err);
    ck_assert_msg(probe.online != NULL, "%s", err.text);
}

static void probe_close(void) {
    online_destroy(probe.online);
    tape_destroy(probe.tape);
    parameters_destroy(probe.parameters);
    probe.backend->destroy(probe.backend);
}

/* Three classes, each a direction of its own under noise, far from the origin and on unlike scales. */
static void draw(uint64_t key, double noise) {
    rng r = rng_stream(key, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < PAIRS; i++) probe.labels[i] = (int)rng_below(&r, CLASSES);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < FEATURES; k++) {
            double scale = k % 2 ? 30 : 0.1, signal = k % CLASSES == probe.labels[i % PAIRS];
            probe.z[i * FEATURES + k] = (float)(scale * (5 + signal + noise * rng_normal(&r)));
        }
}

static void train(double pace) {
    error err = {0};
    tape_reset(probe.tape);
    online_step(probe.online, probe.tape, tape_matrix(probe.tape, probe.z, ROWS, FEATURES), probe.labels, pace);
    ck_assert_msg(tape_check(probe.tape, &err), "%s", err.text);
}

static void read_parameter(const char *name, float *out) {
    const parameter *p = parameters_find(probe.parameters, name);
    ck_assert_ptr_nonnull(p);
    tape_read(probe.tape, &p->value, out);
}

/* The first step from zero, by its formula in double: W = −rate/m Σ (1/C − y) xᵀ over rows with a label. */
START_TEST(test_the_first_step_is_logistic_regressions) {
    probe_open(EVAL_ONLINE_LINEAR);
    draw(1, 0.5);
    probe.labels[3] = -1, probe.labels[7] = CLASSES;
    train(0.5);
    double x[ROWS][FEATURES], w[CLASSES][FEATURES] = {{0}}, b[CLASSES] = {0};
    int labelled = 0;
    for (int k = 0; k < FEATURES; k++) {
        double mean = 0, var = 0;
        for (int i = 0; i < ROWS; i++) mean += (double)probe.z[i * FEATURES + k] / ROWS;
        for (int i = 0; i < ROWS; i++) var += pow((double)probe.z[i * FEATURES + k] - mean, 2) / ROWS;
        for (int i = 0; i < ROWS; i++) x[i][k] = ((double)probe.z[i * FEATURES + k] - mean) / sqrt(var + 1e-5);
    }
    for (int i = 0; i < ROWS; i++) {
        int label = probe.labels[i % PAIRS];
        if (label < 0 || label >= CLASSES) continue;
        labelled++;
        for (int j = 0; j < CLASSES; j++) {
            double g = 1.0 / CLASSES - (j == label);
            b[j] += g;
            for (int k = 0; k < FEATURES; k++) w[j][k] += g * x[i][k];
        }
    }
    ck_assert_int_eq(labelled, ROWS - 2 * VIEWS);
    float got[CLASSES * FEATURES];
    read_parameter("online.linear.weight", got);
    for (int i = 0; i < CLASSES * FEATURES; i++)
        ck_assert_double_eq_tol((double)got[i], -0.05 * w[i / FEATURES][i % FEATURES] / labelled, 1e-6);
    read_parameter("online.linear.bias", got);
    for (int j = 0; j < CLASSES; j++) ck_assert_double_eq_tol((double)got[j], -0.05 * b[j] / labelled, 1e-7);
    ck_assert_double_eq_tol(online_loss(probe.online), log(CLASSES), 1e-6);
    probe_close();
}
END_TEST

START_TEST(test_what_can_be_told_apart_is_learnt_whatever_its_scale) {
    error err = {0};
    online_figures got;
    probe_open(EVAL_ONLINE_LINEAR | EVAL_ONLINE_KNN);
    for (uint64_t step = 0; step < 200; step++) draw(step, 0.2), train(1 - (double)step / 200);
    ck_assert_double_gt(online_train(probe.online), 0.9);
    draw(1000, 0.2);
    int32_t labels[ROWS];
    for (int i = 0; i < ROWS; i++) labels[i] = probe.labels[i % PAIRS];
    matrix rows = {probe.z, ROWS, FEATURES};
    ck_assert_msg(online_measure(probe.online, probe.tape, rows, labels, &got, &err), "%s", err.text);
    ck_assert_double_gt(got.linear, 0.95);
    ck_assert_double_gt(got.knn, 0.95);
    probe_close();
}
END_TEST

START_TEST(test_the_bank_holds_the_first_views_of_the_last_images_newest_first) {
    probe_open(EVAL_ONLINE_KNN);
    float bank[BANK * FEATURES], labels[BANK], kept[3][PAIRS * FEATURES];
    for (uint64_t step = 0; step < 3; step++) {
        draw(step, 1);
        memcpy(kept[step], probe.z, sizeof kept[step]);
        probe.labels[5] = step == 2 ? -1 : probe.labels[5];
        train(1);
    }
    read_parameter("online.bank.features", bank);
    read_parameter("online.bank.labels", labels);
    ck_assert_mem_eq(bank, kept[2], sizeof kept[2]);
    ck_assert_mem_eq(bank + PAIRS * FEATURES, kept[1], sizeof kept[1]);
    ck_assert_mem_eq(bank + 2 * PAIRS * FEATURES, kept[0], (BANK - 2 * PAIRS) * FEATURES * sizeof *bank);
    ck_assert_float_eq(labels[5], -1);
    for (int i = 0; i < PAIRS; i++) ck_assert_float_eq(labels[i], (float)probe.labels[i]);
    probe_close();
}
END_TEST

START_TEST(test_a_bank_without_a_labelled_row_says_nothing) {
    error err = {0};
    online_figures got;
    int32_t labels[1] = {0};
    probe_open(EVAL_ONLINE_KNN);
    matrix rows = {probe.z, 1, FEATURES};
    ck_assert(online_measure(probe.online, probe.tape, rows, labels, &got, &err));
    ck_assert(isnan(got.knn) && isnan(got.linear));
    probe_close();
}
END_TEST

/* ---- beside a run ---- */

static void setup(void) {
    error err = {0};
    char path[128], spec[512];
    program_setup();
    int length = snprintf(spec, sizeof spec,
                          "name: run\n"
                          "data: {name: shapes, size: 8, limit: 256, cache: %s}\n"
                          "backbone: {name: resnet8, width: 4}\n"
                          "method: {name: byol, hidden: 16, features: 8}\n"
                          "optimizer: {clip: 0.1}\n"
                          "train: {epochs: 3, batch: 64, threads: 2, log_every: 1}\n"
                          "eval: [knn]\n",
                          folder);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    ck_assert_msg(file_write(path, spec, (size_t)length, &err), "%s", err.text);
}

#define ONLINE "--set eval.online=[linear,knn] --set eval.online_bank=100 "

static json_t *line_of(FILE *file) {
    char line[8192];
    if (!fgets(line, sizeof line, file)) return NULL;
    json_t *o = json_loads(line, 0, NULL);
    json_object_del(o, "time");
    return o;
}

START_TEST(test_a_run_that_is_probed_has_the_bits_of_one_that_is_not) {
    static const char *const own[] = {"online_loss", "online_train", "online_linear", "online_knn"};
    char path[128];
    int lines = 0, found[4] = {0};
    const said *s = mews("train run.yaml --out plain");
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("train run.yaml " ONLINE "--out probed");
    ck_assert_msg(s->code == 0 && strstr(s->out, "online_linear") && strstr(s->out, "online_knn"), "%s%s", s->out,
                  s->err);
    shell("cmp plain/run/*/embeddings.npy probed/run/*/embeddings.npy;"
          "cp plain/run/*/metrics.jsonl a; cp probed/run/*/metrics.jsonl b");
    snprintf(path, sizeof path, "%s/a", folder);
    FILE *a = fopen(path, "r");
    snprintf(path, sizeof path, "%s/b", folder);
    FILE *b = fopen(path, "r");
    ck_assert(a && b);
    for (json_t *x, *y; (x = line_of(a)); lines++) {
        ck_assert_ptr_nonnull(y = line_of(b));
        for (int i = 0; i < 4; i++) found[i] += json_is_number(json_object_get(y, own[i])), json_object_del(y, own[i]);
        ck_assert_msg(json_equal(x, y), "line %d", lines + 1);
        json_decref(x);
        json_decref(y);
    }
    ck_assert_int_eq(lines, 1 + 3 * (256 / 64 + 1));
    ck_assert_int_eq(found[0], 3 * (256 / 64)); /* every step has the probe's loss, every epoch its accuracy */
    ck_assert_int_eq(found[1], 3 * (256 / 64));
    ck_assert_int_eq(found[2], 3);
    ck_assert_int_eq(found[3], 3);
    fclose(a);
    fclose(b);
}
END_TEST

START_TEST(test_what_is_trained_beside_a_run_is_another_run_and_no_evaluation) {
    mews("train run.yaml");
    shell("ls -d results/run/run_* >one; mv one before");
    const said *s = mews("train run.yaml " ONLINE);
    ck_assert_msg(s->code == 0 && !strstr(s->out, "already"), "%s", s->out);
    shell("test $(ls -d results/run/run_* | wc -l) = 2");
    s = mews("eval $(head -1 before) --set eval.online=[knn]");
    ck_assert_msg(s->code == 2 && strstr(s->err, "`eval.online` decides the training"), "%s", s->err);
    s = mews("eval $(ls -d results/run/run_* | grep -v -F $(cat before)) --set eval.knn_k=3"); /* by its own bank */
    ck_assert_msg(s->code == 0 && strstr(s->out, "online_knn"), "%s%s", s->out, s->err);
}
END_TEST

START_TEST(test_a_finished_run_of_before_a_key_was_there_is_still_finished) {
    mews("train run.yaml");
    edit_records("results/run/*/run.json", NULL, "kept", json_true());
    shell("cp results/run/*/run.json with");
    char path[128];
    error err = {0};
    snprintf(path, sizeof path, "%s/with", folder);
    json_t *record = record_read(path, &err), *spec = json_deep_copy(json_object_get(record, "spec"));
    ck_assert_int_eq(json_object_del(spec, "eval.online"), 0);
    json_decref(record);
    edit_records("results/run/*/run.json", NULL, "spec", spec);
    const said *s = mews("train run.yaml");
    ck_assert_msg(strstr(s->out, "was finished already") != NULL, "%s%s", s->out, s->err);
}
END_TEST

START_TEST(test_images_without_labels_have_no_online_figures_and_that_is_said) {
    shell("mkdir -p img/a; for i in $(seq 1 300); do printf 'P6 8 8 255\\n' >img/a/$i.ppm;"
          "head -c 192 /dev/urandom >>img/a/$i.ppm; done");
    const said *s =
        mews("train run.yaml --set data.name=folder --set data.path=img --set eval.metrics=[collapse] " ONLINE);
    ck_assert_msg(s->code == 0 && strstr(s->err, "eval is without online figures"), "%d %s%s", s->code, s->out, s->err);
    ck_assert(!strstr(s->out, "online_"));
}
END_TEST

Suite *suite_online(void) {
    Suite *suite = suite_create("online");
    TCase *alone = tcase_create("probe"), *beside = tcase_create("run");
    tcase_add_test(alone, test_the_first_step_is_logistic_regressions);
    tcase_add_test(alone, test_what_can_be_told_apart_is_learnt_whatever_its_scale);
    tcase_add_test(alone, test_the_bank_holds_the_first_views_of_the_last_images_newest_first);
    tcase_add_test(alone, test_a_bank_without_a_labelled_row_says_nothing);
    suite_add_tcase(suite, alone);
    tcase_add_checked_fixture(beside, setup, program_teardown);
    tcase_add_test(beside, test_a_run_that_is_probed_has_the_bits_of_one_that_is_not);
    tcase_add_test(beside, test_what_is_trained_beside_a_run_is_another_run_and_no_evaluation);
    tcase_add_test(beside, test_a_finished_run_of_before_a_key_was_there_is_still_finished);
    tcase_add_test(beside, test_images_without_labels_have_no_online_figures_and_that_is_said);
    suite_add_tcase(suite, beside);
    return suite;
}

/*
 * A finished run with more epochs: it goes on from the shorter one's last checkpoint and ends with the bits of a run
 * that had as many from the start; where the training depends on its length it begins anew and says why.
 */
#include "tests/experiments/harness.h"

/* Methods with state that lasts: a dictionary, a teacher that follows at a steady pace, a queue. */
static const char *const methods[] = {
    "{name: falcon, features: 8, codes: 16}",
    "{name: dino, hidden: 8, features: 8, prototypes: 16, momentum: 0.9, final_momentum: 0.9, frozen_epochs: 2}",
    "{name: swav, hidden: 8, features: 8, prototypes: 16, queue: 32, queue_start: 2, frozen_epochs: 1}",
};
enum { METHODS = sizeof methods / sizeof *methods };

/* 12 steps in three epochs, the history has every fifth and the last. */
static void write_spec(const char *method, const char *optimizer) {
    char command[900];
    snprintf(command, sizeof command,
             "printf 'name: toy\\ndata: {name: shapes, size: 8, limit: 64, cache: cache}\\naugment: none\\n"
             "backbone: {name: resnet8, width: 2}\\nmethod: %s\\noptimizer: %s\\n"
             "train: {epochs: 3, batch: 16, threads: 1, loader_threads: 1, log_every: 5}\\n"
             "eval: {metrics: [knn, collapse], sample: 200}\\n' >toy.yaml",
             method, optimizer);
    shell(command);
}

static const said *train(const char *more) {
    char words[300];
    snprintf(words, sizeof words, "train toy.yaml %s", more);
    const said *s = mews(words);
    ck_assert_msg(s->code == 0, "%s: %s", words, s->err);
    return s;
}

/* "the long one's id is ID", by a run of as many epochs elsewhere. */
static void assert_bits_of_a_run_from_the_start(void) {
    char id[300], extended[400], fresh[400], weights[400];
    train("--set train.epochs=6 --out fresh");
    shell("ls fresh/toy >id");
    read_start("id", id, sizeof id);
    id[strcspn(id, "\n")] = '\0';
    snprintf(extended, sizeof extended, "results/toy/%s", id);
    snprintf(fresh, sizeof fresh, "fresh/toy/%s", id);
    ck_assert_msg(same_run(extended, fresh), "%s has other bits than one from the start", id);
    snprintf(weights, sizeof weights,
             "for r in results fresh; do f=$(ls $r/toy/%.80s/checkpoint-*24.safetensors) && "
             "tail -c +$(($(od -An -tu8 -N8 $f) + 9)) $f >$r.weights || exit 1; done; "
             "test -s fresh.weights && cmp results.weights fresh.weights",
             id);
    ck_assert_msg(try(weights) == 0, "%s: other weights", id);
}

START_TEST(test_a_run_with_more_epochs_goes_on_from_the_shorter_one_with_the_same_bits) {
    write_spec(methods[_i], "{schedule: constant}");
    train("");
    const said *s = train("--set train.epochs=6");
    ck_assert_msg(strstr(s->err, "which has trained 3 of its 6 epochs"), "%s", s->err);
    ck_assert_msg(strstr(s->err, "epoch 4 of 6") && !strstr(s->err, "epoch 3 of 6"), "%s", s->err);
    ck_assert_int_eq(try("grep -q '\"extends\"' results/toy/*/run.json"), 0);
    assert_bits_of_a_run_from_the_start();
    s = train("--set train.epochs=8"); /* from the longest there is */
    ck_assert_msg(strstr(s->err, "which has trained 6 of its 8 epochs"), "%s", s->err);
    ck_assert_ptr_null(strstr(train("--set train.epochs=2")->err, "goes on")); /* and none is cut short */
}
END_TEST

START_TEST(test_what_follows_the_length_of_a_training_begins_anew_and_is_named) {
    static const char *const made[][3] = {
        {"{name: falcon, features: 8, codes: 16}", "{lr: 0.001}", "optimizer.schedule follows a cosine"},
        {"{name: falcon, features: 8, codes: 16}", "{schedule: constant, name: adamw, final_weight_decay: 0.1}",
         "optimizer.final_weight_decay follows a cosine"},
        {"{name: byol, hidden: 8, features: 8, momentum: 0.9}", "{schedule: constant}",
         "method.momentum follows a cosine"},
        {"{name: byol, hidden: 8, features: 8, momentum: 0.9}", "{lr: 0.001}",
         "optimizer.schedule and method.momentum follow a cosine"},
    };
    write_spec(made[_i][0], made[_i][1]);
    train("");
    const said *s = train("--set train.epochs=5");
    ck_assert_msg(strstr(s->err, "begins anew rather than going on from the 3 epochs of toy_"), "%s", s->err);
    ck_assert_msg(strstr(s->err, made[_i][2]) && strstr(s->err, "epoch 1 of 5"), "%s", s->err);
    s = mews("sweep toy.yaml --set sweep.train.epochs=[4,7] --force"); /* here shorter ones are meant to be there */
    ck_assert_msg(s->code == 0 && !strstr(s->err, "begins anew"), "%s", s->err);
}
END_TEST

START_TEST(test_a_shorter_run_that_differs_otherwise_or_is_damaged_is_not_taken) {
    write_spec(methods[0], "{schedule: constant}");
    train("");
    ck_assert_ptr_null(strstr(train("--set train.epochs=5 --set train.seed=1")->err, "toy_"));
    ck_assert_ptr_null(strstr(train("--set train.epochs=5 --redo")->err, "goes on from"));
    shell("for f in results/toy/*/checkpoint-*12.safetensors; do printf X | dd of=$f bs=1 seek=5000 conv=notrunc "
          "2>/dev/null; done");
    const said *s = train("--set train.epochs=4");
    ck_assert_msg(strstr(s->err, "begins anew") && strstr(s->err, "its checksum does not hold"), "%s", s->err);
}
END_TEST

START_TEST(test_a_sweep_with_more_epochs_goes_on_from_its_runs) {
    write_spec(methods[0], "{schedule: constant}");
    const said *s = mews("sweep toy.yaml --set sweep.train.seed=[0,1]");
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("sweep toy.yaml --set sweep.train.seed=[0,1] --set train.epochs=6 --dry-run");
    ck_assert_msg(s->code == 0 && strstr(s->out, "from epoch 3 of a shorter run on"), "%s%s", s->out, s->err);
    s = mews("sweep toy.yaml --set sweep.train.seed=[0,1] --set train.epochs=6"); /* no --force is asked for */
    ck_assert_msg(s->code == 0 && strstr(s->err, "seed-1"), "%s", s->err);
    ck_assert_int_eq(try("test $(grep -l '\"extends\"' results/toy/*/run.json | wc -l) = 2"), 0);
}
END_TEST

/* Else a longer run could go on from a shorter one that it does not begin like. */
START_TEST(test_methods_learn_a_trainings_length_from_method_cosine_alone) {
    ck_assert_int_ne(system("grep -nE 'context->(steps|epochs)' methods/*.c | grep -v '^methods/registry.c'"), 0);
}
END_TEST

Suite *suite_extend(void) {
    Suite *s = suite_create("extend");
    TCase *t = tcase_create("longer runs");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_loop_test(t, test_a_run_with_more_epochs_goes_on_from_the_shorter_one_with_the_same_bits, 0, METHODS);
    tcase_add_loop_test(t, test_what_follows_the_length_of_a_training_begins_anew_and_is_named, 0, 4);
    tcase_add_test(t, test_a_shorter_run_that_differs_otherwise_or_is_damaged_is_not_taken);
    tcase_add_test(t, test_a_sweep_with_more_epochs_goes_on_from_its_runs);
    tcase_add_test(t, test_methods_learn_a_trainings_length_from_method_cosine_alone);
    suite_add_tcase(s, t);
    return s;
}

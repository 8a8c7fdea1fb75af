/*
 * Results that other code made: never reused in silence, never lost. What makes it other code is a changed word in
 * engine, method or loop; a comment is none, nor is a library's version.
 */
#include "tests/experiments/record_edit.h"

static void setup(void) {
    program_setup();
    shell("printf 'name: toy\\ndata: {name: shapes, size: 8, limit: 64}\\naugment: none\\n"
          "backbone: {name: resnet8, width: 2}\\nmethod: {name: falcon, features: 8, codes: 16}\\n"
          "train: {epochs: 2, batch: 16, threads: 1, loader_threads: 1, checkpoint_every: 1}\\neval: [knn]\\n' "
          ">toy.yaml");
    shell("sed 's/name: toy/name: two/' toy.yaml >two.yaml; printf 'sweep:\\n  train.seed: [0, 1]\\n' >>two.yaml");
}

/* Makes the records that match `pattern` those of another engine. */
static void age(const char *pattern) { edit_records(pattern, "code", "engine", json_string("0123456789abcdef")); }

static void has(const char *text, const char *part) { ck_assert_msg(strstr(text, part) != NULL, "%s", text); }

START_TEST(test_a_run_that_other_code_made_is_refused_taken_or_run_anew) {
    ck_assert_int_eq(mews("train toy.yaml")->code, 0);
    has(mews("train toy.yaml")->out, "was finished already");
    age("results/toy/*/run.json");
    const said *s = mews("train toy.yaml");
    ck_assert_int_eq(s->code, 1);
    has(s->err, "was made by other code (engine differs): --redo runs it anew, --reuse takes it as it is");
    s = mews("train toy.yaml --reuse");
    ck_assert_int_eq(s->code, 0);
    has(s->out, "was finished already");
    has(mews("train toy.yaml")->out, "was finished already"); /* once accepted, it is not asked about again */
    age("results/toy/*/run.json");                            /* an accepted run stays accepted by this code */
    has(mews("train toy.yaml")->out, "was finished already");
    s = mews("train toy.yaml --redo");
    ck_assert_int_eq(s->code, 0);
    ck_assert_ptr_null(strstr(s->out, "was finished already"));
    has(mews("train toy.yaml")->out, "was finished already");
    ck_assert_int_eq(mews("train toy.yaml --redo --reuse")->code, 2);
}
END_TEST

START_TEST(test_a_sweep_keeps_what_other_code_made_and_ends_well) {
    ck_assert_int_eq(mews("sweep two.yaml")->code, 0);
    age("results/two/*seed-1*/run.json");
    shell("cp results/two/*seed-1*/run.json kept.json");
    const said *s = mews("sweep two.yaml");
    ck_assert_int_eq(s->code, 0);
    has(s->err, "[2/2] seed-1: made by other code (engine); kept as it is");
    has(s->out, "1 of 2 runs made by other code: kept; --redo runs them anew");
    has(mews("sweep two.yaml -n")->out, "other code");
    shell("cmp results/two/*seed-1*/run.json kept.json");
    s = mews("sweep two.yaml --redo");
    ck_assert_int_eq(s->code, 0);
    has(s->err, "1 run to do");
    has(mews("sweep two.yaml")->err, "2 of 2 runs finished already");
    age("results/two/*/run.json");
    ck_assert_int_eq(mews("sweep two.yaml --reuse")->code, 0);
    has(mews("sweep two.yaml")->err, "2 of 2 runs finished already");
}
END_TEST

/* What other code recorded at a rung judges nobody when runs are done anew. */
START_TEST(test_a_halved_sweep_that_is_done_anew_is_judged_anew) {
    shell("cp two.yaml halved.yaml && sed -i 's/name: two/name: halved/;/sweep/,$d' halved.yaml && printf "
          "'sweep: {optimizer.lr: [0.01, 0.001]}\nhalving: {figure: rankme, rungs: [1]}\n' >>halved.yaml");
    ck_assert_int_eq(mews("sweep halved.yaml")->code, 0);
    age("results/halved/*/run.json");
    const said *s = mews("sweep halved.yaml --redo");
    ck_assert_int_eq(s->code, 0);
    has(s->err, "[1/2] lr-0.01: epoch 1 of 2");
    has(s->err, "[2/2] lr-0.001: epoch 1 of 2");
}
END_TEST

/* Checkpoints name the code that made them, too. */
START_TEST(test_an_interrupted_run_goes_on_with_its_own_code_only) {
    ck_assert_int_eq(mews("train toy.yaml")->code, 0);
    edit_records("results/toy/*/run.json", NULL, "status", json_string("running"));
    age("results/toy/*/run.json");
    const said *s = mews("train toy.yaml");
    ck_assert_int_eq(s->code, 1);
    has(s->err, "was begun by other code (engine differs): --redo runs it anew, --reuse goes on with it");
    s = mews("train toy.yaml --reuse");
    ck_assert_int_eq(s->code, 0);
    shell("grep -q code_before results/toy/*/run.json");
    shell("grep -q 'taken, though made by other code: engine' results/toy/*/log.txt");
    ck_assert_ptr_null(strstr(s->err, "not taken"));
}
END_TEST

/* What tells code apart, run on a copy of the sources. */
static void digests(const char *change, char out[2048]) {
    char command[6000], here[1024];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(command, sizeof command,
             "rm -rf %s/copy && mkdir -p %s/copy/experiments && cp -r '%s/engine' '%s/methods' %s/copy && "
             "cp -r '%s/experiments/run' %s/copy/experiments && cd %s/copy && { %s; } && sh experiments/run/code.sh ''",
             folder, folder, here, here, folder, here, folder, folder, change);
    FILE *made = popen(command, "r");
    ck_assert_ptr_nonnull(made);
    out[fread(out, 1, 2047, made)] = '\0';
    ck_assert_int_eq(pclose(made), 0);
}

/* The digest of a part in what code.sh printed. */
static const char *part(const char *made, const char *name) {
    char line[64];
    snprintf(line, sizeof line, "{\"%s\", \"", name);
    const char *at = strstr(made, line);
    ck_assert_msg(at != NULL, "%s in %s", name, made);
    return at + strlen(line);
}

static bool same(const char *a, const char *b, const char *name) {
    return strncmp(part(a, name), part(b, name), 16) == 0;
}

START_TEST(test_a_word_in_a_loss_makes_other_code_and_a_comment_does_not) {
    static char was[2048], is[2048];
    digests("true", was);
    digests("true", is);
    ck_assert_str_eq(was, is);
    digests("sed -i '1i /* A word about \"it\\\". */\\n// and more' methods/falcon.c engine/tape.c && echo x "
            ">>methods/README.md",
            is);
    ck_assert_str_eq(was, is);
    digests("sed -i 's/->beta/->beta * 2/' methods/falcon.c", is);
    ck_assert(!same(was, is, "falcon") && same(was, is, "swav") && same(was, is, "engine") && same(was, is, "loop"));
    digests("echo 'int x;' >>methods/mlp.c", is);
    ck_assert(!same(was, is, "falcon") && !same(was, is, "swav") && same(was, is, "engine"));
    digests("echo 'int x;' >>engine/tape.h", is);
    ck_assert(same(was, is, "falcon") && !same(was, is, "engine"));
    digests("echo 'int x;' >>experiments/run/train.c", is);
    ck_assert(same(was, is, "engine") && !same(was, is, "loop"));
}
END_TEST

Suite *suite_other_code(void) {
    Suite *s = suite_create("other_code");
    TCase *t = tcase_create("other code");
    tcase_set_timeout(t, 180);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_a_run_that_other_code_made_is_refused_taken_or_run_anew);
    tcase_add_test(t, test_a_sweep_keeps_what_other_code_made_and_ends_well);
    tcase_add_test(t, test_a_halved_sweep_that_is_done_anew_is_judged_anew);
    tcase_add_test(t, test_an_interrupted_run_goes_on_with_its_own_code_only);
    tcase_add_test(t, test_a_word_in_a_loss_makes_other_code_and_a_comment_does_not);
    suite_add_tcase(s, t);
    return s;
}

/*
 * A call fails, the k-th of its kind: an allocation, a write, an fsync, a rename, a read, an open, a thread. The
 * program neither crashes nor hangs, leaves nothing half-written, says in a line what failed, and when it is run again,
 * ends like an undisturbed life. MEWS_FAULTS=N tries N places of each kind in each command, MEWS_FAULTS=0 every one.
 */
#include "tests/experiments/harness.h"

static const char *const calls[] = {"alloc", "write", "sync", "rename", "read", "open", "thread"};
enum { CALLS = sizeof calls / sizeof *calls };

typedef struct scene {
    const char *name, *start, *words;
    bool (*right)(void);
} scene;

static bool right_train(void) { return same_run("state/results/toy/*", "whole/results/toy/*"); }
static bool right_eval(void) { return same_run("state/results/toy/*", "whole/evaluated/toy/*"); }
static bool right_import(void) { return try("cmp state/cache/shapes* whole/cache/shapes*") == 0; }
static bool right_diagnose(void) { return try("cmp state/out whole/diagnosed") == 0; }

static bool right_sweep(void) {
    return same_run("state/results/two/*seed-0*", "whole/results/two/*seed-0*") &&
           same_run("state/results/two/*seed-1*", "whole/results/two/*seed-1*");
}

static const scene scenes[] = {
    {"train", "cp -r ../whole/cache .", "train toy.yaml", right_train},
    {"eval", "cp -r ../whole/cache ../whole/results .", "eval results/toy/* --set eval.sample=33", right_eval},
    {"import", "true", "data verify toy.yaml", right_import},
    {"diagnose", "cp -r ../whole/cache ../whole/results .", "diagnose results/toy/*", right_diagnose},
    {"sweep", "cp -r ../whole/cache .", "sweep two.yaml", right_sweep},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static char faulty[1200];

static void setup(void) {
    char command[2600];
    program_setup();
    snprintf(faulty, sizeof faulty, "%s-faults", program);
    ck_assert_msg(access(faulty, X_OK) == 0, "%s is not there", faulty);
    write_toys();
    snprintf(command, sizeof command,
             "mkdir whole && cd whole && cp ../*.yaml . && m='%s' && $m train toy.yaml && $m sweep two.yaml && "
             "cp -r results/toy kept && $m diagnose results/toy/* >diagnosed && $m eval results/toy/* --set "
             "eval.sample=33 && mkdir evaluated && mv results/toy evaluated/ && mv kept results/toy && $m index",
             program);
    ck_assert_int_eq(try(command), 0);
}

static void fresh_state(const scene *s) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf state && mkdir state && cd state && cp ../*.yaml . && %s", s->start);
    ck_assert_int_eq(try(command), 0);
}

/* How often each kind of call is made. */
static void count_calls(const scene *s, long counts[CALLS]) {
    char command[2600], path[160], name[32];
    long number;
    fresh_state(s);
    snprintf(command, sizeof command, "cd state && MEWS_FAULT_COUNTS=counts '%s' %s >out 2>err", faulty, s->words);
    ck_assert_msg(try(command) == 0 && s->right(), "%s does not even work undisturbed", s->name);
    snprintf(path, sizeof path, "%s/state/counts", folder);
    FILE *file = fopen(path, "r");
    memset(counts, 0, CALLS * sizeof *counts);
    while (file && fscanf(file, "%31s %ld", name, &number) == 2)
        for (int c = 0; c < CALLS; c++)
            if (strcmp(calls[c], name) == 0 && number > counts[c]) counts[c] = number; /* of a sweep: the most of one */
    if (file) fclose(file);
}

static int fail_once(const scene *s, const char *call, long k) {
    char command[2600], said[4096];
    fresh_state(s);
    snprintf(command, sizeof command, "cd state && MEWS_FAULT=%s:%ld timeout -s KILL 120 '%s' %s >out 2>err", call, k,
             faulty, s->words);
    int code = try(command);
    read_start("state/err", said, sizeof said);
    ck_assert_msg(code < 124 || code == 130, "%s, %s %ld: %s (code %d): %s", s->name, call, k,
                  code == 137 ? "hung" : "crashed", code, said);
    ck_assert_msg(code == 0 || strstr(said, "mews: "), "%s, %s %ld: code %d without a word", s->name, call, k, code);
    ck_assert_msg(code != 0 || s->right(), "%s, %s %ld: ends well with other results", s->name, call, k);
    ck_assert_msg(try("! find state -name '*.tmp-*' -not -path '*/lease.tmp*' | grep .") == 0,
                  "%s, %s %ld: half a file stays: %s", s->name, call, k, said);
    snprintf(command, sizeof command, "cd state && timeout 120 '%s' %s >out 2>err", program, s->words);
    int again = try(command);
    read_start("state/err", said, sizeof said);
    ck_assert_msg(again == 0, "%s after %s %ld: code %d: %s", s->name, call, k, again, said);
    ck_assert_msg(s->right(), "%s after %s %ld: another end", s->name, call, k);
    return code;
}

START_TEST(test_a_call_that_fails_is_told_of_and_does_no_harm) {
    const scene *s = &scenes[_i];
    const char *given = getenv("MEWS_FAULTS");
    long places = given ? atol(given) : 1, counts[CALLS], tried = 0, refused = 0;
    dice d = dice_of("MEWS_SEED");
    count_calls(s, counts);
    for (int c = 0; c < CALLS; c++)
        for (long i = 0; i < (places ? places : counts[c]) && i < counts[c]; i++) {
            long k = places ? 1 + (long)roll(&d, (unsigned)counts[c]) : i + 1;
            tried++;
            refused += fail_once(s, calls[c], k) != 0;
        }
    printf("faults: %s, %ld tried, %ld of them ended it with a line, the others did not matter (", s->name, tried,
           refused);
    for (int c = 0; c < CALLS; c++) printf("%s%s %ld", c ? ", " : "", calls[c], counts[c]);
    printf(" in all)\n");
}
END_TEST

Suite *suite_faults(void) {
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");
    tcase_set_timeout(t, 7200);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_a_call_that_fails_is_told_of_and_does_no_harm, 0, SCENES);
    suite_add_tcase(s, t);
    return s;
}

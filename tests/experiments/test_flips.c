/*
 * One bit turns in a file of a finished run or of the packed data: every command that shows a result says
 * so, or shows what it showed before. And training again makes it what it was. MEWS_FLIPS=1000 makes it a long one,
 * MEWS_SEED repeats one.
 */
#include "tests/experiments/harness.h"

#include "engine/files/file.h"

#include <sys/stat.h>

/* Files of a finished life, or of one that was stopped on its way, as the shell names them; logs and pictures are
 * nobody's result. */
static const struct {
    const char *file, *from, *to; /* the life that the file is of, and the one that it ends like */
} kinds[] = {
    {"results/toy/*/run.json", "whole", "whole"},
    {"results/toy/*/metrics.jsonl", "whole", "whole"},
    {"results/toy/*/embeddings.npy", "whole", "whole"},
    {"results/toy/*/labels.npy", "whole", "whole"},
    {"results/toy/*/assignments.npy", "whole", "whole"},
    {"results/toy/*/diagnosis.json", "whole", "whole"},
    {"results/toy/*/spec.yaml", "whole", "whole"},
    {"results/toy/*/checkpoint-*", "whole", "whole"},
    {"cache/shapes*", "whole", "whole"},
    {"results/runs.db", "whole", "whole"},
    {"results/toy/*/checkpoint-*", "cut", "long"},
    {"results/toy/*/run.json", "cut", "long"},
    {"results/toy/*/metrics.jsonl", "cut", "long"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void setup(void) {
    char command[2400];
    program_setup();
    write_toys();
    snprintf(command, sizeof command,
             "mkdir whole && m='%s' && cd whole && cp ../toy.yaml . && $m train toy.yaml && $m index", program);
    ck_assert_int_eq(try(command), 0);
    write_cut();
}

/* Flips one bit of the file, or of one of them; returns which bit. */
static long flip(const char *kind, dice *d) {
    char command[512], path[512];
    struct stat status;
    snprintf(command, sizeof command, "ls %s/state/%s", folder, kind);
    FILE *list = popen(command, "r");
    ck_assert_msg(list && fgets(path, sizeof path, list), "no %s", kind);
    if (roll(d, 2) && fgets(command, sizeof command, list)) strcpy(path, command);
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    ck_assert_int_eq(stat(path, &status), 0);
    long bit =
        (long)(((unsigned long long)roll(d, 1u << 30) << 3 | roll(d, 8)) % (8ULL * (unsigned long long)status.st_size));
    int file = open(path, O_RDWR);
    unsigned char byte;
    ck_assert(pread(file, &byte, 1, bit / 8) == 1);
    byte = (unsigned char)(byte ^ 1u << bit % 8);
    ck_assert(pwrite(file, &byte, 1, bit / 8) == 1);
    close(file);
    return bit;
}

/* What shows results: quick ones, each alone. */
static const char *const shown[] = {"runs --json --show knn,method.codes,train.seed", "diagnose results/toy/*",
                                    "compare results/toy/* results/toy/*"};
enum { SHOWN = sizeof shown / sizeof *shown };
enum { AS_BEFORE, SAID, SILENT, CRASHED }; /* … with another result, or hung */

/* What each of them says of a sound life goes to 0.txt, 1.txt, … */
static void show_sound(const char *from) {
    char command[1600];
    for (int i = 0; i < SHOWN; i++) {
        snprintf(command, sizeof command, "cd %s; '%s' %s >../%d.txt 2>../%d.err", from, program, shown[i], i, i);
        try(command);
    }
}

static int judge(int i) {
    char command[2600];
    snprintf(command, sizeof command,
             "(cd state && timeout 120 '%s' %s >../b.txt 2>../b.err); code=$?; test $code -ge 124 && exit 3; "
             "cmp %d.txt b.txt && cmp %d.err b.err && exit 0; test $code -gt 0 && test -s b.err && exit 1; "
             "grep -q 'unreadable\\|damaged' b.txt && exit 1; cmp %d.txt b.txt && exit 1; exit 2",
             program, shown[i], i, i, i);
    return try(command);
}

/* Trains, and holds the end against the undisturbed one's. Whether it said anything. */
static bool train_on(int kind, long bit, bool told) {
    const char *file = kinds[kind].file;
    char command[1600], same[2][200];
    snprintf(command, sizeof command, "cd state && timeout 120 '%s' train toy.yaml >out 2>err", program);
    snprintf(same[0], sizeof same[0], "state/results/toy/*_????????");
    snprintf(same[1], sizeof same[1], "%s/results/toy/*_????????", kinds[kind].to);
    int code = try(command);
    hold(code < 124, "bit %ld of %s: training crashes or hangs", bit, file);
    bool said = code != 0 || try("grep -q 'warning:' state/err") == 0;
    hold(code == 0 || try("grep -q '^mews: ' state/err") == 0, "bit %ld of %s: code %d without a word", bit, file,
         code);
    if (code == 0 && same_run(same[0], same[1])) return said;
    /* told of by those who read it, and made again where that is asked for */
    hold(told || said, "bit %ld of %s: another result, and nobody says so", bit, file);
    snprintf(command, sizeof command, "cd state && timeout 120 '%s' train toy.yaml --redo >out 2>err", program);
    hold(try(command) == 0 && same_run(same[0], same[1]), "bit %ld of %s: --redo does not make it again", bit, file);
    return said;
}

START_TEST(test_a_bit_that_turns_is_seen_or_changes_nothing) {
    const char *kind = kinds[_i].file, *from = kinds[_i].from;
    int flips = trials("MEWS_FLIPS", KINDS) / KINDS + (trials("MEWS_FLIPS", KINDS) % KINDS > _i), seen = 0, back = 0;
    dice d = dice_of("MEWS_SEED");
    d.state += (unsigned long long)_i;
    show_sound(from);
    for (int trial = 0; trial < flips; trial++) {
        char command[300];
        snprintf(command, sizeof command, "rm -rf state && cp -a %s state", from);
        ck_assert_int_eq(try(command), 0);
        long bit = flip(kind, &d);
        bool told = false;
        for (int i = 0; i < SHOWN; i++) {
            int said = judge(i);
            hold(said != CRASHED, "bit %ld of %s: `mews %s` crashes or hangs", bit, kind, shown[i]);
            hold(said != SILENT, "bit %ld of %s: `mews %s` shows something else without a word", bit, kind, shown[i]);
            told |= said == SAID;
        }
        told |= train_on(_i, bit, told);
        snprintf(command, sizeof command, "for f in %s/%s; do cmp $f state/${f#*/} || exit 1; done", from, kind);
        seen += told, back += !told && try(command) == 0;
    }
    printf("flips: %s of a life %s, %d bits: %d told of, %d without a word made what they were, %d without effect\n",
           kind, strcmp(from, "cut") == 0 ? "that was stopped" : "that was finished", flips, seen, back,
           flips - seen - back);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

Suite *suite_flips(void) {
    Suite *s = suite_create("flips");
    TCase *t = tcase_create("flips");
    tcase_set_timeout(t, 7200);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_a_bit_that_turns_is_seen_or_changes_nothing, 0, KINDS);
    suite_add_tcase(s, t);
    return s;
}

/*
 * One bit turns in a file of a finished run or of the packed data: every command that shows a result says
 * so, or shows what it showed before. And training again makes it what it was. MEWS_FLIPS=1000 makes it a long one,
 * MEWS_SEED repeats one.
 */
#include "tests/experiments/harness.h"

#include "engine/files/file.h"

#include <sys/stat.h>

/* Files of a finished life, as the shell names them; logs and pictures are nobody's result. */
static const char *const kinds[] = {
    "results/toy/*/checkpoint-00000012.safetensors",
    "results/toy/*/checkpoint-00000008.safetensors",
    "results/toy/*/run.json",
    "results/toy/*/metrics.jsonl",
    "results/toy/*/embeddings.npy",
    "results/toy/*/labels.npy",
    "results/toy/*/assignments.npy",
    "results/toy/*/diagnosis.json",
    "results/toy/*/spec.yaml",
    "cache/shapes*",
    "results/runs.db",
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void setup(void) {
    char command[2400];
    program_setup();
    write_toys();
    snprintf(command, sizeof command, "mkdir whole && cd whole && cp ../*.yaml . && '%s' train toy.yaml && '%s' index",
             program, program);
    ck_assert_int_eq(try(command), 0);
}

/* Flips one bit; returns which one. */
static long flip(const char *kind, dice *d) {
    char command[512], path[512];
    struct stat status;
    snprintf(command, sizeof command, "ls %s/state/%s", folder, kind);
    FILE *list = popen(command, "r");
    ck_assert_msg(list && fgets(path, sizeof path, list), "no %s", kind);
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

/* What shows results: quick ones, each alone. 0: as before; 1: said to be wrong; 2: another result, without a word. */
static int judge(const char *words) {
    char command[2600];
    snprintf(command, sizeof command,
             "(cd whole && '%s' %s >../a.txt 2>../a.err); (cd state && timeout 120 '%s' %s >../b.txt 2>../b.err); "
             "code=$?; cmp a.txt b.txt && exit 0; test $code -gt 0 && test -s b.err && exit 1; grep -q "
             "'unreadable\\|damaged' b.txt && exit 1; exit 2",
             program, words, program, words);
    return try(command);
}

static const char *const shown[] = {"runs --json --show knn,method.codes,train.seed", "diagnose results/toy/*",
                                    "compare results/toy/* results/toy/*"};
enum { SHOWN = sizeof shown / sizeof *shown };

START_TEST(test_a_bit_that_turns_is_seen_or_changes_nothing) {
    const char *kind = kinds[_i];
    int flips = trials("MEWS_FLIPS", KINDS) / KINDS + (trials("MEWS_FLIPS", KINDS) % KINDS > _i), seen = 0;
    dice d = dice_of("MEWS_SEED");
    d.state += (unsigned long long)_i;
    for (int trial = 0; trial < flips; trial++) {
        ck_assert_int_eq(try("rm -rf state && cp -a whole state"), 0);
        long bit = flip(kind, &d);
        int told = 0;
        for (int i = 0; i < SHOWN; i++) {
            int said = judge(shown[i]);
            ck_assert_msg(said < 2, "bit %ld of %s: `mews %s` shows something else without a word", bit, kind,
                          shown[i]);
            told |= said;
        }
        /* training, whatever it finds, ends with the results of the undisturbed life */
        char command[1600];
        snprintf(command, sizeof command, "cd state && timeout 120 '%s' train toy.yaml >out 2>err", program);
        int code = try(command);
        told |= code == 0 && try("grep -q 'warning:' state/err") == 0;
        bool same = same_run("state/results/toy/*_????????", "whole/results/toy/*_????????");
        ck_assert_msg(code == 0 || told, "bit %ld of %s: training ends with code %d", bit, kind, code);
        if (code == 0 && !same) {
            /* told of by those who read it, and made again where that is asked for */
            ck_assert_msg(told, "bit %ld of %s: another result, and nobody says so", bit, kind);
            snprintf(command, sizeof command, "cd state && timeout 120 '%s' train toy.yaml --redo >out 2>err", program);
            ck_assert_msg(try(command) == 0 && same_run("state/results/toy/*_????????", "whole/results/toy/*_????????"),
                          "bit %ld of %s: --redo does not make it again", bit, kind);
        }
        seen += told;
    }
    printf("flips: %s, %d bits, %d told of by what shows results, the others without effect or mended\n", kind, flips,
           seen);
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

/*
 * Less address space than is needed (ulimit -v), from too little for the libraries up to enough: whatever fails first,
 * OpenBLAS, which would wait for ever, oneDNN, which would crash, or mews itself, it is one line and exit code 1.
 * MEWS_LIMITS=500 tries so many limits for each command.
 */
#include "tests/experiments/harness.h"

#ifndef __SANITIZE_ADDRESS__ /* whose shadow needs terabytes of addresses */

enum { LEAST_MIB = 100, STEP_MIB = 128, MOST_MIB = 4000 };

static void setup(void) {
    program_setup();
    write_toys();
    shell("sed -i 's/size: 8/size: 32/; s/width: 2/width: 16/; s/batch: 16/batch: 32/' toy.yaml");
    mews("train toy.yaml --out whole");
}

static int under(int mib, const char *words, char said[4096]) {
    char command[2600];
    snprintf(command, sizeof command,
             "cd %s && ulimit -v %d && OMP_NUM_THREADS=1 timeout -s KILL 120 '%s' %s >out 2>err </dev/null", folder,
             mib * 1024, program, words);
    int status = system(command);
    read_start("err", said, 4096);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

START_TEST(test_too_little_memory_is_one_line_and_exit_1_wherever_it_ends) {
    static const char *const commands[] = {"train toy.yaml --out r --redo", "eval whole/toy/*",
                                           "diagnose whole/toy/*/embeddings.npy"};
    char said[4096];
    int enough = LEAST_MIB, refused = 0, tried = trials("MEWS_LIMITS", 6);
    while (enough < MOST_MIB && under(enough, commands[_i], said) != 0) enough += STEP_MIB;
    ck_assert_msg(enough < MOST_MIB, "`mews %s` fails with %d MiB: %s", commands[_i], MOST_MIB, said);
    for (int i = 0; i < tried; i++) {
        int mib = LEAST_MIB + (enough - LEAST_MIB) * i / tried;
        int code = under(mib, commands[_i], said);
        if (code == 0) continue; /* near the limit luck decides */
        if (code == 127 && strstr(said, "error while loading shared libraries"))
            continue; /* said before we are there */
        const char *last = strstr(said, "mews: ");
        ck_assert_msg(code == 1 && last, "`mews %s` within %d MiB: code %d: %s", commands[_i], mib, code, said);
        refused++;
    }
    ck_assert_int_gt(refused, 0);
    printf("memory: `mews %s` needs %d MiB; %d smaller limits, %d of them a line and exit 1\n", commands[_i], enough,
           tried, refused);
}
END_TEST

#endif

Suite *suite_memory(void) {
    Suite *s = suite_create("memory");
    TCase *t = tcase_create("memory");
#ifndef __SANITIZE_ADDRESS__
    tcase_set_timeout(t, 7200);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_too_little_memory_is_one_line_and_exit_1_wherever_it_ends, 0, 3);
#endif
    suite_add_tcase(s, t);
    return s;
}

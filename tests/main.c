/*
 * Runs every suite in one process tree and prints Check's closing line. The list of suites is made by the Makefile from
 * the files' names. `run-tests NAME...` runs only the suites named; `run-tests --list` prints all names, one a line.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE(name) Suite *suite_##name(void);
#include "suites.inc"
#undef SUITE

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) {#name, suite_##name},
#include "suites.inc"
#undef SUITE
};

/*
 * For the leak sanitizer: tests of the analysis leave their matrices and results to their process, which ends with the
 * test. Whether the analysis itself frees what it takes is seen where the program runs it: suites cli, resume,
 * diagnose. libhdf5 leaves some of what it has read of a damaged file.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:tests/analysis/\nleak:libhdf5\n"; }

static int wanted(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return 1;
    return argc < 2;
}

/* A time limit is for what hangs, not for what is slow: Check's own 4 seconds pass on a busy machine with nothing
 * wrong.
 */
static void let_slow_machines_finish(void) {
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    setenv("CK_TIMEOUT_MULTIPLIER", "5", 0);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) puts(suites[i].name);
        return EXIT_SUCCESS;
    }
    let_slow_machines_finish();
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (wanted(suites[i].name, argc, argv)) srunner_add_suite(runner, suites[i].make());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

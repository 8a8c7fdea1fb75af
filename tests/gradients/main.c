/*
 * The tests that need the engine in double precision: gradients against finite differences. A program of its own,
 * since the rest of the tests are about single precision. One process, so that ops can be counted across tests.
 */
#include "tests/gradients/gradients.h"

#include <stdlib.h>

int main(void) {
    SRunner *runner = srunner_create(suite_networks());
    srunner_add_suite(runner, suite_bfloat16());
    srunner_add_suite(runner, suite_ops());
    srunner_add_suite(runner, suite_extremes());
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

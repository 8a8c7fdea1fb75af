/*
 * A sample of the trial (`make verdicts` runs all of it): the verdicts on matrices whose state is known.
 */
#include "tests/verdicts/trial.h"

#include <cblas.h>
#include <check.h>
#include <omp.h>

START_TEST(test_what_is_clear_is_judged_right_whatever_a_file_does_to_it) {
    trial t;
    omp_set_num_threads(1); /* matrices this small are done before a second thread wakes */
    openblas_set_num_threads(1);
    trial_run(&t, 3, 17, true, stderr);
    for (int m = 0; m < COLLAPSE_MODES; m++) {
        const char *mode = collapse_mode_name((collapse_mode)m);
        ck_assert_msg(trial_false_alarms(&t, (collapse_mode)m) < 0.05, "%s: %g", mode,
                      trial_false_alarms(&t, (collapse_mode)m));
        ck_assert_msg(trial_misses(&t, (collapse_mode)m) < 0.1, "%s: %g", mode, trial_misses(&t, (collapse_mode)m));
        ck_assert_msg(trial_withheld(&t, (collapse_mode)m) < 0.1, "%s: %g", mode, trial_withheld(&t, (collapse_mode)m));
    }
    ck_assert_int_eq(t.flips, 0);
}
END_TEST

Suite *suite_verdicts(void) {
    Suite *s = suite_create("verdicts");
    TCase *t = tcase_create("trial");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, test_what_is_clear_is_judged_right_whatever_a_file_does_to_it);
    suite_add_tcase(s, t);
    return s;
}

/* The yardsticks as a script meets them. */
#include "tests/experiments/program.h"

#include <jansson.h>

START_TEST(test_the_loss_of_every_dictionary_is_measured) {
    static const char *const kinds[] = {"rademacher", "hadamard", "orthogonal", "gaussian", "learned"};
    static const char *const keys[] = {"seconds",     "min_seconds", "max_seconds",  "gflops",
                                       "peak_gflops", "peak_share",  "peak_rss_mib", "peak_mib_above_dictionary"};
    char line[160];
    snprintf(line, sizeof line, "bench loss --dictionary %s --features 60 --codes 700 --batch 8 --repeats 1 --json",
             kinds[_i]);
    const said *s = mews(line);
    ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
    json_t *got = json_loads(s->out, 0, NULL);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(json_string_value(json_object_get(got, "dictionary")), kinds[_i]);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_msg(json_is_number(json_object_get(got, keys[i])), "%s of %s", keys[i], kinds[_i]);
    ck_assert_double_gt(json_number_value(json_object_get(got, "peak_rss_mib")),
                        json_number_value(json_object_get(got, "peak_mib_above_dictionary")));
    json_decref(got);
}
END_TEST

START_TEST(test_the_loaders_yardstick_needs_photographs) {
    refused("bench loader", "the loader's yardstick needs --data PATH, a folder or archive of images");
}
END_TEST

START_TEST(test_an_unknown_yardstick_gets_the_nearest_name) {
    refused("bench scalign", "no benchmark is called scalign; did you mean scaling?");
}
END_TEST

Suite *suite_bench(void) {
    Suite *s = suite_create("bench");
    TCase *t = tcase_create("program");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_the_loss_of_every_dictionary_is_measured, 0, 5);
    tcase_add_test(t, test_the_loaders_yardstick_needs_photographs);
    tcase_add_test(t, test_an_unknown_yardstick_gets_the_nearest_name);
    suite_add_tcase(s, t);
    return s;
}

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

/* Half the bytes of activations: a step takes less memory, by much. */
START_TEST(test_a_step_and_a_loss_are_measured_in_either_precision) {
    static const char *const lines[] = {"bench step --width 16 --batch 32 --repeats 1 --json",
                                        "bench loss --features 60 --codes 700 --batch 8 --repeats 1 --json"};
    static const char *const precisions[] = {"float32", "bfloat16"};
    double pool[2] = {0};
    for (int i = 0; i < 2; i++) {
        char line[160];
        snprintf(line, sizeof line, "%s --precision %s", lines[_i], precisions[i]);
        const said *s = mews(line);
        ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
        json_t *got = json_loads(s->out, 0, NULL);
        ck_assert_str_eq(json_string_value(json_object_get(got, "precision")), precisions[i]);
        ck_assert_double_gt(json_number_value(json_object_get(got, "seconds")), 0);
        pool[i] = json_number_value(json_object_get(got, "pool_mib"));
        json_decref(got);
    }
    ck_assert(_i || pool[1] < 0.75 * pool[0]);
    refused("bench step --precision float16",
            "--precision float16: `bench.precision` does not know `float16`; did you mean `bfloat16`?");
}
END_TEST

START_TEST(test_the_machines_limits_are_measured) {
    static const char *const keys[] = {"product_gflops", "product_gflops_bfloat16", "read_gb_per_second",
                                       "copy_gb_per_second"};
    const said *s = mews("bench machine --json");
    ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
    json_t *got = json_loads(s->out, 0, NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_msg(json_number_value(json_object_get(got, keys[i])) > 0.05, "%s", keys[i]);
    ck_assert_ptr_nonnull(json_string_value(json_object_get(got, "processor")));
    json_decref(got);
}
END_TEST

START_TEST(test_the_loaders_yardstick_needs_photographs) {
    refused("bench loader", "the loader's yardstick needs --data PATH, a folder or archive of images");
}
END_TEST

START_TEST(test_a_shared_step_is_measured_of_a_process_alone_and_modelled_for_more) {
    const said *s = mews("bench peers --method vicreg --width 4 --size 8 --batch 16 --repeats 1 --json");
    ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
    json_t *got = json_loads(s->out, 0, NULL);
    ck_assert_double_gt(json_number_value(json_object_get(got, "seconds")), 0);
    ck_assert_ptr_null(json_object_get(got, "hidden")); /* there is nothing to be summed */
    json_decref(got);
    s = mews("bench scaling --ranks 4 --method vicreg --width 4 --size 8 --batch 16 --repeats 1 --json");
    ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
    got = json_loads(s->out, 0, NULL);
    json_t *at = json_object_get(json_object_get(json_array_get(json_object_get(got, "methods"), 0), "strong"), "at");
    ck_assert_uint_eq(json_array_size(at), 3); /* 1, 2 and 4 */
    json_t *one = json_array_get(at, 0), *four = json_array_get(at, 2);
    ck_assert_int_eq(json_integer_value(json_object_get(one, "gathers")), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(four, "gathers")), 0);
    ck_assert_double_gt(json_number_value(json_object_get(four, "10 GbE")),
                        json_number_value(json_object_get(four, "100 GbE")));
    ck_assert_double_gt(json_number_value(json_object_get(four, "100 GbE")),
                        json_number_value(json_object_get(four, "compute")));
    json_decref(got);
    /* What shares of the codes add to the embeddings is waited for at once, and not with the backbone's gradients. */
    for (int shard = 0; shard < 2; shard++) {
        char words[200];
        snprintf(words, sizeof words,
                 "bench scaling --ranks 2 --method falcon --width 4 --size 8 --batch 16 --features 16 --codes 64 "
                 "--shard %s --repeats 1 --json",
                 shard ? "true" : "false");
        s = mews(words);
        ck_assert_msg(s->code == 0 && !*s->err, "%s", s->err);
        got = json_loads(s->out, 0, NULL);
        at = json_object_get(json_object_get(json_array_get(json_object_get(got, "methods"), 0), "strong"), "at");
        ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(at, 1), "waits")), 1 + shard);
        json_decref(got);
    }
    refused("bench scaling --ranks 4 --batch 18", "--batch 18 has to be a multiple of 4");
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
    tcase_add_loop_test(t, test_a_step_and_a_loss_are_measured_in_either_precision, 0, 2);
    tcase_add_test(t, test_the_machines_limits_are_measured);
    tcase_add_test(t, test_the_loaders_yardstick_needs_photographs);
    tcase_add_test(t, test_a_shared_step_is_measured_of_a_process_alone_and_modelled_for_more);
    tcase_add_test(t, test_an_unknown_yardstick_gets_the_nearest_name);
    suite_add_tcase(s, t);
    return s;
}

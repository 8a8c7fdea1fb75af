/*
 * Where the loss of Barlow Twins has its zero; PyTorch's values are in test_methods_golden.c.
 */
#include "tests/methods/method_bench.h"

enum { D = 6, N = 12 };

/* Identical views correlate fully with themselves, whatever the projector. */
START_TEST(test_barlow_twins_invariance_of_identical_views_is_zero) {
    error err = {0};
    method_bench m = method_bench_create("barlow_twins", "hidden 7 features 9 lambda 0", D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s", err.text);
    safetensors *file = golden_file("methods");
    method_bench_load(&m, file, "barlow");
    array z = golden(file, "barlow", "z.0");
    memcpy(z.values + N * D, z.values, N * D * sizeof *z.values);
    tensor *leaf;
    ck_assert_double_lt(method_bench_loss(&m, z, 0, &leaf), 1e-6);
    for (int64_t i = 0; i < N * D; i++) z.values[i] = -z.values[i] + (float)(i % 5);
    ck_assert_double_gt(method_bench_loss(&m, z, 0, &leaf), 0.1);
    safetensors_close(file);
    method_bench_destroy(&m);
}
END_TEST

Suite *suite_barlow_twins(void) {
    Suite *s = suite_create("barlow_twins");
    TCase *t = tcase_create("loss");
    tcase_add_test(t, test_barlow_twins_invariance_of_identical_views_is_zero);
    suite_add_tcase(s, t);
    return s;
}

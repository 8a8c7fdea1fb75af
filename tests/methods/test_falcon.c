/*
 * What FALCON's paper promises of τ and of the embeddings; PyTorch's values are in test_methods_golden.c.
 */
#include "tests/methods/method_bench.h"

enum { D = 6, N = 12, F = 16 };

/* ε(c−1) ≥ 1 leaves nothing for the code itself; ε ≥ 1/c makes τ infinite or negative. */
START_TEST(test_falcon_refuses_an_epsilon_that_leaves_no_temperature) {
    static const char *const refused[] = {"codes 101 epsilon 0.01", "codes 200 epsilon 0.01", "codes 100 epsilon 0.01",
                                          "codes 2 epsilon 0.5", "codes 4 epsilon 0.3"};
    error err = {0};
    method_bench m = method_bench_create("falcon", refused[_i], D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert(!built);
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "method.epsilon"));
    ck_assert_ptr_nonnull(strstr(err.text, "method.codes"));
    method_bench_destroy(&m);
}
END_TEST

/* Sylvester's Hadamard matrix: its columns are orthogonal. */
static int hadamard(int row, int col) { return __builtin_popcount((unsigned)(row & col)) % 2 ? -1 : 1; }

START_TEST(test_falcon_aligned_row_puts_one_minus_epsilon_times_c_minus_one_on_its_code) {
    static const double epsilons[] = {1e-2, 1e-4, 1e-8};
    char settings[96];
    snprintf(settings, sizeof settings, "features %d codes %d epsilon %g", F, F, epsilons[_i]);
    error err = {0};
    method_bench m = method_bench_create("falcon", settings, D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s", err.text);
    float codes[F * F], row[F], p[F];
    for (int i = 0; i < F * F; i++) codes[i] = (float)hadamard(i / F, i % F);
    method_bench_set(&m, "head.dictionary", (array){codes, F * F, 2, {F, F}});
    enum { CODE = 5 };
    for (int i = 0; i < F; i++) row[i] = (float)(hadamard(i, CODE) / sqrt(N)); /* of length √(f/n) */
    tape_set_recording(m.tape, false);
    tensor *h = tape_matrix(m.tape, row, 1, F);
    tape_read(m.tape, op_softmax(m.tape, m.method->assign(&m.model, m.tape, h)), p);
    for (int j = 0; j < F; j++) {
        double expected = j == CODE ? 1 - epsilons[_i] * (F - 1) : epsilons[_i];
        ck_assert_double_lt(fabs((double)p[j] - expected), 2e-5 * expected);
    }
    method_bench_destroy(&m);
}
END_TEST

START_TEST(test_falcon_embeds_on_a_sphere_or_in_a_cube) {
    error err = {0};
    method_bench m =
        method_bench_create("falcon", _i ? "projector tanh features 16 codes 8" : "features 16 codes 8", D, N, &err);
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s", err.text);
    safetensors *file = golden_file("methods");
    array z = golden(file, "falcon8", "z.0");
    float h[2 * N * F];
    tape_read(m.tape, m.method->embed(&m.model, m.tape, tape_matrix(m.tape, z.values, 2 * N, D), true), h);
    for (int r = 0; r < 2 * N; r++) {
        double squares = 0, most = 0;
        for (int c = 0; c < F; c++) {
            squares += (double)h[r * F + c] * (double)h[r * F + c];
            most = fmax(most, fabs((double)h[r * F + c]));
        }
        if (_i)
            ck_assert(most > 0.5 && most < 1);
        else
            ck_assert_double_eq_tol(squares, (double)F / N, 1e-5);
    }
    safetensors_close(file);
    method_bench_destroy(&m);
}
END_TEST

Suite *suite_falcon(void) {
    Suite *s = suite_create("falcon");
    TCase *t = tcase_create("loss");
    tcase_add_loop_test(t, test_falcon_refuses_an_epsilon_that_leaves_no_temperature, 0, 5);
    tcase_add_loop_test(t, test_falcon_aligned_row_puts_one_minus_epsilon_times_c_minus_one_on_its_code, 0, 3);
    tcase_add_loop_test(t, test_falcon_embeds_on_a_sphere_or_in_a_cube, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Assignments to more codes than a batch of logits can hold.
 */
#include "engine/files/file.h"
#include "experiments/run/model.h"
#include "experiments/sweep/sweep.h"
#include "tests/scratch.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static sweep plans;
static model m;
static error err;

static void setup(void) {
    static const char text[] = "name: trial\nbackbone: {name: resnet8, width: 4}\n"
                               "method: {name: falcon, features: 16, codes: 1048576, dictionary: hadamard}\n";
    scratch_file(path);
    spec_file read;
    err = (error){0};
    ck_assert(file_write(path, text, sizeof text - 1, &err));
    ck_assert_msg(spec_file_read(&read, path, &err) && sweep_expand(&plans, &read, &err), "%s", err.text);
    spec_file_free(&read);
    ck_assert_msg(model_create(&m, &plans.runs[0].spec, 10, 2, NULL, &err), "%s", err.text);
}

static void teardown(void) {
    model_destroy(&m);
    sweep_free(&plans);
    unlink(path);
}

START_TEST(test_a_million_codes_are_assigned_a_few_rows_at_a_time) {
    enum { N = 40, CODES = 1 << 20, WIDTH = 16 };
    float e[N * WIDTH];
    int32_t best[N], alone;
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N * WIDTH; i++) e[i] = (float)rng_normal(&r);
    usage *u = usage_new(CODES, &err), *single = usage_new(CODES, &err);
    ck_assert_msg(model_assign(&m, e, N, u, best, &err), "%s", err.text);
    backend_memory memory = m.backend->memory(m.backend);
    ck_assert_uint_lt(memory.bytes_peak, (uint64_t)100 << 20); /* 40 rows would be 160 MiB */
    for (int i = 0; i < N; i += 13) {
        ck_assert(model_assign(&m, e + (ptrdiff_t)i * WIDTH, 1, single, &alone, &err));
        ck_assert_int_eq(alone, best[i]);
    }
    usage_figures f = usage_summary(u, -1);
    ck_assert_uint_eq(f.n, N);
    ck_assert(f.used > N / 2 && f.used <= N);
    usage_free(u);
    usage_free(single);
}
END_TEST

Suite *suite_assign(void) {
    Suite *s = suite_create("assign");
    TCase *t = tcase_create("codes");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_a_million_codes_are_assigned_a_few_rows_at_a_time);
    suite_add_tcase(s, t);
    return s;
}

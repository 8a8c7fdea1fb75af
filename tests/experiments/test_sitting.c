/*
 * What a run computes with, when it goes on: it keeps the threads that it began with and then ends with the bits of one
 * that was not stopped; what it cannot keep, it says, and its record names both. And the doctor, who knows all that.
 */
#include "tests/experiments/program.h"
#include "tests/experiments/record_edit.h"

#include <jansson.h>
#include <stdbool.h>
#include <strings.h>

/* A run of two checkpoints, finished in r/, its embeddings as `whole.npy`; then as if killed before the second one. */
static void stopped_run(void) {
    program_setup();
    shell("printf 'name: t\\ndata: {name: shapes, size: 16, limit: 64}\\nbackbone: {name: resnet8, width: 16}\\n"
          "method: {name: falcon, features: 8, codes: 8}\\ntrain: {epochs: 2, batch: 32, threads: 2, "
          "checkpoint_every: 1}\\neval: [collapse]\\n' > t.yaml");
    const said *s = mews("train t.yaml --out r");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("cp r/t/*/embeddings.npy whole.npy; rm r/t/*/checkpoint-00000004.safetensors r/t/*/embeddings.npy");
    edit_records("r/t/*/run.json", NULL, "status", json_string("running"));
}

static json_t *record(void) {
    char path[96];
    json_error_t problem;
    shell("cp r/t/*/run.json run.json");
    snprintf(path, sizeof path, "%s/run.json", folder);
    json_t *all = json_load_file(path, 0, &problem);
    ck_assert_ptr_nonnull(all);
    return all;
}

static json_int_t threads_of(const json_t *all) { return json_integer_value(json_object_get(all, "threads")); }

START_TEST(test_a_run_that_goes_on_keeps_its_threads_and_its_bits) {
    const said *s = mews("train t.yaml --out r --set train.threads=1");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_ptr_nonnull(strstr(s->err, "goes on with the 2 threads that it was begun with, not 1"));
    shell("cmp r/t/*/embeddings.npy whole.npy");
    json_t *all = record();
    ck_assert_int_eq(threads_of(all), 2);
    ck_assert_ptr_null(json_object_get(all, "computed_before"));
    json_decref(all);
}
END_TEST

START_TEST(test_what_is_measured_again_is_measured_with_the_threads_of_the_run) {
    shell("rm -r r; printf 'name: t\\ndata: {name: shapes, size: 8, limit: 64}\\nbackbone: {name: resnet8, width: 4}\\n"
          "method: {name: falcon, features: 48, codes: 8}\\ntrain: {epochs: 1, batch: 32, threads: 1}\\n"
          "eval: [collapse]\\n' > t.yaml");
    const said *s = mews("train t.yaml --out r");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("cp r/t/*/run.json whole.json; for f in r/t/*/embeddings.npy; do echo changed >>$f; done");
    s = mews("train t.yaml --out r");
    ck_assert_msg(s->code == 0 && strstr(s->err, "made anew"), "%s", s->err);
    shell("final() { sed -n '/\"final\"/,/}/p' $1; }; final whole.json >a; final r/t/*/run.json >b; test -s a && cmp a "
          "b");
}
END_TEST

START_TEST(test_a_run_that_cannot_have_its_threads_says_so_and_names_both) {
    setenv("OMP_THREAD_LIMIT", "1", 1);
    const said *s = mews("train t.yaml --out r --set train.threads=1");
    unsetenv("OMP_THREAD_LIMIT");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_ptr_nonnull(
        strstr(s->err, "was begun with 2 threads, which this process cannot have; it goes on with 1"));
    json_t *all = record(), *before = json_array_get(json_object_get(all, "computed_before"), 0);
    ck_assert_int_eq(threads_of(all), 1);
    ck_assert_int_eq(threads_of(before), 2);
    ck_assert_int_eq((int)json_array_size(json_object_get(all, "computed_before")), 1);
    json_decref(all);
}
END_TEST

START_TEST(test_other_kernels_are_told_of_and_recorded) {
    char *was = getenv("OPENBLAS_CORETYPE");
    const char *other = was && strcasecmp(was, "Nehalem") == 0 ? "Prescott" : "Nehalem"; /* any x86-64 has these */
    char kept[64];
    snprintf(kept, sizeof kept, "%s", was ? was : "");
    setenv("OPENBLAS_CORETYPE", other, 1);
    const said *s = mews("train t.yaml --out r");
    if (*kept)
        setenv("OPENBLAS_CORETYPE", kept, 1);
    else
        unsetenv("OPENBLAS_CORETYPE");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_ptr_nonnull(strstr(s->err, "goes on with OpenBLAS "));
    json_t *all = record(), *before = json_array_get(json_object_get(all, "computed_before"), 0);
    const char *now = json_string_value(json_object_get(json_object_get(all, "kernels"), "OpenBLAS"));
    const char *then = json_string_value(json_object_get(json_object_get(before, "kernels"), "OpenBLAS"));
    ck_assert_ptr_nonnull(now);
    ck_assert_ptr_nonnull(then);
    ck_assert_str_ne(now, then);
    json_decref(all);
}
END_TEST

START_TEST(test_a_run_that_goes_on_as_it_began_says_nothing_of_it) {
    const said *s = mews("train t.yaml --out r");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_ptr_null(strstr(s->err, "goes on with"));
    shell("cmp r/t/*/embeddings.npy whole.npy");
    json_t *all = record();
    ck_assert_ptr_null(json_object_get(all, "computed_before"));
    json_decref(all);
}
END_TEST

START_TEST(test_the_doctor_names_what_stands_in_the_way) {
    json_error_t problem;
    setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    setenv("OMP_THREAD_LIMIT", "1", 1);
    setenv("OMP_PROC_BIND", "true", 1);
    const said *s = mews("doctor --json");
    unsetenv("OPENBLAS_CORETYPE"), unsetenv("OMP_THREAD_LIMIT"), unsetenv("OMP_PROC_BIND");
    ck_assert_msg(s->code == 0, "%s", s->err);
    json_t *all = json_loads(s->out, 0, &problem);
    ck_assert_int_eq(threads_of(all), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(all, "kernels"), "OpenBLAS")), "Nehalem");
    static const char *const beginnings[] = {"OPENBLAS_CORETYPE=Nehalem: ", "overruled, "};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        bool found = false;
        size_t at;
        json_t *line;
        json_array_foreach(json_object_get(all, "notes"), at, line) found =
            found || strncmp(json_string_value(line), beginnings[i], strlen(beginnings[i])) == 0;
        ck_assert_msg(found, "the doctor says nothing of %s", beginnings[i]);
    }
    json_decref(all);
}
END_TEST

static bool processor_has(const char *feature) {
    char words[128];
    snprintf(words, sizeof words, "grep -qw %s /proc/cpuinfo", feature);
    return system(words) == 0;
}

/* Bits of training in bfloat16 depend on them. */
START_TEST(test_kernels_say_how_they_multiply_bfloat16) {
    static const char *const builds[] = {"", "MEWS_ISA=v2 "};
    bool alone = false; /* built for this processor alone: there is no other build to ask for */
    for (int i = 0; i < 2 && !alone; i++) {
        json_error_t problem;
        char words[1200];
        snprintf(words, sizeof words, "%s'%s' doctor --json >said", builds[i], program);
        shell(words);
        snprintf(words, sizeof words, "%s/said", folder);
        json_t *all = json_load_file(words, 0, &problem);
        const json_t *kernels = json_object_get(all, "kernels");
        const char *own = json_string_value(json_object_get(kernels, "mews"));
        const char *tiles = json_string_value(json_object_get(kernels, "tiles"));
        alone = own[0] != 'v';
        const char *forced = getenv("MEWS_ISA");
        const char *expected = i                              ? "v2"
                               : forced && *forced            ? forced
                               : processor_has("amx_bf16")    ? "v4_amx"
                               : processor_has("avx512_bf16") ? "v4_bf16"
                               : processor_has("avx512vl")    ? "v4"
                               : processor_has("avx2")        ? "v3"
                                                              : "v2";
        if (!alone) ck_assert_str_eq(own, expected);
        if (!alone) ck_assert_str_eq(tiles, strcmp(own, "v4_amx") == 0 ? "amx" : "none");
        json_decref(all);
    }
}
END_TEST

Suite *suite_sitting(void) {
    Suite *suite = suite_create("sitting");
    TCase *t = tcase_create("going on");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, stopped_run, program_teardown);
    tcase_add_test(t, test_a_run_that_goes_on_keeps_its_threads_and_its_bits);
    tcase_add_test(t, test_what_is_measured_again_is_measured_with_the_threads_of_the_run);
    tcase_add_test(t, test_a_run_that_cannot_have_its_threads_says_so_and_names_both);
    tcase_add_test(t, test_other_kernels_are_told_of_and_recorded);
    tcase_add_test(t, test_a_run_that_goes_on_as_it_began_says_nothing_of_it);
    suite_add_tcase(suite, t);
    t = tcase_create("doctor");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_kernels_say_how_they_multiply_bfloat16);
    tcase_add_test(t, test_the_doctor_names_what_stands_in_the_way);
    suite_add_tcase(suite, t);
    return suite;
}

/*
 * OpenMP as users set it: whatever the environment says, a run and a diagnosis end, with the threads that it asks for,
 * on the processors that it allows, and never wait for threads that they were not given. And the quotas of containers.
 */
#include "engine/threads.h"
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <sched.h>

/* ---- Environments ---- */

static const struct environment {
    const char *variables;
    int threads; /* 0: as many as there are processors */
} environments[] = {
    {"OMP_DYNAMIC=true", 0},
    {"OMP_MAX_ACTIVE_LEVELS=0", 0},
    {"OMP_NESTED=true", 0},
    {"OMP_THREAD_LIMIT=1", 1},
    {"OMP_THREAD_LIMIT=2 OMP_NUM_THREADS=5", 2},
    {"OMP_NUM_THREADS=3", 3},
    {"OMP_NUM_THREADS=3,2", 3},
    {"OMP_PROC_BIND=true", 0},
    {"OMP_PLACES=threads", 0},
    {"OMP_PLACES=cores OMP_PROC_BIND=spread OMP_WAIT_POLICY=passive", 0},
};
enum { ENVIRONMENTS = sizeof environments / sizeof *environments };

/* `words` after the environment's variables, instead of after the program's name alone. */
static const said *mews_in(const char *variables, const char *words) {
    char own[sizeof program], all[sizeof program + 256];
    memcpy(own, program, sizeof own);
    snprintf(all, sizeof all, "/usr/bin/env' -u OMP_WAIT_POLICY -u OMP_NUM_THREADS %s '%s", variables, own);
    ck_assert_uint_lt(strlen(all), sizeof program);
    memcpy(program, all, strlen(all) + 1);
    const said *s = mews(words);
    memcpy(program, own, sizeof own);
    return s;
}

static int processors(void) {
    cpu_set_t mask;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
    return CPU_COUNT(&mask);
}

START_TEST(test_a_run_and_a_diagnosis_end_in_any_openmp_environment) {
    const struct environment *e = &environments[_i];
    int expected = e->threads ? e->threads : processors();
    json_error_t problem;
    shell("printf 'name: t\\ndata: {name: shapes, size: 16, limit: 64}\\nbackbone: {name: resnet8, width: 4}\\n"
          "method: {name: falcon, features: 8, codes: 8}\\ntrain: {epochs: 1, batch: 32}\\neval: [collapse]\\n' > "
          "t.yaml");
    const said *s = mews_in(e->variables, "train t.yaml --out r");
    ck_assert_msg(s->code == 0, "%s: train: %s", e->variables, s->err);
    shell("cp r/t/*/run.json r/t/*/embeddings.npy .");
    char path[96];
    snprintf(path, sizeof path, "%s/run.json", folder);
    json_t *record = json_load_file(path, 0, &problem);
    ck_assert_int_eq(json_integer_value(json_object_get(record, "threads")), expected);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(record, "machine"), "cores")), processors());
    json_decref(record);
    s = mews_in(e->variables, "diagnose embeddings.npy --json");
    ck_assert_msg(s->code == 0, "%s: diagnose: %s", e->variables, s->err);
    s = mews_in(e->variables, "bench spectrum --rows 100 --cols 8 --repeats 1 --json");
    json_t *figures = json_loads(s->out, 0, &problem);
    ck_assert_int_eq(json_integer_value(json_object_get(figures, "threads")), expected);
    json_decref(figures);
}
END_TEST

START_TEST(test_threads_that_openmp_does_not_give_are_refused) {
    const said *s = mews_in("OMP_THREAD_LIMIT=1", "bench spectrum --rows 100 --cols 8 --threads 2");
    ck_assert_str_eq(s->err, "mews: 2 threads were asked for, and OpenMP gives 1: OMP_THREAD_LIMIT is 1\n");
    ck_assert_int_eq(s->code, 2);
}
END_TEST

START_TEST(test_an_instruction_set_that_is_not_there_is_refused) {
    const said *s = mews_in("MEWS_ISA=v9", "methods");
    ck_assert_str_eq(s->out, "");
    ck_assert_ptr_nonnull(strstr(s->err, "MEWS_ISA takes "));
    ck_assert_ptr_nonnull(strstr(s->err, ", not `v9`\n"));
    ck_assert_int_eq(s->code, 2);
}
END_TEST

/* ---- Quotas ---- */

static void put(const char *path, const char *text) {
    char full[256], *end;
    error err = {0};
    snprintf(full, sizeof full, "%s%s", folder, path);
    end = strrchr(full, '/');
    *end = '\0';
    ck_assert(file_make_folders(full, &err));
    *end = '/';
    ck_assert(file_write(full, text, strlen(text), &err));
}

START_TEST(test_the_tightest_quota_of_a_group_and_those_above_it_counts) {
    put("/proc/self/cgroup", "0::/users/me/job\n");
    put("/sys/fs/cgroup/users/me/job/cpu.max", "max 100000\n");
    ck_assert_double_eq(threads_quota(folder), 0);
    put("/sys/fs/cgroup/users/me/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/users/cpu.max", "400000 100000\n");
    ck_assert_double_eq(threads_quota(folder), 1.5);
    put("/sys/fs/cgroup/users/me/job/cpu.max", "20000 50000\n");
    ck_assert_double_eq(threads_quota(folder), 0.4);
}
END_TEST

START_TEST(test_a_container_that_sees_only_its_root_finds_its_quota) {
    put("/proc/self/cgroup", "0::/../../docker/4f2a\n");
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    ck_assert_double_eq(threads_quota(folder), 2.5);
}
END_TEST

START_TEST(test_quotas_of_the_first_version_are_read) {
    put("/proc/self/cgroup", "12:cpuset:/a\n4:cpu,cpuacct:/docker/4f2a\n0::/\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    ck_assert_double_eq(threads_quota(folder), 3);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/4f2a/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/4f2a/cpu.cfs_period_us", "100000\n");
    ck_assert_double_eq(threads_quota(folder), 3);
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_period_us", "100000\n");
    put("/proc/self/cgroup", "3:cpu:/docker\n");
    ck_assert_double_eq(threads_quota(folder), 1);
}
END_TEST

START_TEST(test_a_part_of_a_processor_counts_as_one) {
    threads_limits limits = {.online = 64, .processors = 64, .quota = 1.5};
    ck_assert_int_eq(threads_processors(&limits), 2);
    limits.quota = 0.25;
    ck_assert_int_eq(threads_processors(&limits), 1);
    limits.quota = 100;
    ck_assert_int_eq(threads_processors(&limits), 64);
}
END_TEST

Suite *suite_threads(void) {
    Suite *suite = suite_create("threads");
    TCase *t = tcase_create("environments");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_loop_test(t, test_a_run_and_a_diagnosis_end_in_any_openmp_environment, 0, ENVIRONMENTS);
    tcase_add_test(t, test_threads_that_openmp_does_not_give_are_refused);
    tcase_add_test(t, test_an_instruction_set_that_is_not_there_is_refused);
    suite_add_tcase(suite, t);
    t = tcase_create("quotas");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_the_tightest_quota_of_a_group_and_those_above_it_counts);
    tcase_add_test(t, test_a_container_that_sees_only_its_root_finds_its_quota);
    tcase_add_test(t, test_quotas_of_the_first_version_are_read);
    tcase_add_test(t, test_a_part_of_a_processor_counts_as_one);
    suite_add_tcase(suite, t);
    return suite;
}

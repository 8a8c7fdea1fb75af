/*
 * The specs that come with the program: every run of every file resolves, and its settings can work together. Every
 * method has a spec of its own for CIFAR and one for two cores.
 */
#include "experiments/model.h"
#include "experiments/sweep.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Runs of a block differ by swept values only; the first and the last of each spec are built whole. */
static void check_spec(const char *path) {
    error err = {0};
    spec_file file;
    sweep sw;
    bool read = spec_file_read(&file, path, &err);
    ck_assert_msg(read, "%s", err.text);
    bool expanded = sweep_expand(&sw, &file, &err);
    ck_assert_msg(expanded, "%s: %s", path, err.text);
    ck_assert_uint_gt(sw.count, 0);
    for (size_t i = 0; i < sw.count; i++) {
        bool edge = i == 0 || strcmp(sw.runs[i].block, sw.runs[i - 1].block) != 0 || i + 1 == sw.count ||
                    strcmp(sw.runs[i].block, sw.runs[i + 1].block) != 0;
        model m;
        if (!edge) continue;
        bool built = model_create(&m, &sw.runs[i].spec, 10, 1, &err);
        ck_assert_msg(built, "%s, run %zu: %s", path, i, err.text);
        model_destroy(&m);
    }
    sweep_free(&sw);
    spec_file_free(&file);
}

START_TEST(test_every_shipped_spec_resolves_and_builds) {
    static const char *const patterns[] = {"experiments/*.yaml", "experiments/small/*.yaml", "experiments/cifar/*.yaml",
                                           "tests/reference/*.yaml"};
    glob_t found;
    ck_assert_int_eq(glob(patterns[_i], 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) check_spec(found.gl_pathv[i]);
    globfree(&found);
}
END_TEST

START_TEST(test_every_method_has_a_spec_for_cifar_and_one_for_two_cores) {
    static const char *const folders[] = {"cifar", "small"};
    for (int i = 0; method_names[i]; i++)
        for (int k = 0; k < 2; k++) {
            char path[128];
            snprintf(path, sizeof path, "experiments/%s/%s.yaml", folders[k], method_names[i]);
            ck_assert_msg(access(path, R_OK) == 0, "there is no %s", path);
            error err = {0};
            spec_file file;
            sweep sw;
            ck_assert(spec_file_read(&file, path, &err) && sweep_expand(&sw, &file, &err));
            ck_assert_str_eq(sw.runs[0].spec.method->name, method_names[i]);
            sweep_free(&sw);
            spec_file_free(&file);
        }
}
END_TEST

Suite *suite_shipped_specs(void) {
    Suite *s = suite_create("shipped_specs");
    TCase *t = tcase_create("specs");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_every_shipped_spec_resolves_and_builds, 0, 4);
    tcase_add_test(t, test_every_method_has_a_spec_for_cifar_and_one_for_two_cores);
    suite_add_tcase(s, t);
    return s;
}

/*
 * The specs that come with the program: every run of every file resolves, and its settings can work together. Every
 * method has a spec of its own for CIFAR and one for two cores. And what they refuse to be changed to.
 */
#include "experiments/run/model.h"
#include "experiments/sweep/sweep.h"
#include "tests/scratch.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
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
        bool built = model_create(&m, &sw.runs[i].spec, 10, 1, NULL, &err);
        ck_assert_msg(built, "%s, run %zu: %s", path, i, err.text);
        model_destroy(&m);
    }
    sweep_free(&sw);
    spec_file_free(&file);
}

START_TEST(test_every_shipped_spec_resolves_and_builds) {
    static const char *const patterns[] = {"experiments/*.yaml",          "experiments/small/*.yaml",
                                           "experiments/cifar/*.yaml",    "experiments/paper/*.yaml",
                                           "experiments/imagenet/*.yaml", "tests/reference/*.yaml"};
    glob_t found;
    ck_assert_int_eq(glob(patterns[_i], 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) check_spec(found.gl_pathv[i]);
    globfree(&found);
}
END_TEST

START_TEST(test_every_method_has_a_spec_for_cifar_and_one_for_two_cores) {
    static const char *const folders[] = {"cifar", "small"};
    for (int i = 0; method_names[i]; i++)
        for (int k = 0; k < 2 && method_at(i)->loss; k++) {
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

/* A spec for every experiment that make can run at the paper's scale, which holds what stands in cifar/ by method. */
START_TEST(test_the_papers_scale_has_the_published_settings) {
    error err = {0};
    char path[128];
    for (int i = 0; method_names[i]; i++) {
        if (!method_at(i)->loss) continue;
        spec_file alone, together;
        sweep a, b;
        spec_item x, y;
        snprintf(path, sizeof path, "experiments/cifar/%s.yaml", method_names[i]);
        ck_assert(spec_file_read(&alone, path, &err) && sweep_expand(&a, &alone, &err));
        snprintf(path, sizeof path, "method.name=%s", method_names[i]);
        ck_assert(spec_file_read(&together, "experiments/paper/published.yaml", &err));
        ck_assert_msg(spec_file_set(&together, path, &err) && sweep_expand(&b, &together, &err), "%s", err.text);
        for (size_t k = 0; spec_item_at(&a.runs[0].spec, k, &x); k++) {
            ck_assert(spec_item_at(&b.runs[0].spec, k, &y));
            ck_assert_msg(strcmp(x.text, y.text) == 0, "%s: %s.%s is %s in cifar/, %s in paper/", method_names[i],
                          x.section, x.key, x.text, y.text);
        }
        sweep_free(&a), sweep_free(&b);
        spec_file_free(&alone), spec_file_free(&together);
    }
}
END_TEST

/* The spec that experiments/README.md explains, with the file that it includes. */
START_TEST(test_the_readmes_spec_is_one) {
    char folder[SCRATCH], path[64], command[512];
    error err = {0};
    spec_file file;
    sweep sw;
    scratch_folder(folder);
    snprintf(command, sizeof command,
             "sed -n '/^```yaml$/,/^```$/p' experiments/README.md | sed '/^```/d' >%s/a.yaml && "
             "echo 'data: {name: shapes, limit: 512}' >%s/base.yaml",
             folder, folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    bool done = spec_file_read(&file, path, &err) && sweep_expand(&sw, &file, &err);
    ck_assert_msg(done, "%s", err.text);
    ck_assert_uint_eq(sw.count, 2 * 3 * 2 * 20); /* one block */
    ck_assert_int_eq(sw.runs[0].spec.data.limit, 512);
    sweep_free(&sw);
    spec_file_free(&file);
    scratch_remove(folder);
}
END_TEST

/* Settings that cannot work, laid over a shipped spec: refused before anything is trained, with the keys named. */
START_TEST(test_settings_that_cannot_work_are_refused_by_their_keys) {
    static const struct {
        const char *spec, *set[2], *named[2];
    } cases[] = {
        {"vicreg", {"train.batch=1"}, {"train.batch", "from 2"}},
        {"vicreg", {"train.accumulate=2"}, {"train.accumulate 2", "vicreg"}},
        {"vicreg", {"augment.global_crops=1"}, {"augment.global_crops 1", "vicreg"}},
        {"simclr", {"augment.local_crops=2", "augment.local_size=16"}, {"augment.local_crops 2", "simclr"}},
        {"simsiam", {"method.layers=4"}, {"method.layers", "from 2 to 3"}},
        {"wmse", {"train.batch=100"}, {"method.whitening_size 128", "train.batch 100"}},
        {"wmse", {"method.features=128"}, {"method.whitening_size 128", "method.features 128"}},
        {"swav", {"method.queue=100"}, {"method.queue 100", "train.batch 128"}},
        {"falcon", {"method.epsilon=1e-3"}, {"method.epsilon 0.001", "method.codes 2048"}},
        {"self_classifier", {"method.classes=1"}, {"method.classes", "from 2"}},
        {"gedi", {"method.temperature=0"}, {"method.temperature", "from 0.001"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        error err = {0};
        spec_file file;
        sweep sw;
        model m;
        snprintf(path, sizeof path, "experiments/small/%s.yaml", cases[i].spec);
        ck_assert(spec_file_read(&file, path, &err));
        bool taken = true;
        for (int k = 0; k < 2 && cases[i].set[k]; k++) taken = taken && spec_file_set(&file, cases[i].set[k], &err);
        taken = taken && sweep_expand(&sw, &file, &err);
        if (taken) {
            bool built = model_create(&m, &sw.runs[0].spec, 10, 1, NULL, &err);
            ck_assert_msg(!built, "%s took %s", cases[i].spec, cases[i].set[0]);
            sweep_free(&sw);
        }
        spec_file_free(&file);
        ck_assert_int_eq(err.code, ERROR_USAGE);
        for (int k = 0; k < 2; k++) ck_assert_msg(strstr(err.text, cases[i].named[k]) != NULL, "%s", err.text);
    }
}
END_TEST

/* Who has results of an earlier version finds them again: a key that came later must not be part of an id unless a spec
 * sets it. */
START_TEST(test_ids_of_shipped_specs_are_what_they_were) {
    static const struct {
        const char *path, *hash;
    } were[] = {
        {"experiments/ablation-dims.yaml", "5b3cb5b6"}, {"experiments/table1.yaml", "e7bbbee4"},
        {"experiments/small/simsiam.yaml", "33669495"}, {"experiments/cifar/dino.yaml", "1e84714a"},
        {"experiments/imagenet/swav.yaml", "4c7a0803"},
    };
    for (size_t i = 0; i < sizeof were / sizeof *were; i++) {
        error err = {0};
        spec_file file;
        sweep sw;
        char id[RUN_ID_SIZE];
        ck_assert(spec_file_read(&file, were[i].path, &err) && sweep_expand(&sw, &file, &err));
        ck_assert(run_plan_id(&sw.runs[0], "data", id, &err));
        ck_assert_msg(strcmp(id + strlen(id) - 8, were[i].hash) == 0, "%s: %s was %s", were[i].path, id, were[i].hash);
        sweep_free(&sw);
        spec_file_free(&file);
    }
}
END_TEST

Suite *suite_shipped_specs(void) {
    Suite *s = suite_create("shipped_specs");
    TCase *t = tcase_create("specs");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_every_shipped_spec_resolves_and_builds, 0, 6);
    tcase_add_test(t, test_every_method_has_a_spec_for_cifar_and_one_for_two_cores);
    tcase_add_test(t, test_the_papers_scale_has_the_published_settings);
    tcase_add_test(t, test_the_readmes_spec_is_one);
    tcase_add_test(t, test_settings_that_cannot_work_are_refused_by_their_keys);
    tcase_add_test(t, test_ids_of_shipped_specs_are_what_they_were);
    suite_add_tcase(s, t);
    return s;
}

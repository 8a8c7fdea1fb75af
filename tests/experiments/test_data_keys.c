/*
 * The data section of a spec, as a user meets it: the path says what the data is, keys that do nothing are refused,
 * classes are a list of names, and images without labels are trained on and judged without them, which is said before.
 */
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static void write_file(const char *name, const void *data, size_t size) {
    char path[256];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(file_write(path, data, size, &err), "%s", err.text);
}

/* `count` PPM images of 32×32 in a folder of the test's own. */
static void write_images(const char *in, int count) {
    enum { BYTES = 13 + 32 * 32 * 3 };
    uint8_t ppm[BYTES + 1];
    char name[128], command[160];
    snprintf(command, sizeof command, "mkdir -p '%s'", in);
    shell(command);
    for (int i = 0; i < count; i++) {
        memcpy(ppm, "P6\n32 32\n255\n", 13);
        rng r = rng_stream(2, RNG_TEST, (uint32_t)strlen(in), (uint32_t)i, 0);
        for (int k = 13; k < BYTES; k++) ppm[k] = (uint8_t)rng_bits(&r);
        snprintf(name, sizeof name, "%s/%02d.ppm", in, i);
        write_file(name, ppm, BYTES);
    }
}

/* A toy of two steps. */
static void write_spec(const char *data, const char *more) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "name: toy\ndata: %s\nbackbone: {name: resnet8, width: 4}\nmethod: {name: falcon, features: 8, codes: 16}\n"
        "train: {epochs: 1, batch: 8, threads: 1}\n%s",
        data, more);
    write_file("a.yaml", text, strlen(text));
}

/* "data" of the one run's record. */
static json_t *record(void) {
    char path[256];
    shell("cat results/toy/*/run.json > record.json");
    snprintf(path, sizeof path, "%s/record.json", folder);
    json_t *all = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(all);
    return all;
}

START_TEST(test_a_path_without_a_name_says_itself_what_it_holds) {
    write_images("set/train/ant", 10);
    write_images("set/train/wasp", 10);
    write_images("set/test/ant", 4);
    write_images("set/test/wasp", 4);
    shell("tar -cf images.tar -C set train test");
    write_spec("{path: images.tar, cache: cache}", "eval: [knn]\n");
    const said *s = mews("train a.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    json_t *all = record(), *data = json_object_get(all, "data");
    ck_assert_str_eq(json_string_value(json_object_get(data, "name")), "folder");
    json_t *classes = json_object_get(data, "classes");
    ck_assert_uint_eq(json_array_size(classes), 2);
    ck_assert_str_eq(json_string_value(json_array_get(classes, 1)), "wasp");
    json_decref(all);
    s = mews("train results/toy/*/spec.yaml"); /* a run's own full spec stays valid and finds the run */
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("test $(ls -d results/toy/toy*/ | wc -l) = 1");
    write_spec("{path: nowhere.tar}", "");
    refused("train a.yaml", "a.yaml:2: data.path: cannot read nowhere.tar: No such file or directory");
}
END_TEST

START_TEST(test_a_key_that_no_run_uses_is_refused) {
    write_spec("{name: shapes, path: images.tar, cache: cache}", "");
    refused("sweep a.yaml -n", "a.yaml:2: `data.path` does nothing here: it is for data.name other than shapes, and "
                               "data.name is shapes");
    write_spec("{name: shapes, limit: 32, decode: scaled, cache: cache}", "");
    refused("sweep a.yaml -n", "a.yaml:2: `data.decode` does nothing here: it is for data.packing files, and "
                               "data.packing is pixels");
    write_spec("{name: shapes, limit: 32, cache: cache}", "");
    refused("sweep a.yaml -n --set data.test=part_b",
            "--set data.test=part_b: `data.test` does nothing here: it is for "
            "data.name folder, and data.name is shapes");
    write_spec("{name: shapes, limit: 32, cache: cache}", "optimizer: {name: adam, momentum: 0.5}\n");
    refused("sweep a.yaml -n",
            "a.yaml:6: `optimizer.momentum` does nothing here: it is for optimizer.name sgd|lars, and "
            "optimizer.name is adam");
    write_spec("{name: shapes, limit: 32, cache: cache}", /* of a method that is not run nothing is asked */
               "optimizer: {beta1: 0.8}\nmethods: {swav: {optimizer: {name: lars, trust: 0.1}}}\n");
    ck_assert_msg(mews("sweep a.yaml -n")->code == 0, "%s", mews("sweep a.yaml -n")->err);
    write_spec("{name: shapes, limit: 32, decode: exact, path: \"\", cache: cache}", ""); /* defaults harm nobody */
    ck_assert_int_eq(mews("sweep a.yaml -n")->code, 0);
    write_images("set/ant", 12);
    write_images("set/bee", 12);
    write_spec("{limit: 16, path: set, cache: cache}", "sweep: {data.name: [shapes, folder]}\n"); /* one of them does */
    const said *s = mews("sweep a.yaml -n");
    ck_assert_msg(s->code == 0, "%s", s->err);
}
END_TEST

/* What each says: the key, its section's other keys, and the reason. */
static const struct {
    const char *spec, *words;
} needless[] = {
    {"augment: {jitter: 0, hue: 0.3}\n", "`augment.hue` does nothing here: it is for augment.jitter other than 0"},
    {"augment: {blur: 0, blur_max: 3}\n", "`augment.blur_max` does nothing here: it is for augment.blur other than 0"},
    {"augment: {local_size: 16}\n",
     "`augment.local_size` does nothing here: it is for augment.local_crops other than 0"},
    {"augment: {solarize_second: 0, solarize_threshold: 99}\n", "`augment.solarize_threshold` does nothing here"},
    {"eval: {metrics: [linear], knn_k: 5}\n", "`eval.knn_k` does nothing here: it is for eval.metrics with knn"},
    {"eval: {metrics: [knn], kmeans_restarts: 2}\n", "`eval.kmeans_restarts` does nothing here"},
    {"optimizer: {warmup_start: 0.1}\n", "`optimizer.warmup_start` does nothing here"},
    {"optimizer: {schedule: constant, final_lr: 0.1}\n",
     "`optimizer.final_lr` does nothing here: it is for optimizer.schedule cosine"},
};

START_TEST(test_keys_of_every_section_that_nothing_uses_are_refused) {
    char wanted[300];
    write_spec("{name: shapes, limit: 32, cache: cache}", needless[_i].spec);
    const said *s = mews("sweep a.yaml -n");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, needless[_i].words) != NULL, "%s", s->err);
    if (_i) return;
    write_spec("{name: shapes, limit: 32, cache: cache}", /* one of two others will do; local views blur, too */
               "augment: {blur: 0, blur_second: 0.5, blur_max: 3}\neval: {metrics: [linear, knn], knn_k: 5}\n");
    ck_assert_msg(mews("sweep a.yaml -n")->code == 0, "%s", mews("sweep a.yaml -n")->err);
    static const char *const methods[][2] = {{"simsiam", "predictor: false, predictor_hidden: 64"},
                                             {"byol", "stop_gradient: false, momentum: 0.9"},
                                             {"swav", "sinkhorn: false, iterations: 5"},
                                             {"dino", "centering: false, center_momentum: 0.5"},
                                             {"tico", "target: student, momentum: 0.9"},
                                             {"zero_cl", "whiten: false, detach: false"}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char spec[300];
        snprintf(spec, sizeof spec, "methods: {%s: {method: {%s}}}\n", methods[i][0], methods[i][1]);
        write_spec("{name: shapes, limit: 32, cache: cache}", spec);
        snprintf(wanted, sizeof wanted, "sweep a.yaml -n --set method=%s", methods[i][0]);
        s = mews(wanted);
        ck_assert_msg(s->code == 2 && strstr(s->err, "does nothing here: it is for method."), "%s: %s", wanted, s->err);
    }
    write_spec("{name: shapes, limit: 32, cache: cache}", "");
    s = mews("sweep a.yaml -n --set train.init_prefix=student");
    ck_assert_ptr_nonnull(
        strstr(s->err, "`train.init_prefix` does nothing here: it goes with train.init, which is not given"));
}
END_TEST

START_TEST(test_lists_of_classes_are_swept) {
    write_spec("{name: shapes, limit: 32, cache: cache}",
               "sweep: {data.classes: [[stripes, grid], [rings], [dots, crosses, bricks]]}\n");
    const said *s = mews("sweep a.yaml -n");
    ck_assert_msg(s->code == 0 && strstr(s->out, "classes-dots-crosses-bricks"), "%s%s", s->out, s->err);
    s = mews("sweep a.yaml -n --set 'sweep.data.classes=[[stripes, grid], [rings]]'");
    ck_assert_msg(s->code == 0 && strstr(s->out, "classes-stripes-grid") && strstr(s->out, "classes-rings"), "%s%s",
                  s->out, s->err);
}
END_TEST

START_TEST(test_classes_are_a_list_of_names_as_they_are) {
    write_images("set/train/tench", 10);
    write_images("set/train/Tinca tinca", 10);
    write_images("set/train/with space", 10);
    write_images("set/train/a, b", 10);
    for (int i = 0; i < 2; i++) {
        write_spec(i ? "{path: set/train, classes: [tench, \"Tinca tinca\", with space, 'a, b'], cache: cache}"
                     : "{path: set/train, cache: cache}",
                   "");
        const said *s = mews("data verify a.yaml");
        ck_assert_msg(s->code == 0, "%s", s->err);
        ck_assert_msg(strstr(s->out, "36 training and 4 test images of 32x32 in 4 classes"), "%s", s->out);
    }
    const said *s = mews("data verify a.yaml --set 'data.classes=[\"a, b\", tench]'");
    ck_assert_msg(strstr(s->out, " in 2 classes"), "%s%s", s->out, s->err);
    refused("data verify a.yaml --set 'data.classes=[a, tench]'", "data.classes: this data set has no class `a`");
}
END_TEST

START_TEST(test_images_without_labels_are_trained_on_and_what_needs_labels_is_named_first) {
    write_images("photos", 40);
    write_spec("{path: photos, cache: cache}", "");
    const said *s = mews("train a.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_msg(strstr(s->err, "folder: the images have no labels: eval is without linear probe, kNN, k-means; "
                                 "prototypes are counted but not compared with labels"),
                  "%s", s->err);
    json_t *all = record(), *final = json_object_get(all, "final");
    ck_assert_ptr_null(json_object_get(final, "linear"));
    ck_assert_ptr_null(json_object_get(final, "prototype_nmi"));
    ck_assert_ptr_nonnull(json_object_get(final, "codes_used"));
    ck_assert_ptr_nonnull(json_object_get(final, "rankme"));
    json_decref(all);
    shell("test -e results/toy/*/embeddings.npy && test ! -e results/toy/*/labels.npy");
    ck_assert_int_eq(mews("diagnose results/toy/*")->code, 0);
    ck_assert_int_eq(mews("eval results/toy/* --set eval=[collapse,knn]")->code, 0);
    s = mews("report results/toy");
    ck_assert_msg(s->code == 0, "%s", s->err);
    refused("train a.yaml --set method=supervised", "folder: the images have no labels, and `supervised` learns from "
                                                    "labels; it takes two classes or more");
}
END_TEST

START_TEST(test_one_class_is_trained_on_without_its_label_and_that_is_said) {
    write_images("set/train/ant", 16);
    write_images("set/test/ant", 12);
    write_spec("{path: set, cache: cache}", "");
    const said *s = mews("train a.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_msg(strstr(s->err, "folder: all images are of one class, ant: eval is without linear probe"), "%s",
                  s->err);
    s = mews("data import set --out cache");
    ck_assert_msg(strstr(s->out, "\none class, ant: there is nothing to tell apart by labels\n"), "%s", s->out);
}
END_TEST

START_TEST(test_an_import_ends_with_its_account) {
    write_images("set/Train/ant", 3);
    write_images("set/Train/bee", 3);
    write_images("set/Test/ant", 1);
    write_images("set/Test/bee", 1);
    shell("touch set/Train/ant/a.gif set/readme.md");
    const said *s = mews("data import set --out cache");
    ck_assert_int_eq(s->code, 0);
    ck_assert_str_eq(strchr(s->out, '\n'),
                     "\ntraining images in Train/; test images in Test/; classes are the folders in them\n"
                     "10 files seen, 8 used, 2 skipped\n"
                     "  skipped: 1 ends in .gif, which is not read (Train/ant/a.gif)\n"
                     "  skipped: 1 not an image (.md) (readme.md)\n"
                     "each class: 3 training and 1 test images\n");
    ck_assert_ptr_nonnull(strstr(s->err, "mews: warning: set: skipped 2 files: 1 ends in .gif"));
    ck_assert_str_eq(mews("data import set --out cache")->err, ""); /* it is there already, with its account */
    write_images("set/other/ant", 2);
    refused("data import set --out cache", "set: other/ holds classes of Train/, but its name says no split that is "
                                           "known; data.train and data.test, patterns like `train*`, say which folders "
                                           "are meant");
    s = mews("data import set --out cache --set data.train=Train --set 'data.test=@(Test|other)'");
    ck_assert_msg(strstr(s->out, "6 training and 4 test images"), "%s%s", s->out, s->err);
}
END_TEST

Suite *suite_data_keys(void) {
    Suite *s = suite_create("data_keys");
    TCase *t = tcase_create("program");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_set_timeout(t, 180);
    tcase_add_test(t, test_a_path_without_a_name_says_itself_what_it_holds);
    tcase_add_test(t, test_a_key_that_no_run_uses_is_refused);
    tcase_add_loop_test(t, test_keys_of_every_section_that_nothing_uses_are_refused, 0,
                        sizeof needless / sizeof *needless);
    tcase_add_test(t, test_lists_of_classes_are_swept);
    tcase_add_test(t, test_classes_are_a_list_of_names_as_they_are);
    tcase_add_test(t, test_images_without_labels_are_trained_on_and_what_needs_labels_is_named_first);
    tcase_add_test(t, test_one_class_is_trained_on_without_its_label_and_that_is_said);
    tcase_add_test(t, test_an_import_ends_with_its_account);
    suite_add_tcase(s, t);
    return s;
}

/*
 * What the folders of a source mean: the names that people give to splits, what wraps them, which level is the class,
 * and where two readings are possible, which is said instead of guessed.
 */
#include "tests/engine/data_bench.h"

#include "engine/data/sets/layout.h"
#include "engine/natural.h"

static bench b;

static void setup(void) { bench_begin(&b); }
static void teardown(void) { bench_end(&b); }

/* `count` images in source/<folder>; `folder` may hold several names, separated by blanks. */
static void images(const char *folders, int count) {
    static uint32_t key;
    char copy[256], name[300], *rest = copy;
    snprintf(copy, sizeof copy, "%s", folders);
    for (char *folder; (folder = strsep(&rest, " "));)
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "%s%s%d.png", folder, *folder ? "/" : "", i);
            bench_image(&b, name, ++key);
        }
}

static data_options options_of(const char *train, const char *test) {
    data_options options = bench_options(&b, "folder", b.source);
    snprintf(options.train, sizeof options.train, "%s", train);
    snprintf(options.test, sizeof options.test, "%s", test);
    return options;
}

/* What is read: so many training and test images, and these classes in this order. */
static void must_read_by(const char *train, const char *test, uint32_t trains, uint32_t tests, const char *classes) {
    char names[1024] = "";
    data_options options = options_of(train, test);
    dataset *set = bench_must_open(&b, &options);
    for (int c = 0; c < dataset_classes(set); c++) {
        strcat(names, c ? " " : "");
        strcat(names, dataset_class_name(set, c));
    }
    ck_assert_str_eq(names, classes);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), trains);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), tests);
    for (uint32_t i = 0; i < trains; i++)
        ck_assert_int_eq(dataset_label(set, SPLIT_TRAIN, i) < 0, dataset_classes(set) == 0);
    dataset_close(set);
}

static void must_read(uint32_t trains, uint32_t tests, const char *classes) {
    must_read_by("", "", trains, tests, classes);
}

static void must_refuse(const char *part) {
    data_options options = options_of("", "");
    bench_must_refuse(&b, &options, ERROR_USAGE, part);
}

static void again(void) {
    bench_end(&b);
    bench_begin(&b);
}

START_TEST(test_folders_are_splits_under_the_names_that_people_give_them) {
    static const char *const pairs[][2] = {{"Train", "Test"},
                                           {"training", "testing"},
                                           {"training_set", "test_set"},
                                           {"train2017", "val2017"},
                                           {"ILSVRC2012_img_train", "ILSVRC2012_img_val"},
                                           {"seg_train", "seg_test"},
                                           {"TRAIN", "Validation"},
                                           {"Training Data", "Testing Data"},
                                           {"train_images", "valid"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char train[128], test[128];
        const char *one = pairs[i][0], *other = pairs[i][1];
        for (int c = 0; c < 2; c++) {
            char name[160];
            for (int k = 0; k < 5; k++) {
                snprintf(train, sizeof train, "%s/%s", one, c ? "cat" : "dog");
                snprintf(test, sizeof test, "%s/%s", other, c ? "cat" : "dog");
                snprintf(name, sizeof name, "%s/%d.png", k < 3 ? train : test, k);
                bench_image(&b, name, (uint32_t)(10 * c + k));
            }
        }
        must_read(6, 4, "cat dog");
        ck_assert_str_eq(b.said, "");
        again();
    }
}
END_TEST

START_TEST(test_a_word_in_a_name_that_says_more_than_a_split_makes_no_split) {
    static const struct {
        const char *name;
        layout_split split;
    } names[] = {{"train", LAYOUT_TRAIN},
                 {"Train-2017", LAYOUT_TRAIN},
                 {"train.X1", LAYOUT_TRAIN},
                 {"val.X", LAYOUT_VAL},
                 {"imagenet_val", LAYOUT_VAL},
                 {"test", LAYOUT_TEST},
                 {"train_station", LAYOUT_NONE},
                 {"trains", LAYOUT_NONE},
                 {"train_test", LAYOUT_NONE},
                 {"seg_pred", LAYOUT_NONE},
                 {"contest", LAYOUT_NONE},
                 {"42", LAYOUT_NONE},
                 {"", LAYOUT_NONE},
                 {"träin", LAYOUT_NONE}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(layout_split_of(names[i].name, strlen(names[i].name)) == names[i].split, "%s", names[i].name);
}
END_TEST

START_TEST(test_several_training_folders_are_one_split) {
    images("train.X1/ant train.X1/bee", 3);
    images("train.X2/cat train.X10/dog", 3);
    images("val.X/ant val.X/bee val.X/cat val.X/dog", 1);
    must_read(12, 4, "ant bee cat dog");
    again();
    images("train2014/ant train2014/bee train2017/ant train2017/bee", 2); /* years are no parts */
    must_refuse("train2014/ and train2017/, and both names say the same split; data.train and data.test");
    must_read_by("train2017", "train2014", 4, 4, "ant bee");
}
END_TEST

START_TEST(test_wrapping_folders_are_passed) {
    images("archive/animals/Train/ant archive/animals/Train/bee", 3);
    images("archive/animals/Test/ant archive/animals/Test/bee", 1);
    bench_write(&b, "archive/readme.txt", "hello", 5);
    must_read(6, 2, "ant bee");
    again();
    images("seg_train/seg_train/ant seg_train/seg_train/bee", 3); /* as zips are found at Kaggle */
    images("seg_test/seg_test/ant seg_test/seg_test/bee", 1);
    images("seg_pred/seg_pred", 5);
    must_read(6, 2, "ant bee");
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 5 files: 5 in no folder of a split (seg_pred/seg_pred/0.png"));
}
END_TEST

START_TEST(test_classes_are_the_first_level_of_folders_below_the_split) {
    images("a/x a/y b/x b/y", 5); /* ImageFolder's rule: not classes x and y */
    must_read(18, 2, "a b");
    again();
    images("train/a/x train/a/y train/b/x", 2);
    images("test/a/z test/b", 1);
    must_read(6, 2, "a b");
}
END_TEST

START_TEST(test_images_without_class_folders_have_no_labels) {
    images("", 20);
    must_read(18, 2, "");
    again();
    images("photos", 20);
    must_read(18, 2, "");
    again();
    images("train", 12);
    images("test", 4);
    must_read(12, 4, "");
    again();
    images("train", 20);
    must_read(18, 2, "");
    data_options options = options_of("", "");
    strcpy(options.classes, "[ant]");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.classes needs labels, and these images have none");
}
END_TEST

START_TEST(test_what_can_be_read_in_two_ways_is_refused_with_both) {
    images("cat/train cat/test dog/train dog/test", 4); /* each class has its own splits */
    must_refuse("can be read in two ways: cat/ is a class, and its ");
    must_read_by("*/train/*", "*/test/*", 8, 8, "cat dog");
    must_read_by(".", "", 14, 2, "cat dog");
    again();
    images("mytrain/cat mytrain/dog mytest/cat mytest/dog", 4);
    must_refuse("mytrain/ and mytest/ are splits, or they are classes (data.train: .); data.train and data.test");
    must_read_by("mytrain", "mytest/", 8, 8, "cat dog");
    again();
    images("train test plane", 4);
    must_refuse("plane/, test/, train/ are classes (data.train: .), or those whose names say so are splits");
    must_read_by(".", "", 11, 1, "plane test train");
    again();
    images("", 5);
    images("thumbs", 5);
    must_refuse("5 images without classes beside the folder thumbs/, or one class, thumbs/");
    again();
    images("train/images/cat train/images/dog test/images/cat test/images/dog", 2);
    must_refuse("train/ holds one class, images, or its classes are cat/, dog/ (data.train: 'train/images')");
    must_read_by("train/images", "test/images", 4, 4, "cat dog");
}
END_TEST

START_TEST(test_a_class_of_vehicles_may_be_called_train) {
    images("bus train tram", 10);
    must_read(27, 3, "bus train tram");
}
END_TEST

START_TEST(test_a_split_or_a_class_that_would_be_lost_is_refused) {
    images("train/cat train/dog holdout/cat holdout/dog", 3);
    must_refuse("holdout/ holds classes of train/, but its name says no split");
    must_read_by("train", "holdout", 6, 6, "cat dog");
    again();
    images("train/cat train/dog dog", 3);
    must_refuse("the class dog stands in train/ and beside it");
    again();
    images("train/cat train/dog test", 3);
    must_refuse("test/ holds no class folders, so its images have no labels to test with; data.train: train leaves it");
    must_read_by("train", "", 5, 1, "cat dog");
    again();
    images("train test/cat test/dog", 3);
    must_refuse("train/ holds no class folders, but test/ does");
    again();
    images("test/cat test/dog", 3);
    must_refuse("holds test/ but no folder whose name says that it is for training");
    again();
    images("images", 4);
    bench_write(&b, "labels/0.txt", "0", 1);
    must_refuse("class folder labels/ holds no image that can be read");
    must_read_by("images", "", 4, 0, "");
}
END_TEST

START_TEST(test_patterns_say_which_folders_are_which_split) {
    images("set/part_a/cat set/part_a/dog set/part_b/cat set/part_b/dog set/part_c/cat", 2);
    must_read_by("part_@(a|c)", "part_b", 6, 4, "cat dog"); /* with or without what wraps them */
    ck_assert_ptr_null(strstr(b.said, "skipped"));
    must_read_by("set/part_a", "set/part_b", 4, 4, "cat dog");
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 2 files: 2 in no folder of a split (set/part_c/cat/0.png"));
    data_options options = options_of("part_z", "");
    bench_must_refuse(&b, &options, ERROR_USAGE,
                      "data.train: no folder and no image is called part_z; it holds part_a/,");
    options = options_of("", "part_b");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.train has to say where those to train on are");
    options = options_of("part_*", "part_b");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.train and data.test both take set/part_b/");
    options = options_of("*/*/0*", "*/*/*.png");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.train and data.test both take");
    options = bench_options(&b, "svhn", b.source);
    strcpy(options.train, "part_a");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.train is for data.name folder only; svhn has splits of its own");
}
END_TEST

START_TEST(test_classes_are_numbered_as_people_count_and_that_is_said) {
    images("train/10 train/2 train/1 train/0", 2);
    images("test/10 test/2 test/1 test/0", 1);
    must_read(8, 4, "0 1 2 10");
    data_options options = options_of("", "");
    dataset *set = bench_must_open(&b, &options);
    ck_assert_ptr_nonnull(strstr(dataset_account(set), "classes are numbered in natural order: 0, 1, 2, 10\n"));
    dataset_close(set);
}
END_TEST

START_TEST(test_natural_order_counts_digits_and_keeps_the_rest) {
    static const char *const names[] = {"",    "0",  "007", "7",    "7a", "10",         "a",           "a1",
                                        "a1b", "a2", "a10", "a10b", "b",  "part-9.npy", "part-10.npy", "\xC3\xA4"};
    size_t n = sizeof names / sizeof *names;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int order = natural_order(names[i], names[j]);
            ck_assert_msg((order > 0) - (order < 0) == (i > j) - (i < j), "%s, %s", names[i], names[j]);
        }
}
END_TEST

START_TEST(test_the_account_says_what_was_read_how_and_what_was_not) {
    images("Train/cat Train/dog", 4);
    images("Test/cat Test/dog Val/cat", 1);
    bench_write(&b, "Train/cat/a.gif", "GIF89a", 6);
    bench_write(&b, "Train/cat/b.gif", "GIF89a", 6);
    bench_write(&b, "notes.txt", "x", 1);
    bench_write(&b, "Train/.hidden/0.png", "x", 1);
    char link[600];
    snprintf(link, sizeof link, "%s/Train/dog/gone.png", b.source);
    ck_assert_int_eq(symlink("nowhere", link), 0);
    must_read(8, 2, "cat dog");
    ck_assert_ptr_nonnull(strstr(b.said, "skipping Train/dog/gone.png: a link that leads nowhere"));
    data_options options = options_of("", "");
    dataset *set = bench_must_open(&b, &options); /* from the packed file, which keeps it */
    ck_assert_str_eq(b.said, "");
    const char *account = dataset_account(set);
    ck_assert_ptr_nonnull(strstr(account, "training images in Train/; test images in Test/; validation images in Val/; "
                                          "classes are the folders in them\n"));
    ck_assert_ptr_nonnull(strstr(account, "15 files seen, 10 used, 5 skipped\n"));
    ck_assert_ptr_nonnull(strstr(account, "2 ends in .gif, which is not read (Train/cat/a.gif, Train/cat/b.gif)\n"));
    ck_assert_ptr_nonnull(strstr(account, "1 a link that leads nowhere (Train/dog/gone.png)\n"));
    ck_assert_ptr_nonnull(strstr(account, "1 a validation image, since there are test images (Val/cat/0.png)\n"));
    ck_assert_ptr_nonnull(strstr(account, "1 not an image (.txt) (notes.txt)\n"));
    ck_assert(dataset_verify(set, &b.err));
    dataset_close(set);
}
END_TEST

START_TEST(test_links_that_lead_round_in_a_circle_are_named) {
    images("cat dog", 3);
    char link[600];
    snprintf(link, sizeof link, "%s/cat/up", b.source);
    ck_assert_int_eq(symlink("..", link), 0);
    must_read(5, 1, "cat dog");
    ck_assert_ptr_nonnull(strstr(b.said, "skipping cat/up: a link to a folder that it lies in"));
}
END_TEST

Suite *suite_layout(void) {
    Suite *s = suite_create("layout");
    TCase *t = tcase_create("folders");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_folders_are_splits_under_the_names_that_people_give_them);
    tcase_add_test(t, test_a_word_in_a_name_that_says_more_than_a_split_makes_no_split);
    tcase_add_test(t, test_several_training_folders_are_one_split);
    tcase_add_test(t, test_wrapping_folders_are_passed);
    tcase_add_test(t, test_classes_are_the_first_level_of_folders_below_the_split);
    tcase_add_test(t, test_images_without_class_folders_have_no_labels);
    tcase_add_test(t, test_what_can_be_read_in_two_ways_is_refused_with_both);
    tcase_add_test(t, test_a_class_of_vehicles_may_be_called_train);
    tcase_add_test(t, test_a_split_or_a_class_that_would_be_lost_is_refused);
    tcase_add_test(t, test_patterns_say_which_folders_are_which_split);
    tcase_add_test(t, test_classes_are_numbered_as_people_count_and_that_is_said);
    tcase_add_test(t, test_natural_order_counts_digits_and_keeps_the_rest);
    tcase_add_test(t, test_the_account_says_what_was_read_how_and_what_was_not);
    tcase_add_test(t, test_links_that_lead_round_in_a_circle_are_named);
    suite_add_tcase(s, t);
    return s;
}

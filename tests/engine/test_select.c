/* Classes left out, long tails, lists of class folders, and Tiny ImageNet's layout, on small images told by a key. */
#include "tests/engine/data_bench.h"

enum { CLASSES = 4, EACH = 60, TESTS = 5 };

static const char *const class_names[CLASSES] = {"ant", "bee", "cat", "dog"};

/* Class c's training images are not all of one number: dog has 5 fewer. */
static void make_source(const bench *b) {
    char name[64];
    for (int c = 0; c < CLASSES; c++) {
        int train = c == 3 ? EACH - 5 : EACH;
        for (int i = 0; i < train + TESTS; i++) {
            snprintf(name, sizeof name, "%s/%s/%03d.png", i < train ? "train" : "test", class_names[c], i);
            bench_image(b, name, (uint32_t)(c * 100 + i));
        }
    }
}

/* An image's class, from its pixels alone. */
static int class_of(const uint8_t *pixels) {
    uint8_t candidate[BENCH_BYTES];
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < EACH + TESTS; i++) {
            bench_pixels((uint32_t)(c * 100 + i), BENCH_SIDE, BENCH_SIDE, candidate);
            if (memcmp(candidate, pixels, BENCH_BYTES) == 0) return c;
        }
    ck_abort_msg("an image that is not in the source");
}

/* Counts by label, each image checked to be of the class its label names. */
static void count(const dataset *set, dataset_split split, int counts[CLASSES]) {
    memset(counts, 0, CLASSES * sizeof *counts);
    for (uint32_t i = 0; i < dataset_count(set, split); i++) {
        int label = dataset_label(set, split, i);
        ck_assert_str_eq(dataset_class_name(set, label), class_names[class_of(dataset_image(set, split, i))]);
        counts[label]++;
    }
}

static void must_count(const dataset *set, dataset_split split, const int expected[CLASSES]) {
    int counts[CLASSES];
    count(set, split, counts);
    for (int c = 0; c < CLASSES; c++) ck_assert_int_eq(counts[c], expected[c]);
}

START_TEST(test_a_long_tail_falls_exponentially_from_the_first_class_to_the_last) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    options.imbalance = 30;
    dataset *set = bench_must_open(&b, &options);
    must_count(set, SPLIT_TRAIN, (int[]){60, 19, 6, 2}); /* 60·30^(−i/3), rounded down */
    must_count(set, SPLIT_PRETRAIN, (int[]){60, 19, 6, 2});
    must_count(set, SPLIT_TEST, (int[]){5, 5, 5, 5});
    dataset *again = bench_must_open(&b, &options);
    for (uint32_t i = 0; i < dataset_count(set, SPLIT_TRAIN); i++)
        ck_assert_mem_eq(dataset_image(set, SPLIT_TRAIN, i), dataset_image(again, SPLIT_TRAIN, i), BENCH_BYTES);
    dataset_close(again);
    options.seed = 1;
    again = bench_must_open(&b, &options);
    must_count(again, SPLIT_TRAIN, (int[]){60, 19, 6, 2});
    ck_assert_mem_ne(dataset_image(set, SPLIT_TRAIN, 0), dataset_image(again, SPLIT_TRAIN, 0), BENCH_BYTES);
    dataset_close(again);
    dataset_close(set);
    options.imbalance = 1000; /* no class dies out */
    set = bench_must_open(&b, &options);
    must_count(set, SPLIT_TRAIN, (int[]){60, 6, 1, 1});
    dataset_close(set);
    options.imbalance = 1;
    set = bench_must_open(&b, &options);
    must_count(set, SPLIT_TRAIN, (int[]){60, 60, 60, 55});
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_gentler_tail_holds_all_of_a_steeper_one) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    options.imbalance = 10;
    dataset *gentle = bench_must_open(&b, &options);
    options.imbalance = 50;
    dataset *steep = bench_must_open(&b, &options);
    for (uint32_t i = 0; i < dataset_count(steep, SPLIT_TRAIN); i++) {
        int found = 0;
        for (uint32_t j = 0; j < dataset_count(gentle, SPLIT_TRAIN); j++)
            found +=
                memcmp(dataset_image(steep, SPLIT_TRAIN, i), dataset_image(gentle, SPLIT_TRAIN, j), BENCH_BYTES) == 0;
        ck_assert_int_eq(found, 1);
    }
    dataset_close(gentle);
    dataset_close(steep);
    bench_end(&b);
}
END_TEST

START_TEST(test_classes_left_out_are_in_no_split_and_the_others_are_numbered_anew) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    strcpy(options.classes, "[dog, bee]");
    dataset *set = bench_must_open(&b, &options);
    ck_assert_int_eq(dataset_classes(set), 2);
    ck_assert_str_eq(dataset_class_name(set, 0), "bee");
    ck_assert_str_eq(dataset_class_name(set, 1), "dog");
    must_count(set, SPLIT_TRAIN, (int[]){60, 55, 0, 0});
    must_count(set, SPLIT_TEST, (int[]){5, 5, 0, 0});
    dataset_close(set);
    options.validation = 0.2, options.limit = 10;
    set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_VALIDATION), 23);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 10);
    dataset_close(set);
    strcpy(options.classes, "bee, dogs");
    bench_must_refuse(&b, &options, ERROR_USAGE, "this data set has no class `dogs`; did you mean `dog`?");
    strcpy(options.classes, "bee, bee");
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.classes names `bee` twice");
    bench_end(&b);
}
END_TEST

START_TEST(test_a_class_list_imports_just_its_folders) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    snprintf(options.class_list, sizeof options.class_list, "%s/list.txt", b.folder);
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.class_list: cannot read");
    ck_assert(file_write(options.class_list, "# two of four\ndog  a hound\r\nant\n\n", 34, &b.err));
    dataset *set = bench_must_open(&b, &options);
    ck_assert_int_eq(dataset_classes(set), 2);
    ck_assert_str_eq(dataset_class_name(set, 0), "ant");
    must_count(set, SPLIT_TRAIN, (int[]){60, 55, 0, 0});
    must_count(set, SPLIT_TEST, (int[]){5, 5, 0, 0});
    dataset_close(set);
    ck_assert(file_write(options.class_list, "dog\nunicorn\n", 12, &b.err)); /* a changed list is seen */
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no class `unicorn`, which data.class_list names");
    bench_end(&b);
}
END_TEST

START_TEST(test_tiny_imagenet_is_read_as_published) {
    bench b;
    bench_begin(&b);
    static const char list[] = "val_0.png\tn02\t0\t0\t9\t9\nval_1.png\tn01\t0\t0\t9\t9\n";
    bench_image(&b, "tiny-imagenet-200/train/n01/images/n01_0.png", 1);
    bench_image(&b, "tiny-imagenet-200/train/n02/images/n02_0.png", 2);
    bench_write(&b, "tiny-imagenet-200/train/n01/n01_boxes.txt", "", 0);
    bench_image(&b, "tiny-imagenet-200/val/images/val_0.png", 3);
    bench_image(&b, "tiny-imagenet-200/val/images/val_1.png", 4);
    bench_write(&b, "tiny-imagenet-200/val/val_annotations.txt", list, sizeof list - 1);
    bench_image(&b, "tiny-imagenet-200/test/images/test_0.png", 5);
    data_options options = bench_options(&b, "tiny-imagenet", b.source);
    ck_assert_int_eq(dataset_guess(b.source, &b.err), options.name);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 2 files: 1 a test image, which has no label"));
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 2);
    uint8_t expected[BENCH_BYTES];
    bench_pixels(4, BENCH_SIDE, BENCH_SIDE, expected); /* val_1, the one of n01 */
    int first = dataset_label(set, SPLIT_TEST, 0) == 0 ? 0 : 1;
    ck_assert_mem_eq(dataset_image(set, SPLIT_TEST, (uint32_t)first), expected, BENCH_BYTES);
    ck_assert_str_eq(dataset_class_name(set, 1), "n02");
    dataset_close(set);
    bench_write(&b, "tiny-imagenet-200/val/val_annotations.txt", list, 22);
    bench_must_refuse(&b, &options, ERROR_RUN,
                      "val_annotations.txt has no line for tiny-imagenet-200/val/images/val_1");
    bench_end(&b);
}
END_TEST

Suite *suite_select(void) {
    Suite *s = suite_create("select");
    TCase *t = tcase_create("samples");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_a_long_tail_falls_exponentially_from_the_first_class_to_the_last);
    tcase_add_test(t, test_a_gentler_tail_holds_all_of_a_steeper_one);
    tcase_add_test(t, test_classes_left_out_are_in_no_split_and_the_others_are_numbered_anew);
    tcase_add_test(t, test_a_class_list_imports_just_its_folders);
    tcase_add_test(t, test_tiny_imagenet_is_read_as_published);
    suite_add_tcase(s, t);
    return s;
}

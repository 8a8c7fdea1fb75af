/*
 * Published formats, as files that NumPy, SciPy, gzip and tarfile wrote (tests/golden/make_formats.py): every image and
 * label comes back bit for bit. Then the same files with something wrong in them: each is refused by name.
 */
#include "engine/files/safetensors.h"
#include "tests/engine/data_bench.h"

typedef struct golden_part {
    const uint8_t *images, *labels; /* labels NULL: the images have none */
    uint32_t count;
    size_t each;
} golden_part;

static const uint8_t *golden_bytes(const safetensors *file, const char *name, uint64_t *count) {
    const safetensors_entry *entry = safetensors_find(file, name);
    ck_assert_msg(entry && entry->dtype == ST_U8, "no golden bytes %s", name);
    *count = entry->shape[0];
    return entry->data;
}

/* "cifar100.train", "_fine": images and labels of one split; suffix NULL for none. */
static golden_part golden_split(const safetensors *file, const char *split, const char *suffix, int side) {
    golden_part p = {.each = (size_t)side * (size_t)side * 3};
    uint64_t images, labels;
    char name[64];
    p.images = golden_bytes(file, split, &images);
    p.count = (uint32_t)images;
    if (!suffix) return p;
    snprintf(name, sizeof name, "%s%s", split, suffix);
    p.labels = golden_bytes(file, name, &labels);
    ck_assert_uint_eq(images, labels);
    return p;
}

/* Each golden image is in the split once, with its label; the split may hold `others` besides. */
static void check_split(const dataset *set, dataset_split split, golden_part p, uint32_t others) {
    ck_assert_uint_eq(dataset_count(set, split), p.count + others);
    for (uint32_t g = 0; g < p.count; g++) {
        int found = 0;
        for (uint32_t i = 0; i < dataset_count(set, split); i++)
            if (memcmp(dataset_image(set, split, i), p.images + g * p.each, p.each) == 0) {
                found++;
                ck_assert_int_eq(dataset_label(set, split, i), p.labels ? p.labels[g] : -1);
                if (split == SPLIT_TEST) ck_assert_uint_eq(i, g); /* in the authors' order */
            }
        ck_assert_msg(found == 1, "image %u of split %d is there %d times", g, split, found);
    }
}

static data_options options_of(const bench *b, const char *name, const char *path, int side) {
    data_options options = bench_options(b, name, path);
    error err = {0};
    options.size = side;
    ck_assert_int_eq(dataset_guess(path, &err), options.name);
    return options;
}

static void copy_with(const bench *b, const char *from, const char *to, long keep, long at, uint8_t value);

static safetensors *open_golden(void) {
    error err = {0};
    safetensors *file = safetensors_open("tests/golden/formats.safetensors", &err);
    ck_assert_msg(file != NULL, "%s", err.text);
    return file;
}

START_TEST(test_cifar100_is_read_with_fine_and_with_coarse_labels) {
    bench b;
    bench_begin(&b);
    safetensors *g = open_golden();
    data_options options = options_of(&b, "cifar100", "tests/golden/formats/cifar-100-binary.tar.gz", 32);
    dataset *fine = bench_must_open(&b, &options);
    check_split(fine, SPLIT_TRAIN, golden_split(g, "cifar100.train", "_fine", 32), 0);
    check_split(fine, SPLIT_TEST, golden_split(g, "cifar100.test", "_fine", 32), 0);
    ck_assert_int_eq(dataset_classes(fine), 100);
    ck_assert_str_eq(dataset_class_name(fine, 57), "pear");
    ck_assert_str_eq(dataset_class_name(fine, 99), "worm");
    options.labels = LABELS_COARSE;
    dataset *coarse = bench_must_open(&b, &options);
    check_split(coarse, SPLIT_TRAIN, golden_split(g, "cifar100.train", "_coarse", 32), 0);
    check_split(coarse, SPLIT_TEST, golden_split(g, "cifar100.test", "_coarse", 32), 0);
    ck_assert_int_eq(dataset_classes(coarse), 20);
    ck_assert_str_eq(dataset_class_name(coarse, 19), "vehicles_2");
    ck_assert_str_ne(dataset_checksum(fine), dataset_checksum(coarse));
    dataset_close(fine);
    dataset_close(coarse);
    safetensors_close(g);
    bench_end(&b);
}
END_TEST

START_TEST(test_svhn_is_read_and_its_label_10_is_the_digit_0) {
    bench b;
    bench_begin(&b);
    safetensors *g = open_golden();
    data_options options = options_of(&b, "svhn", "tests/golden/formats/svhn", 32);
    dataset *set = bench_must_open(&b, &options);
    golden_part train = golden_split(g, "svhn.train", "_labels", 32);
    ck_assert_uint_eq(train.labels[0], 0);
    check_split(set, SPLIT_TRAIN, train, 0);
    check_split(set, SPLIT_TEST, golden_split(g, "svhn.test", "_labels", 32), 0);
    ck_assert_str_eq(dataset_class_name(set, 0), "0");
    dataset_close(set);
    safetensors_close(g);
    bench_end(&b);
}
END_TEST

START_TEST(test_stl10_is_read_and_its_unlabelled_images_are_for_pretraining_alone) {
    bench b;
    bench_begin(&b);
    safetensors *g = open_golden();
    data_options options = options_of(&b, "stl10", "tests/golden/formats/stl10_binary.tar.gz", 96);
    golden_part train = golden_split(g, "stl10.train", "_labels", 96);
    for (int with = 0; with < 2; with++) {
        options.unlabelled = with;
        dataset *set = bench_must_open(&b, &options);
        check_split(set, SPLIT_TRAIN, train, 0);
        check_split(set, SPLIT_TEST, golden_split(g, "stl10.test", "_labels", 96), 0);
        check_split(set, SPLIT_PRETRAIN, train, with ? 2 : 0);
        if (with) check_split(set, SPLIT_PRETRAIN, golden_split(g, "stl10.unlabeled", NULL, 96), train.count);
        ck_assert(dataset_verify(set, &b.err));
        dataset_close(set);
    }
    options.limit = 2;
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_uint_eq(dataset_count(set, SPLIT_PRETRAIN), 2);
    dataset_close(set);
    options.imbalance = 10;
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.imbalance needs labels, which data.unlabelled's images");
    safetensors_close(g);
    bench_end(&b);
}
END_TEST

START_TEST(test_idx_files_are_read_packed_or_not_and_grey_fills_three_channels) {
    bench b;
    bench_begin(&b);
    safetensors *g = open_golden();
    data_options options = options_of(&b, "mnist", "tests/golden/formats/mnist", 28);
    dataset *set = bench_must_open(&b, &options);
    check_split(set, SPLIT_TRAIN, golden_split(g, "mnist.train", "_labels", 28), 0);
    check_split(set, SPLIT_TEST, golden_split(g, "mnist.test", "_labels", 28), 0);
    dataset_close(set);
    options = bench_options(&b, "fashion-mnist", "tests/golden/formats/mnist");
    set = bench_must_open(&b, &options);
    ck_assert_str_eq(dataset_class_name(set, 9), "Ankle boot");
    dataset_close(set);
    safetensors_close(g);
    bench_end(&b);
}
END_TEST

START_TEST(test_cifars_pickles_are_the_same_data_sets_as_its_binary_files) {
    static const char *const names[] = {"cifar10", "cifar100"}, *const stems[] = {"cifar-10", "cifar-100"};
    for (int i = 0; i < 3; i++) { /* the last: CIFAR-100's superclasses */
        char path[128], checksum[65] = "";
        bench b;
        bench_begin(&b);
        for (int python = 0; python < 2; python++) {
            snprintf(path, sizeof path, "tests/golden/formats/%s-%s.tar.gz", stems[i > 0],
                     python ? "python" : "binary");
            data_options options = options_of(&b, names[i > 0], path, 32);
            options.labels = i == 2 ? LABELS_COARSE : LABELS_FINE;
            dataset *set = bench_must_open(&b, &options);
            ck_assert(!python || strcmp(dataset_checksum(set), checksum) == 0);
            strcpy(checksum, dataset_checksum(set));
            ck_assert_int_eq(dataset_classes(set), i == 0 ? 10 : i == 1 ? 100 : 20);
            dataset_close(set);
        }
        ck_assert_ptr_nonnull(strstr(b.said, i ? "1 no part of CIFAR-100 (cifar-100-python/meta)"
                                               : "1 no part of CIFAR-10 (cifar-10-batches-py/readme.html)"));
        bench_end(&b);
    }
}
END_TEST

START_TEST(test_svhns_labels_may_be_any_kind_of_number) {
    bench b;
    bench_begin(&b);
    copy_with(&b, "svhn_int.mat", "train_32x32.mat", -1, -1, 0);
    copy_with(&b, "svhn/test_32x32.mat", "test_32x32.mat", -1, -1, 0);
    safetensors *g = open_golden();
    data_options options = bench_options(&b, "svhn", b.source);
    options.size = 32;
    dataset *set = bench_must_open(&b, &options);
    check_split(set, SPLIT_TRAIN, golden_split(g, "svhn.train", "_labels", 32), 0);
    dataset_close(set);
    safetensors_close(g);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_pickle_that_is_no_batch_of_cifar_is_refused_by_name) {
    bench b;
    bench_begin(&b);
    data_options options = bench_options(&b, "cifar10", b.source);
    bench_write(&b, "data_batch_1", "\x80\x02}.", 4);
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_1 holds no `data`");
    bench_write(&b, "data_batch_1",
                "\x80\x02}U\x04"
                "dataK\x01s.",
                13);
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_1: `data` is not an array of n × 3072 bytes");
    bench_write(&b, "data_batch_1", "cos\nsystem\n(U\x02lstR.", 20); /* nothing is run: it is an object, and no batch */
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_1 holds no `data`");
    bench_write(&b, "data_batch_1", "hello", 5);
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_1 is no pickle that is read");
    bench_end(&b);
}
END_TEST

/* ---- What does not fit ---- */

/* Copies the golden file into the bench's source with `keep` bytes of it (or all, below 0) and one byte changed. */
static void copy_with(const bench *b, const char *from, const char *to, long keep, long at, uint8_t value) {
    char path[256];
    size_t size;
    error err = {0};
    snprintf(path, sizeof path, "tests/golden/formats/%s", from);
    char *data = file_read(path, &size, &err);
    ck_assert_msg(data != NULL, "%s", err.text);
    if (at >= 0) data[at] = (char)value;
    bench_write(b, to, data, keep >= 0 ? (size_t)keep : size);
    free(data);
}

START_TEST(test_cifar100_refuses_broken_records_and_labels_out_of_range) {
    enum { RECORD = 2 + 3072 };
    bench b;
    bench_begin(&b);
    static uint8_t records[2 * RECORD];
    data_options options = bench_options(&b, "cifar100", b.source);
    records[RECORD + 1] = 100;
    bench_write(&b, "test.bin", records, sizeof records);
    bench_must_refuse(&b, &options, ERROR_RUN, "test.bin: record 1 has label 100; labels go from 0 to 99");
    records[RECORD + 1] = 0, records[0] = 20;
    bench_write(&b, "test.bin", records, sizeof records);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no train.bin, which belongs to CIFAR-100");
    options.labels = LABELS_COARSE;
    bench_must_refuse(&b, &options, ERROR_RUN, "test.bin: record 0 has label 20; labels go from 0 to 19");
    bench_write(&b, "test.bin", records, sizeof records - 1);
    bench_must_refuse(&b, &options, ERROR_RUN,
                      "test.bin has 6147 bytes, which is not a whole number of records of 3074 bytes");
    options = bench_options(&b, "mnist", b.source);
    options.labels = LABELS_COARSE;
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.labels coarse is for cifar100 only");
    bench_end(&b);
}
END_TEST

START_TEST(test_svhn_refuses_what_is_no_digit_of_its_own) {
    bench b;
    bench_begin(&b);
    data_options options = bench_options(&b, "svhn", b.source);
    copy_with(&b, "svhn/train_32x32.mat", "train_32x32.mat", -1, -1, 0);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no test_32x32.mat, which belongs to SVHN");
    copy_with(&b, "svhn/test_32x32.mat", "test_32x32.mat", 3000, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_32x32.mat");
    copy_with(&b, "svhn/test_32x32.mat", "test_32x32.mat", 60, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_32x32.mat is not a MATLAB file of version 5");
    copy_with(&b, "../../fuzz/corpus/mat/dimensions_beyond_the_file.mat", "test_32x32.mat", -1, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "X and y: an array's dimensions make no sense");
    copy_with(&b, "mnist/train-images-idx3-ubyte.gz", "test_32x32.mat", -1, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_32x32.mat is not a MATLAB file of version 5");
    copy_with(&b, "svhn_label_11.mat", "test_32x32.mat", -1, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_32x32.mat: record 1 has label 11; labels go from 1 to 10");
    copy_with(&b, "svhn_float.mat", "test_32x32.mat", -1, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_32x32.mat: X is not an array of 32x32x3xN bytes");
    bench_end(&b);
}
END_TEST

START_TEST(test_stl10_refuses_images_without_labels_and_labels_out_of_range) {
    enum { IMAGE = 3 * 96 * 96 };
    bench b;
    bench_begin(&b);
    static uint8_t images[2 * IMAGE];
    data_options options = bench_options(&b, "stl10", b.source);
    bench_write(&b, "test_X.bin", images, sizeof images);
    bench_write(&b, "train_X.bin", images, sizeof images);
    bench_write(&b, "train_y.bin", "\1\12", 2);
    bench_write(&b, "test_y.bin", "\1\13", 2);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_y.bin: record 1 has label 11; labels go from 1 to 10");
    bench_write(&b, "test_y.bin", "\1\0", 2);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_y.bin: record 1 has label 0; labels go from 1 to 10");
    bench_write(&b, "test_y.bin", "\1", 1);
    bench_must_refuse(&b, &options, ERROR_RUN, "test_X.bin: 2 images but 1 labels");
    bench_write(&b, "test_X.bin", images, IMAGE + 7);
    bench_must_refuse(&b, &options, ERROR_RUN,
                      "test_X.bin has 27655 bytes, which is not a whole number of images of 27648 bytes");
    bench_end(&b);
}
END_TEST

START_TEST(test_idx_refuses_wrong_magic_and_lengths) {
    bench b;
    bench_begin(&b);
    data_options options = bench_options(&b, "mnist", b.source);
    static uint8_t images[16 + 2 * 4] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2};
    uint8_t labels[10] = {0, 0, 8, 1, 0, 0, 0, 2, 3, 9};
    const char *const train = "train-images-idx3-ubyte", *const names = "train-labels-idx1-ubyte";
    bench_write(&b, train, images, sizeof images - 1);
    bench_must_refuse(&b, &options, ERROR_RUN, "-ubyte has 7 bytes behind its header, which announces 8");
    bench_write(&b, train, images, 9);
    bench_must_refuse(&b, &options, ERROR_RUN, "train-images-idx3-ubyte ends inside its header");
    images[3] = 1;
    bench_write(&b, train, images, sizeof images);
    bench_must_refuse(&b, &options, ERROR_RUN,
                      "is not an IDX file of images: it begins with 00000801 instead of 00000803");
    images[3] = 3, images[8] = 255;
    bench_write(&b, train, images, sizeof images);
    bench_must_refuse(&b, &options, ERROR_RUN, "holds images with a side of 4278190082 pixels; 1 to 512 are taken");
    images[8] = 0;
    bench_write(&b, train, images, sizeof images);
    labels[9] = 10;
    bench_write(&b, names, labels, sizeof labels);
    bench_must_refuse(&b, &options, ERROR_RUN, "train-labels-idx1-ubyte: record 1 has label 10");
    labels[9] = 9;
    bench_write(&b, names, labels, sizeof labels);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no t10k-images-idx3-ubyte, which belongs to MNIST");
    copy_with(&b, "mnist/train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 20, -1, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "t10k-labels-idx1-ubyte.gz cannot be unpacked");
    bench_end(&b);
}
END_TEST

/* Bytes of the headers and of the rest changed at random: read or refused by one line, and nothing else. */
START_TEST(test_spoilt_files_are_read_or_refused_but_break_nothing) {
    enum { SPOILT = 60 };
    static const char *const files[][3] = {{"svhn", "svhn/train_32x32.mat", "test_32x32.mat"},
                                           {"mnist", "mnist/train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}};
    bench b;
    bench_begin(&b);
    char path[256];
    int refused = 0;
    data_options options = bench_options(&b, files[_i][0], b.source);
    snprintf(path, sizeof path, "tests/golden/formats/%s", files[_i][1]);
    size_t size;
    char *whole = file_read(path, &size, &b.err), *spoilt = malloc(size);
    rng r = rng_stream(1, RNG_TEST, 0, (uint64_t)_i, 0);
    for (int i = 0; i < SPOILT; i++) {
        memcpy(spoilt, whole, size);
        for (int k = 0; k < 3; k++)
            spoilt[rng_below(&r, (uint32_t)(k && size > 300 ? 300 : size))] = (char)rng_bits(&r);
        bench_write(&b, files[_i][2], spoilt, i % 4 ? size : rng_below(&r, (uint32_t)size));
        dataset *set = bench_open(&b, &options);
        refused += !set;
        ck_assert(set || (b.err.code && !strchr(b.err.text, '\n')));
        dataset_close(set);
    }
    ck_assert_int_eq(refused, SPOILT); /* the other files of the format are missing, if nothing else */
    free(spoilt);
    free(whole);
    bench_end(&b);
}
END_TEST

START_TEST(test_an_archive_that_ends_early_says_so) {
    static const char *const names[] = {"cifar-100-binary.tar.gz", "stl10_binary.tar.gz"};
    static const char *const kinds[] = {"cifar100", "stl10"};
    static const long keep[] = {9000, 40000};
    bench b;
    bench_begin(&b);
    char path[600];
    for (int i = 0; i < 2; i++) {
        copy_with(&b, names[i], names[i], keep[i], -1, 0);
        snprintf(path, sizeof path, "%s/%s", b.source, names[i]);
        data_options options = bench_options(&b, kinds[i], path);
        bench_must_refuse(&b, &options, ERROR_RUN, "ends early");
        ck_assert_ptr_nonnull(strstr(b.err.text, "its download or copy did not come to its end"));
    }
    bench_end(&b);
}
END_TEST

START_TEST(test_an_archive_of_any_kind_that_ends_early_says_so) {
    static const char *const kinds[] = {".tar", ".tar.gz", ".tar.xz", ".zip"};
    bench b;
    bench_begin(&b);
    char path[600], name[64];
    size_t size;
    snprintf(path, sizeof path, "%s/images%s", b.folder, kinds[_i]);
    struct archive *a = bench_archive(path);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "train/ant/%d.png", i);
        bench_member_image(a, name, (uint32_t)i);
    }
    bench_archive_close(a);
    char *whole = file_read(path, &size, &b.err);
    ck_assert(file_write(path, whole, size * 3 / 5 + 7, &b.err));
    data_options options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_RUN, "ends early");
    free(whole);
    bench_end(&b);
}
END_TEST

Suite *suite_formats(void) {
    Suite *s = suite_create("formats");
    TCase *t = tcase_create("golden");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_cifars_pickles_are_the_same_data_sets_as_its_binary_files);
    tcase_add_test(t, test_svhns_labels_may_be_any_kind_of_number);
    tcase_add_test(t, test_a_pickle_that_is_no_batch_of_cifar_is_refused_by_name);
    tcase_add_test(t, test_cifar100_is_read_with_fine_and_with_coarse_labels);
    tcase_add_test(t, test_svhn_is_read_and_its_label_10_is_the_digit_0);
    tcase_add_test(t, test_stl10_is_read_and_its_unlabelled_images_are_for_pretraining_alone);
    tcase_add_test(t, test_idx_files_are_read_packed_or_not_and_grey_fills_three_channels);
    suite_add_tcase(s, t);
    t = tcase_create("refused");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_cifar100_refuses_broken_records_and_labels_out_of_range);
    tcase_add_test(t, test_svhn_refuses_what_is_no_digit_of_its_own);
    tcase_add_test(t, test_stl10_refuses_images_without_labels_and_labels_out_of_range);
    tcase_add_test(t, test_idx_refuses_wrong_magic_and_lengths);
    tcase_add_loop_test(t, test_spoilt_files_are_read_or_refused_but_break_nothing, 0, 2);
    tcase_add_test(t, test_an_archive_that_ends_early_says_so);
    tcase_add_loop_test(t, test_an_archive_of_any_kind_that_ends_early_says_so, 0, 4);
    suite_add_tcase(s, t);
    return s;
}

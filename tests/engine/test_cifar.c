/* CIFAR-10's binary files, written here in small: six files of a few records in the authors' format. */
#include "tests/engine/data_bench.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE, RECORDS = 7, FILES = 6 };

static const char *const files[FILES] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

static int label_of(int file, int i) { return (3 * file + i) % 10; }

/* The byte of channel k at pixel p. */
static uint8_t value_of(int file, int i, int k, int p) { return (uint8_t)(31 * file + 7 * i + 101 * k + p + p / 256); }

static void fill(uint8_t records[RECORDS * RECORD], int file) {
    for (int i = 0; i < RECORDS; i++) {
        uint8_t *record = records + i * RECORD;
        record[0] = (uint8_t)label_of(file, i);
        for (int k = 0; k < 3; k++)
            for (int p = 0; p < PLANE; p++) record[1 + k * PLANE + p] = value_of(file, i, k, p);
    }
}

static void write_files(const bench *b, const char *prefix) {
    uint8_t records[RECORDS * RECORD];
    for (int f = 0; f < FILES; f++) {
        char name[128];
        fill(records, f);
        snprintf(name, sizeof name, "%s%s", prefix, files[f]);
        bench_write(b, name, records, sizeof records);
    }
}

static void check_image(const dataset *set, dataset_split split, uint32_t at, int file, int i) {
    const uint8_t *pixels = dataset_image(set, split, at);
    ck_assert_int_eq(dataset_label(set, split, at), label_of(file, i));
    for (int p = 0; p < PLANE; p++)
        for (int k = 0; k < 3; k++) ck_assert_uint_eq(pixels[3 * p + k], value_of(file, i, k, p));
}

static void check(const dataset *set) {
    ck_assert_str_eq(dataset_name(set), "cifar10");
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 5 * RECORDS);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), RECORDS);
    ck_assert_str_eq(dataset_class_name(set, 0), "airplane");
    ck_assert_str_eq(dataset_class_name(set, 9), "truck");
    for (int i = 0; i < RECORDS; i++) check_image(set, SPLIT_TEST, (uint32_t)i, 5, i);
    int seen[5][RECORDS] = {{0}};
    for (uint32_t at = 0; at < 5 * RECORDS; at++) {
        uint8_t first = dataset_image(set, SPLIT_TRAIN, at)[0];
        for (int f = 0; f < 5; f++)
            for (int i = 0; i < RECORDS; i++)
                if (value_of(f, i, 0, 0) == first) {
                    seen[f][i]++;
                    check_image(set, SPLIT_TRAIN, at, f, i);
                }
    }
    for (int i = 0; i < 5 * RECORDS; i++) ck_assert_int_eq(seen[i / RECORDS][i % RECORDS], 1);
}

START_TEST(test_the_binary_files_are_read_back_bit_for_bit) {
    static const char *const prefixes[] = {"", "cifar-10-batches-bin/"};
    bench b;
    bench_begin(&b);
    write_files(&b, prefixes[_i]);
    data_options options = bench_options(&b, "cifar10", b.source);
    options.size = SIDE;
    ck_assert_int_eq(dataset_guess(b.source, &b.err), options.name);
    dataset *set = bench_must_open(&b, &options);
    check(set);
    ck_assert_ptr_nonnull(strstr(b.said, "holds 7 images; CIFAR-10's own file holds 10000"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_the_archive_as_downloaded_is_read_whatever_its_order) {
    bench b;
    bench_begin(&b);
    char path[512], name[128];
    uint8_t records[RECORDS * RECORD];
    snprintf(path, sizeof path, "%s/cifar-10-binary.tar.gz", b.folder);
    struct archive *a = bench_archive(path);
    bench_member(a, "cifar-10-batches-bin/", AE_IFDIR, NULL, 0);
    bench_member(a, "cifar-10-batches-bin/readme.html", AE_IFREG, "<html>", 6);
    for (int i = 0; i < FILES; i++) {
        int f = (i * 5 + 3) % FILES;
        fill(records, f);
        snprintf(name, sizeof name, "cifar-10-batches-bin/%s", files[f]);
        bench_member(a, name, AE_IFREG, records, sizeof records);
    }
    bench_archive_close(a);
    data_options options = bench_options(&b, "cifar10", path);
    options.size = SIDE;
    ck_assert_int_eq(dataset_guess(path, &b.err), options.name);
    dataset *set = bench_must_open(&b, &options);
    check(set);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_what_does_not_fit_the_format_is_refused) {
    bench b;
    bench_begin(&b);
    uint8_t records[RECORDS * RECORD];
    write_files(&b, "");
    data_options options = bench_options(&b, "cifar10", b.source);
    fill(records, 1);
    bench_write(&b, files[1], records, sizeof records - 1);
    bench_must_refuse(&b, &options, ERROR_RUN,
                      "data_batch_2.bin has 21510 bytes, which is not a whole number of records");
    bench_write(&b, files[1], records, 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_2.bin has 0 bytes");
    records[4 * RECORD] = 10;
    bench_write(&b, files[1], records, sizeof records);
    bench_must_refuse(&b, &options, ERROR_RUN, "data_batch_2.bin: record 4 has label 10; labels go from 0 to 9");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", b.source, files[1]);
    unlink(path);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no data_batch_2.bin");
    fill(records, 1);
    bench_write(&b, files[1], records, sizeof records);
    bench_write(&b, "again/test_batch.bin", records, sizeof records);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds test_batch.bin twice");
    options = bench_options(&b, "folder", b.source);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no images");
    bench_end(&b);
}
END_TEST

START_TEST(test_the_images_can_be_packed_at_another_size) {
    bench b;
    bench_begin(&b);
    write_files(&b, "");
    data_options options = bench_options(&b, "cifar10", b.source);
    options.size = 48;
    dataset *set = bench_must_open(&b, &options);
    ck_assert_int_eq(dataset_size(set), 48);
    const char *said = strstr(b.said, "images of 32×32 are scaled up to data.size 48");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_null(strstr(strchr(said, '\n'), "scaled up")); /* once, not for each of the six files */
    dataset_close(set);
    bench_end(&b);
}
END_TEST

Suite *suite_cifar(void) {
    Suite *s = suite_create("cifar");
    TCase *t = tcase_create("binary");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_the_binary_files_are_read_back_bit_for_bit, 0, 2);
    tcase_add_test(t, test_the_archive_as_downloaded_is_read_whatever_its_order);
    tcase_add_test(t, test_what_does_not_fit_the_format_is_refused);
    tcase_add_test(t, test_the_images_can_be_packed_at_another_size);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Archives as people's tools leave them: names that are not ASCII, several tars behind each other, sparse files, links,
 * encrypted members. What can be read is read, whatever the locale; what is passed over is counted and named, and a
 * class that would be lost with it is refused.
 */
#include "engine/data/sets/guess.h"
#include "tests/engine/data_bench.h"

#include <locale.h>

static bench b;
static char path[600];

static void setup(void) {
    bench_begin(&b);
    ck_assert(file_make_folders(b.source, &b.err));
}

static void teardown(void) { bench_end(&b); }

static const char *place(const char *name) {
    snprintf(path, sizeof path, "%s/%s", b.folder, name);
    return path;
}

static dataset *opened(const char *source) {
    data_options options = bench_options(&b, "folder", source);
    return bench_must_open(&b, &options);
}

/* source/<name>: a PPM of 64×64 pixels, black but for the first, whose black is a hole in the file. */
static void sparse_image(const char *name) {
    char file[700];
    bench_write(&b, name, "P6\n64 64\n255\n\1\2\3", 16);
    snprintf(file, sizeof file, "%s/%s", b.source, name);
    ck_assert_int_eq(truncate(file, 13 + 64 * 64 * 3), 0);
}

START_TEST(test_names_that_are_not_ascii_are_read_in_any_locale) {
    static const char *const locales[] = {"C", "C.UTF-8"};
    for (int i = 0; i < 2; i++) { /* names.zip is Python's: it says that its names are UTF-8 */
        ck_assert_ptr_nonnull(setlocale(LC_ALL, locales[i]));
        dataset *set = opened("tests/golden/formats/names.zip");
        ck_assert_int_eq(dataset_classes(set), 3);
        ck_assert_str_eq(dataset_class_name(set, 0), "cat");
        ck_assert_str_eq(dataset_class_name(set, 1), "größe");
        ck_assert_str_eq(dataset_class_name(set, 2), "猫");
        ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 6);
        ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 3);
        dataset_close(set);
        scratch_remove(b.cache);
    }
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(test_tars_behind_each_other_are_read_to_the_last) {
    char first[600], second[600], both[600];
    snprintf(first, sizeof first, "%s", place("a.tar"));
    snprintf(second, sizeof second, "%s", place("b.tar"));
    snprintf(both, sizeof both, "%s", place("both.tar"));
    struct archive *a = bench_archive(first);
    for (uint32_t i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "train/ant/%u.png", i);
        bench_member_image(a, name, i);
    }
    bench_archive_close(a);
    a = bench_archive(second);
    bench_member_image(a, "train/bee/0.png", 7);
    bench_member_image(a, "test/bee/0.png", 8);
    bench_archive_close(a);
    char command[2000];
    snprintf(command, sizeof command, "cat '%s' '%s' > '%s'", first, second, both);
    ck_assert_int_eq(system(command), 0);
    dataset *set = opened(both);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 6);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 1);
    dataset_close(set);
}
END_TEST

START_TEST(test_sparse_members_are_read_like_any_others) {
    static const char *const kinds[] = {"--format=gnu", "--format=pax", "--format=pax --sparse-version=0.1"};
    sparse_image("train/ant/0.ppm");
    sparse_image("train/bee/0.ppm");
    sparse_image("test/ant/0.ppm");
    for (int i = 0; i < 3; i++) {
        char tar[16], command[2000];
        snprintf(tar, sizeof tar, "%d.tar", i);
        snprintf(command, sizeof command, "tar -S %s -C '%s' -cf '%s' train test", kinds[i], b.source, place(tar));
        ck_assert_int_eq(system(command), 0);
        dataset *set = opened(path);
        ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
        ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 1);
        ck_assert_int_eq(dataset_image(set, SPLIT_TEST, 0)[BENCH_BYTES - 1], 0);
        dataset_close(set);
    }
}
END_TEST

START_TEST(test_links_are_counted_and_named_and_no_class_goes_with_them) {
    struct archive *a = bench_archive(place("links.tar"));
    bench_member_image(a, "train/ant/0.png", 1);
    bench_member_image(a, "train/bee/0.png", 2);
    bench_member_image(a, "test/ant/0.png", 3);
    bench_member(a, "train/bee/1.png", AE_IFLNK, "0.png", 0);
    bench_archive_close(a);
    dataset *set = opened(path);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 1 file: 1 a link (train/bee/1.png)"));
    dataset_close(set);
    a = bench_archive(place("folders.tar"));
    bench_member_image(a, "train/ant/0.png", 1);
    bench_member_image(a, "test/ant/0.png", 3);
    bench_member(a, "train/bee", AE_IFLNK, "../elsewhere/bee", 0); /* a class, had tar been told -h */
    bench_archive_close(a);
    data_options options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_USAGE,
                      "class folder train/bee/ holds no image that can be read; skipped 1 file");
    a = bench_archive(place("all.tar")); /* no entry for the folder either */
    bench_member_image(a, "ant/0.png", 1);
    bench_member_image(a, "cat/0.png", 2);
    bench_member(a, "bee/0.png", AE_IFLNK, "../ant/0.png", 0);
    bench_archive_close(a);
    options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_USAGE, "class folder bee/ holds no image that can be read");
}
END_TEST

/* Sets the bit that says "encrypted" in both headers of a zip's member. */
static void mark_encrypted(const char *zip, const char *member) {
    size_t size;
    uint8_t *data = (uint8_t *)file_read(zip, &size, &b.err);
    int marked = 0;
    ck_assert_ptr_nonnull(data);
    for (size_t i = 30; i + strlen(member) <= size; i++) {
        if (memcmp(data + i, member, strlen(member)) != 0) continue;
        bool local = memcmp(data + i - 30, "PK\3\4", 4) == 0;
        ck_assert(local || i >= 46);
        data[i - (local ? 30 - 6 : 46 - 8)] |= 1;
        marked++;
    }
    ck_assert_int_eq(marked, 2);
    ck_assert(file_write(zip, data, size, &b.err));
    free(data);
}

START_TEST(test_encrypted_members_are_called_that) {
    struct archive *a = bench_archive(place("secret.zip"));
    bench_member_image(a, "train/ant/0.png", 1);
    bench_member_image(a, "train/bee/0.png", 2);
    bench_member_image(a, "train/bee/1.png", 4);
    bench_member_image(a, "test/ant/0.png", 3);
    bench_archive_close(a);
    mark_encrypted(path, "train/bee/1.png");
    dataset *set = opened(path);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 1 file: 1 encrypted (train/bee/1.png)"));
    dataset_close(set);
    mark_encrypted(path, "train/bee/0.png");
    data_options options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_USAGE, "class folder train/bee/ holds no image that can be read; skipped 2");
}
END_TEST

START_TEST(test_of_members_with_one_name_the_last_is_meant) {
    struct archive *a = bench_archive(place("again.tar")); /* as `tar -r` leaves it */
    bench_member_image(a, "train/ant/0.png", 1);
    bench_member_image(a, "train/bee/0.png", 2);
    bench_member_image(a, "test/ant/0.png", 3);
    bench_member_image(a, "train/ant/0.png", 4);
    bench_archive_close(a);
    dataset *set = opened(path);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_ptr_nonnull(strstr(b.said, "1 replaced by a later member of the same name (train/ant/0.png)"));
    uint8_t last[BENCH_BYTES];
    memcpy(last, dataset_image(set, SPLIT_TRAIN, 0), sizeof last);
    dataset_close(set);
    scratch_remove(b.cache);
    a = bench_archive(place("once.tar"));
    bench_member_image(a, "train/ant/0.png", 4);
    bench_member_image(a, "train/bee/0.png", 2);
    bench_member_image(a, "test/ant/0.png", 3);
    bench_archive_close(a);
    set = opened(path);
    ck_assert_mem_eq(dataset_image(set, SPLIT_TRAIN, 0), last, sizeof last);
    dataset_close(set);
}
END_TEST

static void must_not_guess(const char *source, const char *words) {
    error err = {0};
    ck_assert_int_eq(dataset_guess(source, &err), -1);
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
}

START_TEST(test_what_holds_only_secrets_or_archives_is_told_so) {
    struct archive *a = bench_archive(place("secret.zip"));
    bench_member_image(a, "ant/0.png", 1);
    bench_archive_close(a);
    mark_encrypted(path, "ant/0.png");
    must_not_guess(path, "holds nothing that can be read: 1 files cannot, the first, ant/0.png: encrypted");
    bench_write(&b, "n01440764.tar", "", 0); /* ILSVRC's training images: an archive of a thousand archives */
    must_not_guess(b.source, "holds archives (n01440764.tar), which are not read inside of it; unpack them");
}
END_TEST

START_TEST(test_two_data_sets_side_by_side_are_refused_with_both) {
    bench_write(&b, "cifar-10-batches-py/data_batch_1", "", 0); /* torchvision's root, after both were downloaded */
    bench_write(&b, "cifar-10-batches-py/test_batch", "", 0);
    error err = {0};
    ck_assert_int_ge(dataset_guess(b.source, &err), 0);
    bench_write(&b, "cifar-100-python/train", "", 0);
    must_not_guess(b.source, "holds two data sets: cifar10 (cifar-10-batches-py/data_batch_1) and cifar100 "
                             "(cifar-100-python/train); data.name, or --kind, says which");
}
END_TEST

Suite *suite_archives(void) {
    Suite *s = suite_create("archives");
    TCase *t = tcase_create("archives");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_names_that_are_not_ascii_are_read_in_any_locale);
    tcase_add_test(t, test_tars_behind_each_other_are_read_to_the_last);
    tcase_add_test(t, test_sparse_members_are_read_like_any_others);
    tcase_add_test(t, test_links_are_counted_and_named_and_no_class_goes_with_them);
    tcase_add_test(t, test_encrypted_members_are_called_that);
    tcase_add_test(t, test_of_members_with_one_name_the_last_is_meant);
    tcase_add_test(t, test_what_holds_only_secrets_or_archives_is_told_so);
    tcase_add_test(t, test_two_data_sets_side_by_side_are_refused_with_both);
    suite_add_tcase(s, t);
    return s;
}

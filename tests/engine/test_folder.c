/* Image folders and archives of them: what is read, in which order, and what is refused in which words. */
#include "tests/engine/data_bench.h"

#include "engine/data/sets/source.h"

#include <sys/prctl.h>

enum { CLASSES = 3, TRAIN = 5, TEST = 2 };

static const char *const class_names[CLASSES] = {"ant", "bee", "cat"};

static uint32_t key_of(bool test, int label, int i) { return (uint32_t)(1000 * test + 100 * label + i); }

static void image_name(char *out, size_t size, bool test, int label, int i) {
    static const char *const endings[] = {"png", "PNG", "jpg"}; /* the first bytes tell, not the ending */
    snprintf(out, size, "%s/%s/%03d.%s", test ? "test" : "train", class_names[label], i, endings[i % 3]);
}

/* Calls back for every image of the small data set, last ones first. */
static void each_image(void (*put)(void *, const char *, uint32_t), void *context) {
    char name[128];
    for (int label = CLASSES - 1; label >= 0; label--)
        for (int test = 1; test >= 0; test--)
            for (int i = (test ? TEST : TRAIN) - 1; i >= 0; i--) {
                image_name(name, sizeof name, test, label, i);
                put(context, name, key_of(test, label, i));
            }
}

static void put_in_folder(void *b, const char *name, uint32_t key) { bench_image(b, name, key); }
static void put_in_archive(void *a, const char *name, uint32_t key) { bench_member_image(a, name, key); }

static void put_below_prefix(void *a, const char *name, uint32_t key) {
    char longer[256];
    snprintf(longer, sizeof longer, "./animals/%s", name);
    bench_member_image(a, longer, key);
}

static void check_images(const dataset *set) {
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), CLASSES * TRAIN);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), CLASSES * TEST);
    ck_assert_int_eq(dataset_classes(set), CLASSES);
    uint8_t expected[BENCH_BYTES];
    for (uint32_t i = 0; i < CLASSES * TEST; i++) { /* classes in turn, each in order of name */
        int label = (int)(i % CLASSES);
        ck_assert_str_eq(dataset_class_name(set, label), class_names[label]);
        ck_assert_int_eq(dataset_label(set, SPLIT_TEST, i), label);
        bench_pixels(key_of(true, label, (int)(i / CLASSES)), BENCH_SIDE, BENCH_SIDE, expected);
        ck_assert_mem_eq(dataset_image(set, SPLIT_TEST, i), expected, BENCH_BYTES);
    }
    int seen[CLASSES][TRAIN] = {{0}};
    for (uint32_t i = 0; i < CLASSES * TRAIN; i++)
        for (int j = 0; j < TRAIN; j++) {
            int label = dataset_label(set, SPLIT_TRAIN, i);
            bench_pixels(key_of(false, label, j), BENCH_SIDE, BENCH_SIDE, expected);
            seen[label][j] += memcmp(dataset_image(set, SPLIT_TRAIN, i), expected, BENCH_BYTES) == 0;
        }
    for (int i = 0; i < CLASSES * TRAIN; i++) ck_assert_int_eq(seen[i / TRAIN][i % TRAIN], 1);
}

START_TEST(test_a_folder_and_archives_of_it_are_the_same_data_set) {
    static const char *const endings[] = {".tar", ".tar.gz", ".tar.xz", ".zip"};
    bench b;
    bench_begin(&b);
    each_image(put_in_folder, &b);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    check_images(set);
    ck_assert_str_eq(b.said, "");
    char checksum[65];
    strcpy(checksum, dataset_checksum(set));
    dataset_close(set);
    for (int i = 0; i < 8; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%d%s", b.folder, i, endings[i % 4]);
        struct archive *a = bench_archive(path);
        each_image(i < 4 ? put_in_archive : put_below_prefix, a);
        bench_archive_close(a);
        /* cifar10 takes images too */
        options = bench_options(&b, i % 2 ? "folder" : "cifar10", path);
        set = bench_must_open(&b, &options);
        check_images(set);
        ck_assert_str_eq(b.said, "");
        ck_assert_str_eq(dataset_checksum(set), checksum);
        ck_assert(dataset_verify(set, &b.err));
        dataset_close(set);
        ck_assert_int_eq(dataset_guess(path, &b.err), dataset_guess(b.source, &b.err));
    }
    bench_end(&b);
}
END_TEST

START_TEST(test_plain_class_folders_give_a_tenth_to_the_test_split) {
    bench b;
    bench_begin(&b);
    char name[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "zoo/%s/%d.png", class_names[i % 2], i);
        bench_image(&b, name, (uint32_t)i);
    }
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 36);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 4);
    ck_assert_int_eq(dataset_classes(set), 2);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_val_stands_in_for_test_and_gives_way_to_it) {
    bench b;
    bench_begin(&b);
    bench_image(&b, "train/ant/0.png", 1);
    bench_image(&b, "val/ant/0.png", 2);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 1);
    dataset_close(set);
    bench_image(&b, "test/ant/0.png", 3);
    bench_image(&b, "stray.png", 4);
    set = bench_must_open(&b, &options);
    uint8_t expected[BENCH_BYTES];
    bench_pixels(3, BENCH_SIDE, BENCH_SIDE, expected);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 1);
    ck_assert_mem_eq(dataset_image(set, SPLIT_TEST, 0), expected, BENCH_BYTES);
    ck_assert_ptr_nonnull(strstr(b.said, "1 a validation image, since there are test images (val/ant/0.png)"));
    ck_assert_ptr_nonnull(strstr(b.said, "1 in no folder of a split (stray.png)"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_images_of_any_size_are_brought_to_one_with_a_word_about_it) {
    bench b;
    bench_begin(&b);
    size_t size;
    void *large = bench_png(1, 31, 17, &size);
    bench_write(&b, "train/ant/large.png", large, size);
    free(large);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_ptr_nonnull(strstr(b.said, "images are not 8x8"));
    ck_assert_ptr_null(strstr(b.said, "scaled up"));
    dataset_close(set);
    for (int i = 0; i < 3; i++) {
        char name[64];
        void *small = bench_png(2, 5, 7, &size);
        snprintf(name, sizeof name, "train/ant/small%d.png", i);
        bench_write(&b, name, small, size);
        free(small);
    }
    set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 4);
    /* once, however many there are */
    ck_assert_int_eq(strncmp(b.said, "images of 5×7 are scaled up to data.size 8\n", 44), 0);
    ck_assert_ptr_null(strstr(b.said + 44, "scaled up"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_corrupt_image_is_named_and_skipped_and_more_than_one_in_a_hundred_refused) {
    bench b;
    bench_begin(&b);
    char name[64];
    for (int i = 0; i < 199; i++) {
        snprintf(name, sizeof name, "train/%s/%03d.png", class_names[i % 2], i);
        bench_image(&b, name, (uint32_t)i);
    }
    bench_write(&b, "train/ant/broken.jpg", "\xFF\xD8\xFF\xE0 and no more", 16);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 199);
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/ant/broken.jpg: "));
    ck_assert_ptr_nonnull(strstr(b.said, "skipped 1 of 200 images"));
    dataset_close(set);
    bench_write(&b, "train/ant/empty.png", "", 0);
    bench_write(&b, "train/ant/text.png", "hello", 5);
    bench_must_refuse(&b, &options, ERROR_RUN, "3 of 202 images cannot be read; more than 1 %");
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/ant/empty.png: empty"));
    bench_end(&b);
}
END_TEST

START_TEST(test_a_class_without_images_is_refused_by_name) {
    bench b;
    bench_begin(&b);
    bench_image(&b, "train/ant/0.png", 1);
    bench_write(&b, "train/bee/notes.txt", "buzz", 4);
    data_options options = bench_options(&b, "folder", b.source);
    bench_must_refuse(&b, &options, ERROR_USAGE, "class folder train/bee/ holds no image");
    bench_image(&b, "train/bee/0.png", 2);
    dataset_close(bench_must_open(&b, &options));
    bench_image(&b, "test/wasp/0.png", 3);
    bench_must_refuse(&b, &options, ERROR_USAGE,
                      "class `wasp` is among the test images but not among those to train on");
    bench_end(&b);

    bench_begin(&b);
    bench_image(&b, "ant/0.png", 1);
    bench_image(&b, "cat/0.png", 1);
    bench_write(&b, "bee/notes.txt", "buzz", 4);
    options = bench_options(&b, "folder", b.source);
    bench_must_refuse(&b, &options, ERROR_USAGE, "class folder bee/ holds no image");
    bench_end(&b);
}
END_TEST

START_TEST(test_hostile_archive_members_are_passed_over_with_a_warning) {
    bench b;
    bench_begin(&b);
    char path[512], outside[512];
    snprintf(path, sizeof path, "%s/hostile.tar", b.folder);
    snprintf(outside, sizeof outside, "%s/outside/train/ant/9.png", b.folder);
    struct archive *a = bench_archive(path);
    bench_member(a, "./", AE_IFDIR, NULL, 0);
    bench_member_image(a, "train/ant/0.png", 1);
    bench_member_image(a, "train/../../train/ant/1.png", 2);
    bench_member_image(a, outside, 3);
    bench_member(a, "train/ant/..", AE_IFREG, "x", 1);
    bench_member(a, "train/ant/2.png", AE_IFLNK, "/etc/passwd", 0);
    bench_member(a, "train/ant/3.png", AE_IFCHR, NULL, 0);
    bench_member_image(a, "train/ant/4..png", 4); /* two dots in a name are harmless */
    bench_archive_close(a);
    data_options options = bench_options(&b, "folder", path);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 2);
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/../../train/ant/1.png: its name leads out of the archive"));
    ck_assert_ptr_nonnull(strstr(b.said, "/9.png: its name leads out of the archive"));
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/ant/..: its name leads out of the archive"));
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/ant/2.png: a link"));
    ck_assert_ptr_nonnull(strstr(b.said, "skipping train/ant/3.png: not a regular file"));
    ck_assert_int_ne(access(outside, F_OK), 0);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

static source_want everything(const void *context, const char *name) {
    (void)context, (void)name;
    return SOURCE_READ;
}

/* 300 MB of zeros pack into a few hundred kB: the member must be refused unread. */
START_TEST(test_a_member_of_over_256_MiB_is_not_read) {
    bench b;
    bench_begin(&b);
    char path[512];
    snprintf(path, sizeof path, "%s/bomb.tar.gz", b.folder);
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    archive_write_add_filter_gzip(a);
    archive_write_set_filter_option(a, "gzip", "compression-level", "1");
    ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "train/ant/0.png");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)SOURCE_MAX_BYTES + 1);
    ck_assert_int_eq(archive_write_header(a, entry), ARCHIVE_OK);
    archive_entry_free(entry);
    bench_archive_close(a); /* libarchive fills up with zeros */
    source *s = source_open(path, &b.err);
    source_item item;
    ck_assert(source_next(s, everything, NULL, &item, &b.err));
    ck_assert_ptr_null(item.data);
    ck_assert_str_eq(item.problem, "larger than 256 MiB");
    source_item_free(&item);
    source_close(s);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_path_that_holds_no_data_set_is_refused_in_one_line) {
    bench b;
    bench_begin(&b);
    char path[512];
    snprintf(path, sizeof path, "%s/nowhere", b.folder);
    data_options options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_USAGE, "nowhere: No such file or directory");
    ck_assert_int_eq(dataset_guess(path, &b.err), -1);
    options.path[0] = '\0';
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.name folder needs data.path");
    options = bench_options(&b, "folder", "/dev/null");
    bench_must_refuse(&b, &options, ERROR_USAGE, "/dev/null is neither a directory nor an archive");
    bench_write(&b, "text", "this is no archive, only a line of text\n", 40);
    snprintf(path, sizeof path, "%s/text", b.source);
    options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_USAGE, "text is neither a directory nor an archive");
    options = bench_options(&b, "folder", b.source);
    bench_must_refuse(&b, &options, ERROR_USAGE, "holds no images");
    options = bench_options(&b, "cifar10", b.source);
    bench_must_refuse(&b, &options, ERROR_USAGE,
                      "holds neither images (JPEG, PNG, WebP, BMP, TIFF, PPM, PGM) nor CIFAR-10's binary files");
    bench_end(&b);
}
END_TEST

START_TEST(test_an_archive_of_nothing_but_broken_images_is_given_up_before_its_end) {
    enum { MEMBERS = 3000 };
    static uint8_t zeros[1 << 16];
    bench b;
    bench_begin(&b);
    char path[512];
    snprintf(path, sizeof path, "%s/bomb.tar.gz", b.folder);
    struct archive *a = bench_archive(path);
    for (int i = 0; i < MEMBERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%04d.jpg", i);
        bench_member(a, name, AE_IFREG, zeros, sizeof zeros);
    }
    bench_archive_close(a);
    data_options options = bench_options(&b, "folder", path);
    bench_must_refuse(&b, &options, ERROR_RUN, "images cannot be read; it was not read to its end");
    bench_end(&b);
}
END_TEST

/* Whoever may read everything drops that for the test; the leak checker may look at the process only if it is dumpable,
   which a change of user ends. */
START_TEST(test_a_folder_or_an_archive_that_may_not_be_read_is_named) {
    enum { NOBODY = 65534 };
    if (geteuid() == 0) ck_assert_int_eq(seteuid(NOBODY), 0);
    bench b;
    bench_begin(&b);
    each_image(put_in_folder, &b);
    char closed[400], sealed[400];
    snprintf(closed, sizeof closed, "%s/train/bee", b.source);
    snprintf(sealed, sizeof sealed, "%s/images.tar", b.folder);
    struct archive *a = bench_archive(sealed);
    each_image(put_in_archive, a);
    bench_archive_close(a);
    data_options options = bench_options(&b, "folder", b.source), of_archive = bench_options(&b, "folder", sealed);
    ck_assert(chmod(closed, 0) == 0 && chmod(sealed, 0) == 0);
    bench_must_refuse(&b, &options, ERROR_RUN, "train/bee/: Permission denied");
    bench_must_refuse(&b, &of_archive, ERROR_USAGE, "images.tar: Permission denied");
    ck_assert_int_eq(chmod(closed, 0700), 0);
    bench_end(&b);
    ck_assert(seteuid(getuid()) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
}
END_TEST

START_TEST(test_an_archive_that_breaks_off_is_an_error) {
    bench b;
    bench_begin(&b);
    char path[512];
    snprintf(path, sizeof path, "%s/whole.tar.xz", b.folder);
    struct archive *a = bench_archive(path);
    each_image(put_in_archive, a);
    bench_archive_close(a);
    size_t size;
    char *data = file_read(path, &size, &b.err);
    bench_write(&b, "part.tar.xz", data, size / 2);
    free(data);
    snprintf(path, sizeof path, "%s/part.tar.xz", b.source);
    data_options options = bench_options(&b, "folder", path);
    ck_assert_ptr_null(bench_open(&b, &options));
    ck_assert_ptr_nonnull(strstr(b.err.text, "part.tar.xz"));
    bench_end(&b);
}
END_TEST

Suite *suite_folder(void) {
    Suite *s = suite_create("folder");
    TCase *t = tcase_create("images");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_a_folder_and_archives_of_it_are_the_same_data_set);
    tcase_add_test(t, test_plain_class_folders_give_a_tenth_to_the_test_split);
    tcase_add_test(t, test_val_stands_in_for_test_and_gives_way_to_it);
    tcase_add_test(t, test_images_of_any_size_are_brought_to_one_with_a_word_about_it);
    tcase_add_test(t, test_a_corrupt_image_is_named_and_skipped_and_more_than_one_in_a_hundred_refused);
    tcase_add_test(t, test_a_class_without_images_is_refused_by_name);
    tcase_add_test(t, test_hostile_archive_members_are_passed_over_with_a_warning);
    tcase_add_test(t, test_a_member_of_over_256_MiB_is_not_read);
    tcase_add_test(t, test_a_path_that_holds_no_data_set_is_refused_in_one_line);
    tcase_add_test(t, test_an_archive_of_nothing_but_broken_images_is_given_up_before_its_end);
    tcase_add_test(t, test_a_folder_or_an_archive_that_may_not_be_read_is_named);
    tcase_add_test(t, test_an_archive_that_breaks_off_is_an_error);
    suite_add_tcase(s, t);
    return s;
}

#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "tests/scratch.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void setup(void) { scratch_folder(folder); }

static void teardown(void) { scratch_remove(folder); }

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* FIPS 180-4's examples, and the lengths around the padding's turning points as other implementations give them. */
START_TEST(test_sha256_gives_the_standards_answers) {
    char out[65], *million = malloc(1000000);
    checksum_sha256("abc", 3, out);
    ck_assert_str_eq(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    checksum_sha256("", 0, out);
    ck_assert_str_eq(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    checksum_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
    ck_assert_str_eq(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', 1000000);
    checksum_sha256(million, 1000000, out);
    ck_assert_str_eq(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    checksum_sha256(million, 55, out);
    ck_assert_str_eq(out, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    checksum_sha256(million, 64, out);
    ck_assert_str_eq(out, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    free(million);
}
END_TEST

START_TEST(test_nobody_sees_a_file_before_it_is_whole) {
    error err = {0};
    file_writer w;
    ck_assert(file_write(in_folder("a"), "old", 3, &err));
    ck_assert(file_begin(&w, in_folder("a"), &err));
    fputs("new and longer", w.stream);
    fflush(w.stream);
    char *text = file_read(in_folder("a"), NULL, &err);
    ck_assert_str_eq(text, "old");
    free(text);
    ck_assert(file_commit(&w, &err));
    size_t size = 0;
    text = file_read(in_folder("a"), &size, &err);
    ck_assert_str_eq(text, "new and longer");
    ck_assert_uint_eq(size, 14);
    free(text);
    file_abandon(&w); /* harmless after commit */
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(test_an_abandoned_file_leaves_nothing) {
    error err = {0};
    file_writer w;
    ck_assert(file_begin(&w, in_folder("a"), &err));
    fputs("half", w.stream);
    file_abandon(&w);
    ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

START_TEST(test_a_written_file_has_the_rights_open_would_give) {
    error err = {0};
    mode_t mask = umask(022);
    ck_assert(file_write(in_folder("a"), "x", 1, &err));
    umask(mask);
    struct stat status;
    ck_assert_int_eq(stat(in_folder("a"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0644);
}
END_TEST

START_TEST(test_a_full_disk_is_told) {
    if (access("/dev/full", W_OK) != 0) return;
    error err = {0};
    file_writer w = {.stream = fopen("/dev/full", "wb"), .path = strdup(in_folder("a"))};
    w.temporary = strdup(in_folder("a.tmp"));
    fputs("does not fit", w.stream);
    ck_assert(!file_commit(&w, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/a: No space left on device"));
    ck_assert_int_eq(err.code, ERROR_RUN);
}
END_TEST

START_TEST(test_unreadable_and_unwritable_paths_are_named) {
    error err = {0};
    ck_assert_ptr_null(file_read(in_folder("none"), NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/none: No such file or directory"));
    err = (error){0};
    ck_assert_ptr_null(file_read(folder, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "not a file"));
    err = (error){0};
    ck_assert(!file_write(in_folder("no/such/place"), "x", 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "No such file or directory"));
}
END_TEST

/* Opening a FIFO for reading waits for a writer, who may never come. */
START_TEST(test_a_pipe_is_no_file_and_nobody_waits_for_it) {
    error err = {0};
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_ptr_null(file_read(in_folder("pipe"), NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "not a file"));
}
END_TEST

START_TEST(test_a_map_holds_the_files_bytes) {
    error err = {0};
    file_map m;
    ck_assert(file_write(in_folder("a"), "bytes", 5, &err));
    ck_assert(file_map_open(&m, in_folder("a"), &err));
    ck_assert_uint_eq(m.size, 5);
    ck_assert_mem_eq(m.data, "bytes", 5);
    file_map_close(&m);
    ck_assert(file_write(in_folder("a"), "", 0, &err));
    ck_assert(file_map_open(&m, in_folder("a"), &err));
    ck_assert_uint_eq(m.size, 0);
    file_map_close(&m);
    ck_assert(!file_map_open(&m, in_folder("none"), &err));
}
END_TEST

START_TEST(test_folders_are_made_all_the_way_down) {
    error err = {0};
    struct stat status;
    ck_assert(file_make_folders(in_folder("x/y//z/"), &err));
    ck_assert(file_make_folders(in_folder("x/y/z"), &err));
    ck_assert_int_eq(stat(in_folder("x/y/z"), &status), 0);
    ck_assert(S_ISDIR(status.st_mode));
    ck_assert(file_write(in_folder("file"), "x", 1, &err));
    ck_assert(!file_make_folders(in_folder("file/below"), &err));
    ck_assert_ptr_nonnull(strstr(err.text, "in the way"));
}
END_TEST

Suite *suite_file(void) {
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_sha256_gives_the_standards_answers);
    tcase_add_test(tests, test_nobody_sees_a_file_before_it_is_whole);
    tcase_add_test(tests, test_an_abandoned_file_leaves_nothing);
    tcase_add_test(tests, test_a_written_file_has_the_rights_open_would_give);
    tcase_add_test(tests, test_a_full_disk_is_told);
    tcase_add_test(tests, test_unreadable_and_unwritable_paths_are_named);
    tcase_add_test(tests, test_a_pipe_is_no_file_and_nobody_waits_for_it);
    tcase_add_test(tests, test_a_map_holds_the_files_bytes);
    tcase_add_test(tests, test_folders_are_made_all_the_way_down);
    suite_add_tcase(suite, tests);
    return suite;
}

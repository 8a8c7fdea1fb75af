/* What holds for every data set: splits, limits, and the cache, above all when something goes wrong with it. */
#include "tests/engine/data_bench.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { TRAIN = 60, TEST = 10 };

/* Two classes; image i of the training split has key i. */
static void make_source(const bench *b) {
    char name[64];
    for (int i = 0; i < TRAIN + TEST; i++) {
        snprintf(name, sizeof name, "%s/%s/%03d.png", i < TRAIN ? "train" : "test", i % 2 ? "odd" : "even", i);
        bench_image(b, name, (uint32_t)i);
    }
}

/* Which image of the source this is. */
static int key_of(const uint8_t *pixels) {
    uint8_t candidate[BENCH_BYTES];
    for (int key = 0; key < TRAIN + TEST; key++) {
        bench_pixels((uint32_t)key, BENCH_SIDE, BENCH_SIDE, candidate);
        if (memcmp(pixels, candidate, BENCH_BYTES) == 0) return key;
    }
    ck_abort_msg("an image that is not in the source");
}

static void keys_of(const dataset *set, dataset_split split, int *keys) {
    for (uint32_t i = 0; i < dataset_count(set, split); i++) {
        keys[i] = key_of(dataset_image(set, split, i));
        ck_assert_int_eq(dataset_label(set, split, i), keys[i] % 2);
    }
}

/* The only packed file in the cache. */
static void packed_file(const bench *b, char out[600]) {
    int found = 0;
    DIR *dir = opendir(b->cache);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') snprintf(out, 600, "%s/%s", b->cache, e->d_name), found++;
    closedir(dir);
    ck_assert_int_eq(found, 1); /* so no temporary file and no lock lies about either */
}

/* ---- Splits ---- */

START_TEST(test_splits_share_no_image_and_limits_nest) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    options.validation = 0.2;
    dataset *set = bench_must_open(&b, &options);
    int training[TRAIN], held[TRAIN], part[TRAIN], seen[TRAIN] = {0};
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 48);
    ck_assert_uint_eq(dataset_count(set, SPLIT_VALIDATION), 12);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), TEST);
    keys_of(set, SPLIT_TRAIN, training);
    keys_of(set, SPLIT_VALIDATION, held);
    for (int i = 0; i < 48; i++) seen[training[i]]++;
    for (int i = 0; i < 12; i++) seen[held[i]]++;
    for (int i = 0; i < TRAIN; i++) ck_assert_int_eq(seen[i], 1);
    dataset_close(set);

    options.limit = 20;
    set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 20);
    ck_assert_uint_eq(dataset_count(set, SPLIT_VALIDATION), 12);
    keys_of(set, SPLIT_TRAIN, part);
    ck_assert_mem_eq(part, training, 20 * sizeof *part);
    keys_of(set, SPLIT_VALIDATION, part);
    ck_assert_mem_eq(part, held, 12 * sizeof *part);
    dataset_close(set);

    options.limit = 1000;
    set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 48);
    dataset_close(set);

    options.seed = 1;
    set = bench_must_open(&b, &options);
    keys_of(set, SPLIT_TRAIN, part);
    ck_assert_mem_ne(part, training, sizeof part);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_mean_and_deviation_are_those_of_the_training_split) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    for (int k = 0; k < 3; k++) {
        double sum = 0, squares = 0, n = TRAIN * BENCH_SIDE * BENCH_SIDE;
        for (uint32_t i = 0; i < TRAIN; i++)
            for (int p = k; p < BENCH_BYTES; p += 3) {
                double v = dataset_image(set, SPLIT_TRAIN, i)[p] / 255.0;
                sum += v, squares += v * v;
            }
        ck_assert_double_eq_tol((double)dataset_mean(set)[k], sum / n, 1e-7);
        ck_assert_double_eq_tol((double)dataset_std(set)[k], sqrt(squares / n - sum / n * sum / n), 1e-7);
    }
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_channel_that_says_nothing_is_only_centred) {
    bench b;
    bench_begin(&b);
    for (uint32_t key = 0; key < 4; key++) {
        uint8_t pixels[BENCH_BYTES];
        char name[64];
        size_t size;
        bench_pixels(key, BENCH_SIDE, BENCH_SIDE, pixels);
        for (int p = 1; p < BENCH_BYTES; p += 3) pixels[p] = 51;
        void *png = bench_png_of(pixels, BENCH_SIDE, BENCH_SIDE, &size);
        snprintf(name, sizeof name, "%s/only/%u.png", key < 3 ? "train" : "test", key);
        bench_write(&b, name, png, size);
        free(png);
    }
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_double_eq_tol((double)dataset_mean(set)[1], 0.2, 1e-7);
    ck_assert_double_eq((double)dataset_std(set)[1], 1);
    ck_assert_double_lt((double)dataset_std(set)[0], 0.4);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

/* ---- The cache ---- */

START_TEST(test_a_second_opening_imports_nothing_and_a_changed_source_is_imported_again) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    char file[600], checksum[65];
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_gt(b.progress, 0);
    strcpy(checksum, dataset_checksum(set));
    dataset_close(set);
    set = bench_must_open(&b, &options);
    ck_assert_uint_eq(b.progress, 0);
    ck_assert_str_eq(dataset_checksum(set), checksum);
    dataset_close(set);
    bench_image(&b, "train/odd/001.png", 2); /* another image in its place */
    set = bench_must_open(&b, &options);
    ck_assert_uint_gt(b.progress, 0);
    ck_assert_str_ne(dataset_checksum(set), checksum);
    dataset_close(set);
    packed_file(&b, file);
    bench_end(&b);
}
END_TEST

/* Every kind of damage: each warns, heals, and leaves the same data set. */
START_TEST(test_a_damaged_pack_is_made_anew_with_a_warning) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    char file[600], checksum[65];
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    strcpy(checksum, dataset_checksum(set));
    dataset_close(set);
    packed_file(&b, file);
    size_t size;
    char *whole = file_read(file, &size, &b.err);
    const struct {
        size_t keep, flip;
        const char *says;
    } damages[] = {{size - 1, SIZE_MAX, "bytes and should have"},
                   {100, SIZE_MAX, "ends inside its header"},
                   {0, SIZE_MAX, "ends inside its header"},
                   {size, 0, "not a packed data set"},
                   {size, 13, "header"},
                   {size, 60, "header does not match"},
                   {size, 4096 + 5 * BENCH_BYTES, "its bytes from 4096 on do not match their checksum"},
                   {size, size - 3, "index does not match"},
                   {size, size - 100, "index does not match"}};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char *copy = malloc(size);
        memcpy(copy, whole, size);
        if (damages[i].flip < size) copy[damages[i].flip] ^= 4;
        ck_assert(file_write(file, copy, damages[i].keep, &b.err));
        free(copy);
        set = bench_must_open(&b, &options);
        ck_assert_msg(strstr(b.said, damages[i].says) != NULL, "damage %zu: %s", i, b.said);
        ck_assert_ptr_nonnull(strstr(b.said, "importing again"));
        ck_assert_str_eq(dataset_checksum(set), checksum);
        dataset_close(set);
    }
    free(whole);
    bench_end(&b);
}
END_TEST

START_TEST(test_verifying_finds_a_flipped_bit_in_an_image) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    char file[600];
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert(dataset_verify(set, &b.err));
    dataset_close(set);
    packed_file(&b, file);
    set = bench_must_open(&b, &options);
    FILE *open = fopen(file, "r+b"); /* the file that is mapped now */
    ck_assert_ptr_nonnull(open);
    ck_assert_int_eq(fseek(open, 4096 + 5 * BENCH_BYTES, SEEK_SET), 0);
    int byte = fgetc(open);
    ck_assert_int_eq(fseek(open, -1, SEEK_CUR), 0);
    ck_assert_int_ne(fputc(byte ^ 1, open), EOF);
    fclose(open);
    ck_assert(!dataset_verify(set, &b.err));
    ck_assert_ptr_nonnull(strstr(b.err.text, "images do not match their checksum"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_full_disk_leaves_the_old_pack_and_nothing_else) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    char file[600];
    data_options options = bench_options(&b, "folder", b.source);
    options.packing = _i;
    dataset_close(bench_must_open(&b, &options));
    packed_file(&b, file);
    size_t before_size, after_size;
    char *before = file_read(file, &before_size, &b.err);
    bench_image(&b, "train/odd/999.png", 1);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit unlimited, small = {.rlim_cur = 6000};
    getrlimit(RLIMIT_FSIZE, &unlimited);
    small.rlim_max = unlimited.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    dataset *set = bench_open(&b, &options);
    setrlimit(RLIMIT_FSIZE, &unlimited);
    ck_assert_ptr_null(set);
    ck_assert_int_eq(b.err.code, ERROR_RUN);
    ck_assert_ptr_nonnull(strstr(b.err.text, "cannot write"));
    packed_file(&b, file);
    char *after = file_read(file, &after_size, &b.err);
    ck_assert_uint_eq(before_size, after_size);
    ck_assert_mem_eq(before, after, before_size);
    free(before);
    free(after);
    bench_end(&b);
}
END_TEST

START_TEST(test_of_processes_that_import_at_once_one_works_and_the_others_wait) {
    enum { PROCESSES = 4 };
    bench b;
    bench_begin(&b);
    make_source(&b);
    data_options options = bench_options(&b, "folder", b.source);
    int start[2], imports = 0;
    pid_t children[PROCESSES];
    ck_assert_int_eq(pipe(start), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char byte;
            close(start[1]);
            if (read(start[0], &byte, 1) != 0) _exit(9); /* all start when the pipe closes */
            dataset *set = bench_open(&b, &options);
            _exit(!set || dataset_count(set, SPLIT_TRAIN) != TRAIN ? 9 : b.progress > 0);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 9);
        imports += WEXITSTATUS(status);
    }
    ck_assert_int_eq(imports, 1);
    char file[600];
    packed_file(&b, file);
    bench_end(&b);
}
END_TEST

/* Kills its own process at the first sign of progress: the import has written by then. */
static void die(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)context, (void)what, (void)done, (void)total;
    kill(getpid(), SIGKILL);
}

START_TEST(test_an_import_that_was_killed_leaves_nothing_to_the_next) {
    bench b;
    bench_begin(&b);
    make_source(&b);
    char file[600];
    data_options options = bench_options(&b, "folder", b.source);
    pid_t child = fork();
    if (child == 0) {
        dataset_open(&options, die, bench_hear, &b, &b.err);
        _exit(0);
    }
    int status, left = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    DIR *dir = opendir(b.cache);
    for (struct dirent *e; (e = readdir(dir));) left += strstr(e->d_name, ".tmp-") != NULL;
    closedir(dir);
    ck_assert_int_eq(left, 1);
    dataset_close(bench_must_open(&b, &options));
    packed_file(&b, file); /* the only file: no lock, no half of a pack */
    bench_end(&b);
}
END_TEST

START_TEST(test_without_a_place_for_the_cache_the_message_names_the_ways_out) {
    bench b;
    bench_begin(&b);
    data_options options = bench_options(&b, "shapes", NULL);
    options.cache[0] = '\0';
    unsetenv("HOME");
    unsetenv("XDG_CACHE_HOME");
    bench_must_refuse(&b, &options, ERROR_USAGE, "set data.cache, XDG_CACHE_HOME or HOME");
    snprintf(options.cache, sizeof options.cache, "/proc/nowhere");
    bench_must_refuse(&b, &options, ERROR_RUN, "/proc/nowhere");
    bench_end(&b);
}
END_TEST

Suite *suite_dataset(void) {
    Suite *s = suite_create("dataset");
    TCase *t = tcase_create("any");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_splits_share_no_image_and_limits_nest);
    tcase_add_test(t, test_mean_and_deviation_are_those_of_the_training_split);
    tcase_add_test(t, test_a_channel_that_says_nothing_is_only_centred);
    tcase_add_test(t, test_a_second_opening_imports_nothing_and_a_changed_source_is_imported_again);
    tcase_add_test(t, test_a_damaged_pack_is_made_anew_with_a_warning);
    tcase_add_test(t, test_verifying_finds_a_flipped_bit_in_an_image);
    tcase_add_loop_test(t, test_a_full_disk_leaves_the_old_pack_and_nothing_else, PACKING_PIXELS, PACKING_FILES + 1);
    tcase_add_test(t, test_of_processes_that_import_at_once_one_works_and_the_others_wait);
    tcase_add_test(t, test_an_import_that_was_killed_leaves_nothing_to_the_next);
    tcase_add_test(t, test_without_a_place_for_the_cache_the_message_names_the_ways_out);
    suite_add_tcase(s, t);
    return s;
}

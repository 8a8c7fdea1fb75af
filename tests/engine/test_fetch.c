/*
 * Fetching from a server in this process that cuts, stalls, redirects, is busy or sends something else: the file
 * arrives whole or not at all, and what came is kept to go on from.
 */
#include "engine/files/checksum.h"
#include "engine/data/sets/fetch.h"
#include "tests/engine/data_bench.h"
#include "tests/engine/http_server.h"

static const char archive_path[] = "tests/golden/formats/cifar-100-binary.tar.gz";

/* A server, a folder, and an entry of one file. */
typedef struct scene {
    bench b;
    http_server server;
    char *bytes, sum[33], mirror[128], folder[600], path[1024];
    size_t size;
    fetch_options how;
    catalog_entry entry;
} scene;

static void on_warning(void *context, const char *line) { bench_hear(context, line); }

static void on_progress(void *context, const char *file, uint64_t done, uint64_t total) {
    ck_assert_str_eq(file, "cifar-100-binary.tar.gz");
    ck_assert_uint_le(done, total);
    ((bench *)context)->progress = done;
}

static void begin(scene *s) {
    *s = (scene){0};
    bench_begin(&s->b);
    s->bytes = file_read(archive_path, &s->size, &s->b.err);
    ck_assert_ptr_nonnull(s->bytes);
    checksum_md5(s->bytes, s->size, s->sum);
    http_start(&s->server, s->bytes, s->size);
    snprintf(s->folder, sizeof s->folder, "%s/downloads/cifar100", s->b.cache);
    snprintf(s->path, sizeof s->path, "%s/cifar-100-binary.tar.gz", s->folder);
    s->how = (fetch_options){.mirror = s->mirror,
                             .attempts = 3,
                             .stall = 1,
                             .pause = 0.01,
                             .progress = on_progress,
                             .warn = on_warning,
                             .context = &s->b};
    s->entry = (catalog_entry){"cifar100", {{"cifar-100-binary.tar.gz", "http://127.0.0.1:9", s->sum, s->size}}};
}

static void end(scene *s) {
    http_stop(&s->server);
    free(s->bytes);
    bench_end(&s->b);
}

static bool fetch_by(scene *s, const char *way) {
    snprintf(s->mirror, sizeof s->mirror, "http://127.0.0.1:%d/%s", s->server.port, way);
    s->b.err = (error){0};
    s->b.said[0] = '\0';
    s->server.requests = s->server.resumed = 0;
    return fetch_files(&s->how, &s->entry, s->folder, &s->b.err);
}

static bool exists(const scene *s, const char *ending) {
    char path[1100];
    snprintf(path, sizeof path, "%s%s", s->path, ending);
    return access(path, F_OK) == 0;
}

static void must_be_whole(const scene *s) {
    size_t size;
    error err = {0};
    char *got = file_read(s->path, &size, &err);
    ck_assert_msg(got != NULL, "%s", err.text);
    ck_assert_uint_eq(size, s->size);
    ck_assert_mem_eq(got, s->bytes, size);
    ck_assert(!exists(s, ".part"));
    free(got);
}

static void must_fail(scene *s, const char *way, const char *says) {
    ck_assert(!fetch_by(s, way));
    ck_assert_msg(strstr(s->b.err.text, says) != NULL, "\"%s\" does not say \"%s\"", s->b.err.text, says);
    ck_assert_int_eq(s->b.err.code, ERROR_RUN);
    ck_assert(!exists(s, ""));
}

START_TEST(test_md5_gives_the_sums_of_rfc_1321) {
    static const char *const known[][2] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
        {"abc", "900150983cd24fb0d6963f7d28e17f72"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "57edf4a22be3c955ac49da2e2107b67a"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char sum[33];
        checksum_md5(known[i][0], strlen(known[i][0]), sum);
        ck_assert_str_eq(sum, known[i][1]);
    }
}
END_TEST

START_TEST(test_a_file_arrives_whole_however_the_server_behaves) {
    static const struct {
        const char *way;
        int requests, resumed;
    } ways[] = {{"good", 1, 0}, {"cut", 4, 3}, {"stall", 2, 1}, {"first", 3, 1}, {"busy", 3, 0}, {"moved", 2, 0}};
    scene s;
    begin(&s);
    ck_assert_msg(fetch_by(&s, ways[_i].way), "%s: %s", ways[_i].way, s.b.err.text);
    must_be_whole(&s);
    ck_assert_int_eq(s.server.requests, ways[_i].requests);
    ck_assert_int_eq(s.server.resumed, ways[_i].resumed);
    ck_assert_uint_eq(s.b.progress, s.size);
    ck_assert(fetch_by(&s, "good")); /* it is there: nobody is asked */
    ck_assert_int_eq(s.server.requests, 0);
    end(&s);
}
END_TEST

START_TEST(test_a_later_fetch_goes_on_where_one_stopped) {
    scene s;
    begin(&s);
    s.how.attempts = 1;
    must_fail(&s, "cut", "goes on where it stopped, --mirror URL");
    ck_assert(exists(&s, ".part"));
    ck_assert(fetch_by(&s, "good"));
    ck_assert_int_eq(s.server.resumed, 1);
    must_be_whole(&s);
    /* A part that has everything but was not renamed: the server has no more to give, and that is enough. */
    char part[1100];
    snprintf(part, sizeof part, "%s.part", s.path);
    ck_assert_int_eq(rename(s.path, part), 0);
    ck_assert_msg(fetch_by(&s, "good"), "%s", s.b.err.text);
    must_be_whole(&s);
    end(&s);
}
END_TEST

/* RFC 9110, 15.5.17: such a 416 says how long the file is, which libcurl 7.88 takes for an error. */
START_TEST(test_a_whole_part_is_taken_whatever_the_server_says_of_it) {
    scene s;
    char part[1100];
    begin(&s);
    ck_assert(fetch_by(&s, "good"));
    snprintf(part, sizeof part, "%s.part", s.path);
    ck_assert_int_eq(rename(s.path, part), 0);
    ck_assert_msg(fetch_by(&s, "strict"), "%s", s.b.err.text);
    ck_assert_int_eq(s.server.requests, 0); /* it has everything: nobody is asked */
    must_be_whole(&s);
    char *longer = malloc(s.size + 5);
    memcpy(longer, s.bytes, s.size);
    memcpy(longer + s.size, "more", 5);
    ck_assert_int_eq(unlink(s.path), 0);
    ck_assert(file_write(part, longer, s.size + 5, &s.b.err));
    ck_assert_msg(fetch_by(&s, "strict"), "%s", s.b.err.text); /* beyond the file's end: begun anew */
    must_be_whole(&s);
    ck_assert_int_eq(unlink(s.path), 0);
    longer[0] ^= 1;
    ck_assert(file_write(part, longer, s.size, &s.b.err)); /* as long as the file, but another one */
    ck_assert_msg(fetch_by(&s, "strict"), "%s", s.b.err.text);
    must_be_whole(&s);
    free(longer);
    end(&s);
}
END_TEST

START_TEST(test_a_server_without_end_is_left_before_the_disk_is_full) {
    scene s;
    begin(&s);
    must_fail(&s, "endless", "twice what the file has; nothing of it is kept");
    ck_assert_int_eq(s.server.requests, 1);
    struct stat status;
    char part[1100];
    snprintf(part, sizeof part, "%s.part", s.path);
    ck_assert(stat(part, &status) != 0 || status.st_size == 0);
    ck_assert(fetch_by(&s, "good"));
    must_be_whole(&s);
    end(&s);
}
END_TEST

START_TEST(test_wrong_bytes_are_kept_aside_by_name_and_never_used) {
    scene s;
    begin(&s);
    must_fail(&s, "wrong", "instead of");
    ck_assert_ptr_nonnull(strstr(s.b.err.text, "cifar-100-binary.tar.gz.wrong-checksum and not used"));
    ck_assert(exists(&s, ".wrong-checksum") && !exists(&s, ".part"));
    data_options options = bench_options(&s.b, "cifar100", "");
    bench_must_refuse(&s.b, &options, ERROR_USAGE, "or run `mews data fetch cifar100` first");
    ck_assert(fetch_by(&s, "good"));
    must_be_whole(&s);
    ck_assert(file_write(s.path, "spoilt", 6, &s.b.err)); /* a file that went bad later is seen, too */
    ck_assert(fetch_by(&s, "good"));
    ck_assert_ptr_nonnull(strstr(s.b.said, "it is kept as"));
    must_be_whole(&s);
    end(&s);
}
END_TEST

START_TEST(test_what_cannot_be_fetched_says_why_and_what_to_do) {
    scene s;
    begin(&s);
    must_fail(&s, "nowhere", "the server says 404");
    ck_assert_int_eq(s.server.requests, 1); /* asking again would not help */
    must_fail(&s, "never", "the server says 503");
    ck_assert_int_eq(s.server.requests, 3);
    must_fail(&s, "round", "redirect");
    ck_assert_ptr_nonnull(strstr(s.b.err.text, "or bring the file yourself as"));
    s.how.mirror = "file:///etc";
    s.b.err = (error){0};
    ck_assert(!fetch_files(&s.how, &s.entry, s.folder, &s.b.err));
    s.how.mirror = NULL; /* the official address, where nobody listens here */
    s.b.err = (error){0};
    ck_assert(!fetch_files(&s.how, &s.entry, s.folder, &s.b.err));
    ck_assert_ptr_nonnull(strstr(s.b.err.text, "cannot fetch http://127.0.0.1:9/cifar-100-binary.tar.gz"));
    volatile sig_atomic_t interrupted = 1;
    s.how.interrupted = &interrupted, s.how.mirror = s.mirror;
    ck_assert(!fetch_by(&s, "good"));
    ck_assert_int_eq(s.b.err.code, 130);
    end(&s);
}
END_TEST

START_TEST(test_what_was_fetched_is_found_by_the_name_of_the_data_set) {
    scene s;
    begin(&s);
    ck_assert(fetch_by(&s, "cut"));
    data_options options = bench_options(&s.b, "cifar100", "");
    options.size = 32;
    dataset *set = bench_must_open(&s.b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 6);
    dataset_close(set);
    end(&s);
}
END_TEST

START_TEST(test_every_entry_of_the_catalog_is_a_data_set_with_whole_sums) {
    const field *name = fields_find(&data_fields, "name");
    for (int i = 0; catalog_name(i); i++) {
        const catalog_entry *entry = catalog_find(catalog_name(i));
        bool known = false;
        for (int c = 0; name->choices[c]; c++) known |= strcmp(name->choices[c], entry->name) == 0;
        ck_assert_msg(known, "%s is no data set", entry->name);
        for (const catalog_file *f = entry->files; f->name; f++) {
            ck_assert_uint_eq(strlen(f->md5), 32);
            ck_assert_uint_eq(strspn(f->md5, "0123456789abcdef"), 32);
            ck_assert_int_eq(strncmp(f->url, "http", 4), 0);
        }
    }
    ck_assert_ptr_null(catalog_find("imagenet"));
}
END_TEST

Suite *suite_fetch(void) {
    Suite *s = suite_create("fetch");
    TCase *t = tcase_create("server");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_md5_gives_the_sums_of_rfc_1321);
    tcase_add_loop_test(t, test_a_file_arrives_whole_however_the_server_behaves, 0, 6);
    tcase_add_test(t, test_a_later_fetch_goes_on_where_one_stopped);
    tcase_add_test(t, test_a_whole_part_is_taken_whatever_the_server_says_of_it);
    tcase_add_test(t, test_a_server_without_end_is_left_before_the_disk_is_full);
    tcase_add_test(t, test_wrong_bytes_are_kept_aside_by_name_and_never_used);
    tcase_add_test(t, test_what_cannot_be_fetched_says_why_and_what_to_do);
    tcase_add_test(t, test_what_was_fetched_is_found_by_the_name_of_the_data_set);
    tcase_add_test(t, test_every_entry_of_the_catalog_is_a_data_set_with_whole_sums);
    suite_add_tcase(s, t);
    return s;
}

/*
 * What the tests of the data sets share: a folder of their own that goes with them, small images written as PNG,
 * archives written by libarchive, and a data set opened with all it says on the way kept for inspection.
 */
#ifndef MEWS_TESTS_DATA_BENCH_H
#define MEWS_TESTS_DATA_BENCH_H

#include "engine/data/dataset.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/scratch.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BENCH_SIDE = 8, BENCH_BYTES = BENCH_SIDE * BENCH_SIDE * 3 };

typedef struct bench {
    char folder[256], source[300], cache[300];
    char said[16384];  /* warnings, a line each */
    uint64_t progress; /* calls */
    error err;
} bench;

static inline void bench_begin(bench *b) {
    *b = (bench){0};
    scratch_folder(b->folder);
    snprintf(b->source, sizeof b->source, "%s/source", b->folder);
    snprintf(b->cache, sizeof b->cache, "%s/cache", b->folder);
}

static inline void bench_end(bench *b) { scratch_remove(b->folder); }

/* Writes source/<name>, folders included. */
static inline void bench_write(const bench *b, const char *name, const void *data, size_t size) {
    char path[1024];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", b->source, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert_msg(file_make_folders(path, &err), "%s", err.text);
    *slash = '/';
    ck_assert_msg(file_write(path, data, size, &err), "%s", err.text);
}

/* The pixels of test image `key`. */
static inline void bench_pixels(uint32_t key, int width, int height, uint8_t *pixels) {
    rng r = rng_stream(1, RNG_TEST, 0, key, 0);
    for (int i = 0; i < width * height * 3; i++) pixels[i] = (uint8_t)rng_bits(&r);
}

/* RGB pixels as a PNG file; free() it. */
static inline void *bench_png_of(const uint8_t *pixels, int width, int height, size_t *size) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes = 0;
    ck_assert(png_image_write_to_memory(&image, NULL, &bytes, 0, pixels, 0, NULL));
    void *data = malloc(bytes);
    ck_assert(png_image_write_to_memory(&image, data, &bytes, 0, pixels, 0, NULL));
    *size = bytes;
    return data;
}

/* Image `key` likewise. */
static inline void *bench_png(uint32_t key, int width, int height, size_t *size) {
    uint8_t *pixels = malloc((size_t)width * (size_t)height * 3);
    bench_pixels(key, width, height, pixels);
    void *data = bench_png_of(pixels, width, height, size);
    free(pixels);
    return data;
}

static inline void bench_image(const bench *b, const char *name, uint32_t key) {
    size_t size;
    void *data = bench_png(key, BENCH_SIDE, BENCH_SIDE, &size);
    bench_write(b, name, data, size);
    free(data);
}

/* ---- Archives ---- */

/* `kind` is the ending: .tar, .tar.xz, .tar.gz or .zip. */
static inline struct archive *bench_archive(const char *path) {
    struct archive *a = archive_write_new();
    const char *dot = strrchr(path, '.');
    if (strcmp(dot, ".zip") == 0)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_pax_restricted(a);
    if (strcmp(dot, ".xz") == 0) archive_write_add_filter_xz(a);
    if (strcmp(dot, ".gz") == 0) archive_write_add_filter_gzip(a);
    ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
    return a;
}

/* type: AE_IFREG, AE_IFDIR, AE_IFLNK (to `data`), AE_IFCHR. */
static inline void bench_member(struct archive *a, const char *name, unsigned type, const void *data, size_t size) {
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFREG) archive_entry_set_size(entry, (la_int64_t)size);
    if (type == AE_IFLNK) archive_entry_set_symlink(entry, data);
    ck_assert_int_eq(archive_write_header(a, entry), ARCHIVE_OK);
    if (type == AE_IFREG) ck_assert_int_eq(archive_write_data(a, data, size), (la_ssize_t)size);
    archive_entry_free(entry);
}

static inline void bench_member_image(struct archive *a, const char *name, uint32_t key) {
    size_t size;
    void *data = bench_png(key, BENCH_SIDE, BENCH_SIDE, &size);
    bench_member(a, name, AE_IFREG, data, size);
    free(data);
}

static inline void bench_archive_close(struct archive *a) {
    ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* ---- Opening ---- */

static inline void bench_hear(void *context, const char *line) {
    bench *b = context;
    size_t used = strlen(b->said);
    snprintf(b->said + used, sizeof b->said - used, "%s\n", line);
}

static inline void bench_watch(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what, (void)done, (void)total;
    ((bench *)context)->progress++;
}

static inline data_options bench_options(const bench *b, const char *name, const char *path) {
    data_options options;
    error err = {0};
    fields_defaults(&data_fields, &options);
    ck_assert(field_parse(&data_fields, fields_find(&data_fields, "name"), &options, name, &err));
    options.size = BENCH_SIDE;
    snprintf(options.path, sizeof options.path, "%s", path ? path : "");
    snprintf(options.cache, sizeof options.cache, "%s", b->cache);
    return options;
}

/* Opens with nothing heard before; NULL leaves the message in b->err. */
static inline dataset *bench_open(bench *b, const data_options *options) {
    b->said[0] = '\0';
    b->progress = 0;
    b->err = (error){0};
    return dataset_open(options, bench_watch, bench_hear, b, &b->err);
}

static inline dataset *bench_must_open(bench *b, const data_options *options) {
    dataset *set = bench_open(b, options);
    ck_assert_msg(set != NULL, "%s", b->err.text);
    return set;
}

/* Opening must fail with this code and a message that has `part` in it. */
static inline void bench_must_refuse(bench *b, const data_options *options, int code, const char *part) {
    ck_assert_ptr_null(bench_open(b, options));
    ck_assert_msg(strstr(b->err.text, part) != NULL, "\"%s\" does not say \"%s\"", b->err.text, part);
    ck_assert_ptr_null(strchr(b->err.text, '\n'));
    ck_assert_int_eq(b->err.code, code);
}

#endif

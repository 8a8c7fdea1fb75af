/*
 * Bytes as what readers take: a file in memory that has a path, or a tar archive with one member made of them. What an
 * importer packs is thrown away.
 */
#ifndef MEWS_FUZZ_SOURCES_H
#define MEWS_FUZZ_SOURCES_H

#include "engine/data/sets/import.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file that exists in memory alone; its path holds until the descriptor returned is closed. */
static inline int fuzz_file(const uint8_t *data, size_t size, char *path, size_t path_size) {
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    snprintf(path, path_size, "/proc/self/fd/%d", file);
    return file;
}

/* free() it. */
static inline uint8_t *fuzz_tar(const char *member, const uint8_t *data, size_t size, size_t *bytes) {
    size_t room = size + 16384;
    uint8_t *tar = malloc(room);
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_ustar(a);
    if (!tar || archive_write_open_memory(a, tar, room, bytes) != ARCHIVE_OK) abort();
    archive_entry_set_pathname(entry, member);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)size);
    if (archive_write_header(a, entry) != ARCHIVE_OK || archive_write_data(a, data, size) < 0) abort();
    archive_entry_free(entry);
    archive_write_close(a);
    archive_write_free(a);
    return tar;
}

/* Runs an importer on an archive of these bytes. `files`: images are packed as they are. */
static inline void fuzz_import_archive(const uint8_t *data, size_t size, const data_options *options, bool files,
                                       bool (*import)(importer *, error *)) {
    char path[64], folder[] = "/tmp/mews-fuzz-XXXXXX", pack[64];
    int file = fuzz_file(data, size, path, sizeof path);
    importer im = {.path = path, .size = 16, .files = files, .options = options};
    error err = {0};
    if (!mkdtemp(folder)) abort();
    snprintf(pack, sizeof pack, "%s/pack", folder);
    if (pack_begin(&im.pack, pack, files ? 0 : im.size, &err)) import(&im, &err);
    pack_abandon(&im.pack);
    account_free(&im.account);
    rmdir(folder);
    close(file);
}

/* The same with these bytes as its one member. */
static inline void fuzz_import(const char *member, const uint8_t *data, size_t size, const data_options *options,
                               bool (*import)(importer *, error *)) {
    size_t bytes = 0;
    uint8_t *tar = fuzz_tar(member, data, size, &bytes);
    fuzz_import_archive(tar, bytes, options, false, import);
    free(tar);
}

#endif

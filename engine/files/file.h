/*
 * Files that are never half-written, and files that are mapped rather than read.
 */
#ifndef MEWS_FILE_H
#define MEWS_FILE_H

#include "engine/error.h"

#include <stdint.h>
#include <stdio.h>

/* A file being written beside its final place: nobody sees it before file_commit. */
typedef struct file_writer {
    FILE *stream; /* write here; errors are caught by file_commit */
    char *path, *temporary;
} file_writer;

bool file_begin(file_writer *w, const char *path, error *err);
bool file_commit(file_writer *w, error *err); /* flush, fsync, rename, fsync of the folder; frees w */
void file_abandon(file_writer *w);            /* removes the temporary file; frees w; harmless after commit */

/* Removes what writers that were killed left in a folder; for who knows that nobody is writing there now. */
void file_remove_leftovers(const char *folder);

/* The same where others may be writing: only what writers left that no longer live on this machine. */
void file_remove_dead_leftovers(const char *folder);

/* The same for writers of one file, whose folder others may be writing in. */
void file_remove_leftovers_of(const char *path, bool dead_only);

/* Writes `size` bytes to `path` by the same road. */
bool file_write(const char *path, const void *data, size_t size, error *err);

/* A whole file in memory, with a zero byte after its end; free() it. */
char *file_read(const char *path, size_t *size, error *err);

/* All of `size` bytes into an open file or pipe; as many as there are until its end, and how many that were. Signals
 * only delay them; errno says what else ended them. */
bool file_put(int file, const void *data, size_t size);
size_t file_take(int file, void *out, size_t size);

typedef struct file_map {
    const uint8_t *data;
    size_t size;
} file_map;

bool file_map_open(file_map *m, const char *path, error *err);
void file_map_close(file_map *m);

/* A whole number of `size` bytes, the lowest first. */
static inline uint64_t file_little_endian(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = size; i-- > 0;) value = value << 8 | at[i];
    return value;
}

/* mkdir -p. */
bool file_make_folders(const char *path, error *err);

#endif

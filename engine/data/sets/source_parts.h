/*
 * What source.c shares with its two halves, source_directory.c and source_archive.c.
 */
#ifndef MEWS_SOURCE_PARTS_H
#define MEWS_SOURCE_PARTS_H

#include "engine/data/sets/source.h"

#include <archive.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>

extern const char source_too_large[];

/* One file or folder of a directory; folders end in a slash. */
typedef struct source_entry {
    char *name;
    const char *problem; /* why it is passed over, or NULL */
    bool link;           /* and is a link */
} source_entry;

typedef struct source_listing {
    source_entry *entries; /* sorted by name */
    size_t count, capacity;
} source_listing;

struct source {
    char *path;
    struct archive *archive; /* NULL for a directory */
    locale_t utf8;           /* in which the archive's names are read */
    source_listing files;
    size_t next;    /* items given out */
    FILE *stream;   /* the directory's file that is being streamed, or NULL */
    char *streamed; /* name of the item that is being streamed */
};

bool source_list_directory(source_listing *l, const char *root, error *err);
void source_listing_free(source_listing *l);
bool source_next_in_directory(source *s, source_chooser choose, const void *context, source_item *item, error *err);

struct archive *source_open_archive(const char *path, error *err);
bool source_next_in_archive(source *s, source_chooser choose, const void *context, source_item *item, error *err);

/* The message for what libarchive could not read, at `member` or (NULL) anywhere. Returns false. */
bool source_archive_failed(struct archive *a, const char *path, const char *member, error *err);

#endif

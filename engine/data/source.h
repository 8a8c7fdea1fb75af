/*
 * Where files come from: a directory (walked whole, links followed) or an archive (tar, zip; gzip, bzip2, xz, zstd),
 * read one after another without unpacking. What is in an archive is taken for hostile: members that would lie outside
 * it, links and devices are passed over, and a member that is too large is never read.
 */
#ifndef MEWS_SOURCE_H
#define MEWS_SOURCE_H

#include "engine/error.h"

#include <stdint.h>

enum { SOURCE_MAX_BYTES = 256 << 20 }; /* of one file */

typedef struct source source;

/* ERROR_USAGE when there is nothing at `path`, or neither a directory nor an archive. */
source *source_open(const char *path, error *err);
void source_close(source *s);

/* Files and folders in all, or 0 when that is not known before the end (archives). */
uint64_t source_count(const source *s);

typedef enum source_kind {
    SOURCE_FILE,
    SOURCE_FOLDER,  /* name ends in a slash */
    SOURCE_SKIPPED, /* not touched: `problem` says why */
} source_kind;

typedef struct source_item {
    source_kind kind;
    char *name;    /* relative to the source, without "./" in front */
    uint8_t *data; /* NULL when the file was not wanted, too large or unreadable */
    size_t size;
    const char *problem; /* why a wanted file has no data: a string that lives on; NULL otherwise */
} source_item;

/*
 * What comes next. `wanted` decides by name whether a file's bytes are read. false at the end, and on an error that
 * ends the reading (a damaged archive), which leaves its message in err.
 */
bool source_next(source *s, bool (*wanted)(const char *name), source_item *item, error *err);
void source_item_free(source_item *item);

/*
 * SHA-256 of what tells one state of the source from another without reading it: for an archive its size and time of
 * change, for a directory those of every file in it, and the path.
 */
bool source_fingerprint(const char *path, char out[65], error *err);

#endif

/*
 * Where files come from: a directory (walked whole, links followed) or an archive (tar, also several behind each other;
 * zip; gzip, bzip2, xz, zstd), read one after another without unpacking. What is in an archive is taken for hostile:
 * members that would lie outside it, links, devices and what is encrypted are passed over, and a member that is too
 * large is never read into memory. Whatever is passed over is an item that says so. Names are UTF-8 wherever their
 * writer says how they are meant, whatever the program's locale.
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

/* What is to become of a file, chosen by its name. */
typedef enum source_want {
    SOURCE_PASS,   /* its bytes are not wanted */
    SOURCE_READ,   /* into memory */
    SOURCE_STREAM, /* left to source_stream, whatever its size */
} source_want;

typedef source_want (*source_chooser)(const void *context, const char *name);

typedef struct source_item {
    source_kind kind;
    bool streamed; /* its bytes wait for source_stream */
    bool link;     /* SOURCE_SKIPPED: a link, maybe to a folder */
    char *name;    /* relative to the source, without "./" in front */
    uint8_t *data; /* NULL when the file was not to be read, too large or unreadable */
    size_t size;
    const char *problem; /* why a wanted file has no data: a string that lives on; NULL otherwise */
} source_item;

/*
 * What comes next. `choose` decides what becomes of a file's bytes. false at the end, and on an error that ends the
 * reading (an archive that is damaged or ends early), which leaves its message in err.
 */
bool source_next(source *s, source_chooser choose, const void *context, source_item *item, error *err);

/*
 * Up to `size` bytes of the file that source_next gave last, if that is streamed, into out; *got < size only where the
 * file ends. What is left unread is passed over by the next source_next.
 */
bool source_stream(source *s, void *out, size_t size, size_t *got, error *err);
void source_item_free(source_item *item);

/*
 * SHA-256 of what tells one state of the source from another without reading it: for an archive its size and time of
 * change, for a directory those of every file in it, and the path.
 */
bool source_fingerprint(const char *path, char out[65], error *err);

#endif

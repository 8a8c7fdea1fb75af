/*
 * All images of a source, decoded, fitted and appended to the pack: one thread reads (decompressing an archive is the
 * bound), the others decode behind it. Files that are packed as they are get decoded, too: what is broken is found now,
 * and the pixels' mean is known. Memory is bounded by two batches, whatever the source's size.
 */
#ifndef MEWS_DECODE_H
#define MEWS_DECODE_H

#include "engine/data/import.h"
#include "engine/data/source.h"

typedef struct found_image {
    char *name;    /* path inside the source */
    uint32_t slot; /* in the pack */
} found_image;

/* What a source was found to hold. */
typedef struct found {
    found_image *images;
    uint32_t count, capacity;
    char **folders; /* each ends in a slash */
    uint32_t folder_count, folder_capacity;
    uint32_t broken;   /* images that could not be read, each warned of */
    uint32_t refitted; /* images of another size than data.size */
} found;

/* Does the name end as an image's does? Hidden files and the resource forks that macOS adds to archives do not count.
 */
bool decode_is_image(const char *name);

/* Images that cannot be read are warned of by name and skipped; over one in a hundred is an error. */
bool decode_source(importer *im, source *from, found *out, error *err);
void found_free(found *f);

/* Classes, splits and order of the images found, by their names; see folder.c. */
bool folder_arrange(importer *im, const found *f, error *err);

#endif

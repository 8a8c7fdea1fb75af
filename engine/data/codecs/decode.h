/*
 * All images of a source, decoded, fitted and appended to the pack: one thread reads (decompressing an archive is the
 * bound), the others decode behind it. Files that are packed as they are get decoded, too: what is broken is found now,
 * and the pixels' mean is known. Memory is bounded by two batches, whatever the source's size.
 */
#ifndef MEWS_DECODE_H
#define MEWS_DECODE_H

#include "engine/data/sets/import.h"
#include "engine/data/sets/source.h"

typedef struct found_image {
    char *name;    /* path inside the source */
    uint32_t slot; /* in the pack */
} found_image;

/* What a source was found to hold. */
typedef struct found {
    found_image *images;
    uint32_t count, capacity;
    char **folders; /* that stand in the source or hold a file, each with a slash behind; some of them twice */
    uint32_t folder_count, folder_capacity;
    uint32_t broken;   /* images that could not be read, the first of them warned of by name */
    uint32_t skipped;  /* what was not touched, likewise */
    uint32_t refitted; /* images of another size than data.size */
    uint32_t dim;      /* images of 16 bits whose values fill fewer than 12 */
} found;

/* Does the name end as an image's does, as torchvision's ImageFolder has it? Hidden files do not count. */
bool decode_is_image(const char *name);

/* "JPEG, PNG, WebP, …": the formats that are read, for messages. */
extern const char decode_endings[];

/* Hidden: a part of the path begins with a dot, or is the folder that macOS adds to archives. */
bool decode_is_hidden(const char *name);

/* Why a file that is no image is not used: "not an image (.txt)". Returns `out`. */
char *decode_why_not(const char *name, char *out, size_t size);

/* Images that cannot be read are warned of by name and skipped; over one in a hundred is an error. */
bool decode_source(importer *im, source *from, found *out, error *err);
void found_free(found *f);

/* Classes, splits and order of the images found, by their names; see folder.c. */
bool folder_arrange(importer *im, const found *f, error *err);

#endif

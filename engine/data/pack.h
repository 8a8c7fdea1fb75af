/*
 * The packed file that every data set is imported into: a page of header, the images' bytes in the order in which they
 * were read, then index, labels and class names. The bytes are pixels, all images of one size, or the images' files as
 * they were found. The index gives the images' logical order, so that a folder and an archive of the same files are the
 * same data set with the same checksum, however they lay on the disk.
 */
#ifndef MEWS_PACK_H
#define MEWS_PACK_H

#include "engine/error.h"
#include "engine/files/file.h"

#include <stdint.h>

enum { PACK_TRAIN, PACK_TEST, PACK_UNLABELLED, PACK_SPLITS };

/* Of every sample of PACK_UNLABELLED, of every sample of a pack without classes, and of no other. */
#define PACK_NO_LABEL UINT32_MAX

/* An open pack; everything points into the mapped file. */
typedef struct pack {
    file_map map;
    int size; /* side of the images, pixels; 0: they are files */
    uint32_t classes, counts[PACK_SPLITS];
    const uint8_t *images;
    const uint64_t *offsets; /* of files: where slot i begins, and after the last where it ends; NULL for pixels */
    const uint32_t *slots[PACK_SPLITS], *labels[PACK_SPLITS];
    const char **class_names, *names; /* the latter: as they stand in the file, one behind the other */
    const char *account;              /* what the import said of the source's files: lines of text */
    float mean[3], std[3];            /* per channel of the training split, 0 … 1 */
    char checksum[65];                /* of images, labels and class names in logical order */
} pack;

typedef enum pack_state {
    PACK_READY,
    PACK_ABSENT,
    PACK_STALE,   /* of another source, or of another version of the program */
    PACK_DAMAGED, /* truncated or overwritten: err says how */
} pack_state;

/* Opens and checks all, of the images' bytes beyond 256 MiB a part each time. `source` is what the pack must have been
 * made from (see pack_finish). */
pack_state pack_open(pack *p, const char *path, const char source[65], error *err);
void pack_close(pack *p);

/* size×size×3 bytes. */
static inline const uint8_t *pack_image(const pack *p, int split, uint32_t i) {
    return p->images + (size_t)p->slots[split][i] * (size_t)p->size * (size_t)p->size * 3;
}

/* A file's bytes, where the images are files. */
static inline const uint8_t *pack_file(const pack *p, int split, uint32_t i, size_t *bytes) {
    uint32_t slot = p->slots[split][i];
    *bytes = p->offsets[slot + 1] - p->offsets[slot];
    return p->images + p->offsets[slot];
}

/* Reads every image and holds it against the checksum. */
bool pack_verify(const pack *p, const char *path, error *err);

typedef struct pack_list {
    uint32_t *slots, *labels, count, capacity;
} pack_list;

/* Sums over the pixels of one image, for mean and standard deviation. */
typedef struct pack_tally {
    uint64_t pixels, sums[3], squares[3];
} pack_tally;

/* A pack being written; nobody sees it before pack_finish. */
typedef struct pack_writer {
    file_writer file;
    int size; /* 0: of files */
    uint32_t images, classes, capacity;
    uint64_t *offsets;   /* (images + 1), of files */
    pack_tally *tallies; /* (images), of files */
    char **class_names;
    pack_list lists[PACK_SPLITS];
    char *account; /* text for whoever asks later; freed with the writer; NULL = none */
} pack_writer;

bool pack_begin(pack_writer *w, const char *path, int size, error *err);

/* Appends `count` images of size×size×3 bytes; they take the slots from w->images on. */
bool pack_append(pack_writer *w, const uint8_t *images, uint32_t count, error *err);

/* Appends one file to a pack of files. */
bool pack_append_file(pack_writer *w, const uint8_t *data, size_t bytes, const pack_tally *tally, error *err);

/* Adds size×size pixels, or any others, to the sums. */
void pack_count(pack_tally *tally, const uint8_t *rgb, size_t pixels);

/* The next class: labels count from 0 in the order of these calls. */
bool pack_add_class(pack_writer *w, const char *name, error *err);

/* The next sample of a split, in logical order. */
bool pack_add_sample(pack_writer *w, int split, uint32_t slot, uint32_t label, error *err);

/* Computes mean, std and checksum, writes what is missing and puts the file in its place. Frees w, also on failure. */
bool pack_finish(pack_writer *w, const char source[65], error *err);
void pack_abandon(pack_writer *w); /* harmless after pack_finish */

#endif

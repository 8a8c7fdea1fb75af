/*
 * The packed file that every data set is imported into: a page of header, the images' bytes in the order in which they
 * were read, then index, labels and class names. The index gives the images' logical order, so that a folder and an
 * archive of the same files are the same data set with the same checksum, however they lay on the disk.
 */
#ifndef MEWS_PACK_H
#define MEWS_PACK_H

#include "engine/error.h"
#include "engine/file.h"

#include <stdint.h>

enum { PACK_TRAIN, PACK_TEST, PACK_UNLABELLED, PACK_SPLITS };

#define PACK_NO_LABEL UINT32_MAX /* of every sample of PACK_UNLABELLED, and of no other */

/* An open pack; everything points into the mapped file. */
typedef struct pack {
    file_map map;
    int size; /* side of the images, pixels */
    uint32_t classes, counts[PACK_SPLITS];
    const uint8_t *images;
    const uint32_t *slots[PACK_SPLITS], *labels[PACK_SPLITS];
    const char **class_names;
    float mean[3], std[3]; /* per channel of the training split, 0 … 1 */
    char checksum[65];     /* of images, labels and class names in logical order */
} pack;

typedef enum pack_state {
    PACK_READY,
    PACK_ABSENT,
    PACK_STALE,   /* of another source, or of another version of the program */
    PACK_DAMAGED, /* truncated or overwritten: err says how */
} pack_state;

/* Opens and checks all but the images' bytes. `source` is what the pack must have been made from (see pack_finish). */
pack_state pack_open(pack *p, const char *path, const char source[65], error *err);
void pack_close(pack *p);

/* size×size×3 bytes. */
static inline const uint8_t *pack_image(const pack *p, int split, uint32_t i) {
    return p->images + (size_t)p->slots[split][i] * (size_t)p->size * (size_t)p->size * 3;
}

/* Reads every image and holds it against the checksum. */
bool pack_verify(const pack *p, const char *path, error *err);

typedef struct pack_list {
    uint32_t *slots, *labels, count, capacity;
} pack_list;

/* A pack being written; nobody sees it before pack_finish. */
typedef struct pack_writer {
    file_writer file;
    int size;
    uint32_t images, classes;
    char **class_names;
    pack_list lists[PACK_SPLITS];
} pack_writer;

bool pack_begin(pack_writer *w, const char *path, int size, error *err);

/* Appends `count` images of size×size×3 bytes; they take the slots from w->images on. */
bool pack_append(pack_writer *w, const uint8_t *images, uint32_t count, error *err);

/* The next class: labels count from 0 in the order of these calls. */
bool pack_add_class(pack_writer *w, const char *name, error *err);

/* The next sample of a split, in logical order. */
bool pack_add_sample(pack_writer *w, int split, uint32_t slot, uint32_t label, error *err);

/* Computes mean, std and checksum, writes what is missing and puts the file in its place. Frees w, also on failure. */
bool pack_finish(pack_writer *w, const char source[65], error *err);
void pack_abandon(pack_writer *w); /* harmless after pack_finish */

#endif

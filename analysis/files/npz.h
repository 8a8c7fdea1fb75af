/*
 * NumPy's .npz files: a zip archive of .npy files. Opening reads each member's header only; a member is unpacked whole,
 * into memory of the size its header names, once that size has been held against what the archive could hold at all.
 */
#ifndef MEWS_NPZ_H
#define MEWS_NPZ_H

#include "analysis/files/npy.h"

typedef struct npz_member {
    char name[128]; /* without .npy; cut */
    npy shape;      /* everything but the data */
    uint64_t bytes; /* of the .npy file inside; 0 when `problem` says why it cannot be read */
    char problem[256];
    size_t place; /* in the archive, from 0 */
} npz_member;

typedef struct npz {
    const uint8_t *bytes;
    size_t size;
    npz_member *members;
    size_t count;
} npz;

/* From bytes in memory that outlive `archive`; `name` is for messages. ERROR_RUN when this is no zip archive. */
bool npz_open(npz *archive, const uint8_t *bytes, size_t size, const char *name, error *err);
void npz_close(npz *archive);

/*
 * Unpacks member `which` into fresh memory, *bytes, which `array` then points into. ERROR_RUN when it claims more than
 * the archive can hold (deflate packs 1032 bytes into one at best) or more than `limit` bytes.
 */
bool npz_read(const npz *archive, size_t which, const char *name, uint64_t limit, npy *array, uint8_t **bytes,
              error *err);

#endif

/*
 * Zip archives as containers of arrays: what the central directory lists is believed, as Python does, and nothing that
 * stands before it. Stored members (all of PyTorch's, NumPy's without compression) are used where they lie; others are
 * unpacked by libarchive (deflate, bzip2, lzma, zstd).
 */
#ifndef MEWS_ZIP_H
#define MEWS_ZIP_H

#include "engine/error.h"

#include <stdint.h>

/* Bytes that one byte of deflate can stand for: a pair of 1-bit codes for 258 of them. */
enum { DEFLATE_BEST = 1032 };

typedef struct zip_member {
    char *name; /* with a zero at its end, of the archive's bytes otherwise */
    uint64_t size, packed, header;
    uint32_t checksum;
    uint16_t method, flags;
} zip_member;

typedef struct zip zip;
struct zip {
    const uint8_t *bytes;
    size_t size;
    zip_member *members; /* in order of name; of equal names the last one listed alone, as Python has it */
    size_t count;
};

/* From bytes in memory that outlive `z`; `name` is for messages. ERROR_RUN when this is no zip archive. */
bool zip_open(zip *z, const uint8_t *bytes, size_t size, const char *name, error *err);
void zip_close(zip *z);

const zip_member *zip_find(const zip *z, const char *name);

/* The bytes of a stored member where they lie; NULL when it is packed or damaged. */
const uint8_t *zip_stored(const zip *z, const zip_member *m);

/* The first up to `size` bytes of a member into `out`: how many there are in *got. False with a reason in err. */
bool zip_unpack(const zip *z, const zip_member *m, uint8_t *out, size_t size, size_t *got, error *err);

#endif

/*
 * The packed file's header as it stands in the file, for pack.c and for the fuzzer, which must seal what it has
 * changed.
 */
#ifndef MEWS_PACK_LAYOUT_H
#define MEWS_PACK_LAYOUT_H

#include "engine/files/checksum.h"
#include "engine/data/pack.h"

enum { PACK_HEADER_BYTES = 4096, PACK_VERSION = 3, PACK_MAX_SIZE = 4096, PACK_HEX = 64 };

#define PACK_MAGIC "MEWSPACK" /* without its zero byte */

typedef struct pack_header {
    char magic[8];
    uint32_t version, size, images, classes, counts[PACK_SPLITS];
    uint64_t tail_offset, account_offset, file_bytes;
    float mean[3], std[3];
    char source[PACK_HEX], content[PACK_HEX], tail[PACK_HEX], header[PACK_HEX]; /* SHA-256; the last with itself zero */
} pack_header;

/* The sum over the header. */
static inline void pack_header_sum(const pack_header *h, char out[65]) {
    pack_header copy = *h;
    for (int i = 0; i < PACK_HEX; i++) copy.header[i] = 0;
    checksum_sha256(&copy, sizeof copy, out);
}

#endif

/*
 * The packed file's header as it stands in the file, for pack.c and for the fuzzer, which must seal what it has
 * changed.
 */
#ifndef MEWS_PACK_LAYOUT_H
#define MEWS_PACK_LAYOUT_H

#include "engine/files/checksum.h"
#include "engine/data/pack.h"

enum { PACK_HEADER_BYTES = 4096, PACK_VERSION = 4, PACK_MAX_SIZE = 4096, PACK_HEX = 64, PACK_BLOCK = 1 << 20 };

#define PACK_MAGIC "MEWSPACK" /* without its zero byte */

typedef struct pack_header {
    char magic[8];
    uint32_t version, size, images, classes, counts[PACK_SPLITS];
    uint64_t tail_offset, account_offset, file_bytes;
    float mean[3], std[3];
    char source[PACK_HEX], content[PACK_HEX], tail[PACK_HEX], header[PACK_HEX]; /* SHA-256; the last with itself zero */
} pack_header;

/* Samples of all splits, 64-bit words of the tail's offsets, and blocks of PACK_BLOCK bytes from the header's page to
   the tail, the last one shorter. */
static inline uint64_t pack_samples(const uint32_t counts[PACK_SPLITS]) {
    uint64_t sum = 0;
    for (int s = 0; s < PACK_SPLITS; s++) sum += counts[s];
    return sum;
}
static inline uint64_t pack_offset_words(uint32_t size, uint32_t images) {
    return size == 0 ? (uint64_t)images + 1 : 0;
}
static inline uint64_t pack_blocks(uint64_t tail_offset) {
    return (tail_offset - PACK_HEADER_BYTES + PACK_BLOCK - 1) / PACK_BLOCK;
}

/* The first 64 bits of the SHA-256 of block i of the file that `file` points to. */
static inline uint64_t pack_block_sum(const uint8_t *file, uint64_t tail_offset, uint64_t i) {
    char sum[65];
    uint64_t begin = PACK_HEADER_BYTES + i * PACK_BLOCK, left = tail_offset - begin, word = 0;
    checksum_sha256(file + begin, left < PACK_BLOCK ? left : PACK_BLOCK, sum);
    for (int k = 0; k < 16; k++) word = word << 4 | (uint64_t)(sum[k] <= '9' ? sum[k] - '0' : sum[k] - 'a' + 10);
    return word;
}

/* The sum over the header. */
static inline void pack_header_sum(const pack_header *h, char out[65]) {
    pack_header copy = *h;
    for (int i = 0; i < PACK_HEX; i++) copy.header[i] = 0;
    checksum_sha256(&copy, sizeof copy, out);
}

#endif

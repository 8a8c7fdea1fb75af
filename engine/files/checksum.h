/*
 * Checksums of whole buffers. SHA-256 tells runs and data sets apart; MD5 (RFC 1321) is what the authors of the
 * published data sets give to check a download by: it tells a damaged file from a whole one, and keeps out nobody who
 * deceives.
 */
#ifndef MEWS_CHECKSUM_H
#define MEWS_CHECKSUM_H

#include <nettle/sha2.h>
#include <stddef.h>

/* SHA-256 of what comes in parts. */
typedef struct checksum {
    struct sha256_ctx state;
} checksum;
void checksum_begin(checksum *c);
void checksum_add(checksum *c, const void *data, size_t size);
void checksum_end(checksum *c, char out[65]);

/* Hexadecimal digits and a zero byte. */
void checksum_sha256(const void *data, size_t size, char out[65]);
void checksum_md5(const void *data, size_t size, char out[33]);

#endif

#include "engine/files/checksum.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>

static void write_hex(const uint8_t *bytes, int count, char *out) {
    for (int i = 0; i < count; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void checksum_sha256(const void *data, size_t size, char out[65]) {
    struct sha256_ctx sum;
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_init(&sum);
    sha256_update(&sum, size, data);
    sha256_digest(&sum, sizeof bytes, bytes);
    write_hex(bytes, SHA256_DIGEST_SIZE, out);
}

void checksum_md5(const void *data, size_t size, char out[33]) {
    struct md5_ctx sum;
    uint8_t bytes[MD5_DIGEST_SIZE];
    md5_init(&sum);
    md5_update(&sum, size, data);
    md5_digest(&sum, sizeof bytes, bytes);
    write_hex(bytes, MD5_DIGEST_SIZE, out);
}

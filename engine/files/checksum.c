#include "engine/files/checksum.h"

#include <nettle/md5.h>
#include <stdint.h>
#include <stdio.h>

static void write_hex(const uint8_t *bytes, int count, char *out) {
    for (int i = 0; i < count; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void checksum_begin(checksum *c) { sha256_init(&c->state); }

void checksum_add(checksum *c, const void *data, size_t size) {
    if (size) sha256_update(&c->state, size, data);
}

void checksum_end(checksum *c, char out[65]) {
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_digest(&c->state, sizeof bytes, bytes);
    write_hex(bytes, SHA256_DIGEST_SIZE, out);
}

void checksum_sha256(const void *data, size_t size, char out[65]) {
    checksum c;
    checksum_begin(&c);
    checksum_add(&c, data, size);
    checksum_end(&c, out);
}

void checksum_md5(const void *data, size_t size, char out[33]) {
    struct md5_ctx sum;
    uint8_t bytes[MD5_DIGEST_SIZE];
    md5_init(&sum);
    md5_update(&sum, size, data);
    md5_digest(&sum, sizeof bytes, bytes);
    write_hex(bytes, MD5_DIGEST_SIZE, out);
}

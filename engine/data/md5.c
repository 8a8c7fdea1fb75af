#include "engine/data/md5.h"

#include <nettle/md5.h>
#include <stdint.h>
#include <stdio.h>

void md5(const void *data, size_t size, char out[33]) {
    struct md5_ctx sum;
    uint8_t bytes[MD5_DIGEST_SIZE];
    md5_init(&sum);
    md5_update(&sum, size, data);
    md5_digest(&sum, sizeof bytes, bytes);
    for (int i = 0; i < MD5_DIGEST_SIZE; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

#include "engine/files/seal.h"
#include "engine/files/checksum.h"

#include <string.h>

enum { DIGITS = 64 };

/* Where the digits stand: the first "sha256" that is a key of 64 digits. NULL when there is none. */
static const char *find_digits(const char *json, size_t size) {
    static const char key[] = "\"" SEAL_KEY "\":";
    const char *end = json + size, *at = json;
    while ((at = memmem(at, (size_t)(end - at), key, sizeof key - 1))) {
        at += sizeof key - 1;
        if (at < end && *at == ' ') at++;
        if (end - at < DIGITS + 2 || *at != '"' || at[DIGITS + 1] != '"') continue;
        size_t digits = 0;
        while (digits < DIGITS && at[1 + digits] && strchr("0123456789abcdef", at[1 + digits])) digits++;
        if (digits == DIGITS) return at + 1;
    }
    return NULL;
}

bool seal_write(seal_bytes head, char *json, size_t size, const seal_bytes *rest, size_t count) {
    char *digits = (char *)find_digits(json, size), sum[DIGITS + 1];
    checksum c;
    if (!digits || memcmp(digits, SEAL_BLANK, DIGITS) != 0) return false;
    checksum_begin(&c);
    checksum_add(&c, head.data, head.size);
    checksum_add(&c, json, size);
    for (size_t i = 0; i < count; i++) checksum_add(&c, rest[i].data, rest[i].size);
    checksum_end(&c, sum);
    memcpy(digits, sum, DIGITS);
    return true;
}

seal_state seal_check(const void *file, size_t size, size_t json_at, size_t json_size) {
    const char *bytes = file, *digits = find_digits(bytes + json_at, json_size);
    char sum[DIGITS + 1];
    checksum c;
    if (!digits) return SEAL_NONE;
    checksum_begin(&c);
    checksum_add(&c, bytes, (size_t)(digits - bytes));
    checksum_add(&c, SEAL_BLANK, DIGITS);
    checksum_add(&c, digits + DIGITS, size - (size_t)(digits - bytes) - DIGITS);
    checksum_end(&c, sum);
    return memcmp(digits, sum, DIGITS) == 0 ? SEAL_SOUND : SEAL_BROKEN;
}

/*
 * What is sealed (engine/files/seal.h) refuses every change, and a fuzzer would never get past that. So its input is
 * also read as whoever writes seals would have left it: with the digest that its bytes have.
 */
#ifndef MEWS_FUZZ_RESEAL_H
#define MEWS_FUZZ_RESEAL_H

#include "engine/files/seal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A copy, free() it, whose digits of SEAL_KEY in json (bytes [at, at + length)) are right; as it is where it has none.
 */
static inline uint8_t *fuzz_reseal(const uint8_t *data, size_t size, size_t at, size_t length) {
    static const char key[] = "\"" SEAL_KEY "\":";
    uint8_t *copy = malloc(size + 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    copy[size] = 0;
    if (at > size || length > size - at) return copy;
    uint8_t *found = length ? memmem(copy + at, length, key, sizeof key - 1) : NULL, *end = copy + at + length;
    if (!found) return copy;
    found += sizeof key - 1;
    found += found < end && *found == ' ';
    if (end - found < 66 || *found != '"') return copy;
    memcpy(found + 1, SEAL_BLANK, 64);
    seal_bytes rest = {copy + at + length, size - at - length};
    seal_write((seal_bytes){copy, at}, (char *)copy + at, length, &rest, 1);
    return copy;
}

#endif

/* Golden files of images ("<name>.file" and Pillow's "<name>.pixels"), one by one, and what holds for all of them. */
#ifndef MEWS_IMAGE_BENCH_H
#define MEWS_IMAGE_BENCH_H

#include "engine/data/images.h"
#include "tests/golden/golden.h"

#include <stdlib.h>
#include <string.h>

/* The next "<name>.file" of the golden values, from *at on. */
static inline const safetensors_entry *image_bench_next(const safetensors *golden, size_t *at) {
    for (; *at < safetensors_count(golden); ++*at) {
        const char *name = safetensors_at(golden, *at)->name;
        size_t n = strlen(name);
        if (n > 5 && strcmp(name + n - 5, ".file") == 0) return safetensors_at(golden, (*at)++);
    }
    return NULL;
}

static inline void image_bench_pillows_bytes(const char *values, int files) {
    safetensors *golden = golden_file(values);
    const safetensors_entry *file;
    int seen = 0;
    for (size_t at = 0; (file = image_bench_next(golden, &at)); seen++) {
        char name[128];
        snprintf(name, sizeof name, "%.*s.pixels", (int)(strlen(file->name) - 5), file->name);
        const safetensors_entry *pixels = safetensors_find(golden, name);
        image decoded;
        error err = {0};
        ck_assert_msg(image_decode(file->data, file->bytes, &decoded, &err), "%s: %s", file->name, err.text);
        ck_assert_uint_eq((uint64_t)decoded.height, pixels->shape[0]);
        ck_assert_uint_eq((uint64_t)decoded.width, pixels->shape[1]);
        ck_assert_msg(memcmp(decoded.pixels, pixels->data, pixels->bytes) == 0, "%s differs from Pillow", file->name);
        image_free(&decoded);
    }
    ck_assert_int_eq(seen, files);
    safetensors_close(golden);
}

/* What is left of a file when it ends at `size`, with bit `bit` of it turned (none when that lies behind the end), is
 * read or refused; which, it says. */
static inline bool image_bench_harmed(const safetensors_entry *file, uint64_t size, uint64_t bit) {
    uint8_t *copy = malloc(size + 1); /* a buffer of its own, so that a sanitizer sees what reads past it */
    memcpy(copy, file->data, size);
    if (bit / 8 < size) copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    image decoded;
    error err = {0};
    bool read = image_decode(copy, size, &decoded, &err);
    ck_assert_msg(read == (decoded.pixels != NULL), "%s", file->name);
    if (!read) ck_assert_int_eq(err.code, ERROR_RUN);
    image_free(&decoded);
    free(copy);
    return read;
}

#endif

/* The index of runs, whose pages get the checksums that their bytes have: what SQLite and the readers make of the rest.
 */
#include "engine/files/file.h"
#include "experiments/store/store.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static void put(uint8_t *out, unsigned long number) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(number >> 8 * (3 - i) & 0xFF);
}

/* As experiments/store/store_pages.h says. */
static void seal_pages(uint8_t *data, size_t size) {
    size_t page = size > 18 ? (size_t)data[16] << 8 | data[17] : 0;
    for (size_t at = 0; page > 108 && at + page <= size; at += page) {
        uint8_t number[4];
        put(number, (unsigned long)(at / page + 1));
        put(data + at + page - 8, crc32(crc32(0, number, 4), data + at, (uInt)(page - 8)));
        memcpy(data + at + page - 4, number, 4);
    }
}

static void read_all(const char *results) {
    static const store_kind kinds[] = {STORE_SETTINGS, STORE_SWEPT, STORE_FIGURES};
    error err = {0};
    store_runs all = {0};
    store *s = store_open_current(results, &err);
    bool done = s && store_runs_read(s, &all, &err);
    for (int k = 0; done && k < 3; k++) {
        char(*keys)[96] = NULL;
        size_t count = 0, column;
        done = store_keys(s, kinds[k], &keys, &count, &err);
        for (size_t i = 0; done && i < count && i < 64; i++) done = store_runs_column(s, &all, keys[i], &column, &err);
        free(keys);
    }
    store_runs_free(&all);
    store_close(s);
}

int fuzz_index(const uint8_t *data, size_t size) {
    char results[] = "/tmp/mews-fuzz-XXXXXX", path[64];
    error err = {0};
    uint8_t *copy = malloc(size + 1);
    if (!mkdtemp(results) || !copy) abort();
    memcpy(copy, data, size);
    seal_pages(copy, size);
    snprintf(path, sizeof path, "%s/runs.db", results);
    if (!file_write(path, copy, size, &err)) abort();
    read_all(results);
    unlink(path);
    strcat(path, "-journal");
    unlink(path);
    rmdir(results);
    free(copy);
    return 0;
}

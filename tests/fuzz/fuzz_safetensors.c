/* safetensors: the whole check of a file, then every tensor's elements. */
#include "engine/files/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { VALUES_MOST = 1 << 12 };

int fuzz_safetensors(const uint8_t *data, size_t size) {
    error err = {0};
    safetensors *st = safetensors_parse(data, size, "fuzz.safetensors", &err);
    if (!st) return 0;
    double values[64];
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const safetensors_entry *e = safetensors_at(st, i);
        if (safetensors_find(st, e->name) != e) abort(); /* names are found where they stand */
        fuzz_use(e->data, e->bytes);
        for (uint64_t first = 0; first < e->count && first < VALUES_MOST; first += 64) {
            uint64_t count = e->count - first < 64 ? e->count - first : 64;
            safetensors_entry_double(e, first, count, values);
            fuzz_use(values, count * sizeof *values);
        }
    }
    safetensors_metadata(st, "format");
    safetensors_close(st);
    return 0;
}

/*
 * For readers of files of arrays: opens the bytes by one format, loads what it offers, and reads the elements at the
 * corners of each. The bytes stand in a file in memory, for libraries that want a path.
 */
#ifndef MEWS_FUZZ_ARRAYS_H
#define MEWS_FUZZ_ARRAYS_H

#include "analysis/files/array_box.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

enum { FUZZ_ARRAYS = 24, FUZZ_TEXT = 64 };

static inline void fuzz_array(const strided *a) {
    uint64_t count, first[STRIDED_DIMS] = {0}, last[STRIDED_DIMS] = {0};
    char text[FUZZ_TEXT];
    int64_t integer;
    if (!strided_count(a, &count)) abort();
    if (count == 0) return;
    for (int i = 0; i < a->dims; i++) last[i] = a->shape[i] - 1;
    const uint8_t *ends[] = {strided_at(a, first), strided_at(a, last)};
    for (int i = 0; i < 2; i++) {
        fuzz_use(ends[i], a->width);
        if (element_is_text(a->type)) {
            strided_text(a, ends[i], text, sizeof text);
        } else if (a->type != ELEMENT_OPAQUE) {
            double x = strided_double(a, ends[i]);
            fuzz_use(&x, sizeof x);
            if (element_is_integer(a->type) && strided_int(a, ends[i], &integer)) fuzz_use(&integer, sizeof integer);
        }
    }
}

static inline int fuzz_arrays(const array_format *format, const char *name, const uint8_t *data, size_t size) {
    char path[64];
    error err = {0};
    int file = fuzz_file(data, size, path, sizeof path);
    array_box *b = calloc(1, sizeof *b);
    *b = (array_box){.name = strdup(name),
                     .path = strdup(path),
                     .bytes = data,
                     .size = size,
                     .format = format,
                     .file = file,
                     .users = 1,
                     .unguarded = true};
    if (size == 0 || !format->open(b, &err)) {
        if (size && !*err.text) abort(); /* a refusal says why */
        array_box_leave(b);
        return 0;
    }
    for (size_t i = 0; i < b->count && i < FUZZ_ARRAYS; i++) {
        strided a;
        void *memory = NULL;
        error why = {0};
        if (b->offers[i].problem) continue;
        if (array_box_load(b, i, &a, &memory, &why))
            fuzz_array(&a);
        else if (!*why.text)
            abort();
        free(memory);
    }
    array_box_leave(b);
    return 0;
}

#endif

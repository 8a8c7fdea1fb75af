/*
 * The files of TEXMEX's and BigANN's benchmarks: each row its number of columns (32 bits), then as many floats
 * (.fvecs), bytes (.bvecs) or integers (.ivecs). Nothing but the name tells which; every row has to have the first
 * one's width.
 */
#include "analysis/files/array_box.h"
#include "engine/files/file.h"

#include <inttypes.h>
#include <string.h>

static bool open_vecs(array_box *b, error *err) {
    size_t length = strlen(b->name);
    char kind = length > 5 ? (char)(b->name[length - 5] | 32) : 'f';
    element_type type = kind == 'b' ? ELEMENT_U8 : kind == 'i' ? ELEMENT_I32 : ELEMENT_F32;
    uint64_t cols = b->size >= 4 ? file_little_endian(b->bytes, 4) : 0, step = 4 + cols * element_size(type);
    if (cols == 0 || cols > 1 << 24 || b->size % step)
        return error_set(err, ERROR_RUN,
                         "%s: is no .%cvecs file: its first row claims %" PRIu64
                         " columns, and %zu bytes are not whole "
                         "rows of that",
                         b->name, kind, cols, b->size);
    uint64_t rows = b->size / step;
    for (uint64_t i = 1; i < rows; i++) {
        uint64_t own = file_little_endian(b->bytes + i * step, 4);
        if (own != cols)
            return error_set(err, ERROR_RUN,
                             "%s: row %" PRIu64 " has %" PRIu64 " columns, where the first has %" PRIu64, b->name, i,
                             own, cols);
    }
    strided a = {.type = type, .dims = 2, .width = element_size(type), .shape = {rows, cols}, .data = b->bytes + 4};
    a.strides[0] = step, a.strides[1] = a.width;
    return array_box_offer(b, NULL, &a, NULL, err) != NULL;
}

const array_format array_format_vecs = {.kind = "a .vecs file", .by_name = true, .open = open_vecs};

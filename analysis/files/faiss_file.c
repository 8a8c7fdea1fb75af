/*
 * faiss' flat indices (faiss/impl/index_write.cpp), which keep vectors as they are: IxF2 and IxFI, perhaps inside an
 * IxMp or IxM2, which adds ids behind. Behind the name stand d (32 bits), the count and two numbers of no use (64 bits
 * each), one byte, the metric (32 bits, behind which others than 0 and 1 have a float), and a count of floats: so the
 * vectors begin at byte 45, unaligned. Other indices keep codes, or vectors in an order of their own.
 */
#include "analysis/files/array_box.h"
#include "engine/files/file.h"

#include <inttypes.h>
#include <string.h>

enum { HEADER = 37 };

/* The index's header at `at`: its columns and rows, and where it ends; 0: cut short. */
static size_t read_header(const array_box *b, size_t at, uint64_t *cols, uint64_t *rows) {
    if (b->size - at < HEADER) return 0;
    *cols = file_little_endian(b->bytes + at + 4, 4), *rows = file_little_endian(b->bytes + at + 8, 8);
    at += HEADER;
    if (file_little_endian(b->bytes + at - 4, 4) <= 1) return at;
    return b->size - at >= 4 ? at + 4 : 0;
}

static bool is_kind(const array_box *b, size_t at, const char *kind) {
    return b->size - at >= 4 && memcmp(b->bytes + at, kind, 4) == 0;
}

static bool open_faiss(array_box *b, error *err) {
    uint64_t cols = 0, rows = 0, floats;
    size_t at = 0;
    if (is_kind(b, 0, "IxMp") || is_kind(b, 0, "IxM2")) at = read_header(b, 0, &cols, &rows);
    if (!is_kind(b, at, "IxF2") && !is_kind(b, at, "IxFI") && !is_kind(b, at, "IxFl"))
        return error_set(
            err, ERROR_RUN,
            "%s: is a faiss index of kind `%.4s`, which is not read; flat ones (IndexFlatL2, "
            "IndexFlatIP, IndexIDMap of them) are, and index.reconstruct_n(0, index.ntotal) gives a matrix",
            b->name, b->size - at >= 4 ? (const char *)b->bytes + at : "");
    at = read_header(b, at, &cols, &rows);
    if (!at || b->size - at < 8) return error_set(err, ERROR_RUN, "%s: is cut short inside its header", b->name);
    floats = file_little_endian(b->bytes + at, 8);
    at += 8;
    if (cols == 0 || floats / cols != rows || floats % cols || floats > (b->size - at) / 4)
        return error_set(err, ERROR_RUN,
                         "%s: is damaged or cut short: %" PRIu64 " × %" PRIu64 " floats, %" PRIu64
                         " said, room for %zu",
                         b->name, rows, cols, floats, (b->size - at) / 4);
    strided a = {.type = ELEMENT_F32, .dims = 2, .shape = {rows, cols}, .data = b->bytes + at};
    strided_pack(&a, false);
    return array_box_offer(b, NULL, &a, NULL, err) != NULL;
}

const array_format array_format_faiss = {.kind = "a faiss index", .open = open_faiss};

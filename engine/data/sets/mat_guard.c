/*
 * The file ("MAT-File Format", MathWorks): 128 bytes of header, of which the last two tell the byte order, then
 * elements of a type, a number of bytes, and the bytes, padded to eight. An array (type 14) holds elements in turn:
 * flags with its class, dimensions, name, numbers. A compressed element (type 15) is one array in zlib's wrapping, and
 * only its beginning is looked into: the numbers that follow cannot be more than the dimensions say.
 */
#include "engine/data/sets/mat_guard.h"

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum {
    HEADER = 128,
    INT32 = 5,
    UINT32 = 6,
    MATRIX = 14,
    COMPRESSED = 15,
    CHARACTERS = 4,
    FIRST_NUMBERS = 6,
    LAST = 15
};
enum { PEEK = 512, MOST_DIMS = 8, MOST_NAME = 64 };

typedef struct cursor {
    const uint8_t *at, *end;
    bool swapped;
} cursor;

static uint32_t word(const cursor *c, const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return c->swapped ? __builtin_bswap32(value) : value;
}

/* The next element's type and bytes; short ones keep them in the tag itself. False when it does not fit. */
static bool next(cursor *c, uint32_t *type, uint32_t *size, const uint8_t **data) {
    if (c->end - c->at < 8) return false;
    uint32_t first = word(c, c->at);
    bool brief = first >> 16;
    *type = brief ? first & 0xFFFF : first;
    *size = brief ? first >> 16 : word(c, c->at + 4);
    *data = c->at + (brief ? 4 : 8);
    if (brief ? *size > 4 : *size > (size_t)(c->end - *data)) return false;
    size_t padded = ((size_t)*size + 7) / 8 * 8;
    c->at += brief ? 8 : 8 + padded;
    if (c->at > c->end) c->at = c->end;
    return true;
}

/* The elements of an array; `whole`: all of them are here, its numbers, too. */
static const char *check_array(cursor c, bool whole, uint64_t most) {
    uint32_t type, size;
    const uint8_t *data;
    uint64_t values = 1;
    if (!next(&c, &type, &size, &data) || type != UINT32 || size != 8) return "an array has no flags";
    uint32_t class = word(&c, data) & 0xFF;
    if (class != CHARACTERS && (class < FIRST_NUMBERS || class > LAST)) return "it holds more than arrays of numbers";
    if (!next(&c, &type, &size, &data) || type != INT32 || size % 4 || size < 8 || size > 4 * MOST_DIMS)
        return "an array's dimensions make no sense";
    for (uint32_t i = 0; i < size / 4; i++)
        if (__builtin_mul_overflow(values, word(&c, data + 4 * i), &values) || values > most)
            return "an array's dimensions are beyond all images";
    if (8 * values > 8 * most || !next(&c, &type, &size, &data) || size > MOST_NAME) return "an array has no name";
    return !whole || next(&c, &type, &size, &data) ? NULL : "an array is larger than the file";
}

static const char *check_compressed(const uint8_t *data, size_t size, bool swapped, uint64_t most) {
    uint8_t peek[PEEK];
    z_stream z = {.next_in = (uint8_t *)data, .avail_in = (uInt)size, .next_out = peek, .avail_out = sizeof peek};
    if (inflateInit(&z) != Z_OK) return "out of memory";
    int code = inflate(&z, Z_SYNC_FLUSH);
    size_t got = sizeof peek - z.avail_out;
    inflateEnd(&z);
    cursor c = {peek, peek + got, swapped};
    if ((code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) || got < 8 || word(&c, peek) != MATRIX)
        return "a compressed element is no array";
    c.at += 8;
    return check_array(c, false, most);
}

const char *mat_guard(const uint8_t *bytes, size_t size, uint64_t most) {
    if (size < HEADER) return "it ends in its header";
    uint16_t order;
    memcpy(&order, bytes + 126, sizeof order);
    if (order != 0x4D49 && order != 0x494D) return "its header tells no byte order";
    cursor file = {bytes + HEADER, bytes + size, order == 0x494D};
    while (file.end - file.at >= 8) {
        uint32_t type = word(&file, file.at), length = word(&file, file.at + 4);
        const uint8_t *data = file.at + 8;
        if (length > (size_t)(file.end - data)) return "an element is larger than the file";
        const char *wrong = type == COMPRESSED ? check_compressed(data, length, file.swapped, most)
                            : type == MATRIX   ? check_array((cursor){data, data + length, file.swapped}, true, most)
                                               : "an element is no array";
        if (wrong) return wrong;
        file.at = data + length;
    }
    return NULL;
}

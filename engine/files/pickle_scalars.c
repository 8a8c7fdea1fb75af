/*
 * Numbers and text of a pickle. Protocol 0 writes them as lines that Python could evaluate; the others as bytes behind
 * a count.
 */
#include "engine/files/pickle_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool pickle_push_bytes(pickle *p, pickle_kind kind, const uint8_t *bytes, size_t size) {
    pickle_value *v = bytes ? pickle_new(p, kind) : NULL;
    if (!bytes) return false;
    if (v) v->bytes = bytes, v->size = size;
    return pickle_push(p, v);
}

bool pickle_push_counted(pickle *p, pickle_kind kind, size_t count_size) {
    uint64_t size;
    return pickle_take_number(p, count_size, &size) && pickle_push_bytes(p, kind, pickle_take(p, size), (size_t)size);
}

bool pickle_push_int(pickle *p, pickle_kind kind, int64_t value) {
    pickle_value *v = pickle_new(p, kind);
    if (v) v->integer = value;
    return pickle_push(p, v);
}

static bool push_float(pickle *p, double value) {
    pickle_value *v = pickle_new(p, PICKLE_FLOAT);
    if (v) v->real = value;
    return pickle_push(p, v);
}

/* Protocol 0: I01 and I00 are booleans; a long ends in L. */
bool pickle_push_int_line(pickle *p) {
    char text[400], *end;
    if (!pickle_take_text(p, text, sizeof text)) return false;
    if (strcmp(text, "00") == 0 || strcmp(text, "01") == 0) return pickle_push_int(p, PICKLE_BOOL, text[1] - '0');
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || (*end && strcmp(end, "L") != 0)) return pickle_fail(p, "holds a number that is none");
    if (errno == ERANGE)
        return pickle_push_bytes(p, PICKLE_LONG, (const uint8_t *)"", 0); /* its value matters to nobody */
    return pickle_push_int(p, PICKLE_INT, value);
}

bool pickle_push_float_line(pickle *p) {
    char text[400], *end;
    if (!pickle_take_text(p, text, sizeof text)) return false;
    double value = strtod(text, &end);
    return end != text && !*end ? push_float(p, value) : pickle_fail(p, "holds a number that is none");
}

bool pickle_push_double(pickle *p) {
    const uint8_t *bytes = pickle_take(p, 8);
    uint64_t bits = 0;
    double value;
    for (int i = 0; bytes && i < 8; i++) bits = bits << 8 | bytes[i];
    memcpy(&value, &bits, sizeof value);
    return bytes && push_float(p, value);
}

bool pickle_push_long(pickle *p, size_t count_size) {
    uint64_t size, value = 0;
    const uint8_t *bytes = pickle_take_number(p, count_size, &size) ? pickle_take(p, size) : NULL;
    if (!bytes || size > 8) return bytes && pickle_push_bytes(p, PICKLE_LONG, bytes, (size_t)size);
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    if (size && size < 8 && bytes[size - 1] & 0x80) value |= ~UINT64_C(0) << 8 * size;
    return pickle_push_int(p, PICKLE_INT, (int64_t)value);
}

/* −1: not all are digits. What is beyond all letters stays so. */
static int hex(const uint8_t *digits, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        int c = digits[i], digit = c >= '0' && c <= '9'                 ? c - '0'
                                   : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
                                                                        : -1;
        if (digit < 0) return -1;
        value = value > 0x10ffff ? value : value << 4 | digit;
    }
    return value;
}

static size_t put_code(uint8_t *out, uint32_t c) {
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (length == 1) out[0] = (uint8_t)c;
    for (size_t i = length - 1; length > 1 && i > 0; i--, c >>= 6) out[i] = (uint8_t)(0x80 | (c & 63));
    if (length > 1) out[0] = (uint8_t)((0xf00u >> length & 0xf0) | c);
    return length;
}

/* One escape of a line, after its backslash: its length there, and what it stands for; −1 code: as it is written. */
static size_t unescape(const uint8_t *at, size_t left, bool unicode, int *code) {
    static const char plain[] = "\\'\"nrtabfv", means[] = "\\'\"\n\r\t\a\b\f\v";
    *code = -1;
    if (left == 0) return 0;
    size_t digits = at[0] == 'x' ? 2 : at[0] == 'u' ? 4 : at[0] == 'U' ? 8 : 0;
    if (digits && unicode == (digits > 2) && left > digits && (*code = hex(at + 1, (int)digits)) >= 0)
        return digits + 1;
    const char *found = unicode ? NULL : strchr(plain, at[0]);
    if (!found || !at[0]) return 0;
    *code = means[found - plain];
    return 1;
}

/* Protocol 0: STRING is a repr with Python's escapes, UNICODE raw with \u and \U alone (its other bytes Latin-1). */
bool pickle_push_text_line(pickle *p, bool unicode) {
    size_t size = 0, length = 0;
    const uint8_t *line = pickle_take_line(p, &size);
    if (!line) return false;
    if (!unicode) {
        if (size < 2 || line[0] != line[size - 1] || (line[0] != '\'' && line[0] != '"'))
            return pickle_fail(p, "holds a string without quotes");
        line++, size -= 2;
    }
    uint8_t *out = pickle_alloc(p, 2 * size + 8);
    if (!out) return pickle_fail(p, pickle_no_memory);
    for (size_t i = 0; i < size; i++) {
        int code = -1;
        size_t escape = line[i] == '\\' ? unescape(line + i + 1, size - i - 1, unicode, &code) : 0;
        uint32_t c = code >= 0 ? (uint32_t)code : line[i];
        if (unicode)
            length += put_code(out + length, c > 0x10ffff ? 0xfffd : c);
        else
            out[length++] = (uint8_t)c;
        i += escape;
    }
    return pickle_push_bytes(p, unicode ? PICKLE_TEXT : PICKLE_BYTES, out, length);
}

#include "engine/files/strided.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool strided_count(const strided *a, uint64_t *count) {
    uint64_t most = 1;
    bool none = false;
    *count = 0;
    for (int i = 0; i < a->dims; i++) {
        none = none || a->shape[i] == 0;
        if (a->shape[i] && __builtin_mul_overflow(most, a->shape[i], &most)) return false;
    }
    if (most >= (uint64_t)1 << 63) return false;
    *count = none ? 0 : most;
    return true;
}

void strided_pack(strided *a, bool fortran) {
    if (element_size(a->type)) a->width = element_size(a->type);
    uint64_t step = a->width;
    for (int i = 0; i < a->dims; i++) {
        int d = fortran ? i : a->dims - 1 - i;
        a->strides[d] = step;
        step *= a->shape[d];
    }
}

bool strided_within(const strided *a, const uint8_t *begin, size_t size) {
    uint64_t last = 0, way, count;
    if (!strided_count(a, &count)) return false;
    if (a->data < begin || a->data > begin + size) return false;
    if (count == 0) return true;
    for (int i = 0; i < a->dims; i++)
        if (__builtin_mul_overflow(a->shape[i] - 1, a->strides[i], &way) || __builtin_add_overflow(last, way, &last))
            return false;
    uint64_t room = (uint64_t)(begin + size - a->data);
    return last <= room && a->width <= room - last;
}

bool strided_is_plain(const strided *a) {
    uint64_t step = a->width;
    if ((a->swapped && a->width > 1) || a->negated) return false;
    for (int i = a->dims - 1; i >= 0; i--) {
        if (a->shape[i] > 1 && a->strides[i] != step) return false;
        step *= a->shape[i];
    }
    return true;
}

const uint8_t *strided_at(const strided *a, const uint64_t *index) {
    const uint8_t *at = a->data;
    for (int i = 0; i < a->dims; i++) at += index[i] * a->strides[i];
    return at;
}

static const void *in_order(const strided *a, const uint8_t *at, uint8_t *turned) {
    if (!a->swapped) return at;
    for (size_t i = 0; i < a->width && i < 8; i++) turned[i] = at[a->width - 1 - i];
    return turned;
}

double strided_double(const strided *a, const uint8_t *at) {
    uint8_t turned[8];
    double value = element_double(a->type, in_order(a, at, turned));
    return a->negated ? -value : value;
}

bool strided_int(const strided *a, const uint8_t *at, int64_t *out) {
    uint8_t turned[8];
    return element_int(a->type, in_order(a, at, turned), out);
}

static size_t put_code(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)((0xf00u >> length & 0xf0) | c);
    return length;
}

void strided_text(const strided *a, const uint8_t *at, char *out, size_t size) {
    size_t length = 0, step = a->type == ELEMENT_UCS4 ? 4 : 1;
    for (size_t i = 0; i + step <= a->width && length + 5 < size; i += step) {
        uint32_t c = at[i];
        if (step == 4)
            c = a->swapped ? (uint32_t)at[i] << 24 | (uint32_t)at[i + 1] << 16 | (uint32_t)at[i + 2] << 8 | at[i + 3]
                           : (uint32_t)at[i + 3] << 24 | (uint32_t)at[i + 2] << 16 | (uint32_t)at[i + 1] << 8 | at[i];
        if (c == 0) break;
        if (step == 1)
            out[length++] = (char)c;
        else
            length += put_code(out + length, c > 0x10ffff ? 0xfffd : c);
    }
    out[length] = 0;
}

void strided_tell_shape(int dims, const uint64_t *shape, char *out, size_t size) {
    size_t length = 0;
    out[0] = 0;
    if (dims == 0) snprintf(out, size, "a number");
    for (int i = 0; i < dims && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%" PRIu64, i ? " × " : "", shape[i]);
}

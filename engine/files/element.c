/*
 * Values are taken from bits. Half floats are widened by moving their bits to where float32 has them and scaling by the
 * difference of the exponents' biases, which is exact; a float of eight bits is sign, exponent, fraction in a row, and
 * the variants differ in the exponent's bias and in which bit patterns are no numbers.
 */
#include "engine/files/element.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [ELEMENT_BOOL] = {"bool", 1},
    [ELEMENT_U8] = {"uint8", 1},
    [ELEMENT_I8] = {"int8", 1},
    [ELEMENT_U16] = {"uint16", 2},
    [ELEMENT_I16] = {"int16", 2},
    [ELEMENT_F16] = {"float16", 2},
    [ELEMENT_BF16] = {"bfloat16", 2},
    [ELEMENT_U32] = {"uint32", 4},
    [ELEMENT_I32] = {"int32", 4},
    [ELEMENT_F32] = {"float32", 4},
    [ELEMENT_U64] = {"uint64", 8},
    [ELEMENT_I64] = {"int64", 8},
    [ELEMENT_F64] = {"float64", 8},
    [ELEMENT_F8_E4M3FN] = {"float8_e4m3fn", 1},
    [ELEMENT_F8_E5M2] = {"float8_e5m2", 1},
    [ELEMENT_F8_E4M3] = {"float8_e4m3", 1},
    [ELEMENT_F8_E3M4] = {"float8_e3m4", 1},
    [ELEMENT_F8_E4M3FNUZ] = {"float8_e4m3fnuz", 1},
    [ELEMENT_F8_E5M2FNUZ] = {"float8_e5m2fnuz", 1},
    [ELEMENT_F8_E4M3B11FNUZ] = {"float8_e4m3b11fnuz", 1},
    [ELEMENT_F8_E8M0FNU] = {"float8_e8m0fnu", 1},
    [ELEMENT_I4] = {"int4", 1},
    [ELEMENT_U4] = {"uint4", 1},
    [ELEMENT_OPAQUE] = {"opaque", 0},
    [ELEMENT_TEXT] = {"text", 0},
    [ELEMENT_UCS4] = {"text", 0},
};

size_t element_size(element_type type) { return types[type].size; }
const char *element_name(element_type type) { return types[type].name; }

bool element_named(const char *name, element_type *type) {
    for (int i = 0; i < ELEMENT_OPAQUE; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        *type = (element_type)i;
        return true;
    }
    return false;
}

bool element_is_integer(element_type type) {
    switch (type) {
    case ELEMENT_BOOL:
    case ELEMENT_U8:
    case ELEMENT_I8:
    case ELEMENT_U16:
    case ELEMENT_I16:
    case ELEMENT_U32:
    case ELEMENT_I32:
    case ELEMENT_U64:
    case ELEMENT_I64:
    case ELEMENT_I4:
    case ELEMENT_U4: return true;
    default: return false;
    }
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double half_value(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = (uint32_t)(bits & 0x7fff) << 13;
    if ((bits & 0x7c00) == 0x7c00) return (double)float_of(sign | 0x7f800000 | rest);
    double size = (double)float_of(rest) * 0x1p112; /* biases 127 and 15 */
    return sign ? -size : size;
}

/* What the largest bit patterns of an 8-bit float mean. */
typedef enum specials {
    IEEE,        /* infinity and NaNs, as in wider floats */
    FINITE,      /* one NaN in each sign, all bits set */
    NO_ZERO_SIGN /* one NaN, where −0 would be */
} specials;

static double eighth_value(uint8_t bits, int exponent_bits, int bias, specials kind) {
    int fraction_bits = 7 - exponent_bits, largest = (1 << exponent_bits) - 1;
    int exponent = bits >> fraction_bits & largest, fraction = bits & ((1 << fraction_bits) - 1);
    if (kind == NO_ZERO_SIGN && bits == 0x80) return NAN;
    if (kind == FINITE && (bits & 0x7f) == 0x7f) return NAN;
    double size = exponent ? ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits)
                           : ldexp(fraction, 1 - bias - fraction_bits);
    if (kind == IEEE && exponent == largest) size = fraction ? (double)NAN : (double)INFINITY;
    return bits >> 7 ? -size : size;
}

typedef union element {
    uint8_t u8;
    int8_t i8;
    uint16_t u16;
    int16_t i16;
    uint32_t u32;
    int32_t i32;
    float f32;
    uint64_t u64;
    int64_t i64;
    double f64;
} element;

double element_double(element_type type, const void *at) {
    element e = {.u64 = 0};
    memcpy(&e, at, types[type].size);
    switch (type) {
    case ELEMENT_BOOL: return e.u8 != 0;
    case ELEMENT_U8: return e.u8;
    case ELEMENT_I8: return e.i8;
    case ELEMENT_U16: return e.u16;
    case ELEMENT_I16: return e.i16;
    case ELEMENT_F16: return half_value(e.u16);
    case ELEMENT_BF16: return (double)float_of((uint32_t)e.u16 << 16);
    case ELEMENT_U32: return e.u32;
    case ELEMENT_I32: return e.i32;
    case ELEMENT_F32: return (double)e.f32;
    case ELEMENT_U64: return (double)e.u64;
    case ELEMENT_I64: return (double)e.i64;
    case ELEMENT_F64: return e.f64;
    case ELEMENT_F8_E4M3FN: return eighth_value(e.u8, 4, 7, FINITE);
    case ELEMENT_F8_E5M2: return eighth_value(e.u8, 5, 15, IEEE);
    case ELEMENT_F8_E4M3: return eighth_value(e.u8, 4, 7, IEEE);
    case ELEMENT_F8_E3M4: return eighth_value(e.u8, 3, 3, IEEE);
    case ELEMENT_F8_E4M3FNUZ: return eighth_value(e.u8, 4, 8, NO_ZERO_SIGN);
    case ELEMENT_F8_E5M2FNUZ: return eighth_value(e.u8, 5, 16, NO_ZERO_SIGN);
    case ELEMENT_F8_E4M3B11FNUZ: return eighth_value(e.u8, 4, 11, NO_ZERO_SIGN);
    case ELEMENT_F8_E8M0FNU: return e.u8 == 0xff ? (double)NAN : ldexp(1, e.u8 - 127);
    case ELEMENT_I4: return (e.u8 & 15) - ((e.u8 & 8) << 1);
    case ELEMENT_U4: return e.u8 & 15;
    case ELEMENT_OPAQUE:
    case ELEMENT_TEXT:
    case ELEMENT_UCS4:
    case ELEMENT_TYPES: break;
    }
    return (double)NAN;
}

bool element_int(element_type type, const void *at, int64_t *out) {
    element e = {.u64 = 0};
    if (type == ELEMENT_I64 || type == ELEMENT_U64) {
        memcpy(&e, at, sizeof e.u64);
        *out = e.i64;
        return type == ELEMENT_I64 || e.u64 <= INT64_MAX;
    }
    *out = (int64_t)element_double(type, at); /* every other integer type fits a double */
    return true;
}

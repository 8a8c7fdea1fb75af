/*
 * Values stored in bfloat16: the upper half of a float, with 8 bits of exponent and 8 significant ones. Kernels compute
 * in `real` and pass here on their way to and from memory. Rounding is to nearest, ties to even, so that a value is off
 * by at most 2⁻⁸ of it; NaN stays NaN.
 */
#ifndef MEWS_BFLOAT16_H
#define MEWS_BFLOAT16_H

#include "engine/tensor.h"

#include <string.h>

typedef uint16_t bfloat;

static inline real bfloat_value(bfloat stored) {
    uint32_t bits = (uint32_t)stored << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (real)value;
}

static inline bfloat bfloat_round(real x) {
    float value = (float)x;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (bfloat)(value != value ? 0x7fc0 : rounded);
}

/* Element i of a tensor's values or gradient; `brief` is a constant where loops are to be fast. */
static inline __attribute__((always_inline)) real value_get(const void *data, int64_t i, bool brief) {
    return brief ? bfloat_value(((const bfloat *)data)[i]) : ((const real *)data)[i];
}

static inline __attribute__((always_inline)) void value_put(void *data, int64_t i, real value, bool brief) {
    if (brief)
        ((bfloat *)data)[i] = bfloat_round(value);
    else
        ((real *)data)[i] = value;
}

/* Where element i lies. */
static inline void *value_at(const void *data, int64_t i, bool brief) {
    return (char *)data + i * (int64_t)(brief ? sizeof(bfloat) : sizeof(real));
}

/* widen.c: `count` values from one storage to the other. */
void cpu_widen(const void *from, real *to, int64_t count);
void cpu_round(const real *from, void *to, int64_t count);

#endif

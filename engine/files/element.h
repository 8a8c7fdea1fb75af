/*
 * The types that numbers have in files of arrays, whatever the format: integers, floats down to eight bits, and text.
 * One place knows their sizes, their names and their values. Names are those of NumPy and ml_dtypes; the small floats'
 * meanings are the OCP 8-bit specification's (E4M3FN, E5M2) and ml_dtypes' for the rest.
 */
#ifndef MEWS_ELEMENT_H
#define MEWS_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum element_type {
    ELEMENT_BOOL,
    ELEMENT_U8,
    ELEMENT_I8,
    ELEMENT_U16,
    ELEMENT_I16,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_U32,
    ELEMENT_I32,
    ELEMENT_F32,
    ELEMENT_U64,
    ELEMENT_I64,
    ELEMENT_F64,
    ELEMENT_F8_E4M3FN,
    ELEMENT_F8_E5M2,
    ELEMENT_F8_E4M3,
    ELEMENT_F8_E3M4,
    ELEMENT_F8_E4M3FNUZ,
    ELEMENT_F8_E5M2FNUZ,
    ELEMENT_F8_E4M3B11FNUZ,
    ELEMENT_F8_E8M0FNU, /* a power of two, no sign */
    ELEMENT_I4,         /* one a byte, in its low four bits */
    ELEMENT_U4,
    ELEMENT_OPAQUE, /* bytes of a type that the file does not name; its array knows how many */
    ELEMENT_TEXT,   /* bytes, padded with zeros to the array's width */
    ELEMENT_UCS4,   /* 32-bit code points, padded likewise */
    ELEMENT_TYPES
} element_type;

/* Bytes of one; 0 where its array knows the width. */
size_t element_size(element_type type);
const char *element_name(element_type type); /* "float32" */
bool element_named(const char *name, element_type *type);

static inline bool element_is_text(element_type type) { return type >= ELEMENT_TEXT; }
/* Booleans too. */
bool element_is_integer(element_type type);

/* The element at `at`, which need not be aligned, in this machine's byte order. */
double element_double(element_type type, const void *at);
/* Exact, for integers; of an unsigned one above INT64_MAX false. */
bool element_int(element_type type, const void *at, int64_t *out);

#endif

/*
 * An array as it lies in memory that somebody else owns: type, shape, and the way from one element to the next in bytes
 * along each dimension. Rows, columns, slices, transposes and repeated rows (a stride of 0) are all the same thing.
 * Whoever makes one from a file checks it with strided_within before an element is read.
 */
#ifndef MEWS_STRIDED_H
#define MEWS_STRIDED_H

#include "engine/files/element.h"

enum { STRIDED_DIMS = 8 };

typedef struct strided {
    element_type type;
    bool swapped; /* the other byte order than this machine's */
    bool negated; /* what is meant is minus the values */
    int dims;
    size_t width; /* bytes of one element */
    uint64_t shape[STRIDED_DIMS], strides[STRIDED_DIMS];
    const uint8_t *data; /* element (0, …, 0); not aligned in general */
} strided;

/* Elements; false where that does not fit 63 bits. */
bool strided_count(const strided *a, uint64_t *count);

/* Width (where the type has one) and strides of an array without gaps, in C order or Fortran's. */
void strided_pack(strided *a, bool fortran);

/* Whether every element lies in the `size` bytes that `begin` points to. */
bool strided_within(const strided *a, const uint8_t *begin, size_t size);

/* Row-major, without gaps, in this machine's byte order and as it is meant. */
bool strided_is_plain(const strided *a);

/* Where element (index[0], …) lies. */
const uint8_t *strided_at(const strided *a, const uint64_t *index);

/* One element; strided_int as element_int. */
double strided_double(const strided *a, const uint8_t *at);
bool strided_int(const strided *a, const uint8_t *at, int64_t *out);

/* A text element as UTF-8 without the padding: out takes up to `size` bytes with the final zero. */
void strided_text(const strided *a, const uint8_t *at, char *out, size_t size);

/* "100 × 3 × 7" */
void strided_tell_shape(int dims, const uint64_t *shape, char *out, size_t size);

#endif

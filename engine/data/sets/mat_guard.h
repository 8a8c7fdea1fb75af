/*
 * A look at a MATLAB file before libmatio reads it. That library allocates what the file says of itself, gigabytes at a
 * word, before it looks whether they follow; here every size is held against the file first.
 */
#ifndef MEWS_MAT_GUARD_H
#define MEWS_MAT_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* Why these bytes, a MATLAB file of version 5, are not to be given to libmatio; NULL when they may. Arrays of numbers
 * and characters alone are let through, of at most `most` bytes each. */
const char *mat_guard(const uint8_t *bytes, size_t size, uint64_t most);

#endif

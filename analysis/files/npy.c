/*
 * Reading and writing .npy. The header is a Python dictionary literal with three keys in any order, for example
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (1000, 64), }
 * so a small parser for exactly that stands here: strings, True/False and tuples of integers; anything else in a header
 * (a structured dtype, an object array, which would be a pickle) is refused by name.
 */
#include "analysis/files/npy.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_SIZE = 6, LONGEST_HEADER = NPY_LONGEST_START - 12, MAX_DIMS = 2 };
static const char magic[MAGIC_SIZE + 1] = "\x93NUMPY";

static const struct {
    const char *code; /* kind and bytes, as in descr */
    size_t size;
} dtypes[] = {
    [NPY_BOOL] = {"b1", 1}, [NPY_I8] = {"i1", 1},  [NPY_U8] = {"u1", 1},  [NPY_I16] = {"i2", 2},
    [NPY_U16] = {"u2", 2},  [NPY_F16] = {"f2", 2}, [NPY_I32] = {"i4", 4}, [NPY_U32] = {"u4", 4},
    [NPY_F32] = {"f4", 4},  [NPY_I64] = {"i8", 8}, [NPY_U64] = {"u8", 8}, [NPY_F64] = {"f8", 8},
};

size_t npy_dtype_size(npy_dtype dtype) { return dtypes[dtype].size; }

/* ---- the header ------------------------------------------------------------------------------------------------- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static bool take(cursor *c, char wanted) {
    while (c->at < c->end && isspace((unsigned char)*c->at)) c->at++;
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* A quoted string without escapes, cut to `size`. */
static bool take_string(cursor *c, char *out, size_t size) {
    char quote = take(c, '\'') ? '\'' : take(c, '"') ? '"' : 0;
    if (!quote) return false;
    size_t length = 0;
    for (; c->at < c->end && *c->at != quote; c->at++)
        if (length + 1 < size) out[length++] = *c->at;
    out[length] = 0;
    return take(c, quote);
}

static bool take_word(cursor *c, const char *word) {
    cursor start = *c;
    for (const char *w = word; *w; w++) {
        if (w == word ? !take(c, *w) : (c->at == c->end || *c->at++ != *w)) {
            *c = start;
            return false;
        }
    }
    return true;
}

static bool take_number(cursor *c, uint64_t *out) {
    while (c->at < c->end && isspace((unsigned char)*c->at)) c->at++;
    if (c->at == c->end || !isdigit((unsigned char)*c->at)) return false;
    for (*out = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++) {
        unsigned digit = (unsigned)(*c->at - '0');
        if (*out > (UINT64_MAX - digit) / 10) return false;
        *out = *out * 10 + digit;
    }
    if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 wrote long integers so */
    return true;
}

static bool take_shape(cursor *c, npy *array, const char *name, error *err) {
    uint64_t shape[MAX_DIMS] = {1, 1}, size;
    if (!take(c, '(')) return error_set(err, ERROR_RUN, "%s: the header's shape is not a tuple", name);
    array->dims = 0;
    while (!take(c, ')')) {
        if (!take_number(c, &size))
            return error_set(err, ERROR_RUN, "%s: the header's shape holds something other than a size", name);
        if (array->dims == MAX_DIMS)
            return error_set(err, ERROR_RUN, "%s: has more than 2 dimensions; a vector or a matrix is expected", name);
        shape[array->dims++] = size;
        if (!take(c, ',') && !(c->at < c->end && *c->at == ')'))
            return error_set(err, ERROR_RUN, "%s: the header's shape is not closed", name);
    }
    if (array->dims == 0)
        return error_set(err, ERROR_RUN, "%s: holds a single number; a vector or a matrix is expected", name);
    array->rows = shape[0], array->cols = shape[1];
    return true;
}

static bool read_descr(npy *array, const char *descr, const char *name, error *err) {
    char order = descr[0];
    for (size_t i = 0; order && i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(descr + 1, dtypes[i].code) != 0 || !strchr("<>=|", order)) continue;
        array->dtype = (npy_dtype)i;
        array->swapped = order == '>' && dtypes[i].size > 1;
        return true;
    }
    return error_set(err, ERROR_RUN,
                     "%s: holds elements of type '%.20s'; booleans, integers and floats of at most 64 bits can be read",
                     name, descr);
}

static bool parse_header(npy *array, cursor c, const char *name, error *err) {
    bool have_descr = false, have_order = false, have_shape = false;
    if (!take(&c, '{')) return error_set(err, ERROR_RUN, "%s: the header is not a dictionary", name);
    while (!take(&c, '}')) {
        char key[32], descr[32];
        if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
            return error_set(err, ERROR_RUN, "%s: the header is not a dictionary of named values", name);
        if (strcmp(key, "descr") == 0) {
            if (!take_string(&c, descr, sizeof descr))
                return error_set(err, ERROR_RUN, "%s: holds records; an array of numbers is expected", name);
            if (!read_descr(array, descr, name, err)) return false;
            have_descr = true;
        } else if (strcmp(key, "fortran_order") == 0) {
            array->fortran = take_word(&c, "True");
            if (!array->fortran && !take_word(&c, "False"))
                return error_set(err, ERROR_RUN, "%s: fortran_order is neither True nor False", name);
            have_order = true;
        } else if (strcmp(key, "shape") == 0) {
            if (!take_shape(&c, array, name, err)) return false;
            have_shape = true;
        } else {
            return error_set(err, ERROR_RUN, "%s: unknown key '%s' in the header", name, key);
        }
        if (!take(&c, ',') && !(c.at < c.end && *c.at == '}'))
            return error_set(err, ERROR_RUN, "%s: the header's dictionary is not closed", name);
    }
    if (have_descr && have_order && have_shape) return true;
    return error_set(err, ERROR_RUN, "%s: the header lacks '%s'", name,
                     !have_descr   ? "descr"
                     : !have_order ? "fortran_order"
                                   : "shape");
}

/* Where the data begins, and how many bytes it has to have. */
static bool measure(npy *array, const uint8_t *bytes, size_t size, const char *name, uint64_t *begin, uint64_t *needed,
                    error *err) {
    *array = (npy){0};
    if (size < MAGIC_SIZE + 4 || memcmp(bytes, magic, MAGIC_SIZE) != 0)
        return error_set(err, ERROR_RUN, "%s: is not an .npy file (its first bytes are not \\x93NUMPY)", name);
    unsigned version = bytes[MAGIC_SIZE];
    size_t start = version == 1 ? 10 : 12, header = bytes[8] | (size_t)bytes[9] << 8;
    if (version < 1 || version > 3)
        return error_set(err, ERROR_RUN, "%s: is .npy version %u; versions 1 to 3 can be read", name, version);
    if (version > 1) {
        if (size < start) return error_set(err, ERROR_RUN, "%s: ends inside its header", name);
        header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    if (header > LONGEST_HEADER)
        return error_set(err, ERROR_RUN, "%s: claims a header of %zu bytes; at most %d make sense", name, header,
                         LONGEST_HEADER);
    if (header > size - start) return error_set(err, ERROR_RUN, "%s: ends inside its header", name);
    const char *text = (const char *)bytes + start;
    if (!parse_header(array, (cursor){text, text + header}, name, err)) return false;
    uint64_t element = npy_dtype_size(array->dtype);
    *begin = start + header, *needed = 0;
    if (!array->rows || !array->cols) return true;
    if (array->rows > (UINT64_MAX - *begin) / element / array->cols)
        return error_set(err, ERROR_RUN, "%s: claims a shape that overflows (%" PRIu64 " × %" PRIu64 ")", name,
                         array->rows, array->cols);
    *needed = array->rows * array->cols * element;
    return true;
}

bool npy_parse_header(npy *array, const uint8_t *bytes, size_t size, const char *name, uint64_t *total, error *err) {
    uint64_t begin = 0, needed = 0;
    if (!measure(array, bytes, size, name, &begin, &needed, err)) return false;
    *total = begin + needed;
    return true;
}

bool npy_parse(npy *array, const uint8_t *bytes, size_t size, const char *name, error *err) {
    uint64_t begin = 0, needed = 0;
    if (!measure(array, bytes, size, name, &begin, &needed, err)) return false;
    uint64_t present = size - begin;
    if (present != needed)
        return error_set(err, ERROR_RUN,
                         "%s: %s: %" PRIu64 " × %" PRIu64 " %s need %" PRIu64 " bytes, the file holds %" PRIu64, name,
                         present < needed ? "is cut short" : "has bytes after its array", array->rows, array->cols,
                         dtypes[array->dtype].code, needed, present);
    array->data = bytes + begin;
    return true;
}

bool npy_open(npy *array, const char *path, error *err) {
    file_map map = {0};
    *array = (npy){0};
    if (!file_map_open(&map, path, err)) return false;
    if (!npy_parse(array, map.data, map.size, path, err)) {
        file_map_close(&map);
        *array = (npy){0};
        return false;
    }
    array->map = map;
    return true;
}

void npy_close(npy *array) {
    if (array->map.data) file_map_close(&array->map);
    *array = (npy){0};
}

/* ---- the elements ----------------------------------------------------------------------------------------------- */

static double half_to_double(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                       : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                      : ldexp(fraction, -24);
    return bits >> 15 ? -magnitude : magnitude;
}

typedef union element {
    uint8_t bytes[8];
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    float f32;
    int64_t i64;
    uint64_t u64;
    double f64;
} element;

static element element_at(const npy *a, uint64_t row, uint64_t col) {
    size_t size = npy_dtype_size(a->dtype);
    uint64_t index = a->fortran ? col * a->rows + row : row * a->cols + col;
    const uint8_t *source = a->data + index * size;
    element e = {{0}};
    if (!a->swapped)
        memcpy(e.bytes, source, size);
    else
        for (size_t i = 0; i < size && i < sizeof e.bytes; i++) e.bytes[i] = source[size - 1 - i];
    return e;
}

static double element_double(npy_dtype dtype, element e) {
    switch (dtype) {
    case NPY_BOOL: return e.u8 != 0;
    case NPY_I8: return e.i8;
    case NPY_U8: return e.u8;
    case NPY_I16: return e.i16;
    case NPY_U16: return e.u16;
    case NPY_F16: return half_to_double(e.u16);
    case NPY_I32: return e.i32;
    case NPY_U32: return e.u32;
    case NPY_F32: return (double)e.f32;
    case NPY_I64: return (double)e.i64;
    case NPY_U64: return (double)e.u64;
    case NPY_F64: return e.f64;
    }
    return (double)NAN;
}

void npy_read_double(const npy *a, uint64_t first, uint64_t count, double *out) {
    if (a->dtype == NPY_F64 && !a->fortran && !a->swapped) {
        if (count && a->cols) memcpy(out, a->data + first * a->cols * sizeof(double), count * a->cols * sizeof(double));
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++)
            out[i * a->cols + j] = element_double(a->dtype, element_at(a, first + i, j));
}

void npy_read_float(const npy *a, uint64_t first, uint64_t count, float *out) {
    if (a->dtype == NPY_F32 && !a->fortran && !a->swapped) {
        if (count && a->cols) memcpy(out, a->data + first * a->cols * sizeof(float), count * a->cols * sizeof(float));
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++)
            out[i * a->cols + j] = (float)element_double(a->dtype, element_at(a, first + i, j));
}

bool npy_read_int(const npy *a, uint64_t first, uint64_t count, int64_t *out, error *err) {
    if (a->dtype == NPY_F16 || a->dtype == NPY_F32 || a->dtype == NPY_F64)
        return error_set(err, ERROR_RUN, "holds floats (%s); integers are expected", dtypes[a->dtype].code);
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++) {
            element e = element_at(a, first + i, j);
            if (a->dtype == NPY_U64 && e.u64 > INT64_MAX)
                return error_set(err, ERROR_RUN, "row %" PRIu64 " holds %" PRIu64 ", which is too large", first + i,
                                 e.u64);
            /* every other integer type fits a double or is one of the two 64-bit ones */
            out[i * a->cols + j] =
                a->dtype == NPY_I64 || a->dtype == NPY_U64 ? e.i64 : (int64_t)element_double(a->dtype, e);
        }
    return true;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

bool npy_write(const char *path, npy_dtype dtype, uint64_t rows, uint64_t cols, const void *data, error *err) {
    char header[128], shape[48];
    size_t size = npy_dtype_size(dtype);
    uint64_t width = cols ? cols : 1;
    if (rows > SIZE_MAX / size / width) return error_set(err, ERROR_RUN, "%s: the array is too large to write", path);
    if (cols)
        snprintf(shape, sizeof shape, "%" PRIu64 ", %" PRIu64, rows, cols);
    else
        snprintf(shape, sizeof shape, "%" PRIu64 ",", rows);
    int length = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                          size == 1 ? '|' : '<', dtypes[dtype].code, shape);
    /* The format wants the data on a 64-byte boundary: pad with blanks, end with a newline. */
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    file_writer w;
    if (!file_begin(&w, path, err)) return false;
    fwrite(magic, 1, MAGIC_SIZE, w.stream);
    fputc(1, w.stream), fputc(0, w.stream);
    fputc(padded & 255, w.stream), fputc(padded >> 8, w.stream);
    fprintf(w.stream, "%-*s\n", padded - 1, header);
    if (rows) fwrite(data, size, (size_t)(rows * width), w.stream); /* file_commit reports a short write */
    return file_commit(&w, err);
}

/*
 * Reading and writing .npy. The header is a Python dictionary literal with three keys in any order, for example
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (1000, 64), }
 * so a small parser for exactly that stands here: strings, True/False and tuples of integers. What holds no numbers (a
 * structured dtype, dates, an object array, which is a pickle) is told by name.
 */
#include "analysis/files/npy.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_SIZE = 6, LONGEST_HEADER = NPY_LONGEST_START - 12 };
static const char magic[MAGIC_SIZE + 1] = "\x93NUMPY";

/* Kind and bytes, as in descr. f1 is what ml_dtypes' float8_e5m2 calls itself; V2 its bfloat16. */
static const struct {
    const char *code;
    element_type type;
} dtypes[] = {
    {"b1", ELEMENT_BOOL}, {"i1", ELEMENT_I8},  {"u1", ELEMENT_U8},   {"i2", ELEMENT_I16},     {"u2", ELEMENT_U16},
    {"f2", ELEMENT_F16},  {"i4", ELEMENT_I32}, {"u4", ELEMENT_U32},  {"f4", ELEMENT_F32},     {"i8", ELEMENT_I64},
    {"u8", ELEMENT_U64},  {"f8", ELEMENT_F64}, {"V2", ELEMENT_BF16}, {"f1", ELEMENT_F8_E5M2}, {"V1", ELEMENT_OPAQUE},
};

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
    strided *a = &array->array;
    uint64_t size;
    if (!take(c, '(')) return error_set(err, ERROR_RUN, "%s: the header's shape is not a tuple", name);
    a->dims = 0;
    while (!take(c, ')')) {
        if (!take_number(c, &size))
            return error_set(err, ERROR_RUN, "%s: the header's shape holds something other than a size", name);
        if (a->dims == STRIDED_DIMS)
            return error_set(err, ERROR_RUN, "%s: has more than %d dimensions", name, STRIDED_DIMS);
        a->shape[a->dims++] = size;
        if (!take(c, ',') && !(c->at < c->end && *c->at == ')'))
            return error_set(err, ERROR_RUN, "%s: the header's shape is not closed", name);
    }
    return true;
}

/* Types whose elements are counted, though not read. */
static void refuse_descr(npy *array, const char *descr) {
    const char *kind = strchr("<>=|", descr[0]) && descr[0] ? descr + 1 : descr;
    const char *what = *kind == 'c'                   ? "complex numbers; their real parts, or both beside each other, "
                                                        "would do"
                       : *kind == 'M' || *kind == 'm' ? "dates or times"
                       : *kind == 'V'                 ? "records or bytes of no named type"
                       : *kind == 'f'                 ? "floats of that size; float64 and shorter are read"
                                                      : "a type that is not read";
    snprintf(array->problem, sizeof array->problem, "holds '%.12s': %s", descr, what);
    array->array.width = strtoul(kind + (*kind != 0), NULL, 10);
    array->array.type = ELEMENT_OPAQUE;
}

static void read_descr(npy *array, const char *descr) {
    strided *a = &array->array;
    char order = descr[0] && strchr("<>=|", descr[0]) ? descr[0] : '=';
    const char *code = descr + (order != '=' || descr[0] == '=');
    array->objects = *code == 'O';
    if (array->objects) {
        snprintf(array->problem, sizeof array->problem, "holds Python's objects ('%.12s'), a pickle", descr);
        a->type = ELEMENT_OPAQUE;
        return;
    }
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(code, dtypes[i].code) != 0) continue;
        a->type = dtypes[i].type;
        a->width = a->type == ELEMENT_OPAQUE ? 1 : element_size(a->type);
        a->swapped = order == '>' && a->width > 1;
        return;
    }
    if (*code == 'U' || *code == 'S' || *code == 'a') {
        unsigned long letters = strtoul(code + 1, NULL, 10);
        a->type = *code == 'U' ? ELEMENT_UCS4 : ELEMENT_TEXT;
        a->swapped = order == '>' && *code == 'U';
        a->width = (letters < 1 << 24 ? letters : 0) * (*code == 'U' ? 4 : 1);
        if (a->width) return;
    }
    refuse_descr(array, descr);
}

static bool parse_header(npy *array, cursor c, const char *name, error *err) {
    bool fortran = false, have_descr = false, have_order = false, have_shape = false;
    if (!take(&c, '{')) return error_set(err, ERROR_RUN, "%s: the header is not a dictionary", name);
    while (!take(&c, '}')) {
        char key[32], descr[32];
        if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
            return error_set(err, ERROR_RUN, "%s: the header is not a dictionary of named values", name);
        if (strcmp(key, "descr") == 0) {
            if (!take_string(&c, descr, sizeof descr))
                return error_set(err, ERROR_RUN, "%s: holds records; an array of numbers is expected", name);
            read_descr(array, descr);
            have_descr = true;
        } else if (strcmp(key, "fortran_order") == 0) {
            fortran = take_word(&c, "True");
            if (!fortran && !take_word(&c, "False"))
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
    if (have_descr && have_order && have_shape) {
        strided *a = &array->array;
        strided_pack(a, fortran);
        array->rows = a->dims ? a->shape[0] : 1, array->cols = a->dims == 2 ? a->shape[1] : 1;
        return true;
    }
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
    uint64_t count, width = array->objects ? 0 : array->array.width;
    char shape[200];
    strided_tell_shape(array->array.dims, array->array.shape, shape, sizeof shape);
    *begin = start + header, *needed = 0;
    if (!strided_count(&array->array, &count) || __builtin_mul_overflow(count, width, needed) ||
        *needed > UINT64_MAX - *begin)
        return error_set(err, ERROR_RUN, "%s: claims a shape that overflows (%s)", name, shape);
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
    if (present != needed && !array->objects) {
        char shape[200];
        strided_tell_shape(array->array.dims, array->array.shape, shape, sizeof shape);
        return error_set(err, ERROR_RUN, "%s: %s: %s of %s need %" PRIu64 " bytes, the file holds %" PRIu64, name,
                         present < needed ? "is cut short" : "has bytes after its array", shape,
                         element_name(array->array.type), needed, present);
    }
    array->array.data = bytes + begin;
    return true;
}

/* A vector or matrix of numbers. */
static bool check_plain(const npy *a, const char *name, error *err) {
    char shape[200];
    strided_tell_shape(a->array.dims, a->array.shape, shape, sizeof shape);
    if (*a->problem) return error_set(err, ERROR_RUN, "%s: %s", name, a->problem);
    if (element_is_text(a->array.type) || a->array.type == ELEMENT_OPAQUE)
        return error_set(err, ERROR_RUN, "%s: holds no numbers", name);
    return a->array.dims == 1 || a->array.dims == 2 ||
           error_set(err, ERROR_RUN, "%s: holds %s; a vector or a matrix is expected", name, shape);
}

bool npy_open(npy *array, const char *path, error *err) {
    file_map map = {0};
    *array = (npy){0};
    if (!file_map_open(&map, path, err)) return false;
    if (!npy_parse(array, map.data, map.size, path, err) || !check_plain(array, path, err)) {
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

/* Rows of plain elements of this type stand as they are wanted. */
static bool copy_rows(const npy *a, element_type type, uint64_t first, uint64_t count, void *out) {
    if (a->array.type != type || !strided_is_plain(&a->array)) return false;
    size_t row = (size_t)a->cols * a->array.width;
    if (count && row) memcpy(out, a->array.data + first * row, (size_t)count * row);
    return true;
}

static double value_at(const npy *a, uint64_t row, uint64_t col) {
    return strided_double(&a->array, strided_at(&a->array, (uint64_t[STRIDED_DIMS]){row, col}));
}

void npy_read_double(const npy *a, uint64_t first, uint64_t count, double *out) {
    if (copy_rows(a, ELEMENT_F64, first, count, out)) return;
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++) out[i * a->cols + j] = value_at(a, first + i, j);
}

void npy_read_float(const npy *a, uint64_t first, uint64_t count, float *out) {
    if (copy_rows(a, ELEMENT_F32, first, count, out)) return;
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++) out[i * a->cols + j] = (float)value_at(a, first + i, j);
}

bool npy_read_int(const npy *a, uint64_t first, uint64_t count, int64_t *out, error *err) {
    if (!element_is_integer(a->array.type))
        return error_set(err, ERROR_RUN, "holds floats (%s); integers are expected", element_name(a->array.type));
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < a->cols; j++, out++)
            if (!strided_int(&a->array, strided_at(&a->array, (uint64_t[STRIDED_DIMS]){first + i, j}), out))
                return error_set(err, ERROR_RUN, "row %" PRIu64 " holds %" PRIu64 ", which is too large", first + i,
                                 (uint64_t)*out);
    return true;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

bool npy_write(const char *path, npy_dtype dtype, uint64_t rows, uint64_t cols, const void *data, error *err) {
    char header[128], shape[48];
    size_t size = element_size(dtype);
    const char *code = "";
    for (size_t i = sizeof dtypes / sizeof *dtypes; i-- > 0;)
        if (dtypes[i].type == dtype) code = dtypes[i].code;
    uint64_t width = cols ? cols : 1;
    if (rows > SIZE_MAX / size / width) return error_set(err, ERROR_RUN, "%s: the array is too large to write", path);
    if (cols)
        snprintf(shape, sizeof shape, "%" PRIu64 ", %" PRIu64, rows, cols);
    else
        snprintf(shape, sizeof shape, "%" PRIu64 ",", rows);
    int length = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                          size == 1 ? '|' : '<', code, shape);
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

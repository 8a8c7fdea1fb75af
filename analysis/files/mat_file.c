/*
 * MATLAB's files of versions 4 and 5 (what scipy.io.savemat writes) by libmatio; 7.3 is HDF5 (hdf5_matlab.c). Matrices
 * of numbers lie column by column; a matrix of letters is a string a row, padded with blanks, and so is each cell of a
 * list of strings. The fields of a structure have its name in front. libmatio trusts a file about its sizes,
 * so a variable that claims more than the file could hold (deflate packs 1032 bytes into one at best) is not asked for.
 * Its parsing of names and structures is trusted: read files from strangers in a safer form.
 */
#include "analysis/files/array_box.h"
#include "analysis/files/zip.h"

#include <matio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MOST = 1000, NAME_MOST = 512, DEEPEST = 4 };

static bool class_type(enum matio_classes class, element_type *type) {
    switch (class) {
    case MAT_C_DOUBLE: *type = ELEMENT_F64; return true;
    case MAT_C_SINGLE: *type = ELEMENT_F32; return true;
    case MAT_C_INT8: *type = ELEMENT_I8; return true;
    case MAT_C_UINT8: *type = ELEMENT_U8; return true;
    case MAT_C_INT16: *type = ELEMENT_I16; return true;
    case MAT_C_UINT16: *type = ELEMENT_U16; return true;
    case MAT_C_INT32: *type = ELEMENT_I32; return true;
    case MAT_C_UINT32: *type = ELEMENT_U32; return true;
    case MAT_C_INT64: *type = ELEMENT_I64; return true;
    case MAT_C_UINT64: *type = ELEMENT_U64; return true;
    default: return false;
    }
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

static bool is_word(const matvar_t *v) {
    return v && v->class_type == MAT_C_CHAR && v->rank == 2 && v->dims[0] <= 1 && v->dims[1] <= LETTERS_MOST;
}

/* The cells of a list of strings; NULL: it is none. */
static matvar_t *const *cells_of(const matvar_t *v, size_t *count) {
    *count = v->data && v->data_size && v->class_type == MAT_C_CELL ? v->nbytes / (size_t)v->data_size : 0;
    for (size_t i = 0; i < *count; i++)
        if (!is_word(((matvar_t **)v->data)[i])) return NULL;
    return *count ? v->data : NULL;
}

static const char *describe_cells(const matvar_t *v, strided *a) {
    size_t count, widest = 1;
    matvar_t *const *cells = cells_of(v, &count);
    if (!cells) return "is a cell array that does not hold strings; a matrix is expected";
    for (size_t i = 0; i < count; i++)
        if (cells[i]->dims[1] > widest) widest = cells[i]->dims[1];
    a->type = ELEMENT_UCS4, a->width = 4 * widest, a->dims = 1, a->shape[0] = count;
    return NULL;
}

/* What hinders reading a variable, or NULL; its shape in any case. */
static const char *describe(const array_box *b, const matvar_t *v, strided *a) {
    uint64_t count, bytes;
    const char *hinders = NULL;
    a->dims = v->rank < STRIDED_DIMS ? v->rank : STRIDED_DIMS;
    for (int i = 0; i < a->dims; i++) a->shape[i] = v->dims[i];
    if (v->rank > STRIDED_DIMS) return "has more than 8 dimensions";
    if (v->isComplex) return "holds complex numbers";
    if (v->class_type == MAT_C_CELL) {
        hinders = describe_cells(v, a);
    } else if (v->class_type == MAT_C_CHAR) {
        if (v->rank != 2 || v->dims[1] == 0 || v->dims[1] > LETTERS_MOST) return "holds text that is no list of words";
        a->type = ELEMENT_UCS4, a->width = 4 * v->dims[1], a->dims = 1;
    } else if (!class_type(v->class_type, &a->type)) {
        return v->class_type == MAT_C_SPARSE ? "is sparse; full(…) makes it a matrix" : "is no matrix of numbers";
    }
    if (hinders) return hinders;
    if (a->type == ELEMENT_U8 && v->isLogical) a->type = ELEMENT_BOOL;
    strided_pack(a, true);
    if (!strided_count(a, &count) || __builtin_mul_overflow(count, a->width, &bytes) ||
        bytes / DEFLATE_BEST / 4 > b->size)
        return "claims more than the file can hold";
    return NULL;
}

/* A variable, or the fields of a single structure: `name` is the way there. */
static bool offer_variable(array_box *b, matvar_t *v, const char *name, int depth, error *err) {
    unsigned fields = v->class_type == MAT_C_STRUCT && depth < DEEPEST ? Mat_VarGetNumberOfFields(v) : 0;
    char *const *names = fields ? Mat_VarGetStructFieldnames(v) : NULL;
    bool single = v->rank == 2 && v->dims[0] == 1 && v->dims[1] == 1;
    if (!names || !single) {
        strided a = {0};
        const char *problem = describe(b, v, &a);
        return array_box_offer(b, name, &a, problem, err) != NULL;
    }
    for (unsigned i = 0; i < fields; i++) {
        char inner[NAME_MOST];
        matvar_t *field = Mat_VarGetStructFieldByIndex(v, i, 0);
        snprintf(inner, sizeof inner, "%.300s.%.100s", name, names[i]);
        if (field && !offer_variable(b, field, inner, depth + 1, err)) return false;
    }
    return true;
}

static bool open_mat(array_box *b, error *err) {
    mat_t *file = Mat_Open(b->path, MAT_ACC_RDONLY);
    if (!file) return error_set(err, ERROR_RUN, "%s: is no MATLAB file that libmatio can read", b->name);
    b->state = file;
    for (matvar_t *v; (v = Mat_VarReadNextInfo(file));) {
        bool ok = offer_variable(b, v, v->name ? v->name : "", 0, err);
        Mat_VarFree(v);
        if (!ok) return false;
    }
    return b->count > 0 || error_set(err, ERROR_RUN, "%s: holds no variables, or is damaged", b->name);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The next letter at *at, of which `left` bytes are there: UTF-8 may take several bytes, so that bytes exceed letters.
 */
static uint32_t next_letter(const uint8_t **at, size_t *left, bool utf8, size_t size) {
    uint32_t c = **at;
    size_t length = !utf8 ? size : c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (length > *left) length = *left;
    if (!utf8 && length == 2) c |= (uint32_t)(*at)[1] << 8;
    if (utf8 && length > 1) c &= 0x7fu >> length;
    for (size_t i = 1; utf8 && i < length; i++) c = c << 6 | ((*at)[i] & 63);
    *at += length, *left -= length;
    return c;
}

/* Letters as code points, a row's blanks at its end taken off. They lie column by column. `width`: letters of a row. */
static bool take_letters(const matvar_t *v, size_t width, uint8_t *out) {
    size_t rows = v->dims[0], cols = v->dims[1], size = (size_t)v->data_size, left = v->nbytes;
    const uint8_t *at = v->data;
    bool utf8 = v->data_type == MAT_T_UTF8;
    if (rows > 0 && cols > 0 && (!at || (size != 1 && size != 2) || cols > width)) return false;
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < rows; i++) {
            if (left < (utf8 ? 1 : size)) return false;
            uint32_t c = next_letter(&at, &left, utf8, size);
            for (int k = 0; k < 4; k++) out[(i * width + j) * 4 + (size_t)k] = (uint8_t)(c >> 8 * k);
        }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = cols; j-- > 0;) {
            uint8_t *letter = out + (i * width + j) * 4;
            if ((letter[0] != ' ' && letter[0]) || letter[1]) break;
            letter[0] = 0;
        }
    return true;
}

/* The variable that a name leads to, inside of one that is to be freed. */
static matvar_t *find_variable(mat_t *file, const char *name, matvar_t **whole) {
    char part[NAME_MOST];
    size_t length = strcspn(name, ".");
    snprintf(part, sizeof part, "%.*s", (int)length, name);
    Mat_Rewind(file);
    *whole = Mat_VarRead(file, part);
    if (!*whole) { /* MATLAB's names have no dots, and others may */
        Mat_Rewind(file);
        return *whole = Mat_VarRead(file, name);
    }
    matvar_t *v = *whole;
    while (v && name[length]) {
        name += length + 1;
        length = strcspn(name, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, name);
        v = v->class_type == MAT_C_STRUCT ? Mat_VarGetStructFieldByName(v, part, 0) : NULL;
    }
    return v;
}

static bool take_cells(const matvar_t *v, const strided *a, uint8_t *out) {
    size_t count;
    matvar_t *const *cells = cells_of(v, &count);
    if (!cells || count != a->shape[0]) return false;
    for (size_t i = 0; i < count; i++)
        if (!take_letters(cells[i], a->width / 4, out + i * a->width)) return false;
    return true;
}

static bool load_mat(array_box *b, size_t which, strided *a, void **memory, error *err) {
    const array_offer *o = &b->offers[which];
    matvar_t *whole = NULL, *v = find_variable(b->state, o->name, &whole);
    uint64_t count = 0;
    bool text = a->type == ELEMENT_UCS4, cells = text && v && v->class_type == MAT_C_CELL;
    bool ok = v && v->data && strided_count(a, &count);
    size_t wanted = ok ? (size_t)count * a->width : 0;
    ok = ok && (cells || v->rank == (text ? 2 : a->dims));
    for (int i = 0; ok && !cells && i < a->dims; i++) ok = v->dims[i] == a->shape[i];
    if (text)
        ok = ok && (cells || v->dims[1] * 4 == a->width);
    else
        ok = ok && (size_t)v->data_size == a->width && v->nbytes == wanted;
    if (ok && !(*memory = array_box_memory(b, o->name, wanted, err))) {
        Mat_VarFree(whole);
        return false;
    }
    if (ok && text)
        ok = cells ? take_cells(v, a, *memory) : take_letters(v, a->width / 4, *memory);
    else if (ok)
        memcpy(*memory, v->data, wanted);
    a->data = *memory;
    Mat_VarFree(whole);
    return ok || error_set(err, ERROR_RUN, "%s: `%.60s` is damaged", b->name, o->name);
}

static void close_mat(array_box *b) {
    if (b->state) Mat_Close(b->state);
}

const array_format array_format_mat = {
    .kind = "a MATLAB file", .library = "libmatio", .open = open_mat, .load = load_mat, .close = close_mat};

/*
 * MATLAB's files by libmatio: versions 4 and 5 (what scipy.io.savemat writes) and 7.3 (HDF5). Matrices of numbers lie
 * column by column; a matrix of letters is a string a row, padded with blanks. libmatio trusts a file about its sizes,
 * so a variable that claims more than the file could hold (deflate packs 1032 bytes into one at best) is not asked for.
 * Its parsing of names and structures is trusted: read files from strangers in a safer form.
 */
#include "analysis/files/array_box.h"

#include <matio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFLATE_BEST = 1032 };

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

/* What hinders reading a variable, or NULL; its shape in any case. */
static const char *describe(const array_box *b, const matvar_t *v, strided *a) {
    uint64_t count, bytes;
    a->dims = v->rank < STRIDED_DIMS ? v->rank : STRIDED_DIMS;
    for (int i = 0; i < a->dims; i++) a->shape[i] = v->dims[i];
    if (v->rank > STRIDED_DIMS) return "has more than 8 dimensions";
    if (v->isComplex) return "holds complex numbers";
    if (v->class_type == MAT_C_CHAR) {
        if (v->rank != 2 || v->dims[1] == 0 || v->dims[1] > 1000) return "holds text that is no list of words";
        a->type = ELEMENT_UCS4, a->width = 4 * v->dims[1], a->dims = 1;
    } else if (!class_type(v->class_type, &a->type)) {
        return v->class_type == MAT_C_SPARSE ? "is sparse; full(…) makes it a matrix"
               : v->class_type == MAT_C_CELL ? "is a cell array; a matrix is expected"
                                             : "is no matrix of numbers";
    }
    if (a->type == ELEMENT_U8 && v->isLogical) a->type = ELEMENT_BOOL;
    strided_pack(a, true);
    if (!strided_count(a, &count) || __builtin_mul_overflow(count, a->width, &bytes) ||
        bytes / DEFLATE_BEST / 4 > b->size)
        return "claims more than the file can hold";
    return NULL;
}

static bool open_mat(array_box *b, error *err) {
    mat_t *file = Mat_Open(b->path, MAT_ACC_RDONLY);
    if (!file) return error_set(err, ERROR_RUN, "%s: is no MATLAB file that libmatio can read", b->name);
    b->state = file;
    for (matvar_t *v; (v = Mat_VarReadNextInfo(file));) {
        strided a = {0};
        const char *problem = describe(b, v, &a);
        bool ok = array_box_offer(b, v->name ? v->name : "", &a, problem, err) != NULL;
        Mat_VarFree(v);
        if (!ok) return false;
    }
    return b->count > 0 || error_set(err, ERROR_RUN, "%s: holds no variables, or is damaged", b->name);
}

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

/* Letters as code points, a row's blanks at its end taken off. They lie column by column. */
static bool take_letters(const matvar_t *v, strided *a, uint8_t *out) {
    size_t rows = v->dims[0], cols = v->dims[1], size = (size_t)v->data_size, left = v->nbytes;
    const uint8_t *at = v->data;
    bool utf8 = v->data_type == MAT_T_UTF8;
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < rows; i++) {
            if (left < (utf8 ? 1 : size)) return false;
            uint32_t c = next_letter(&at, &left, utf8, size);
            for (int k = 0; k < 4; k++) out[(i * cols + j) * 4 + (size_t)k] = (uint8_t)(c >> 8 * k);
        }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = cols; j-- > 0;) {
            uint8_t *letter = out + (i * cols + j) * 4;
            if ((letter[0] != ' ' && letter[0]) || letter[1]) break;
            letter[0] = 0;
        }
    a->data = out;
    return true;
}

static bool load_mat(array_box *b, size_t which, strided *a, void **memory, error *err) {
    mat_t *file = b->state;
    const array_offer *o = &b->offers[which];
    uint64_t count;
    Mat_Rewind(file);
    matvar_t *v = Mat_VarRead(file, o->name);
    bool text = a->type == ELEMENT_UCS4, ok = v && v->data && strided_count(a, &count);
    size_t held = ok ? v->nbytes : 0, wanted = ok ? (size_t)count * a->width : 0;
    ok = ok && v->rank == (text ? 2 : a->dims);
    for (int i = 0; ok && i < a->dims; i++) ok = v->dims[i] == a->shape[i];
    if (text)
        ok = ok && (v->data_size == 1 || v->data_size == 2) && v->dims[1] * 4 == a->width;
    else
        ok = ok && (size_t)v->data_size == a->width && held == wanted;
    if (!ok) {
        error_set(err, ERROR_RUN, "%s: `%.60s` is damaged", b->name, o->name);
    } else if ((ok = (*memory = array_box_memory(b, o->name, wanted, err)) != NULL)) {
        if (text)
            ok = take_letters(v, a, *memory) || error_set(err, ERROR_RUN, "%s: `%.60s` is damaged", b->name, o->name);
        else
            memcpy(*memory, v->data, wanted);
        a->data = *memory;
    }
    Mat_VarFree(v);
    return ok;
}

static void close_mat(array_box *b) {
    if (b->state) Mat_Close(b->state);
}

const array_format array_format_mat = {.kind = "a MATLAB file", .open = open_mat, .load = load_mat, .close = close_mat};

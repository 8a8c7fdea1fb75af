/*
 * MATLAB 7.3's files are HDF5 behind 512 bytes of its own, with the order of dimensions turned round, since its
 * matrices lie column by column. What a data set is says its attribute MATLAB_class: letters are numbers of 16 bits, a
 * string a row; a cell array is a list of references into the group #refs#. An empty array is stored as its shape.
 */
#include "analysis/files/hdf5_file.h"

#include <stdlib.h>
#include <string.h>

enum { LETTERS_MOST = 1000, CELLS_MOST = 1 << 24 };

bool hdf5_is_matlab(const array_box *b) { return b->size > 520 && memcmp(b->bytes, "MATLAB 7.3", 10) == 0; }

bool hdf5_matlab_hides(const char *set) {
    return strncmp(set, "#refs#", 6) == 0 || strncmp(set, "#subsystem#", 11) == 0;
}

static bool class_of(hid_t set, char *out, size_t size) {
    hid_t attribute = H5Aexists(set, "MATLAB_class") > 0 ? H5Aopen(set, "MATLAB_class", H5P_DEFAULT) : -1;
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    size_t length =
        type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : 0;
    memset(out, 0, size);
    bool ok = length > 0 && length < size && H5Aread(attribute, type, out) >= 0;
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    if (!ok) *out = 0;
    return ok;
}

/* Elements of a data set of 16-bit letters; 0: it is none. */
static uint64_t count_letters(hid_t set) {
    char class[32];
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    bool ok = class_of(set, class, sizeof class) && strcmp(class, "char") == 0 && H5Tget_class(type) == H5T_INTEGER &&
              count > 0;
    H5Tclose(type);
    H5Sclose(space);
    return ok ? (uint64_t)count : 0;
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

static hid_t open_cell(hid_t set, const hobj_ref_t *to) { return H5Rdereference2(set, H5P_DEFAULT, H5R_OBJECT, to); }

/* The references of a cell array, to be freed; NULL: none, or too many. */
static hobj_ref_t *read_cells(hid_t set, uint64_t count) {
    hobj_ref_t *cells = count > 0 && count <= CELLS_MOST ? calloc(count, sizeof *cells) : NULL;
    if (cells && H5Dread(set, H5T_STD_REF_OBJ, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) >= 0) return cells;
    free(cells);
    return NULL;
}

static const char *describe_cells(hid_t set, hid_t type, strided *a) {
    uint64_t count;
    if (!H5Tequal(type, H5T_STD_REF_OBJ) || !strided_count(a, &count)) return "is a damaged cell array";
    hobj_ref_t *cells = read_cells(set, count);
    hid_t first = cells ? open_cell(set, cells) : -1;
    bool letters = first >= 0 && H5Iget_type(first) == H5I_DATASET && count_letters(first) > 0;
    if (first >= 0) H5Oclose(first);
    free(cells);
    a->dims = 1, a->shape[0] = count, a->type = ELEMENT_TEXT, a->width = 1;
    return letters ? NULL : "is a cell array that does not hold strings; a matrix is expected";
}

const char *hdf5_matlab_describe(hid_t set, hid_t type, strided *a, const char *hinders) {
    char class[32];
    for (int i = 0; i < a->dims / 2; i++) {
        uint64_t other = a->shape[a->dims - 1 - i];
        a->shape[a->dims - 1 - i] = a->shape[i];
        a->shape[i] = other;
    }
    if (H5Aexists(set, "MATLAB_empty") > 0) {
        a->dims = 1, a->shape[0] = 0;
        return hinders;
    }
    if (!class_of(set, class, sizeof class)) return hinders;
    if (strcmp(class, "cell") == 0) return describe_cells(set, type, a);
    if (strcmp(class, "logical") == 0 && a->type == ELEMENT_U8) a->type = ELEMENT_BOOL;
    if (strcmp(class, "char") != 0) return hinders;
    if (a->dims != 2 || a->shape[1] == 0 || a->shape[1] > LETTERS_MOST) return "holds text that is no list of words";
    a->type = ELEMENT_UCS4, a->width = 4 * a->shape[1], a->dims = 1;
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static size_t put_letter(uint8_t *out, uint32_t c) {
    for (int k = 0; k < 4; k++) out[k] = (uint8_t)(c >> 8 * k);
    return 4;
}

/* `count` letters that lie `step` apart, as code points, up to blanks at their end: their number. */
static size_t put_letters(const uint16_t *from, size_t count, size_t step, uint8_t *out) {
    size_t length = 0;
    while (count && (from[(count - 1) * step] == ' ' || from[(count - 1) * step] == 0)) count--;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = from[i * step];
        if (c >> 10 == 0x36 && i + 1 < count && from[(i + 1) * step] >> 10 == 0x37)
            c = 0x10000 + ((c & 0x3ff) << 10) + (from[++i * step] & 0x3ff);
        length += put_letter(out + length, c);
    }
    return length / 4;
}

/* A matrix of letters, a string a row, which lie as (letters × rows). */
static bool load_letters(array_box *b, hid_t set, const char *name, strided *a, void **memory, error *err) {
    size_t rows = (size_t)a->shape[0], letters = a->width / 4;
    uint16_t *from = array_box_memory(b, name, (uint64_t)rows * letters * sizeof *from, err);
    bool ok = from && H5Dread(set, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, from) >= 0 &&
              (*memory = array_box_memory(b, name, (uint64_t)rows * a->width, err)) != NULL;
    for (size_t i = 0; ok && i < rows; i++) put_letters(from + i, letters, rows, (uint8_t *)*memory + i * a->width);
    free(from);
    a->data = *memory;
    return ok;
}

static bool load_cell(hid_t set, const hobj_ref_t *cell, uint16_t *letters, size_t *length) {
    hid_t one = open_cell(set, cell);
    uint64_t count = one >= 0 && H5Iget_type(one) == H5I_DATASET ? count_letters(one) : 0;
    bool empty = one >= 0 && H5Aexists(one, "MATLAB_empty") > 0;
    bool ok = empty || (count > 0 && count <= LETTERS_MOST &&
                        H5Dread(one, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, letters) >= 0);
    if (one >= 0) H5Oclose(one);
    *length = empty ? 0 : (size_t)count;
    return ok;
}

/* In two passes, of which the first finds the longest string. */
static bool load_cells(array_box *b, hid_t set, const char *name, strided *a, void **memory, error *err) {
    uint16_t letters[LETTERS_MOST];
    uint8_t codes[4 * LETTERS_MOST];
    size_t count = (size_t)a->shape[0], longest = 1;
    hobj_ref_t *cells = read_cells(set, count);
    bool ok = cells != NULL;
    for (int pass = 0; ok && pass < 2; pass++) {
        if (pass == 1) ok = (*memory = array_box_memory(b, name, (uint64_t)count * 4 * longest, err)) != NULL;
        for (size_t i = 0; ok && i < count; i++) {
            size_t length = 0;
            ok = load_cell(set, cells + i, letters, &length);
            size_t held = ok ? put_letters(letters, length, 1, codes) : 0;
            if (held > longest && pass == 0) longest = held;
            ok = ok && held <= longest;
            if (ok && pass == 1) memcpy((uint8_t *)*memory + i * 4 * longest, codes, 4 * held);
        }
    }
    free(cells);
    a->type = ELEMENT_UCS4, a->width = 4 * longest, a->data = *memory;
    return ok;
}

bool hdf5_matlab_text(array_box *b, hid_t set, const char *name, strided *a, void **memory, error *err) {
    bool ok =
        a->type == ELEMENT_UCS4 ? load_letters(b, set, name, a, memory, err) : load_cells(b, set, name, a, memory, err);
    strided_pack(a, false);
    return ok || error_set(err, ERROR_RUN, "%s: `%.60s` is damaged, or holds more than strings", b->name, name);
}

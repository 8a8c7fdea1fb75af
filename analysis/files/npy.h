/*
 * NumPy's .npy files, versions 1 to 3: a magic word, a header that is a Python dictionary, then the array's bytes. A
 * file is mapped, never read whole, and taken as hostile: header, shape and size are checked before any element is
 * touched. Arrays of booleans, integers, floats (16, 32, 64 bits; bfloat16, which NumPy knows as two nameless bytes)
 * and strings in C or Fortran order and either byte order can be read; what is written is C order and little-endian.
 */
#ifndef MEWS_NPY_H
#define MEWS_NPY_H

#include "engine/files/file.h"
#include "engine/files/strided.h"

/* What can be written. */
typedef element_type npy_dtype;
#define NPY_BOOL ELEMENT_BOOL
#define NPY_I8 ELEMENT_I8
#define NPY_U8 ELEMENT_U8
#define NPY_I16 ELEMENT_I16
#define NPY_U16 ELEMENT_U16
#define NPY_F16 ELEMENT_F16
#define NPY_I32 ELEMENT_I32
#define NPY_U32 ELEMENT_U32
#define NPY_F32 ELEMENT_F32
#define NPY_I64 ELEMENT_I64
#define NPY_U64 ELEMENT_U64
#define NPY_F64 ELEMENT_F64

typedef struct npy {
    strided array;       /* its data points into the bytes */
    bool objects;        /* no array but a pickle of Python's objects, the rest of the bytes */
    char problem[128];   /* of a type that is not read: which; empty: it is read */
    uint64_t rows, cols; /* of a vector (n × 1) or matrix */
    file_map map;
} npy;

/* Maps and checks `path`; ERROR_RUN names the file and what is wrong with it. */
bool npy_open(npy *array, const char *path, error *err);
void npy_close(npy *array);

/* The same on bytes in memory that outlive `array`; `name` is for messages. Needs no npy_close. What npy_open refuses
 * as no vector or matrix of numbers passes here: see `problem`, `objects` and the array's dims. */
bool npy_parse(npy *array, const uint8_t *bytes, size_t size, const char *name, error *err);

/*
 * The header alone, from the first bytes of a file (65,548 hold any header): everything of `array` but its data, and in
 * *total the bytes that the whole file has to have (of objects: that it has at least).
 */
bool npy_parse_header(npy *array, const uint8_t *bytes, size_t size, const char *name, uint64_t *total, error *err);
enum { NPY_LONGEST_START = 12 + (1 << 16) };

/* Rows [first, first + count) as row-major (count, cols). The rows must exist. */
void npy_read_float(const npy *array, uint64_t first, uint64_t count, float *out);
void npy_read_double(const npy *array, uint64_t first, uint64_t count, double *out);

/* The same for integers and booleans; ERROR_RUN when the array holds floats or a number above INT64_MAX. */
bool npy_read_int(const npy *array, uint64_t first, uint64_t count, int64_t *out, error *err);

/* Writes `data`, row-major (rows, cols) of `dtype`, atomically. cols = 0 writes a vector of `rows` elements. */
bool npy_write(const char *path, npy_dtype dtype, uint64_t rows, uint64_t cols, const void *data, error *err);

#endif

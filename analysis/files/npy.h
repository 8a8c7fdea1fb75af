/*
 * NumPy's .npy files, versions 1 to 3: a magic word, a header that is a Python dictionary, then the array's bytes. A
 * file is mapped, never read whole, and taken as hostile: header, shape and size are checked before any element is
 * touched. Vectors and matrices of booleans, integers and floats (16, 32, 64 bits) in C or Fortran order and either
 * byte order can be read; what is written is C order and little-endian.
 */
#ifndef MEWS_NPY_H
#define MEWS_NPY_H

#include "engine/files/file.h"

typedef enum npy_dtype {
    NPY_BOOL,
    NPY_I8,
    NPY_U8,
    NPY_I16,
    NPY_U16,
    NPY_F16,
    NPY_I32,
    NPY_U32,
    NPY_F32,
    NPY_I64,
    NPY_U64,
    NPY_F64
} npy_dtype;

typedef struct npy {
    npy_dtype dtype;
    int dims;              /* 1 or 2 */
    uint64_t rows, cols;   /* a vector of n elements is n × 1 */
    bool fortran, swapped; /* how the elements lie in `data` */
    const uint8_t *data;   /* not aligned in general */
    file_map map;
} npy;

/* Maps and checks `path`; ERROR_RUN names the file and what is wrong with it. */
bool npy_open(npy *array, const char *path, error *err);
void npy_close(npy *array);

/* The same on bytes in memory that outlive `array`; `name` is for messages. Needs no npy_close. */
bool npy_parse(npy *array, const uint8_t *bytes, size_t size, const char *name, error *err);

/*
 * The header alone, from the first bytes of a file (65,548 hold any header): everything of `array` but its data, and in
 * *total the bytes that the whole file has to have.
 */
bool npy_parse_header(npy *array, const uint8_t *bytes, size_t size, const char *name, uint64_t *total, error *err);
enum { NPY_LONGEST_START = 12 + (1 << 16) };

/* Rows [first, first + count) as row-major (count, cols). The rows must exist. */
void npy_read_float(const npy *array, uint64_t first, uint64_t count, float *out);
void npy_read_double(const npy *array, uint64_t first, uint64_t count, double *out);

/* The same for integers and booleans; ERROR_RUN when the array holds floats or a number above INT64_MAX. */
bool npy_read_int(const npy *array, uint64_t first, uint64_t count, int64_t *out, error *err);

size_t npy_dtype_size(npy_dtype dtype);

/* Writes `data`, row-major (rows, cols) of `dtype`, atomically. cols = 0 writes a vector of `rows` elements. */
bool npy_write(const char *path, npy_dtype dtype, uint64_t rows, uint64_t cols, const void *data, error *err);

#endif

/*
 * One array out of a file of any kind that embeddings come in: .npy, .npz, .safetensors, or any of these from standard
 * input, told apart by their first bytes. Files are mapped and checked against their own size before an element is
 * touched; standard input is spooled into an unlinked temporary file first.
 */
#ifndef MEWS_ARRAY_FILE_H
#define MEWS_ARRAY_FILE_H

#include "analysis/files/npy.h"
#include "engine/files/safetensors.h"

/* Which array is meant. */
typedef struct array_request {
    const char *tensor; /* its name; NULL: the only one of at least `dims` dimensions */
    const char *usual;  /* this one when there are several and none is named; NULL: none */
    int dims;           /* 1: vectors and matrices will do, 2: matrices only */
    const char *option; /* what names a tensor on the command line, for messages ("--tensor"); NULL: nothing does */
} array_request;

typedef struct array_file {
    char *name; /* the file's, and the tensor's where tensors have names: for messages */
    int dims;
    uint64_t rows, cols; /* a vector of n elements is n × 1 */
    bool integers;       /* booleans too */
    bool wide;           /* float64 */
    const float *floats; /* (rows, cols) where they stand, when float32 is stored so and aligned; else NULL */

    file_map map; /* private from here */
    bool is_npy;
    npy array;
    uint8_t *unpacked;
    safetensors *tensors;
    const safetensors_entry *entry;
} array_file;

/*
 * `path` "-" is standard input. ERROR_RUN for a file that is broken, cut short or of no known kind; ERROR_USAGE, with
 * the names there are, when the request does not single out one array. Nothing is to be closed after an error.
 */
bool array_open(array_file *a, const char *path, const array_request *request, error *err);
void array_close(array_file *a);

/* Rows [first, first + count), which must exist, as row-major (count, cols). */
void array_read_float(const array_file *a, uint64_t first, uint64_t count, float *out);
void array_read_double(const array_file *a, uint64_t first, uint64_t count, double *out);
/* Lets go of the memory that reading these rows has mapped; they may be read again. Mapped pages count as the program's
 * own until then. */
void array_forget(const array_file *a, uint64_t first, uint64_t count);
/* ERROR_RUN when the array holds floats or an integer too large. */
bool array_read_int(const array_file *a, uint64_t first, uint64_t count, int64_t *out, error *err);

/* Bytes of memory in this machine: what no single file may ask for more than. */
uint64_t array_memory(void);

#endif

/*
 * One array out of a file of any kind that embeddings come in (array_formats.c lists them), out of a pipe, out of a
 * folder of shards, or out of many files that continue each other. Files are mapped and checked against their own size
 * before an element is touched; pipes are spooled into an unlinked temporary file first. What is handed out is a
 * matrix: dimensions of one element are squeezed away, and of n × t × d tokens a request says which count.
 */
#ifndef MEWS_ARRAY_FILE_H
#define MEWS_ARRAY_FILE_H

#include "analysis/files/npy.h"
#include "engine/files/safetensors.h"
#include "engine/files/strided.h"

typedef enum array_tokens {
    TOKENS_NONE, /* three dimensions are an error that names the choices */
    TOKENS_CLS,  /* the first of each row's */
    TOKENS_MEAN, /* their mean */
    TOKENS_ALL   /* every token is a row */
} array_tokens;

/* Which array is meant, and how to take it. */
typedef struct array_request {
    const char *tensor; /* its name; NULL: the only one that fits */
    const char *usual;  /* of several that fit, and none named, the one of the first of these names: "labels,y"; NULL */
    const char *apart;  /* a column of a table that is labels, and no part of the matrix; NULL: none */
    int dims;           /* 1: vectors, matrices and text will do; 2: embeddings, matrices of several columns */
    const char *option; /* what names a tensor on the command line, for messages ("--tensor"); NULL: nothing does */
    array_tokens tokens;
    const char *type; /* how elements are to be taken ("bfloat16") whose file names no type, or a wrong one; NULL */
} array_request;

typedef struct array_part array_part;

typedef struct array_file {
    char *name;          /* the file's, and the tensor's where tensors have names: for messages */
    char *note;          /* a line that the user should see; NULL: none */
    int dims;            /* 1 or 2 */
    uint64_t rows, cols; /* a vector of n elements is n × 1 */
    uint64_t tokens;     /* rows that each of the file's own rows became (TOKENS_ALL); else 1 */
    bool integers;       /* booleans too */
    bool wide;           /* float64 */
    bool text;           /* strings: array_read_text */
    const float *floats; /* (rows, cols) where they stand, when float32 is stored so and aligned; else NULL */

    array_part *parts; /* private from here */
    size_t count;
    array_tokens how;
} array_file;

/*
 * `path` is a file, a folder, a pipe (`-` is standard input), or a pattern with * ? [ ] whose files, in natural order
 * (part-2 before part-10), continue each other. ERROR_RUN for a file that is broken, cut short or of no known kind;
 * ERROR_USAGE, with the names there are, when the request does not single out one array. Nothing is to be closed after
 * an error.
 */
bool array_open(array_file *a, const char *path, const array_request *request, error *err);
/* An array in the caller's memory, which has to outlive `a`; `name` is for messages. */
bool array_open_memory(array_file *a, const char *name, const strided *array, const array_request *request, error *err);
/* Another array of the same files, which stay open for both. */
bool array_open_beside(array_file *a, const array_file *first, const array_request *request, error *err);
void array_close(array_file *a);

/* Rows [first, first + count), which must exist, as row-major (count, cols). */
void array_read_float(const array_file *a, uint64_t first, uint64_t count, float *out);
void array_read_double(const array_file *a, uint64_t first, uint64_t count, double *out);
/* ERROR_RUN when the array holds floats or an integer too large. */
bool array_read_int(const array_file *a, uint64_t first, uint64_t count, int64_t *out, error *err);
/* One string of a vector of them, cut to `size`. */
void array_read_text(const array_file *a, uint64_t row, char *out, size_t size);
/* Lets go of the memory that reading these rows has mapped; they may be read again. Mapped pages count as the program's
 * own until then. */
void array_forget(const array_file *a, uint64_t first, uint64_t count);

/* Bytes of memory in this machine: what no single file may ask for more than. */
uint64_t array_memory(void);

#endif

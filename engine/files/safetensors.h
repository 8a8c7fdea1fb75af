/*
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes. Readers treat
 * the file as hostile: every offset, shape and size is checked before anything is touched.
 */
#ifndef MEWS_SAFETENSORS_H
#define MEWS_SAFETENSORS_H

#include "engine/error.h"
#include "engine/files/element.h"
#include "engine/files/seal.h"

#include <stdint.h>

enum { SAFETENSORS_MAX_DIMS = 8 };

/* What can be written; read are the 8-bit floats too. */
typedef element_type safetensors_dtype;
#define ST_BOOL ELEMENT_BOOL
#define ST_U8 ELEMENT_U8
#define ST_I8 ELEMENT_I8
#define ST_U16 ELEMENT_U16
#define ST_I16 ELEMENT_I16
#define ST_F16 ELEMENT_F16
#define ST_BF16 ELEMENT_BF16
#define ST_U32 ELEMENT_U32
#define ST_I32 ELEMENT_I32
#define ST_F32 ELEMENT_F32
#define ST_U64 ELEMENT_U64
#define ST_I64 ELEMENT_I64
#define ST_F64 ELEMENT_F64

typedef struct safetensors_entry {
    const char *name;
    const char *unread; /* NULL, or its type where that is not read ("F4"), or what else hinders ("9 dimensions") */
    safetensors_dtype dtype; /* ELEMENT_OPAQUE where it is not read */
    int dims;
    uint64_t shape[SAFETENSORS_MAX_DIMS];
    uint64_t count; /* elements; 0 where it is not read */
    uint64_t bytes;
    const void *data; /* inside the mapped file; not aligned in general: memcpy from it */
} safetensors_entry;

typedef struct safetensors safetensors;

/* Maps `path` and checks it whole; a tensor of a type that is not read is no fault of its neighbours. ERROR_RUN with
 * the file's name and what is wrong with it. */
safetensors *safetensors_open(const char *path, error *err);
/* The same on bytes in memory that outlive the result; `name` is for messages. */
safetensors *safetensors_parse(const void *bytes, size_t size, const char *name, error *err);
void safetensors_close(safetensors *st);
size_t safetensors_count(const safetensors *st);
const safetensors_entry *safetensors_at(const safetensors *st, size_t i); /* in order of name */
const safetensors_entry *safetensors_find(const safetensors *st, const char *name);
/* A value of the header's __metadata__ (strings only), or NULL. */
const char *safetensors_metadata(const safetensors *st, const char *key);

/* Whether the file's bytes are those that its seal speaks of; reads all of them. SEAL_NONE: it carries no seal. */
seal_state safetensors_seal(const safetensors *st);

/* Whether a checkpoint says of itself that it is sealed: those of earlier versions wrote no key that goes with it. */
bool safetensors_claims_seal(const safetensors *st);

/* Whether a file from anywhere is a checkpoint of mews that is sealed, though one of its keys be damaged. */
bool safetensors_is_checkpoint(const safetensors *st);

/* Elements [first, first + count) of an entry that is read, which must exist, converted from any dtype. */
void safetensors_entry_double(const safetensors_entry *entry, uint64_t first, uint64_t count, double *out);

/* Reads entry `name` of `count` elements into floats or doubles, converting from any dtype; an error if absent. */
bool safetensors_read_float(const safetensors *st, const char *name, float *out, uint64_t count, error *err);
bool safetensors_read_double(const safetensors *st, const char *name, double *out, uint64_t count, error *err);

/* One tensor to write. */
typedef struct safetensors_item {
    const char *name;
    safetensors_dtype dtype;
    int dims;
    uint64_t shape[SAFETENSORS_MAX_DIMS];
    const void *data;
} safetensors_item;

/* Writes a whole file by temporary file, fsync and rename. `metadata` is key, value, key, value, …, NULL (or NULL);
 * SEAL_KEY, SEAL_BLANK among them seals the file. */
bool safetensors_write(const char *path, const safetensors_item *items, size_t count, const char *const *metadata,
                       error *err);

#endif

/*
 * Reading and writing safetensors. A file may come from anywhere, so opening checks it whole and once: the header fits
 * the file and is strict JSON (of equal names the last counts, as for the reference), every shape multiplies without
 * overflow to exactly the bytes its offsets span, and the spans tile the data from its first byte to its last without
 * hole or overlap (as the format demands). After that every entry may be read without looking again. The file stays
 * mapped; entries point into it.
 */
#include "engine/files/safetensors.h"
#include "engine/files/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const size_t max_header = 100u << 20; /* the reference implementation's limit */

static const struct {
    const char *name;
    int bits;
    safetensors_dtype type; /* ELEMENT_OPAQUE: not read */
} dtypes[] = {
    {"BOOL", 8, ST_BOOL},
    {"U8", 8, ST_U8},
    {"I8", 8, ST_I8},
    {"U16", 16, ST_U16},
    {"I16", 16, ST_I16},
    {"F16", 16, ST_F16},
    {"BF16", 16, ST_BF16},
    {"U32", 32, ST_U32},
    {"I32", 32, ST_I32},
    {"F32", 32, ST_F32},
    {"U64", 64, ST_U64},
    {"I64", 64, ST_I64},
    {"F64", 64, ST_F64},
    {"F8_E4M3", 8, ELEMENT_F8_E4M3FN},
    {"F8_E5M2", 8, ELEMENT_F8_E5M2},
    {"F8_E8M0", 8, ELEMENT_F8_E8M0FNU},
    {"F8_E4M3FNUZ", 8, ELEMENT_F8_E4M3FNUZ},
    {"F8_E5M2FNUZ", 8, ELEMENT_F8_E5M2FNUZ},
    {"C64", 64, ELEMENT_OPAQUE},
    {"F4", 4, ELEMENT_OPAQUE},
    {"F6_E2M3", 6, ELEMENT_OPAQUE},
    {"F6_E3M2", 6, ELEMENT_OPAQUE},
};
enum { DTYPE_COUNT = sizeof dtypes / sizeof *dtypes };

static const char *dtype_name(safetensors_dtype type) {
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (dtypes[i].type == type) return dtypes[i].name;
    return NULL;
}

struct safetensors {
    file_map map; /* or somebody else's bytes */
    bool mapped;
    json_t *header; /* owns the entries' names and the metadata */
    safetensors_entry *entries;
    size_t count;
    char *path;
};

/* ---- Checking ---- */

/* A JSON number that is a whole number in [0, 2^63). */
static bool get_size(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Elements of a shape, and their bytes, which have to be whole; false when they do not fit 63 bits. */
static bool shape_bytes(const json_t *shape, int bits, uint64_t *count, uint64_t *bytes) {
    uint64_t size;
    *count = 1;
    for (size_t i = 0; i < json_array_size(shape); i++)
        if (!get_size(json_array_get(shape, i), &size) || __builtin_mul_overflow(*count, size, count)) return false;
    if (__builtin_mul_overflow(*count, (uint64_t)bits, bytes) || *bytes % 8) return false;
    *bytes /= 8;
    return *bytes < (uint64_t)1 << 60;
}

/* Type and shape. What is not read keeps its shape, as far as there is room for it. */
static const char *read_shape(const json_t *value, safetensors_entry *e, uint64_t span) {
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    const json_t *shape = json_object_get(value, "shape");
    int known = 0;
    while (known < DTYPE_COUNT && strcmp(dtypes[known].name, dtype) != 0) known++;
    e->dtype = known < DTYPE_COUNT ? dtypes[known].type : ELEMENT_OPAQUE;
    if (e->dtype == ELEMENT_OPAQUE) e->unread = dtype;
    size_t dims = json_array_size(shape);
    for (size_t i = 0; i < dims; i++) {
        uint64_t size;
        if (!get_size(json_array_get(shape, i), &size)) return "has a dimension that is not a size";
        if (i < SAFETENSORS_MAX_DIMS) e->shape[i] = size;
    }
    e->dims = dims < SAFETENSORS_MAX_DIMS ? (int)dims : SAFETENSORS_MAX_DIMS;
    if (dims > SAFETENSORS_MAX_DIMS) e->unread = "more than 8 dimensions";
    e->bytes = span;
    if (known == DTYPE_COUNT) return NULL; /* its size is known to its writer alone */
    if (!shape_bytes(shape, dtypes[known].bits, &e->count, &e->bytes)) return "has a shape beyond all memory";
    if (e->unread) e->count = 0;
    return e->bytes != span ? "has a shape that does not fit its bytes" : NULL;
}

/* Reads one tensor's description; says what is wrong with it, or NULL. `space` is the size of the data area. */
static const char *read_entry(const json_t *value, uint64_t space, const uint8_t *data, safetensors_entry *e) {
    const json_t *offsets = json_object_get(value, "data_offsets");
    uint64_t begin, end;
    if (!json_is_string(json_object_get(value, "dtype"))) return "has no dtype";
    if (!json_is_array(json_object_get(value, "shape"))) return "has no shape";
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &begin) ||
        !get_size(json_array_get(offsets, 1), &end))
        return "has no data_offsets";
    if (begin > end || end > space) return "lies outside the file";
    e->data = data + begin;
    return read_shape(value, e, end - begin);
}

static int by_place(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    if (x->data != y->data) return (const uint8_t *)x->data < (const uint8_t *)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty tensors before the one that starts there */
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const safetensors_entry *)a)->name, ((const safetensors_entry *)b)->name);
}

/* Entries must tile [data, data + space): no hole, no overlap. Names the first tensor that breaks it. */
static const char *check_tiling(safetensors *st, const uint8_t *data, uint64_t space) {
    const uint8_t *next = data;
    qsort(st->entries, st->count, sizeof *st->entries, by_place);
    for (size_t i = 0; i < st->count; i++) {
        if (st->entries[i].data != next) return st->entries[i].name;
        next += st->entries[i].bytes;
    }
    return next == data + space ? NULL : "";
}

static bool read_header(safetensors *st, error *err) {
    uint64_t length = 0;
    const uint8_t *bytes = st->map.data;
    if (st->map.size < 8) return error_set(err, ERROR_RUN, "%s: not a safetensors file: too short", st->path);
    for (int i = 7; i >= 0; i--) length = length << 8 | bytes[i];
    if (length > max_header || length > st->map.size - 8)
        return error_set(err, ERROR_RUN, "%s: not a safetensors file: its header claims %llu bytes", st->path,
                         (unsigned long long)length);

    json_error_t problem;
    st->header = json_loadb((const char *)bytes + 8, length, 0, &problem);
    if (!json_is_object(st->header))
        return error_set(err, ERROR_RUN, "%s: bad safetensors header: %s", st->path,
                         st->header ? "not an object" : problem.text);

    const char *name;
    json_t *value;
    const uint8_t *data = bytes + 8 + length;
    uint64_t space = st->map.size - 8 - length;
    st->entries = calloc(json_object_size(st->header) + 1, sizeof *st->entries);
    if (!st->entries) return error_memory(err, json_object_size(st->header) * sizeof *st->entries, "tensor names");
    json_object_foreach(st->header, name, value) {
        if (strcmp(name, "__metadata__") == 0) continue;
        safetensors_entry *e = &st->entries[st->count++];
        e->name = name;
        const char *wrong = read_entry(value, space, data, e);
        if (wrong) return error_set(err, ERROR_RUN, "%s: tensor `%.200s` %s", st->path, name, wrong);
    }
    const char *breaks = check_tiling(st, data, space);
    if (breaks && *breaks)
        return error_set(err, ERROR_RUN, "%s: tensor `%.200s` overlaps another or leaves a hole before it", st->path,
                         breaks);
    if (breaks) return error_set(err, ERROR_RUN, "%s: bytes after the last tensor belong to none", st->path);
    qsort(st->entries, st->count, sizeof *st->entries, by_name);
    return true;
}

/* ---- Reading ---- */

static safetensors *new_file(const char *name, error *err) {
    safetensors *st = calloc(1, sizeof *st);
    if (st && (st->path = strdup(name))) return st;
    free(st);
    error_memory(err, sizeof *st + strlen(name), "a safetensors file");
    return NULL;
}

safetensors *safetensors_open(const char *path, error *err) {
    safetensors *st = new_file(path, err);
    if (st && (st->mapped = file_map_open(&st->map, path, err)) && read_header(st, err)) return st;
    safetensors_close(st);
    return NULL;
}

safetensors *safetensors_parse(const void *bytes, size_t size, const char *name, error *err) {
    safetensors *st = new_file(name, err);
    if (st) st->map = (file_map){.data = bytes, .size = size};
    if (st && read_header(st, err)) return st;
    safetensors_close(st);
    return NULL;
}

void safetensors_close(safetensors *st) {
    if (!st) return;
    json_decref(st->header);
    if (st->mapped) file_map_close(&st->map);
    free(st->entries);
    free(st->path);
    free(st);
}

size_t safetensors_count(const safetensors *st) { return st->count; }

const safetensors_entry *safetensors_at(const safetensors *st, size_t i) {
    return i < st->count ? &st->entries[i] : NULL;
}

const safetensors_entry *safetensors_find(const safetensors *st, const char *name) {
    safetensors_entry wanted = {.name = name};
    return st->count ? bsearch(&wanted, st->entries, st->count, sizeof wanted, by_name) : NULL;
}

const char *safetensors_metadata(const safetensors *st, const char *key) {
    return json_string_value(json_object_get(json_object_get(st->header, "__metadata__"), key));
}

static size_t header_length(const safetensors *st) {
    size_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | st->map.data[i];
    return length;
}

seal_state safetensors_seal(const safetensors *st) {
    return seal_check(st->map.data, st->map.size, 8, header_length(st));
}

bool safetensors_claims_seal(const safetensors *st) {
    static const char *const keys[] = {SEAL_KEY, "run", "threads", "history", "code"};
    bool claims = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) claims |= safetensors_metadata(st, keys[i]) != NULL;
    return claims;
}

bool safetensors_is_checkpoint(const safetensors *st) {
    static const char *const keys[] = {
        SEAL_KEY, "step", "optimizer_steps", "metrics_offset", "seconds", "run", "threads", "history", "code"};
    size_t found = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) found += safetensors_metadata(st, keys[i]) != NULL;
    return found > 4; /* those without a seal have four of them, files of others fewer */
}

/* Element i of an entry as a double. */
static double element(const safetensors_entry *e, uint64_t i) {
    return element_double(e->dtype, (const uint8_t *)e->data + i * element_size(e->dtype));
}

void safetensors_entry_double(const safetensors_entry *entry, uint64_t first, uint64_t count, double *out) {
    for (uint64_t i = 0; i < count; i++) out[i] = element(entry, first + i);
}

/* The entry if it is there and holds `count` elements. */
static const safetensors_entry *require(const safetensors *st, const char *name, uint64_t count, error *err) {
    const safetensors_entry *e = safetensors_find(st, name);
    if (!e)
        error_set(err, ERROR_RUN, "%s: no tensor `%s`", st->path, name);
    else if (e->unread) {
        error_set(err, ERROR_RUN, "%s: tensor `%s` is of %s, which is not read", st->path, name, e->unread);
        return NULL;
    } else if (e->count != count) {
        error_set(err, ERROR_RUN, "%s: tensor `%s` holds %llu elements, not %llu", st->path, name,
                  (unsigned long long)e->count, (unsigned long long)count);
        return NULL;
    }
    return e;
}

bool safetensors_read_float(const safetensors *st, const char *name, float *out, uint64_t count, error *err) {
    const safetensors_entry *e = require(st, name, count, err);
    if (!e) return false;
    if (e->dtype == ST_F32 && e->bytes)
        memcpy(out, e->data, e->bytes);
    else
        for (uint64_t i = 0; i < count; i++) out[i] = (float)element(e, i);
    return true;
}

bool safetensors_read_double(const safetensors *st, const char *name, double *out, uint64_t count, error *err) {
    const safetensors_entry *e = require(st, name, count, err);
    if (!e) return false;
    safetensors_entry_double(e, 0, count, out);
    return true;
}

/* ---- Writing ---- */

static const safetensors_item *find_item(const safetensors_item *items, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].name, name) == 0) return &items[i];
    return NULL;
}

static uint64_t item_bytes(const safetensors_item *item) {
    uint64_t bytes = element_size(item->dtype);
    for (int d = 0; d < item->dims; d++) bytes *= item->shape[d];
    return bytes;
}

/* The JSON header, its spaces included: the data begins at a multiple of 8. free() it. */
static char *make_header(const safetensors_item *items, size_t count, const char *const *metadata) {
    json_t *header = json_object(), *strings = json_object();
    uint64_t offset = 0;
    char *text = NULL, *padded = NULL;
    int failed = 0;
    for (; metadata && *metadata; metadata += 2)
        failed |= json_object_set_new(strings, metadata[0], json_string(metadata[1]));
    if (json_object_size(strings)) failed |= json_object_set(header, "__metadata__", strings);
    for (size_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int d = 0; d < items[i].dims; d++)
            failed |= json_array_append_new(shape, json_integer((json_int_t)items[i].shape[d]));
        uint64_t end = offset + item_bytes(&items[i]);
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(items[i].dtype), "shape", shape,
                                  "data_offsets", (json_int_t)offset, (json_int_t)end);
        failed |= json_object_set_new(header, items[i].name, entry);
        offset = end;
    }
    if (!failed) text = json_dumps(header, JSON_COMPACT);
    if (text && asprintf(&padded, "%s%*s", text, (int)(7 - (strlen(text) + 7) % 8), "") < 0) padded = NULL;
    free(text);
    json_decref(strings);
    json_decref(header);
    return padded;
}

bool safetensors_write(const char *path, const safetensors_item *items, size_t count, const char *const *metadata,
                       error *err) {
    for (size_t i = 0; i < count; i++)
        if (find_item(items, i, items[i].name))
            return error_set(err, ERROR_RUN, "%s: two tensors are called `%s`", path, items[i].name);
    char *header = make_header(items, count, metadata);
    if (!header) return error_set(err, ERROR_RUN, "%s: a tensor's name or metadata is not UTF-8", path);

    uint8_t length[8];
    size_t size = strlen(header);
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)size >> 8 * i & 255);
    seal_bytes *data = calloc(count + 1, sizeof *data);
    if (!data) {
        free(header);
        return error_memory(err, count * sizeof *data, "a safetensors file");
    }
    for (size_t i = 0; i < count; i++) data[i] = (seal_bytes){items[i].data, item_bytes(&items[i])};
    seal_write((seal_bytes){length, sizeof length}, header, size, data, count); /* where metadata asks for it */

    file_writer w;
    bool done = file_begin(&w, path, err);
    if (done) {
        fwrite(length, 1, sizeof length, w.stream);
        fwrite(header, 1, size, w.stream);
        for (size_t i = 0; i < count; i++)
            if (data[i].size) fwrite(data[i].data, 1, data[i].size, w.stream);
        done = file_commit(&w, err);
    }
    free(data);
    free(header);
    return done;
}

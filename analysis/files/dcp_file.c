/*
 * A folder of torch.distributed.checkpoint. Its .metadata is a pickle: for each tensor its shape and the chunks that it
 * was cut into, and for each chunk a file, an offset and a length, where a whole zip archive as torch.save writes it
 * lies, end to end with others: its storages are looked for in that span alone. A tensor of one chunk is used where it
 * lies; chunks are put together in memory.
 */
#include "analysis/files/torch.h"
#include "analysis/files/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shard {
    char *file;
    file_map map;
} shard;

typedef struct checkpoint {
    file_map metadata;
    shard *shards;
    size_t count;
} checkpoint;

/* An attribute of an object that a state was set on, as a dictionary or (NEWOBJ of named tuples) by its place. */
static const pickle_value *attribute(const pickle_value *v, const char *name) {
    return v && v->kind == PICKLE_OBJECT ? pickle_get(v->object.state, name) : NULL;
}

static const file_map *open_shard(array_box *b, const pickle_value *file, error *err) {
    checkpoint *c = b->state;
    char name[256], path[4096];
    if (!file || file->kind != PICKLE_TEXT || file->size >= sizeof name || memchr(file->bytes, '/', file->size) ||
        memchr(file->bytes, 0, file->size)) {
        error_set(err, ERROR_RUN, "%s: names a file outside of itself", b->name);
        return NULL;
    }
    memcpy(name, file->bytes, file->size);
    name[file->size] = 0;
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->shards[i].file, name) == 0) return &c->shards[i].map;
    shard *shards = realloc(c->shards, (c->count + 1) * sizeof *shards);
    if (shards) c->shards = shards;
    shard new = {.file = shards ? strdup(name) : NULL};
    if (!new.file) {
        error_memory(err, sizeof name, "a shard's name");
        return NULL;
    }
    snprintf(path, sizeof path, "%.3800s/%s", b->path, name);
    if (!file_map_open(&new.map, path, err)) {
        free(new.file);
        return NULL;
    }
    c->shards[c->count] = new;
    return &c->shards[c->count++].map;
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

static const pickle_value *metadata_of(const array_box *b, const char *name) {
    return attribute(pickle_root(b->pickle), name);
}

static bool read_sizes(const pickle_value *v, int dims, uint64_t *out) {
    for (int i = 0; i < dims; i++)
        if (!pickle_size(pickle_item(v, (size_t)i), &out[i])) return false;
    return v && v->kind == PICKLE_TUPLE && v->count == (size_t)dims;
}

static bool open_dcp(array_box *b, error *err) {
    char path[4096];
    checkpoint *c = calloc(1, sizeof *c);
    if (!c) return error_memory(err, sizeof *c, b->name);
    b->state = c;
    snprintf(path, sizeof path, "%.4000s/.metadata", b->path);
    if (!file_map_open(&c->metadata, path, err)) return false;
    b->pickle = pickle_parse(c->metadata.data, c->metadata.size, path, NULL, err);
    if (!b->pickle) return false;
    const pickle_value *tensors = metadata_of(b, "state_dict_metadata");
    if (!tensors || tensors->kind != PICKLE_DICT)
        return error_set(err, ERROR_RUN, "%s: is no metadata of torch.distributed.checkpoint", path);
    for (size_t i = 0; i + 1 < tensors->count; i += 2) {
        const pickle_value *key = tensors->items[i], *size = attribute(tensors->items[i + 1], "size");
        char name[512];
        strided a = {.type = ELEMENT_F32, .dims = size && size->kind == PICKLE_TUPLE ? (int)size->count : -1};
        if (key->kind != PICKLE_TEXT || a.dims < 0) continue; /* objects that are no tensors */
        snprintf(name, sizeof name, "%.*s", (int)(key->size < 500 ? key->size : 500), (const char *)key->bytes);
        bool read = a.dims <= STRIDED_DIMS && read_sizes(size, a.dims, a.shape);
        if (!read) a.dims = 0;
        strided_pack(&a, false);
        array_offer *o = array_box_offer(b, name, &a, read ? NULL : "has more than 8 dimensions", err);
        if (!o) return false;
        o->place = i;
    }
    return true;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* The tensor in a span of a file that torch.save wrote. */
static bool read_span(const array_box *b, const uint8_t *bytes, size_t size, strided *a, error *err) {
    zip z;
    char problem[PICKLE_PROBLEM] = "holds no tensor", name[600];
    if (!zip_open(&z, bytes, size, b->name, err)) return false;
    char *folder = torch_folder(&z);
    torch_zip storages = {&z, folder};
    torch_reader reader = {.storage = torch_zip_storage, .context = &storages};
    snprintf(name, sizeof name, "%.500sdata.pkl", folder ? folder : "");
    const zip_member *m = folder ? zip_find(&z, name) : NULL;
    const uint8_t *text = m ? zip_stored(&z, m) : NULL;
    pickle *p = text ? pickle_parse(text, (size_t)m->size, b->name, NULL, err) : NULL;
    bool ok = p && pickle_root(p)->kind == PICKLE_OBJECT;
    if (ok) {
        *problem = 0;
        ok = torch_tensor(&reader, pickle_root(p), a, problem) && !*problem;
    }
    pickle_free(p);
    free(folder);
    zip_close(&z);
    return ok || error_set(err, ERROR_RUN, "%s: a chunk %s", b->name, *problem ? problem : "is damaged");
}

/* Where the chunk of tensor `name` that begins at `offset` lies. */
static const pickle_value *find_chunk(const array_box *b, const char *name, int dims, const uint64_t *offset) {
    const pickle_value *places = metadata_of(b, "storage_data");
    for (size_t i = 0; places && places->kind == PICKLE_DICT && i + 1 < places->count; i += 2) {
        uint64_t at[STRIDED_DIMS];
        const pickle_value *index = places->items[i];
        if (!pickle_is(attribute(index, "fqn"), name) || !read_sizes(attribute(index, "offset"), dims, at)) continue;
        if (memcmp(at, offset, (size_t)dims * sizeof *at) == 0) return places->items[i + 1];
    }
    return NULL;
}

static bool load_chunk(array_box *b, const char *name, int dims, const uint64_t *offset, strided *a, error *err) {
    const pickle_value *place = find_chunk(b, name, dims, offset);
    uint64_t start, length;
    if (!place || !pickle_size(attribute(place, "offset"), &start) || !pickle_size(attribute(place, "length"), &length))
        return error_set(err, ERROR_RUN, "%s: does not say where `%.60s` lies", b->name, name);
    const file_map *map = open_shard(b, attribute(place, "relative_path"), err);
    if (!map) return false;
    if (start > map->size || length > map->size - start)
        return error_set(err, ERROR_RUN, "%s: `%.60s` lies beyond the end of its file", b->name, name);
    *a = (strided){0};
    return read_span(b, map->data + start, (size_t)length, a, err);
}

/* Element by element: chunks come in any order of strides. */
static void copy_chunk(const strided *from, const strided *to, const uint64_t *offset, uint8_t *memory) {
    uint64_t index[STRIDED_DIMS] = {0}, count = 0;
    strided_count(from, &count);
    for (uint64_t k = 0; k < count; k++) {
        const uint8_t *source = strided_at(from, index);
        uint8_t *target = memory;
        for (int d = 0; d < from->dims; d++) target += (index[d] + offset[d]) * to->strides[d];
        memcpy(target, source, from->width);
        for (int d = from->dims - 1; d >= 0 && ++index[d] == from->shape[d]; d--) index[d] = 0;
    }
}

static bool put_chunk(array_box *b, const char *name, const pickle_value *chunk, strided *whole, void **memory,
                      uint64_t *covered, error *err) {
    uint64_t offset[STRIDED_DIMS], sizes[STRIDED_DIMS], count, bytes;
    strided a;
    int dims = whole->dims;
    bool ok =
        read_sizes(attribute(chunk, "offsets"), dims, offset) && read_sizes(attribute(chunk, "sizes"), dims, sizes);
    for (int d = 0; ok && d < dims; d++) ok = offset[d] <= whole->shape[d] && sizes[d] <= whole->shape[d] - offset[d];
    if (!ok) return error_set(err, ERROR_RUN, "%s: `%.60s` has a chunk beyond its shape", b->name, name);
    if (!load_chunk(b, name, dims, offset, &a, err)) return false;
    if (a.dims != dims || memcmp(a.shape, sizes, (size_t)dims * sizeof *sizes) != 0)
        return error_set(err, ERROR_RUN, "%s: a chunk of `%.60s` has another shape than its metadata", b->name, name);
    if (!*memory) { /* the first chunk knows the type */
        whole->type = a.type, whole->swapped = a.swapped, whole->negated = a.negated;
        strided_pack(whole, false);
        if (!strided_count(whole, &count) || __builtin_mul_overflow(count, whole->width, &bytes))
            return error_set(err, ERROR_RUN, "%s: `%.60s` claims a shape beyond all memory", b->name, name);
        if (!(*memory = array_box_memory(b, name, bytes, err))) return false;
    } else if (a.type != whole->type || a.swapped != whole->swapped || a.negated != whole->negated) {
        return error_set(err, ERROR_RUN, "%s: chunks of `%.60s` have several types", b->name, name);
    }
    copy_chunk(&a, whole, offset, *memory);
    strided_count(&a, &count);
    *covered += count;
    return true;
}

static bool load_dcp(array_box *b, size_t which, strided *out, void **memory, error *err) {
    const array_offer *o = &b->offers[which];
    const pickle_value *tensors = metadata_of(b, "state_dict_metadata");
    const pickle_value *chunks = attribute(tensors->items[o->place + 1], "chunks");
    uint64_t covered = 0, count;
    if (!chunks || chunks->kind != PICKLE_LIST || chunks->count == 0)
        return error_set(err, ERROR_RUN, "%s: `%.60s` has no chunks", b->name, o->name);
    uint64_t start[STRIDED_DIMS] = {0};
    if (chunks->count == 1 && load_chunk(b, o->name, o->array.dims, start, out, err))
        return (out->dims == o->array.dims && memcmp(out->shape, o->array.shape, sizeof out->shape) == 0) ||
               error_set(err, ERROR_RUN, "%s: `%.60s` has another shape than its metadata", b->name, o->name);
    if (chunks->count == 1) return false;
    for (size_t i = 0; i < chunks->count; i++)
        if (!put_chunk(b, o->name, chunks->items[i], out, memory, &covered, err)) return false;
    out->data = *memory;
    return (strided_count(out, &count) && covered == count) ||
           error_set(err, ERROR_RUN, "%s: the chunks of `%.60s` leave holes or overlap", b->name, o->name);
}

static void close_dcp(array_box *b) {
    checkpoint *c = b->state;
    for (size_t i = 0; c && i < c->count; i++) {
        file_map_close(&c->shards[i].map);
        free(c->shards[i].file);
    }
    if (c) {
        free(c->shards);
        file_map_close(&c->metadata);
    }
    free(c);
}

const array_format array_format_dcp = {
    .kind = "a checkpoint in shards", .open = open_dcp, .load = load_dcp, .close = close_dcp};

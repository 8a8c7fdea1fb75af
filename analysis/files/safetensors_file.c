/*
 * safetensors as files of arrays: one file, or the index that Hugging Face's libraries write beside shards
 * (model.safetensors.index.json: {"weight_map": {tensor: file}}), whose tensors are looked up in the shards when one is
 * asked for. A shard lies in the index's own folder; a name that leads elsewhere is refused.
 */
#include "analysis/files/array_box.h"
#include "engine/files/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry as an array, and what hinders reading it, or NULL. */
static const char *entry_array(const safetensors_entry *e, strided *a, char *problem, size_t size) {
    *a = (strided){.type = e->dtype, .dims = e->dims, .data = e->data};
    memcpy(a->shape, e->shape, sizeof a->shape);
    strided_pack(a, false);
    if (!e->unread) return NULL;
    snprintf(problem, size, "is of %.60s, which is not read", e->unread);
    return problem;
}

static bool offer_entries(array_box *b, const safetensors *st, error *err) {
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const safetensors_entry *e = safetensors_at(st, i);
        char problem[100];
        strided a;
        const char *unread = entry_array(e, &a, problem, sizeof problem);
        if (!array_box_offer(b, e->name, &a, unread, err)) return false;
    }
    return true;
}

static bool open_file(array_box *b, error *err) {
    b->state = safetensors_parse(b->bytes, b->size, b->name, err);
    return b->state && offer_entries(b, b->state, err);
}

static void close_file(array_box *b) { safetensors_close(b->state); }

const array_format array_format_safetensors = {.kind = "a safetensors file", .open = open_file, .close = close_file};

/* ---- shards ------------------------------------------------------------------------------------------------------ */

typedef struct shard {
    char *path;
    safetensors *tensors;
} shard;

typedef struct shards {
    shard *list;
    size_t count;
} shards;

static bool shard_path(const array_box *b, const char *file, char *out, size_t size, error *err) {
    const char *slash = strrchr(b->path, '/');
    if (strchr(file, '/') || !*file)
        return error_set(err, ERROR_RUN, "%s: names a shard outside its folder: `%.60s`", b->name, file);
    int length = snprintf(out, size, "%.*s%s", slash ? (int)(slash + 1 - b->path) : 0, b->path, file);
    return length < (int)size || error_set(err, ERROR_RUN, "%s: names a shard by too long a name", b->name);
}

/* The shard of this file, opened at its first use; NULL with a message. */
static const safetensors *open_shard(array_box *b, const char *file, error *err) {
    shards *s = b->state;
    char path[4096];
    if (!shard_path(b, file, path, sizeof path, err)) return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].path, path) == 0) return s->list[i].tensors;
    shard *list = realloc(s->list, (s->count + 1) * sizeof *list);
    if (list) s->list = list;
    shard new = {.path = list ? strdup(path) : NULL};
    if (!new.path) {
        error_memory(err, sizeof path, "a shard's name");
        return NULL;
    }
    if (!(new.tensors = safetensors_open(path, err))) {
        free(new.path);
        error_prefix(err, "%s", b->name);
        return NULL;
    }
    s->list[s->count++] = new;
    return new.tensors;
}

static bool offer_shards(array_box *b, const json_t *map, error *err) {
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)map, name, file) {
        const safetensors *st = json_is_string(file) ? open_shard(b, json_string_value(file), err) : NULL;
        if (!st) return error_set(err, ERROR_RUN, "%s: `%.60s` has no shard", b->name, name);
        const safetensors_entry *e = safetensors_find(st, name);
        char problem[100];
        strided a;
        if (!e) return error_set(err, ERROR_RUN, "%s: `%.60s` is not in %.60s", b->name, name, json_string_value(file));
        const char *unread = entry_array(e, &a, problem, sizeof problem);
        if (!array_box_offer(b, name, &a, unread, err)) return false;
    }
    return true;
}

static bool open_index(array_box *b, error *err) {
    json_error_t problem;
    if (!(b->state = calloc(1, sizeof(shards)))) return error_memory(err, sizeof(shards), "a list of shards");
    json_t *index = b->bytes ? json_loadb((const char *)b->bytes, b->size, 0, &problem) : NULL;
    const json_t *map = json_object_get(index, "weight_map");
    bool ok = json_is_object(map)
                  ? offer_shards(b, map, err)
                  : error_set(err, ERROR_RUN, "%s: is no index of shards: it has no `weight_map`", b->name);
    json_decref(index);
    return ok;
}

static void close_index(array_box *b) {
    shards *s = b->state;
    for (size_t i = 0; s && i < s->count; i++) {
        safetensors_close(s->list[i].tensors);
        free(s->list[i].path);
    }
    if (s) free(s->list);
    free(s);
}

const array_format array_format_safetensors_index = {
    .by_name = true, .kind = "an index of shards", .open = open_index, .close = close_index};

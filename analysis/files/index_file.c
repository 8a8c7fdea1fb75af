/*
 * The index that Hugging Face's libraries write beside shards (model.safetensors.index.json,
 * pytorch_model.bin.index.json:
 * {"weight_map": {tensor: file}}). A shard is a file of arrays of its own, and lies in the index's folder; a name that
 * leads elsewhere is refused.
 */
#include "analysis/files/array_box.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shards {
    array_box **list;
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
static array_box *open_shard(array_box *b, const char *file, error *err) {
    shards *s = b->state;
    char path[4096];
    if (!shard_path(b, file, path, sizeof path, err)) return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i]->name, path) == 0) return s->list[i];
    array_box **list = realloc(s->list, (s->count + 1) * sizeof *list);
    if (!list) {
        error_memory(err, sizeof path, "a list of shards");
        return NULL;
    }
    s->list = list;
    array_box *shard = array_box_open(path, NULL, err);
    if (shard && shard->format == b->format) { /* an index of indices could name itself */
        array_box_leave(shard);
        shard = NULL;
        error_set(err, ERROR_RUN, "`%.200s` is an index itself", path);
    }
    if (shard)
        s->list[s->count++] = shard;
    else
        error_prefix(err, "%s", b->name);
    return shard;
}

static bool offer_shards(array_box *b, const json_t *map, error *err) {
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)map, name, file) {
        const array_box *shard = json_is_string(file) ? open_shard(b, json_string_value(file), err) : NULL;
        const array_offer *found = NULL;
        if (!shard) return error_set(err, ERROR_RUN, "%s: `%.60s` has no shard", b->name, name);
        for (size_t i = 0; i < shard->count && !found; i++)
            if (shard->offers[i].name && strcmp(shard->offers[i].name, name) == 0) found = &shard->offers[i];
        if (!found)
            return error_set(err, ERROR_RUN, "%s: `%.60s` is not in %.60s", b->name, name, json_string_value(file));
        const char *problem =
            found->problem || found->array.data ? found->problem : "does not lie in its shard as it is";
        if (!array_box_offer(b, name, &found->array, problem, err)) return false;
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
    for (size_t i = 0; s && i < s->count; i++) array_box_leave(s->list[i]);
    if (s) free(s->list);
    free(s);
}

const array_format array_format_index = {
    .by_name = true, .kind = "an index of shards", .open = open_index, .close = close_index};

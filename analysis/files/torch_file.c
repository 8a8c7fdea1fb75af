/*
 * The two files that torch.save writes. A zip archive holds data.pkl and a stored member for each storage, and says its
 * byte order. The older form is five pickles (a magic number, a version, facts of the machine, the object, the list of
 * storages' keys), then the storages in that list's order, each behind its count: of elements, or of bytes where it is
 * untyped. What type a storage is of, only the object says.
 */
#include "analysis/files/torch.h"
#include "analysis/files/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- zip --------------------------------------------------------------------------------------------------------- */

char *torch_folder(const zip *z) {
    static const char file[] = "data.pkl";
    for (size_t i = 0; i < z->count; i++) {
        size_t length = strlen(z->members[i].name), tail = sizeof file - 1;
        if (length < tail || strcmp(z->members[i].name + length - tail, file) != 0) continue;
        if (length == tail || z->members[i].name[length - tail - 1] == '/')
            return strndup(z->members[i].name, length - tail);
    }
    return NULL;
}

bool torch_zip_storage(void *context, const char *key, const uint8_t **bytes, size_t *size) {
    const torch_zip *s = context;
    char name[600];
    snprintf(name, sizeof name, "%.500sdata/%.80s", s->folder, key);
    const zip_member *m = zip_find(s->archive, name);
    *bytes = m ? zip_stored(s->archive, m) : NULL;
    *size = m ? (size_t)m->size : 0;
    return *bytes != NULL;
}

/* A member's bytes in memory that the box keeps. */
static const uint8_t *whole_member(array_box *b, const zip *z, const char *folder, const char *file, size_t *size,
                                   error *err) {
    char name[600];
    snprintf(name, sizeof name, "%.500s%s", folder, file);
    const zip_member *m = zip_find(z, name);
    const uint8_t *stored = m ? zip_stored(z, m) : NULL;
    if (!m) return NULL;
    *size = (size_t)m->size;
    if (stored) return stored;
    uint8_t *memory = m->size / DEFLATE_BEST > z->size ? NULL : array_box_memory(b, name, m->size, err);
    if (!memory || !array_box_keep(b, memory, err)) return NULL;
    if (zip_unpack(z, m, memory, *size, size, err)) return memory;
    error_prefix(err, "%s: %s", b->name, name);
    return NULL;
}

bool torch_open_zip(array_box *b, const zip *z, const char *folder, error *err) {
    torch_zip storages = {z, folder};
    torch_reader reader = {.storage = torch_zip_storage, .context = &storages};
    size_t size = 0, order_size = 0;
    const uint8_t *order = whole_member(b, z, folder, "byteorder", &order_size, err);
    reader.swapped = order && order_size == 3 && memcmp(order, "big", 3) == 0;
    const uint8_t *bytes = whole_member(b, z, folder, "data.pkl", &size, err);
    if (!bytes) return error_set(err, ERROR_RUN, "%s: its data.pkl is damaged", b->name);
    pickle *p = pickle_parse(bytes, size, b->name, NULL, err);
    if (!p) return false;
    b->pickle = p;
    return pickle_offer(b, pickle_root(p), "", torch_tensor, &reader, err);
}

/* ---- the older form ---------------------------------------------------------------------------------------------- */

typedef struct legacy {
    const array_box *box;
    const pickle *object;
    const pickle_value *keys;
    const uint8_t **starts; /* (keys) */
    size_t *sizes;
} legacy;

/* 0x1950a86a20f9469cfc6c */
bool torch_is_legacy(const pickle *first) {
    const pickle_value *v = pickle_root(first);
    return v->kind == PICKLE_LONG && v->size == 10 &&
           memcmp(v->bytes, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10) == 0;
}

/* Bytes of an element of the storage with this key; 0: the object names none such. */
static size_t storage_width(const pickle *object, const pickle_value *key) {
    static const struct {
        const char *class;
        size_t width;
    } unread[] = {{"torch.ComplexFloatStorage", 8}, {"torch.ComplexDoubleStorage", 16}, {"torch.QInt8Storage", 1},
                  {"torch.QUInt8Storage", 1},       {"torch.QInt32Storage", 4},         {"torch.QUInt4x2Storage", 1},
                  {"torch.QUInt2x4Storage", 1}};
    size_t count;
    pickle_value *const *ids = pickle_outsides(object, &count);
    for (size_t i = 0; i < count; i++) {
        const pickle_value *id = ids[i]->outside, *named = pickle_item(id, 2);
        element_type type;
        bool untyped;
        if (!named || !key || named->size != key->size || memcmp(named->bytes, key->bytes, key->size) != 0) continue;
        if (torch_storage_type(pickle_item(id, 1), &type, &untyped)) return element_size(type);
        for (size_t k = 0; k < sizeof unread / sizeof *unread; k++)
            if (pickle_is_global(pickle_item(id, 1), unread[k].class)) return unread[k].width;
        return untyped;
    }
    return 0;
}

static bool is_key(const pickle_value *v) { return v && (v->kind == PICKLE_TEXT || v->kind == PICKLE_BYTES); }

static bool legacy_storage(void *context, const char *key, const uint8_t **bytes, size_t *size) {
    const legacy *l = context;
    for (size_t i = 0; i < l->keys->count; i++) {
        if (!pickle_is(l->keys->items[i], key) || !l->starts[i]) continue;
        *bytes = l->starts[i], *size = l->sizes[i];
        return true;
    }
    return false;
}

/* Where each storage lies; one after another, so that a broken one ends the walk. */
static bool find_storages(legacy *l, const uint8_t *at, const uint8_t *end, error *err) {
    for (size_t i = 0; i < l->keys->count; i++) {
        size_t width = is_key(l->keys->items[i]) ? storage_width(l->object, l->keys->items[i]) : 0;
        uint64_t count = 0, size;
        if (width == 0) return error_set(err, ERROR_RUN, "%s: lists a storage that nothing uses", l->box->name);
        if (end - at < 8) return error_set(err, ERROR_RUN, "%s: is cut short among its storages", l->box->name);
        for (int k = 7; k >= 0; k--) count = count << 8 | at[k];
        at += 8;
        if (__builtin_mul_overflow(count, width, &size) || size > (uint64_t)(end - at))
            return error_set(err, ERROR_RUN, "%s: is cut short among its storages", l->box->name);
        l->starts[i] = at, l->sizes[i] = (size_t)size;
        at += size;
    }
    return true;
}

/* What stands in a tensor's arguments where pickle.dump wrote it: the older form of its storage alone. */
bool torch_lone_storage(const uint8_t *bytes, size_t size, torch_storage_of *out) {
    pickle *p[5] = {0};
    size_t at = 0, used;
    bool ok = true, untyped = false;
    error err = {0};
    for (int i = 0; ok && i < 5; i++, at += used)
        ok = (p[i] = pickle_parse(bytes + at, size - at, "a storage", &used, &err)) != NULL;
    const pickle_value *root = ok ? pickle_root(p[3]) : NULL,
                       *id = root && root->kind == PICKLE_OUTSIDE ? root->outside : NULL;
    const pickle_value *class = pickle_item(id, 1),
                       *little = ok ? pickle_get(pickle_root(p[2]), "little_endian") : NULL;
    if (little && little->kind == PICKLE_BOOL && !little->integer) ok = false;
    ok = ok && torch_is_legacy(p[0]) && class && class->kind == PICKLE_GLOBAL;
    uint64_t count = 0, length = 0;
    if (ok) {
        snprintf(out->class, sizeof out->class, "%.80s", (const char *)class->bytes);
        out->typed = torch_storage_type(class, &out->type, &untyped);
        size_t width = out->typed ? element_size(out->type) : 1;
        ok = size - at >= 8;
        for (int k = 7; ok && k >= 0; k--) count = count << 8 | bytes[at + (size_t)k];
        ok = ok && !__builtin_mul_overflow(count, width, &length) && length <= size - at - 8;
    }
    out->bytes = ok ? bytes + at + 8 : NULL, out->size = (size_t)length;
    for (int i = 0; i < 5; i++) pickle_free(p[i]);
    return ok;
}

/* The pickle at *at, and *at behind it. */
static pickle *next_pickle(const array_box *b, size_t *at, error *err) {
    size_t used = 0;
    pickle *p = pickle_parse(b->bytes + *at, b->size - *at, b->name, &used, err);
    *at += used;
    return p;
}

bool torch_open_legacy(array_box *b, size_t at, error *err) {
    legacy l = {.box = b};
    torch_reader reader = {.storage = legacy_storage, .context = &l};
    pickle *version = next_pickle(b, &at, err), *machine = version ? next_pickle(b, &at, err) : NULL;
    pickle *object = machine ? next_pickle(b, &at, err) : NULL, *keys = object ? next_pickle(b, &at, err) : NULL;
    bool ok = keys != NULL;
    b->pickle = object;
    if (ok && pickle_root(keys)->kind != PICKLE_LIST) ok = error_set(err, ERROR_RUN, "%s: lists no storages", b->name);
    if (ok) {
        const pickle_value *little = pickle_get(pickle_root(machine), "little_endian");
        reader.swapped = little && little->kind == PICKLE_BOOL && !little->integer;
        l.object = object, l.keys = pickle_root(keys);
        l.starts = calloc(l.keys->count + 1, sizeof *l.starts), l.sizes = calloc(l.keys->count + 1, sizeof *l.sizes);
        ok = (l.starts && l.sizes) || error_memory(err, l.keys->count * 16, b->name);
    }
    ok = ok && find_storages(&l, b->bytes + at, b->bytes + b->size, err) &&
         pickle_offer(b, pickle_root(object), "", torch_tensor, &reader, err);
    free(l.starts);
    free(l.sizes);
    pickle_free(version);
    pickle_free(machine);
    pickle_free(keys);
    return ok;
}

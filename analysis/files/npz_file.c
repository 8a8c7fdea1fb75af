/*
 * NumPy's files as files of arrays. An .npy holds one array, without a name, or a pickle of Python's objects, which is
 * read as pickles are. An .npz is a zip archive of .npy files; np.load takes members without that ending too. A stored
 * member is used where it lies; a packed one is unpacked whole, into memory of the size that the archive names, once it
 * is chosen. A zip archive with a data.pkl in it is PyTorch's.
 */
#include "analysis/files/npy.h"
#include "analysis/files/torch.h"
#include "analysis/files/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFLATE = 8, START = 4096 };

/* An array that is whole in memory; of objects, what their pickle holds. */
static bool offer_array(array_box *b, const npy *a, const uint8_t *end, const char *name, error *err) {
    error why = {0};
    pickle *p = a->objects ? pickle_parse(a->array.data, (size_t)(end - a->array.data), b->name, NULL, &why) : NULL;
    if (p && b->pickle) pickle_free(p), p = NULL; /* one is enough: several object arrays are rare */
    if (p) {
        b->pickle = p;
        const pickle_value *root = pickle_root(p);
        if (root->kind == PICKLE_LIST && root->count == 1 && a->array.dims == 0)
            root = root->items[0]; /* np.save(dict) */
        return pickle_offer(b, root, name ? name : "", NULL, NULL, err);
    }
    return array_box_offer(b, name, &a->array, *a->problem ? a->problem : NULL, err) != NULL;
}

static bool open_npy(array_box *b, error *err) {
    npy a;
    return npy_parse(&a, b->bytes, b->size, b->name, err) && offer_array(b, &a, b->bytes + b->size, NULL, err);
}

const array_format array_format_npy = {.kind = "an .npy file", .open = open_npy};

/* ---- .npz -------------------------------------------------------------------------------------------------------- */

/* The name without .npy, as np.load gives it. */
static void array_name(const zip_member *m, char *out, size_t size) {
    size_t length = strlen(m->name);
    if (length > 4 && strcmp(m->name + length - 4, ".npy") == 0) length -= 4;
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), m->name);
}

static bool is_npy(const uint8_t *bytes, size_t size) { return size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0; }

/* Without its "name: ", which is said otherwise. */
static const char *reason(const error *why, const char *name) {
    size_t prefix = strlen(name) + 2;
    return strncmp(why->text, name, prefix - 2) == 0 && strlen(why->text) > prefix ? why->text + prefix : why->text;
}

/* The header of a packed member tells its shape; objects are unpacked here, since their pickle tells what they are. */
static bool offer_packed(array_box *b, const zip *z, const zip_member *m, const char *name, uint8_t *start,
                         error *err) {
    error why = {0};
    npy a = {0};
    size_t got = 0;
    uint64_t total;
    bool ok = zip_unpack(z, m, start, START, &got, &why);
    if (ok && !is_npy(start, got)) return array_box_offer(b, name, NULL, "is no array", err) != NULL;
    ok = ok && npy_parse_header(&a, start, got, name, &total, &why);
    if (!ok && got == START) { /* a header of many letters */
        why = (error){0};
        ok = zip_unpack(z, m, start, NPY_LONGEST_START, &got, &why) &&
             npy_parse_header(&a, start, got, name, &total, &why);
    }
    if (!ok) return array_box_offer(b, name, NULL, reason(&why, name), err) != NULL;
    if (!a.objects) {
        if (!*a.problem && total != m->size)
            snprintf(a.problem, sizeof a.problem, "is cut short or has bytes after its array");
        a.array.data = NULL;
        return array_box_offer(b, name, &a.array, *a.problem ? a.problem : NULL, err) != NULL;
    }
    uint8_t *memory = array_box_memory(b, name, m->size, err);
    if (!memory || !array_box_keep(b, memory, err)) return false;
    if (!zip_unpack(z, m, memory, (size_t)m->size, &got, &why) || !npy_parse(&a, memory, got, name, &why))
        return array_box_offer(b, name, NULL, reason(&why, name), err) != NULL;
    return offer_array(b, &a, memory + got, name, err);
}

static bool offer_member(array_box *b, const zip *z, const zip_member *m, uint8_t *start, error *err) {
    char name[512];
    error why = {0};
    npy a;
    const uint8_t *stored = zip_stored(z, m);
    size_t length = strlen(m->name);
    if (length && m->name[length - 1] == '/') return true; /* a folder */
    array_name(m, name, sizeof name);
    if (!stored) return offer_packed(b, z, m, name, start, err);
    if (!is_npy(stored, (size_t)m->size)) return array_box_offer(b, name, NULL, "is no array", err) != NULL;
    if (npy_parse(&a, stored, (size_t)m->size, name, &why)) return offer_array(b, &a, stored + m->size, name, err);
    return array_box_offer(b, name, NULL, reason(&why, name), err) != NULL;
}

static bool open_npz(array_box *b, const zip *z, error *err) {
    uint8_t *start = malloc(NPY_LONGEST_START);
    bool ok = start || error_memory(err, NPY_LONGEST_START, "an array's header");
    for (size_t i = 0; ok && i < z->count; i++) {
        size_t before = b->count;
        ok = offer_member(b, z, &z->members[i], start, err);
        for (size_t k = before; ok && k < b->count; k++) b->offers[k].place = i;
    }
    free(start);
    return ok;
}

static bool open_zip(array_box *b, error *err) {
    zip *z = calloc(1, sizeof *z);
    if (!z) return error_memory(err, sizeof *z, "an archive's list");
    b->state = z;
    if (!zip_open(z, b->bytes, b->size, b->name, err)) return false;
    char *folder = torch_folder(z);
    bool ok = folder ? torch_open_zip(b, z, folder, err) : open_npz(b, z, err);
    free(folder);
    return ok;
}

static void close_zip(array_box *b) {
    if (b->state) zip_close(b->state);
    free(b->state);
}

static bool load_packed(array_box *b, size_t which, strided *out, void **memory, error *err) {
    const zip *z = b->state;
    const array_offer *o = &b->offers[which];
    const zip_member *m = &z->members[o->place];
    npy a;
    size_t got = 0;
    if (m->method == DEFLATE && m->size / DEFLATE_BEST > z->size)
        return error_set(err, ERROR_RUN, "%s: `%.60s` claims %llu bytes, more than an archive of %zu can hold", b->name,
                         o->name, (unsigned long long)m->size, z->size);
    if (!(*memory = array_box_memory(b, o->name, m->size, err))) return false;
    if (!zip_unpack(z, m, *memory, (size_t)m->size, &got, err) || !npy_parse(&a, *memory, got, o->name, err))
        return error_prefix(err, "%s: %.60s", b->name, o->name);
    *out = a.array;
    return true;
}

const array_format array_format_zip = {
    .kind = "a zip archive", .open = open_zip, .load = load_packed, .close = close_zip};

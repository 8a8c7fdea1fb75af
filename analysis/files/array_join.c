/*
 * Several arrays of one file as one: batches that a loop appended to a list, before anybody put them together.
 */
#include "analysis/files/array_box.h"

#include <stdlib.h>
#include <string.h>

/* How many dimensions of a part are its rows' own: a vector is a row, or (flat) a batch of numbers. */
static int own_dims(const strided *a, bool flat) { return a->dims > 1 ? a->dims - 1 : flat ? 0 : a->dims; }

static bool alike(const strided *a, const strided *b, bool flat) {
    int dims = own_dims(a, flat);
    bool turned = a->swapped || b->swapped;
    if (a->type != b->type || a->width != b->width || a->dims != b->dims || a->negated || b->negated) return false;
    if (turned && element_is_text(a->type)) return false;
    return memcmp(a->shape + a->dims - dims, b->shape + b->dims - dims, (size_t)dims * sizeof *a->shape) == 0;
}

bool array_box_join(array_box *b, const char *name, size_t first, size_t step, size_t count, bool flat, error *err) {
    strided all = b->offers[first].array;
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        const array_offer *o = &b->offers[first + i * step];
        if (o->problem || o->parts || !alike(&all, &o->array, flat)) return true;
        uint64_t more = own_dims(&o->array, flat) == o->array.dims ? 1 : o->array.shape[0];
        if (__builtin_add_overflow(rows, more, &rows)) return true; /* of expanded tensors no file bounds the rows */
    }
    int dims = own_dims(&all, flat);
    memmove(all.shape + 1, all.shape + all.dims - dims, (size_t)dims * sizeof *all.shape);
    all.dims = dims + 1, all.shape[0] = rows;
    all.data = NULL, all.swapped = all.negated = false;
    strided_pack(&all, false);
    array_offer *o = array_box_offer(b, name, &all, NULL, err);
    if (!o) return false;
    o->first = first, o->step = step, o->parts = count;
    for (size_t i = 0; i < count; i++) b->offers[first + i * step].part = true;
    return true;
}

/* Into memory without gaps, in this machine's byte order and as it is meant. */
static void copy_part(const strided *from, uint8_t *to) {
    uint64_t index[STRIDED_DIMS] = {0}, count = 0;
    strided_count(from, &count);
    if (strided_is_plain(from)) {
        memcpy(to, from->data, (size_t)count * from->width);
        return;
    }
    for (uint64_t k = 0; k < count; k++, to += from->width) {
        const uint8_t *at = strided_at(from, index);
        for (size_t i = 0; i < from->width; i++) to[i] = at[from->swapped ? from->width - 1 - i : i];
        for (int d = from->dims - 1; d >= 0 && ++index[d] == from->shape[d]; d--) index[d] = 0;
    }
}

bool array_box_put_together(array_box *b, size_t which, strided *out, void **memory, error *err) {
    const array_offer *o = &b->offers[which];
    uint64_t count, bytes;
    if (!strided_count(out, &count) || __builtin_mul_overflow(count, out->width, &bytes))
        return error_set(err, ERROR_RUN, "%s: `%.60s` claims a shape beyond all memory", b->name, o->name);
    if (!(*memory = array_box_memory(b, o->name, bytes, err))) return false;
    uint8_t *at = *memory;
    for (size_t i = 0; i < o->parts; i++) {
        strided part;
        void *held = NULL;
        uint64_t elements = 0;
        bool ok = array_box_load(b, o->first + i * o->step, &part, &held, err);
        if (ok) copy_part(&part, at);
        free(held);
        if (!ok) return false;
        strided_count(&part, &elements);
        at += elements * part.width;
    }
    out->data = *memory;
    return true;
}

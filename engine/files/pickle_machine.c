/*
 * What the unpickler works with. Values live in blocks that are freed together. Every opcode takes at least one byte
 * and makes a bounded number of values, so a share of memory proportional to the pickle's size is enough for any honest
 * one and ends a hostile one.
 */
#include "engine/files/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16 };

/* ---- memory ------------------------------------------------------------------------------------------------------ */

void *pickle_alloc(pickle *p, size_t size) {
    size = (size + 15) & ~(size_t)15;
    block *b = p->blocks;
    if (!b || size > b->size - b->used) {
        size_t room = size > BLOCK / 4 ? size : BLOCK;
        if (room > p->most - p->taken || !(b = calloc(1, sizeof *b + room))) return NULL;
        p->taken += room;
        b->size = room;
        bool behind = p->blocks && room != BLOCK; /* the block in front goes on being filled */
        b->next = behind ? p->blocks->next : p->blocks;
        *(behind ? &p->blocks->next : &p->blocks) = b;
    }
    void *memory = b->bytes + b->used;
    b->used += size;
    return memory;
}

pickle_value *pickle_new(pickle *p, pickle_kind kind) {
    pickle_value *v = pickle_alloc(p, sizeof *v);
    if (v) v->kind = kind;
    return v;
}

bool pickle_append(pickle *p, pickle_value *c, pickle_value *item) {
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 4;
        pickle_value **items = pickle_alloc(p, room * sizeof *items);
        if (!items) return false;
        if (c->count) memcpy(items, c->items, c->count * sizeof *items);
        c->items = items, c->room = room;
    }
    c->items[c->count++] = item;
    return true;
}

bool pickle_fail(pickle *p, const char *why) {
    if (!p->wrong) p->wrong = why;
    return false;
}

const char pickle_no_memory[] = "needs more memory than a pickle of its size should";

/* One more place in one of the machine's own arrays. */
bool pickle_grow(pickle *p, void *array, size_t count, size_t *room, size_t item) {
    void **held = array;
    if (count < *room) return true;
    size_t wanted = *room ? 2 * *room : 64;
    void *larger = realloc(*held, wanted * item);
    if (!larger) return pickle_fail(p, pickle_no_memory);
    *held = larger, *room = wanted;
    return true;
}

/* ---- the stack --------------------------------------------------------------------------------------------------- */

bool pickle_push(pickle *p, pickle_value *v) {
    if (!v) return pickle_fail(p, pickle_no_memory);
    if (!pickle_grow(p, &p->stack, p->depth, &p->stack_room, sizeof *p->stack)) return false;
    p->stack[p->depth++] = v;
    return true;
}

/* Nothing is taken from below the topmost mark. */
pickle_value *pickle_pop(pickle *p) {
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (p->depth <= floor) {
        pickle_fail(p, "takes more from its stack than is there");
        return NULL;
    }
    return p->stack[--p->depth];
}

pickle_value *pickle_top(pickle *p) {
    pickle_value *v = pickle_pop(p);
    if (v) p->depth++;
    return v;
}

bool pickle_mark(pickle *p) {
    if (!pickle_grow(p, &p->marks, p->mark_count, &p->mark_room, sizeof *p->marks)) return false;
    p->marks[p->mark_count++] = p->depth;
    return true;
}

/* What lies above the topmost mark, which goes. */
bool pickle_pop_mark(pickle *p, pickle_value ***items, size_t *count) {
    if (p->mark_count == 0) return pickle_fail(p, "closes a bracket that was never opened");
    size_t floor = p->marks[--p->mark_count];
    *items = p->stack ? p->stack + floor : NULL, *count = p->depth - floor;
    p->depth = floor;
    return true;
}

/* ---- reading its bytes ------------------------------------------------------------------------------------------- */

const uint8_t *pickle_take(pickle *p, uint64_t size) {
    if (size > (uint64_t)(p->end - p->at)) {
        pickle_fail(p, "ends too early");
        return NULL;
    }
    const uint8_t *bytes = p->at;
    p->at += size;
    return bytes;
}

bool pickle_take_number(pickle *p, size_t size, uint64_t *out) {
    const uint8_t *bytes = pickle_take(p, size);
    *out = 0;
    for (size_t i = size; bytes && i-- > 0;) *out = *out << 8 | bytes[i];
    return bytes != NULL;
}

/* Up to the end of the line, without it. */
const uint8_t *pickle_take_line(pickle *p, size_t *size) {
    const uint8_t *bytes = p->at, *end = memchr(p->at, '\n', (size_t)(p->end - p->at));
    if (!end) {
        pickle_fail(p, "ends too early");
        return NULL;
    }
    *size = (size_t)(end - bytes);
    p->at = end + 1;
    return bytes;
}

/* A line as a number that strtoll and strtod can read. */
bool pickle_take_text(pickle *p, char *out, size_t room) {
    size_t size;
    const uint8_t *line = pickle_take_line(p, &size);
    if (!line) return false;
    if (size >= room) return pickle_fail(p, "holds a number of too many digits");
    memcpy(out, line, size);
    out[size] = 0;
    return true;
}

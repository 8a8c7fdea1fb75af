/*
 * The unpickler's loop over opcodes (Python's pickletools.py describes each): a stack, marks on it, and a memo of
 * values that come again. A memo index is at most the number of bytes before it, as Python numbers them.
 */
#include "engine/files/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { SHARE = 256, SHARE_LEAST = 1 << 20 };

/* ---- containers -------------------------------------------------------------------------------------------------- */

static pickle_value *container(pickle *p, pickle_kind kind, pickle_value **items, size_t count) {
    pickle_value *v = pickle_new(p, kind);
    if (!v || count == 0) return v;
    if (!(v->items = pickle_alloc(p, count * sizeof *items))) return NULL;
    memcpy(v->items, items, count * sizeof *items);
    v->count = v->room = count;
    return v;
}

static bool push_marked(pickle *p, pickle_kind kind) {
    pickle_value **items;
    size_t count;
    if (!pickle_pop_mark(p, &items, &count)) return false;
    if (kind == PICKLE_DICT && count % 2) return pickle_fail(p, "holds a dictionary with a key and no value");
    return pickle_push(p, container(p, kind, items, count));
}

static bool push_tuple(pickle *p, size_t count) {
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (p->depth < floor + count) return pickle_fail(p, "takes more from its stack than is there");
    p->depth -= count;
    return pickle_push(p, container(p, PICKLE_TUPLE, p->stack + p->depth, count));
}

/* Appends to a list, set or dictionary below; to an object that would have been a subclass of one, nothing. */
static bool extend(pickle *p, pickle_value **items, size_t count, bool pairs) {
    pickle_value *below = pickle_top(p);
    if (!below) return false;
    if (pairs && count % 2) return pickle_fail(p, "holds a dictionary with a key and no value");
    if (below->kind == PICKLE_OBJECT || below->kind == PICKLE_OUTSIDE || below->kind == PICKLE_ARRAY) return true;
    if (pairs ? below->kind != PICKLE_DICT : below->kind != PICKLE_LIST && below->kind != PICKLE_SET)
        return pickle_fail(p, "adds items to what is no container");
    for (size_t i = 0; i < count; i++)
        if (!pickle_append(p, below, items[i])) return pickle_fail(p, pickle_no_memory);
    return true;
}

static bool extend_marked(pickle *p, bool pairs) {
    pickle_value **items;
    size_t count;
    return pickle_pop_mark(p, &items, &count) && extend(p, items, count, pairs);
}

static bool extend_by(pickle *p, size_t count, bool pairs) {
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (p->depth < floor + count) return pickle_fail(p, "takes more from its stack than is there");
    p->depth -= count;
    return extend(p, p->stack + p->depth, count, pairs);
}

/* ---- globals and calls ------------------------------------------------------------------------------------------- */

static bool push_global(pickle *p, const uint8_t *module, size_t module_size, const uint8_t *name, size_t name_size) {
    if (module_size > 500 || name_size > 500) return pickle_fail(p, "names a class by more than 500 letters");
    char *text = pickle_alloc(p, module_size + name_size + 2);
    if (!text) return pickle_fail(p, pickle_no_memory);
    memcpy(text, module, module_size);
    text[module_size] = '.';
    memcpy(text + module_size + 1, name, name_size);
    return pickle_push_bytes(p, PICKLE_GLOBAL, (const uint8_t *)text, module_size + name_size + 1);
}

static bool push_global_lines(pickle *p) {
    size_t module_size, name_size;
    const uint8_t *module = pickle_take_line(p, &module_size), *name = module ? pickle_take_line(p, &name_size) : NULL;
    return name && push_global(p, module, module_size, name, name_size);
}

static bool push_global_stack(pickle *p) {
    pickle_value *name = pickle_pop(p), *module = name ? pickle_pop(p) : NULL;
    if (!module) return false;
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return pickle_fail(p, "names a class by what is no text");
    return push_global(p, module->bytes, module->size, name->bytes, name->size);
}

/* For messages: a global that stays an object. NumPy's arrays are objects for as long as they are being filled. */
static bool note_global(pickle *p, const pickle_value *callable) {
    if (callable->kind != PICKLE_GLOBAL) return true;
    const char *name = (const char *)callable->bytes; /* ends in a zero: pickle_alloc's memory is zeroed */
    if (strncmp(name, "numpy.", 6) == 0) return true;
    for (size_t i = 0; i < p->global_count; i++)
        if (strcmp(p->globals[i], name) == 0) return true;
    if (p->global_count == 64) return true; /* enough for any message */
    const char **names = realloc(p->globals, (p->global_count + 1) * sizeof *names);
    if (!names) return pickle_fail(p, pickle_no_memory);
    p->globals = names;
    p->globals[p->global_count++] = name;
    return true;
}

static bool call(pickle *p, pickle_value *callable, pickle_value *args) {
    pickle_value *out = NULL;
    const char *wrong = NULL;
    if (callable->kind != PICKLE_GLOBAL && callable->kind != PICKLE_OBJECT && callable->kind != PICKLE_OUTSIDE)
        return pickle_fail(p, "calls what cannot be called");
    if (pickle_known_call(p, callable, args, &out, &wrong)) return wrong ? pickle_fail(p, wrong) : pickle_push(p, out);
    if (!note_global(p, callable)) return false;
    if ((out = pickle_new(p, PICKLE_OBJECT))) out->object.callable = callable, out->object.args = args;
    return pickle_push(p, out);
}

static bool call_two(pickle *p) {
    pickle_value *args = pickle_pop(p), *callable = args ? pickle_pop(p) : NULL;
    return callable && call(p, callable, args);
}

static bool call_with_keywords(pickle *p) { return pickle_pop(p) && call_two(p); }

/* INST and OBJ of protocols 0 and 1: a class with arguments from the mark on. */
static bool call_marked(pickle *p, bool class_on_stack) {
    pickle_value **items, *callable;
    size_t count;
    if (!class_on_stack) {
        if (!push_global_lines(p)) return false;
        callable = pickle_pop(p);
        if (!callable || !pickle_pop_mark(p, &items, &count)) return false;
    } else {
        if (!pickle_pop_mark(p, &items, &count)) return false;
        if (count == 0) return pickle_fail(p, "makes an object of no class");
        callable = *items++, count--;
    }
    pickle_value *args = container(p, PICKLE_TUPLE, items, count);
    return args ? call(p, callable, args) : pickle_fail(p, pickle_no_memory);
}

static bool build(pickle *p) {
    pickle_value *state = pickle_pop(p), *object = state ? pickle_top(p) : NULL;
    const char *wrong = NULL;
    if (!object) return false;
    if (pickle_known_state(p, object, state, &wrong)) return !wrong || pickle_fail(p, wrong);
    if (object->kind == PICKLE_OBJECT) object->object.state = state; /* of a dictionary: its attributes, left out */
    return true;
}

static bool push_outside(pickle *p, pickle_value *id) {
    pickle_value *v = id ? pickle_new(p, PICKLE_OUTSIDE) : NULL;
    if (!id) return false;
    if (v) v->outside = id;
    if (!pickle_grow(p, &p->outsides, p->outside_count, &p->outside_room, sizeof *p->outsides)) return false;
    if (v) p->outsides[p->outside_count++] = v;
    return pickle_push(p, v);
}

static bool push_outside_line(pickle *p) {
    size_t size = 0;
    const uint8_t *line = pickle_take_line(p, &size);
    return line && pickle_push_bytes(p, PICKLE_BYTES, line, size) && push_outside(p, pickle_pop(p));
}

/* ---- the memo ---------------------------------------------------------------------------------------------------- */

static bool put(pickle *p, uint64_t index) {
    pickle_value *v = pickle_top(p);
    if (!v) return false;
    if (index > (uint64_t)(p->at - p->start)) return pickle_fail(p, "remembers a value under a number out of order");
    while (index >= p->memo_room)
        if (!pickle_grow(p, &p->memo, p->memo_room, &p->memo_room, sizeof *p->memo)) return false;
    for (; p->memo_count <= index; p->memo_count++) p->memo[p->memo_count] = NULL;
    p->memo[index] = v;
    return true;
}

static bool get(pickle *p, uint64_t index) {
    if (index >= p->memo_count || !p->memo[index]) return pickle_fail(p, "recalls a value that it never had");
    return pickle_push(p, p->memo[index]);
}

static bool with_index(pickle *p, size_t size, bool (*what)(pickle *, uint64_t)) {
    uint64_t index;
    return pickle_take_number(p, size, &index) && what(p, index);
}

static bool with_index_line(pickle *p, bool (*what)(pickle *, uint64_t)) {
    char text[32], *end;
    if (!pickle_take_text(p, text, sizeof text)) return false;
    unsigned long long index = strtoull(text, &end, 10);
    return end != text && !*end ? what(p, index) : pickle_fail(p, "holds a number that is none");
}

/* ---- opcodes ----------------------------------------------------------------------------------------------------- */

static bool integer(pickle *p, size_t size) {
    uint64_t value;
    if (!pickle_take_number(p, size, &value)) return false;
    return pickle_push_int(p, PICKLE_INT, size == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value);
}

static bool pop_one(pickle *p) { /* also an open mark, as Python has it */
    if (p->mark_count && p->marks[p->mark_count - 1] == p->depth) return p->mark_count--;
    return pickle_pop(p) != NULL;
}

static bool pop_marked(pickle *p) {
    pickle_value **items;
    size_t count;
    return pickle_pop_mark(p, &items, &count);
}

static bool step(pickle *p, uint8_t opcode) {
    switch (opcode) {
    case 0x80: return pickle_take(p, 1) != NULL; /* PROTO: later opcodes are in no earlier protocol */
    case 0x95: return pickle_take(p, 8) != NULL; /* FRAME */
    case '(': return pickle_mark(p);
    case '0': return pop_one(p);
    case '1': return pop_marked(p);
    case '2': return pickle_push(p, pickle_top(p)) || pickle_fail(p, "takes more from its stack than is there");
    case 'N': return pickle_push(p, pickle_new(p, PICKLE_NONE));
    case 0x88: return pickle_push_int(p, PICKLE_BOOL, 1);
    case 0x89: return pickle_push_int(p, PICKLE_BOOL, 0);
    case 'I':
    case 'L': return pickle_push_int_line(p);
    case 'J': return integer(p, 4);
    case 'K': return integer(p, 1);
    case 'M': return integer(p, 2);
    case 0x8a: return pickle_push_long(p, 1);
    case 0x8b: return pickle_push_long(p, 4);
    case 'F': return pickle_push_float_line(p);
    case 'G': return pickle_push_double(p);
    case 'S': return pickle_push_text_line(p, false);
    case 'V': return pickle_push_text_line(p, true);
    case 'T': return pickle_push_counted(p, PICKLE_BYTES, 4);
    case 'U': return pickle_push_counted(p, PICKLE_BYTES, 1);
    case 'X': return pickle_push_counted(p, PICKLE_TEXT, 4);
    case 0x8c: return pickle_push_counted(p, PICKLE_TEXT, 1);
    case 0x8d: return pickle_push_counted(p, PICKLE_TEXT, 8);
    case 'B': return pickle_push_counted(p, PICKLE_BYTES, 4);
    case 'C': return pickle_push_counted(p, PICKLE_BYTES, 1);
    case 0x8e:
    case 0x96: return pickle_push_counted(p, PICKLE_BYTES, 8);
    case ']': return pickle_push(p, pickle_new(p, PICKLE_LIST));
    case ')': return pickle_push(p, pickle_new(p, PICKLE_TUPLE));
    case '}': return pickle_push(p, pickle_new(p, PICKLE_DICT));
    case 0x8f: return pickle_push(p, pickle_new(p, PICKLE_SET));
    case 'l': return push_marked(p, PICKLE_LIST);
    case 't': return push_marked(p, PICKLE_TUPLE);
    case 'd': return push_marked(p, PICKLE_DICT);
    case 0x91: return push_marked(p, PICKLE_SET);
    case 0x85: return push_tuple(p, 1);
    case 0x86: return push_tuple(p, 2);
    case 0x87: return push_tuple(p, 3);
    case 'a': return extend_by(p, 1, false);
    case 's': return extend_by(p, 2, true);
    case 'e':
    case 0x90: return extend_marked(p, false);
    case 'u': return extend_marked(p, true);
    case 'c': return push_global_lines(p);
    case 0x93: return push_global_stack(p);
    case 'R':
    case 0x81: return call_two(p);
    case 0x92: return call_with_keywords(p);
    case 'i': return call_marked(p, false);
    case 'o': return call_marked(p, true);
    case 'b': return build(p);
    case 'P': return push_outside_line(p);
    case 'Q': return push_outside(p, pickle_pop(p));
    case 'p': return with_index_line(p, put);
    case 'q': return with_index(p, 1, put);
    case 'r': return with_index(p, 4, put);
    case 0x94: return put(p, p->memo_count);
    case 'g': return with_index_line(p, get);
    case 'h': return with_index(p, 1, get);
    case 'j': return with_index(p, 4, get);
    case 0x97:
    case 0x98: return pickle_fail(p, "keeps its buffers outside of itself");
    case 0x82:
    case 0x83:
    case 0x84: return pickle_fail(p, "names classes by numbers of a registry that only its writer has");
    default: return pickle_fail(p, "holds a byte that is no opcode");
    }
}

static bool run(pickle *p) {
    while (p->at < p->end) {
        uint8_t opcode = *p->at++;
        if (opcode == '.') return (p->root = pickle_pop(p)) != NULL;
        if (!step(p, opcode)) return false;
    }
    return pickle_fail(p, "ends too early");
}

pickle *pickle_parse(const uint8_t *bytes, size_t size, const char *name, size_t *used, error *err) {
    pickle *p = calloc(1, sizeof *p);
    if (!p) {
        error_memory(err, sizeof *p, "a pickle");
        return NULL;
    }
    p->start = p->at = bytes, p->end = bytes + size;
    if (size > (SIZE_MAX - SHARE_LEAST) / SHARE) size = (SIZE_MAX - SHARE_LEAST) / SHARE;
    p->most = SHARE_LEAST + SHARE * size;
    bool ok = run(p);
    if (used) *used = (size_t)(p->at - bytes);
    if (!ok) error_set(err, ERROR_RUN, "%s: its pickle %s (at byte %zu)", name, p->wrong, (size_t)(p->at - bytes));
    free(p->stack);
    free(p->memo);
    free(p->marks);
    p->stack = p->memo = NULL, p->marks = NULL;
    if (ok) return p;
    pickle_free(p);
    return NULL;
}

void pickle_free(pickle *p) {
    if (!p) return;
    for (block *b = p->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(p->globals);
    free(p->outsides);
    free(p);
}

pickle_value *pickle_root(const pickle *p) { return p->root; }

size_t pickle_globals(const pickle *p, const char *const **names) {
    *names = p->globals;
    return p->global_count;
}

pickle_value *const *pickle_outsides(const pickle *p, size_t *count) {
    *count = p->outside_count;
    return p->outsides;
}

/* ---- looking at values ------------------------------------------------------------------------------------------- */

bool pickle_is(const pickle_value *v, const char *text) {
    return v && (v->kind == PICKLE_TEXT || v->kind == PICKLE_BYTES) && v->size == strlen(text) &&
           memcmp(v->bytes, text, v->size) == 0;
}

bool pickle_is_global(const pickle_value *v, const char *name) {
    return v && v->kind == PICKLE_GLOBAL && strcmp((const char *)v->bytes, name) == 0;
}

pickle_value *pickle_get(const pickle_value *v, const char *key) {
    if (!v || v->kind != PICKLE_DICT) return NULL;
    for (size_t i = v->count; i >= 2; i -= 2)
        if (pickle_is(v->items[i - 2], key)) return v->items[i - 1];
    return NULL;
}

pickle_value *pickle_item(const pickle_value *v, size_t i) {
    return v && (v->kind == PICKLE_TUPLE || v->kind == PICKLE_LIST) && i < v->count ? v->items[i] : NULL;
}

bool pickle_size(const pickle_value *v, uint64_t *out) {
    if (!v || v->kind != PICKLE_INT || v->integer < 0) return false;
    *out = (uint64_t)v->integer;
    return true;
}

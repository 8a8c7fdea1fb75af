/*
 * Python's pickles, protocols 0 to 5, read as data: the opcodes build a tree of values and nothing runs. Containers,
 * numbers, text and NumPy arrays become what they are; a call of anything else stands in the tree as an object, with
 * the name of what would have been called and its arguments, for a reader who knows that class (PyTorch's tensors) or
 * refuses it by name. A pickle may come from anywhere: memory is bounded by its size, and its values may form cycles,
 * so whoever walks down needs a depth.
 */
#ifndef MEWS_PICKLE_H
#define MEWS_PICKLE_H

#include "engine/error.h"
#include "engine/files/strided.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,   /* integer */
    PICKLE_INT,    /* integer */
    PICKLE_LONG,   /* beyond 64 bits: bytes, two's complement, the lowest first */
    PICKLE_FLOAT,  /* real */
    PICKLE_TEXT,   /* bytes, UTF-8 */
    PICKLE_BYTES,  /* bytes; Python 2's strings too */
    PICKLE_LIST,   /* items */
    PICKLE_TUPLE,  /* items */
    PICKLE_SET,    /* items */
    PICKLE_DICT,   /* items: key, value, key, value, … (OrderedDict too) */
    PICKLE_ARRAY,  /* array: NumPy's; its data is in the pickle or in the pickle's memory */
    PICKLE_GLOBAL, /* bytes: "module.name" */
    PICKLE_OBJECT, /* object: a call that was not made */
    PICKLE_OUTSIDE /* outside: a persistent id, what it stands for being kept elsewhere */
} pickle_kind;

typedef struct pickle_value pickle_value;
struct pickle_value {
    pickle_kind kind;
    union {
        int64_t integer;
        double real;
        struct {
            const uint8_t *bytes;
            size_t size;
        };
        struct {
            pickle_value **items;
            size_t count, room;
        };
        struct {
            pickle_value *callable, *args, *state; /* state: what would have been set; NULL: nothing */
        } object;
        strided *array;
        pickle_value *outside;
    };
};

typedef struct pickle pickle;

/*
 * The pickle that `bytes` begin with; *used is where it ends. `bytes` must outlive the result; `name` is for messages.
 * ERROR_RUN names what is wrong and where.
 */
pickle *pickle_parse(const uint8_t *bytes, size_t size, const char *name, size_t *used, error *err);
void pickle_free(pickle *p);
pickle_value *pickle_root(const pickle *p);

/* The globals that the tree's objects would have called, in order of appearance, each once: how many, and their names.
 * What was resolved (containers, NumPy arrays) is not among them. */
size_t pickle_globals(const pickle *p, const char *const **names);

/* The persistent ids, in order of appearance, as they come (each as often as it comes). */
pickle_value *const *pickle_outsides(const pickle *p, size_t *count);

/* Text or bytes equal to this. NULL is equal to nothing. */
bool pickle_is(const pickle_value *v, const char *text);
/* A global of this name ("torch._utils._rebuild_tensor_v2"). */
bool pickle_is_global(const pickle_value *v, const char *name);
/* A dictionary's value by its key, bytes or text; NULL where `v` is no dictionary or has none. The last of equals. */
pickle_value *pickle_get(const pickle_value *v, const char *key);
/* A tuple's or list's item, or NULL. */
pickle_value *pickle_item(const pickle_value *v, size_t i);
/* A whole number (a NumPy scalar too) that is not negative. */
bool pickle_size(const pickle_value *v, uint64_t *out);

#endif

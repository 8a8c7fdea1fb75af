/*
 * Private to the unpickler: its stack and memory (pickle_machine.c), numbers and text (pickle_scalars.c), and the calls
 * whose outcome it knows (pickle_numpy.c). What fails leaves its reason in `wrong` and returns false or NULL.
 */
#ifndef MEWS_PICKLE_MACHINE_H
#define MEWS_PICKLE_MACHINE_H

#include "engine/files/pickle.h"

typedef struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
} block;

struct pickle {
    block *blocks;
    size_t taken, most; /* bytes of blocks */
    pickle_value *root;
    const char **globals;
    size_t global_count;
    pickle_value **outsides;
    size_t outside_count, outside_room;

    const uint8_t *start, *at, *end; /* while parsing */
    const char *wrong;
    pickle_value **stack, **memo;
    size_t *marks;
    size_t depth, stack_room, mark_count, mark_room, memo_count, memo_room;
};

extern const char pickle_no_memory[];
bool pickle_fail(pickle *p, const char *why);

/* Zeroed memory that lives as long as the pickle; NULL when the pickle has had its share or there is none. */
void *pickle_alloc(pickle *p, size_t size);
pickle_value *pickle_new(pickle *p, pickle_kind kind);
bool pickle_append(pickle *p, pickle_value *container, pickle_value *item);
/* One more place in one of the machine's own arrays. */
bool pickle_grow(pickle *p, void *array, size_t count, size_t *room, size_t item);

/* The stack. Nothing is taken from below the topmost mark. Pushing NULL fails for want of memory. */
bool pickle_push(pickle *p, pickle_value *v);
pickle_value *pickle_pop(pickle *p);
pickle_value *pickle_top(pickle *p);
bool pickle_mark(pickle *p);
/* What lies above the topmost mark, which goes. */
bool pickle_pop_mark(pickle *p, pickle_value ***items, size_t *count);

/* The pickle's next bytes; a line comes without its end, and as text that strtod can read. */
const uint8_t *pickle_take(pickle *p, uint64_t size);
bool pickle_take_number(pickle *p, size_t size, uint64_t *out);
const uint8_t *pickle_take_line(pickle *p, size_t *size);
bool pickle_take_text(pickle *p, char *out, size_t room);

/* The opcodes of numbers and text. */
bool pickle_push_bytes(pickle *p, pickle_kind kind, const uint8_t *bytes, size_t size);
bool pickle_push_counted(pickle *p, pickle_kind kind, size_t count_size);
bool pickle_push_int(pickle *p, pickle_kind kind, int64_t value);
bool pickle_push_int_line(pickle *p);
bool pickle_push_float_line(pickle *p);
bool pickle_push_double(pickle *p);
bool pickle_push_long(pickle *p, size_t count_size);
bool pickle_push_text_line(pickle *p, bool unicode);

/*
 * What a call gives where it is known (NumPy's and Python's own constructors): true and the value, NULL for memory.
 * False: not known. `wrong` takes what is wrong with its arguments.
 */
bool pickle_known_call(pickle *p, const pickle_value *callable, pickle_value *args, pickle_value **out,
                       const char **wrong);

/* BUILD on an object of NumPy's: turns `object` into an array or completes a dtype. False: not NumPy's. */
bool pickle_known_state(pickle *p, pickle_value *object, pickle_value *state, const char **wrong);

#endif

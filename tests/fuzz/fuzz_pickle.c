/* Pickles: the opcodes, then every value that can be reached, down to a depth. */
#include "engine/files/pickle.h"
#include "tests/fuzz/fuzz.h"

enum { DEPTH = 6, VALUES = 1 << 12 };

static void look(const pickle_value *v, int depth, int *left) {
    if (!v || depth == 0 || --*left < 0) return;
    switch (v->kind) {
    case PICKLE_LONG:
    case PICKLE_TEXT:
    case PICKLE_BYTES:
    case PICKLE_GLOBAL: fuzz_use(v->bytes, v->size); break;
    case PICKLE_LIST:
    case PICKLE_TUPLE:
    case PICKLE_SET:
    case PICKLE_DICT:
        for (size_t i = 0; i < v->count; i++) look(v->items[i], depth - 1, left);
        break;
    case PICKLE_ARRAY: {
        uint64_t count;
        if (!strided_count(v->array, &count)) __builtin_trap();
        if (count) fuzz_use(v->array->data, count * v->array->width);
        break;
    }
    case PICKLE_OBJECT:
        look(v->object.callable, depth - 1, left);
        look(v->object.args, depth - 1, left);
        look(v->object.state, depth - 1, left);
        break;
    case PICKLE_OUTSIDE: look(v->outside, depth - 1, left); break;
    default: break;
    }
}

int fuzz_pickle(const uint8_t *data, size_t size) {
    error err = {0};
    size_t used = 0;
    int left = VALUES;
    pickle *p = pickle_parse(data, size, "fuzz.pkl", &used, &err);
    if (used > size || (!p && !*err.text)) __builtin_trap();
    if (!p) return 0;
    look(pickle_root(p), DEPTH, &left);
    pickle_get(pickle_root(p), "x");
    pickle_free(p);
    return 0;
}

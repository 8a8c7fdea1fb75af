/*
 * What calls give whose outcome is known without making them: Python's containers, and NumPy's arrays, which are
 * pickled as an empty array and a state that fills it (numpy/_core/src/multiarray/methods.c, array_setstate), or from
 * protocol 5 on as a call of _frombuffer. Pickles of protocol 2 hold an array's bytes as text, a letter for each byte,
 * to be encoded as Latin-1. Dtypes stay objects, whose arguments are read where an array wants them.
 */
#include "engine/files/pickle_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* numpy.core became numpy._core in NumPy 2. */
static bool is_numpy(const pickle_value *v, const char *rest) {
    char name[80];
    snprintf(name, sizeof name, "numpy._core.%s", rest);
    if (pickle_is_global(v, name)) return true;
    snprintf(name, sizeof name, "numpy.core.%s", rest);
    return pickle_is_global(v, name);
}

static bool is_any(const pickle_value *v, const char *const *names) {
    for (; *names; names++)
        if (pickle_is_global(v, *names)) return true;
    return false;
}

/* ---- Python's own ------------------------------------------------------------------------------------------------ */

/* Each letter of the text, which UTF-8 makes one or two bytes of, back to the byte it stands for. */
static pickle_value *latin1_bytes(pickle *p, const pickle_value *text, const char **wrong) {
    pickle_value *v = pickle_new(p, PICKLE_BYTES);
    uint8_t *out = v ? pickle_alloc(p, text->size + 1) : NULL;
    if (!out) return NULL;
    v->bytes = out;
    for (size_t i = 0; i < text->size; i++) {
        uint8_t c = text->bytes[i];
        if (c >= 0x80 && (c & 0xfc) == 0xc0 && i + 1 < text->size)
            c = (uint8_t)(c << 6 | (text->bytes[++i] & 63));
        else if (c >= 0x80)
            *wrong = "holds bytes as text beyond Latin-1";
        out[v->size++] = c;
    }
    return v;
}

/* dict() and OrderedDict() of nothing, or of a list of pairs. */
static pickle_value *new_dict(pickle *p, const pickle_value *pairs, const char **wrong) {
    pickle_value *v = pickle_new(p, PICKLE_DICT);
    for (size_t i = 0; v && pairs && pairs->kind == PICKLE_LIST && i < pairs->count; i++) {
        pickle_value *key = pickle_item(pairs->items[i], 0), *value = pickle_item(pairs->items[i], 1);
        if (!key || !value) *wrong = "holds a dictionary with a key and no value";
        if (!key || !value || !pickle_append(p, v, key) || !pickle_append(p, v, value)) return NULL;
    }
    return v;
}

static pickle_value *copy_of(pickle *p, const pickle_value *from, pickle_kind kind) {
    pickle_value *v = pickle_new(p, kind);
    bool items = from && (from->kind == PICKLE_LIST || from->kind == PICKLE_TUPLE || from->kind == PICKLE_SET);
    for (size_t i = 0; v && items && i < from->count; i++)
        if (!pickle_append(p, v, from->items[i])) return NULL;
    return v;
}

static bool python_call(pickle *p, const pickle_value *callable, const pickle_value *args, pickle_value **out,
                        const char **wrong) {
    static const char *const dicts[] = {"collections.OrderedDict", "builtins.dict", "__builtin__.dict", NULL};
    static const char *const sets[] = {"builtins.set", "builtins.frozenset", "__builtin__.set", "__builtin__.frozenset",
                                       NULL};
    static const char *const bytes[] = {"builtins.bytes", "__builtin__.bytes", "builtins.bytearray",
                                        "__builtin__.bytearray", NULL};
    pickle_value *first = pickle_item(args, 0);
    if (is_any(callable, dicts)) {
        *out = new_dict(p, first, wrong);
    } else if (pickle_is_global(callable, "collections.defaultdict")) {
        *out = new_dict(p, NULL, wrong);
    } else if (is_any(callable, sets)) {
        *out = copy_of(p, first, PICKLE_SET);
    } else if (pickle_is_global(callable, "builtins.list") || pickle_is_global(callable, "__builtin__.list")) {
        *out = copy_of(p, first, PICKLE_LIST);
    } else if (pickle_is_global(callable, "torch.Size")) {
        *out = copy_of(p, first, PICKLE_TUPLE);
    } else if (pickle_is_global(callable, "_codecs.encode") && first && first->kind == PICKLE_TEXT &&
               (pickle_is(pickle_item(args, 1), "latin1") || pickle_is(pickle_item(args, 1), "latin-1"))) {
        *out = latin1_bytes(p, first, wrong);
    } else if (is_any(callable, bytes)) {
        *out = first && first->kind == PICKLE_BYTES  ? first
               : first && first->kind == PICKLE_TEXT ? latin1_bytes(p, first, wrong)
                                                     : pickle_new(p, PICKLE_BYTES);
        if (*out && !first) (*out)->bytes = (const uint8_t *)"";
    } else {
        return false;
    }
    return true;
}

/* ---- NumPy's ----------------------------------------------------------------------------------------------------- */

static const char unread[] = "holds a NumPy array of a type that is not read";

/* 'f4', '<f4', 'U5', '|S3' …, or ml_dtypes' classes, to the type and width of an array; the byte order of a state,
 * where there is one, counts. Returns what is wrong, or NULL; for object arrays *object. */
static const char *read_dtype(const pickle_value *dtype, strided *a, bool *object) {
    static const struct {
        const char *code;
        element_type type;
    } codes[] = {{"b1", ELEMENT_BOOL}, {"i1", ELEMENT_I8},  {"u1", ELEMENT_U8},  {"i2", ELEMENT_I16},
                 {"u2", ELEMENT_U16},  {"f2", ELEMENT_F16}, {"i4", ELEMENT_I32}, {"u4", ELEMENT_U32},
                 {"f4", ELEMENT_F32},  {"i8", ELEMENT_I64}, {"u8", ELEMENT_U64}, {"f8", ELEMENT_F64}};
    char code[16];
    *object = false;
    if (!dtype || dtype->kind != PICKLE_OBJECT || !pickle_is_global(dtype->object.callable, "numpy.dtype"))
        return "holds a NumPy array without a type";
    const pickle_value *text = pickle_item(dtype->object.args, 0), *order = pickle_item(dtype->object.state, 1);
    if (text && text->kind == PICKLE_GLOBAL) {
        const char *name = (const char *)text->bytes;
        if (strncmp(name, "ml_dtypes.", 10) != 0 || !element_named(name + 10, &a->type)) return unread;
        a->width = element_size(a->type);
        a->swapped = pickle_is(order, ">") && a->width > 1;
        return NULL;
    }
    if (!text || (text->kind != PICKLE_TEXT && text->kind != PICKLE_BYTES) || text->size >= sizeof code) return unread;
    memcpy(code, text->bytes, text->size);
    code[text->size] = 0;
    const char *kind = code + (code[0] && strchr("<>=|", code[0]) ? 1 : 0);
    a->swapped = pickle_is(order, ">") || code[0] == '>';
    *object = kind[0] == 'O';
    if (*object) return NULL;
    if (kind[0] == 'U' || kind[0] == 'S') {
        unsigned long width = strtoul(kind + 1, NULL, 10), step = kind[0] == 'U' ? 4 : 1;
        a->type = kind[0] == 'U' ? ELEMENT_UCS4 : ELEMENT_TEXT;
        a->width = (size_t)(width * step);
        return width > 0 && width < 1 << 20 ? NULL : unread;
    }
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(kind, codes[i].code) != 0) continue;
        a->type = codes[i].type;
        a->width = element_size(a->type);
        return NULL;
    }
    return unread;
}

static const char *read_shape(const pickle_value *shape, strided *a) {
    uint64_t size;
    if (pickle_size(shape, &size)) {
        a->dims = 1, a->shape[0] = size;
        return NULL;
    }
    if (!shape || shape->kind != PICKLE_TUPLE) return "holds a NumPy array without a shape";
    if (shape->count > STRIDED_DIMS) return "holds a NumPy array of more than 8 dimensions";
    a->dims = (int)shape->count;
    for (int i = 0; i < a->dims; i++)
        if (!pickle_size(shape->items[i], &a->shape[i])) return "holds a NumPy array of a size that is none";
    return NULL;
}

/* Turns `v` into the array; an array of objects into their list. Returns what is wrong, or NULL. */
static const char *make_array(pickle *p, pickle_value *v, const pickle_value *shape, const pickle_value *dtype,
                              bool fortran, pickle_value *data) {
    strided a = {0};
    bool object;
    uint64_t count, bytes;
    const char *wrong = read_dtype(dtype, &a, &object);
    if (!wrong) wrong = read_shape(shape, &a);
    if (wrong) return wrong;
    if (!strided_count(&a, &count)) return "holds a NumPy array beyond all memory";
    if (object) {
        if (!data || data->kind != PICKLE_LIST || data->count != count)
            return "holds a NumPy array without its objects";
        *v = *data;
        return NULL;
    }
    if (!data || data->kind != PICKLE_BYTES || __builtin_mul_overflow(count, a.width, &bytes) || bytes != data->size)
        return "holds a NumPy array whose bytes do not fit its shape";
    strided_pack(&a, fortran);
    a.data = data->bytes;
    v->kind = PICKLE_ARRAY;
    if (!(v->array = pickle_alloc(p, sizeof a))) return "needs more memory than a pickle of its size should";
    *v->array = a;
    return NULL;
}

/* A NumPy scalar: the array of one element. */
static const char *make_scalar(pickle *p, pickle_value *v, const pickle_value *args) {
    pickle_value shape = {.kind = PICKLE_TUPLE};
    strided *a;
    const char *wrong = make_array(p, v, &shape, pickle_item(args, 0), false, pickle_item(args, 1));
    if (wrong || v->kind != PICKLE_ARRAY) return wrong;
    a = v->array;
    int64_t integer;
    if (element_is_text(a->type)) { /* np.str_ and np.bytes_ are Python's */
        size_t room = a->width + 8;
        char *text = pickle_alloc(p, room);
        if (!text) return "needs more memory than a pickle of its size should";
        strided_text(a, a->data, text, room);
        v->kind = PICKLE_TEXT, v->bytes = (const uint8_t *)text, v->size = strlen(text);
        return NULL;
    }
    if (element_is_integer(a->type) && strided_int(a, a->data, &integer)) {
        v->kind = a->type == ELEMENT_BOOL ? PICKLE_BOOL : PICKLE_INT;
        v->integer = integer;
    } else {
        v->real = strided_double(a, a->data);
        v->kind = PICKLE_FLOAT;
    }
    return NULL;
}

/* What NumPy's arrays set themselves up from: (version, shape, dtype, column-major, bytes). */
static const char *make_from_state(pickle *p, pickle_value *v, const pickle_value *state) {
    const pickle_value *fortran = pickle_item(state, 3);
    return make_array(p, v, pickle_item(state, 1), pickle_item(state, 2),
                      fortran && fortran->kind <= PICKLE_INT && fortran->kind > PICKLE_NONE && fortran->integer,
                      pickle_item(state, 4));
}

bool pickle_known_call(pickle *p, const pickle_value *callable, pickle_value *args, pickle_value **out,
                       const char **wrong) {
    if (python_call(p, callable, args, out, wrong)) return true;
    bool scalar = is_numpy(callable, "multiarray.scalar"), buffer = is_numpy(callable, "numeric._frombuffer");
    bool jax = pickle_is_global(callable, "jax._src.array._reconstruct_array");
    if (!scalar && !buffer && !jax) return false;
    if (!(*out = pickle_new(p, PICKLE_NONE))) return true;
    *wrong = scalar ? make_scalar(p, *out, args)
             : jax  ? make_from_state(p, *out, pickle_item(args, 2))
                    : make_array(p, *out, pickle_item(args, 2), pickle_item(args, 1),
                                 pickle_is(pickle_item(args, 3), "F"), pickle_item(args, 0));
    return true;
}

bool pickle_known_state(pickle *p, pickle_value *object, pickle_value *state, const char **wrong) {
    if (object->kind != PICKLE_OBJECT || !is_numpy(object->object.callable, "multiarray._reconstruct")) return false;
    *wrong = make_from_state(p, object, state);
    if (*wrong != unread) return true;
    *wrong = NULL; /* it stays an object, and its neighbours are read */
    return false;
}

/*
 * Tensors out of the calls that would rebuild them (torch/_utils.py, _tensor.py): float32 and its older kin have a
 * typed storage and count in its elements; float8 and unsigned integers of 16 bits and more have an untyped one, whose
 * own count is in bytes while the tensor's offset, sizes and strides beside it stay in elements. A last argument may
 * say that the view is negated. Parameters, and tensors with attributes, hold the tensor's own call among their
 * arguments.
 */
#include "analysis/files/torch.h"

#include <stdio.h>
#include <string.h>

enum { NESTED_MOST = 8 };

static const struct {
    const char *name, *storage; /* a dtype's, a typed storage's */
    element_type type;
} types[] = {
    {"torch.float32", "torch.FloatStorage", ELEMENT_F32},
    {"torch.float64", "torch.DoubleStorage", ELEMENT_F64},
    {"torch.float16", "torch.HalfStorage", ELEMENT_F16},
    {"torch.bfloat16", "torch.BFloat16Storage", ELEMENT_BF16},
    {"torch.int64", "torch.LongStorage", ELEMENT_I64},
    {"torch.int32", "torch.IntStorage", ELEMENT_I32},
    {"torch.int16", "torch.ShortStorage", ELEMENT_I16},
    {"torch.int8", "torch.CharStorage", ELEMENT_I8},
    {"torch.uint8", "torch.ByteStorage", ELEMENT_U8},
    {"torch.bool", "torch.BoolStorage", ELEMENT_BOOL},
    {"torch.uint16", "", ELEMENT_U16},
    {"torch.uint32", "", ELEMENT_U32},
    {"torch.uint64", "", ELEMENT_U64},
    {"torch.float8_e4m3fn", "", ELEMENT_F8_E4M3FN},
    {"torch.float8_e5m2", "", ELEMENT_F8_E5M2},
    {"torch.float8_e4m3fnuz", "", ELEMENT_F8_E4M3FNUZ},
    {"torch.float8_e5m2fnuz", "", ELEMENT_F8_E5M2FNUZ},
    {"torch.float8_e8m0fnu", "", ELEMENT_F8_E8M0FNU},
};

static bool refuse(char *problem, const char *why) {
    snprintf(problem, PICKLE_PROBLEM, "%s", why);
    return true;
}

bool torch_storage_type(const pickle_value *global, element_type *type, bool *untyped) {
    *untyped = pickle_is_global(global, "torch.storage.UntypedStorage");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!*types[i].storage || !pickle_is_global(global, types[i].storage)) continue;
        *type = types[i].type;
        return true;
    }
    return false;
}

static bool dtype_type(const pickle_value *global, element_type *type) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!pickle_is_global(global, types[i].name)) continue;
        *type = types[i].type;
        return true;
    }
    return false;
}

/* Sizes and strides; strides come in elements. */
static bool read_shape(strided *a, const pickle_value *sizes, const pickle_value *strides) {
    if (!sizes || !strides || sizes->kind != PICKLE_TUPLE || strides->kind != PICKLE_TUPLE) return false;
    if (sizes->count != strides->count || sizes->count > STRIDED_DIMS) return false;
    a->dims = (int)sizes->count;
    for (int i = 0; i < a->dims; i++)
        if (!pickle_size(sizes->items[i], &a->shape[i]) || !pickle_size(strides->items[i], &a->strides[i]) ||
            __builtin_mul_overflow(a->strides[i], a->width, &a->strides[i]))
            return false;
    return true;
}

/* The storage that a tensor is a view of: by its key, or in the pickle itself. False with what is wrong. */
static bool find_storage(const torch_reader *r, const pickle_value *v, torch_storage_of *out, char *problem) {
    const pickle_value *id = v && v->kind == PICKLE_OUTSIDE ? v->outside : NULL;
    const pickle_value *class = pickle_item(id, 1), *key = pickle_item(id, 2);
    bool untyped;
    char name[64];
    if (v && v->kind == PICKLE_OBJECT && pickle_is_global(v->object.callable, "torch.storage._load_from_bytes")) {
        const pickle_value *bytes = pickle_item(v->object.args, 0);
        if (bytes && bytes->kind == PICKLE_BYTES && torch_lone_storage(bytes->bytes, bytes->size, out)) return true;
        return !refuse(problem, "has a damaged storage");
    }
    if (!pickle_is(pickle_item(id, 0), "storage") || !key || (key->kind != PICKLE_TEXT && key->kind != PICKLE_BYTES) ||
        key->size >= sizeof name)
        return !refuse(problem, "is a tensor without a storage");
    snprintf(out->class, sizeof out->class, "%.80s",
             class && class->kind == PICKLE_GLOBAL ? (const char *)class->bytes : "no type");
    out->typed = torch_storage_type(class, &out->type, &untyped);
    memcpy(name, key->bytes, key->size);
    name[key->size] = 0;
    if (!r->storage || !r->storage(r->context, name, &out->bytes, &out->size)) out->bytes = NULL;
    return true;
}

/* (storage, offset, size, stride, requires_grad, hooks[, dtype][, metadata]) */
static bool rebuild(const torch_reader *r, const pickle_value *args, bool has_dtype, strided *a, char *problem) {
    const pickle_value *meta = pickle_item(args, has_dtype ? 7 : 6), *dtype = has_dtype ? pickle_item(args, 6) : NULL;
    torch_storage_of storage = {.type = ELEMENT_F32};
    uint64_t offset;
    if (!find_storage(r, pickle_item(args, 0), &storage, problem)) return true;
    a->type = storage.type;
    if (has_dtype ? !dtype_type(dtype, &a->type) : !storage.typed) {
        if (dtype)
            snprintf(storage.class, sizeof storage.class, "%.80s",
                     dtype->kind == PICKLE_GLOBAL ? (const char *)dtype->bytes : "no type");
        snprintf(problem, PICKLE_PROBLEM, "is of `%.80s`, which is not read", storage.class);
        a->width = 0;
        a->type = ELEMENT_OPAQUE;
    } else {
        a->width = element_size(a->type);
        a->swapped = r->swapped && a->width > 1;
    }
    if (!read_shape(a, pickle_item(args, 2), pickle_item(args, 3)) || !pickle_size(pickle_item(args, 1), &offset))
        return refuse(problem, "is a tensor of more than 8 dimensions or with a size that is none");
    if (*problem) return true;
    if (!storage.bytes) return refuse(problem, "has lost its storage");
    if (__builtin_mul_overflow(offset, a->width, &offset) || offset > storage.size)
        return refuse(problem, "lies outside its storage");
    a->data = storage.bytes + offset;
    if (!strided_within(a, storage.bytes, storage.size)) return refuse(problem, "lies outside its storage");
    const pickle_value *negated = pickle_get(meta, "neg");
    a->negated = negated && negated->kind == PICKLE_BOOL && negated->integer;
    return true;
}

bool torch_tensor(void *reader, const pickle_value *v, strided *a, char problem[PICKLE_PROBLEM]) {
    static const char *const holders[] = {"torch._utils._rebuild_parameter",
                                          "torch._utils._rebuild_parameter_with_state", NULL};
    const pickle_value *call = v->object.callable, *args = v->object.args;
    for (int depth = 0; depth < NESTED_MOST; depth++) {
        if (pickle_is_global(call, "torch._tensor._rebuild_from_type_v2")) { /* (function, type, args, state) */
            call = pickle_item(args, 0);
            args = pickle_item(args, 2);
            continue;
        }
        bool holder = false;
        for (const char *const *h = holders; *h; h++) holder = holder || pickle_is_global(call, *h);
        if (!holder) break;
        const pickle_value *inner = pickle_item(args, 0);
        if (!inner || inner->kind != PICKLE_OBJECT) return refuse(problem, "is a parameter without a tensor");
        call = inner->object.callable, args = inner->object.args;
    }
    if (pickle_is_global(call, "torch._utils._rebuild_tensor_v2") ||
        pickle_is_global(call, "torch._utils._rebuild_tensor"))
        return rebuild(reader, args, false, a, problem);
    if (pickle_is_global(call, "torch._utils._rebuild_tensor_v3")) return rebuild(reader, args, true, a, problem);
    if (call && call->kind == PICKLE_GLOBAL && strncmp((const char *)call->bytes, "torch._utils._rebuild_", 22) == 0) {
        snprintf(problem, PICKLE_PROBLEM, "is rebuilt by `%.100s`, which is not read; save it as a dense tensor",
                 (const char *)call->bytes);
        return true;
    }
    return false;
}

#include "analysis/files/pickle_offers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tree may hold itself: it is walked this deep, and this many values of it are looked at. */
enum { DEEPEST = 32, NAME_MOST = 512, LETTERS_MOST = 1000 };
static const size_t values_most = 1 << 24;

typedef struct walk {
    array_box *box;
    pickle_tensor tensor;
    void *context;
    size_t seen;
    error *err;
} walk;

static bool look(walk *w, const pickle_value *v, const char *name, int depth);

/* None, and pandas' NaN among texts: a label that is missing. */
static bool is_missing(const pickle_value *v) {
    return v->kind == PICKLE_NONE || (v->kind == PICKLE_FLOAT && isnan(v->real));
}
static bool is_text(const pickle_value *v) {
    return v->kind == PICKLE_TEXT || v->kind == PICKLE_BYTES || is_missing(v);
}
static bool is_number(const pickle_value *v) {
    return v->kind == PICKLE_BOOL || v->kind == PICKLE_INT || v->kind == PICKLE_FLOAT || v->kind == PICKLE_NONE;
}

static bool offer(walk *w, const char *name, const strided *array, const char *problem) {
    return array_box_offer(w->box, *name ? name : NULL, array, problem, w->err) != NULL;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* n × k numbers in order; k = 0: a vector. */
static bool offer_numbers(walk *w, const pickle_value *v, size_t k, const char *name) {
    size_t n = v->count, width = k ? k : 1;
    bool floats = false;
    if (n > SIZE_MAX / 8 / width) return true;
    uint8_t *memory = malloc(n * width * 8 + 1);
    if (!array_box_keep(w->box, memory, w->err)) return false;
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n * width; i++) {
            const pickle_value *x = k ? v->items[i / k]->items[i % k] : v->items[i];
            double real = x->kind == PICKLE_FLOAT ? x->real : x->kind == PICKLE_NONE ? NAN : (double)x->integer;
            if (pass == 0)
                floats = floats || x->kind == PICKLE_FLOAT || x->kind == PICKLE_NONE;
            else
                memcpy(memory + 8 * i, floats ? (const void *)&real : &x->integer, 8);
        }
    strided a = {.type = floats ? ELEMENT_F64 : ELEMENT_I64, .dims = k ? 2 : 1, .shape = {n, k}, .data = memory};
    strided_pack(&a, false);
    return offer(w, name, &a, NULL);
}

static bool offer_texts(walk *w, const pickle_value *v, const char *name) {
    size_t n = v->count, width = 1;
    for (size_t i = 0; i < n; i++)
        if (!is_missing(v->items[i]) && v->items[i]->size > width) width = v->items[i]->size;
    if (width > LETTERS_MOST) return offer(w, name, NULL, "holds strings of more than 1,000 letters");
    uint8_t *memory = calloc(n + 1, width);
    if (!array_box_keep(w->box, memory, w->err)) return false;
    for (size_t i = 0; i < n; i++)
        if (!is_missing(v->items[i])) memcpy(memory + i * width, v->items[i]->bytes, v->items[i]->size);
    strided a = {.type = ELEMENT_TEXT, .width = width, .dims = 1, .shape = {n}, .data = memory};
    strided_pack(&a, false);
    return offer(w, name, &a, NULL);
}

static bool all(const pickle_value *v, bool (*is)(const pickle_value *)) {
    for (size_t i = 0; i < v->count; i++)
        if (!is(v->items[i])) return false;
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i]->kind != PICKLE_NONE) return true;
    return false;
}

/* The length that all items have as lists of numbers; 0: they are none. */
static size_t row_length(const pickle_value *v) {
    for (size_t i = 0; i < v->count; i++) {
        const pickle_value *row = v->items[i];
        if ((row->kind != PICKLE_LIST && row->kind != PICKLE_TUPLE) || row->count != v->items[0]->count) return 0;
        if (!all(row, is_number)) return 0;
    }
    return v->count ? v->items[0]->count : 0;
}

/* Vectors that are batches of something a row: labels, and what lies beside matrices of as many rows. */
static bool are_flat(const array_box *b, size_t first, size_t each, size_t k) {
    const strided *a = &b->offers[first + k].array;
    for (size_t i = 0; i < each; i++) {
        const strided *other = &b->offers[first + i].array;
        if (a->dims == 1 && other->dims > 1 && other->shape[0] == a->shape[0]) return true;
    }
    return element_is_integer(a->type) || element_is_text(a->type);
}

/* Batches that a loop appended to a list: what each of `count` items offered, from `first` on, one behind another as
 * `name.*`, where all items offered the same names, types and columns. */
static bool offer_joined(walk *w, size_t count, size_t first, const char *name) {
    const array_box *b = w->box;
    size_t each = count > 1 ? (b->count - first) / count : 0;
    char joined[NAME_MOST + 24], number[24];
    if (each == 0 || each * count != b->count - first || strlen(name) > 480) return true;
    for (size_t i = first; i < b->count; i++) /* a long name is cut, and may be shorter than its list's */
        if (strlen(b->offers[i].name) <= strlen(name) + (*name != 0)) return true;
    for (size_t k = 0; k < each; k++) {
        const char *tail = b->offers[first + k].name + strlen(name) + (*name ? 2 : 1); /* behind "name.0" */
        for (size_t i = 0; i < count; i++) {
            const char *own = b->offers[first + i * each + k].name + strlen(name) + (*name != 0);
            size_t digits = (size_t)snprintf(number, sizeof number, "%zu", i);
            if (strncmp(own, number, digits) != 0 || strcmp(own + digits, tail) != 0) return true;
        }
    }
    for (size_t k = 0; k < each; k++) {
        const char *tail = b->offers[first + k].name + strlen(name) + (*name ? 2 : 1);
        snprintf(joined, sizeof joined, "%.480s%s*%.40s", name, *name ? "." : "", tail);
        if (!array_box_join(w->box, joined, first + k, each, count, are_flat(b, first, each, k), w->err)) return false;
    }
    return true;
}

static bool look_at_list(walk *w, const pickle_value *v, const char *name, int depth) {
    char item[NAME_MOST];
    w->seen += v->count;
    if (all(v, is_number)) return offer_numbers(w, v, 0, name);
    if (all(v, is_text)) return offer_texts(w, v, name);
    size_t k = row_length(v), first = w->box->count;
    if (k) return offer_numbers(w, v, k, name);
    for (size_t i = 0; i < v->count; i++) {
        snprintf(item, sizeof item, "%.480s%s%zu", name, *name ? "." : "", i);
        if (!look(w, v->items[i], item, depth)) return false;
    }
    return offer_joined(w, v->count, first, name);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static bool look_at_dict(walk *w, const pickle_value *v, const char *name, int depth) {
    char item[NAME_MOST];
    for (size_t i = 0; i + 1 < v->count; i += 2) {
        const pickle_value *key = v->items[i];
        if (is_text(key))
            snprintf(item, sizeof item, "%.300s%s%.*s", name, *name ? "." : "",
                     (int)(key->size < 200 ? key->size : 200), (const char *)key->bytes);
        else if (key->kind == PICKLE_INT)
            snprintf(item, sizeof item, "%.480s%s%lld", name, *name ? "." : "", (long long)key->integer);
        else
            continue; /* a key that nobody could type */
        if (!look(w, v->items[i + 1], item, depth)) return false;
    }
    return true;
}

static bool look_at_object(walk *w, const pickle_value *v, const char *name) {
    char problem[PICKLE_PROBLEM] = "";
    strided a = {0};
    const pickle_value *callable = v->object.callable;
    if (callable->kind == PICKLE_OUTSIDE)
        callable = pickle_item(callable->outside, 1); /* torch's ("module", class, …) */
    if (w->tensor && w->tensor(w->context, v, &a, problem)) return offer(w, name, &a, *problem ? problem : NULL);
    if (callable && callable->kind == PICKLE_GLOBAL && strncmp((const char *)callable->bytes, "numpy.", 6) == 0 &&
        strstr((const char *)callable->bytes, "multiarray._reconstruct"))
        snprintf(problem, sizeof problem, "is a NumPy array of a type that is not read");
    else if (callable && callable->kind == PICKLE_GLOBAL)
        snprintf(problem, sizeof problem, "is an object of `%.120s`, which is not built; save its arrays alone",
                 (const char *)callable->bytes);
    else
        snprintf(problem, sizeof problem, "is what a call of an object gives, which is not made");
    return offer(w, name, NULL, problem);
}

static bool look(walk *w, const pickle_value *v, const char *name, int depth) {
    if (depth > DEEPEST || ++w->seen > values_most) return true;
    switch (v->kind) {
    case PICKLE_ARRAY: return offer(w, name, v->array, NULL);
    case PICKLE_LIST:
    case PICKLE_TUPLE: return look_at_list(w, v, name, depth + 1);
    case PICKLE_DICT: return look_at_dict(w, v, name, depth + 1);
    case PICKLE_OBJECT: return look_at_object(w, v, name);
    default: return true;
    }
}

bool pickle_offer(array_box *b, const pickle_value *root, const char *name, pickle_tensor tensor, void *context,
                  error *err) {
    walk w = {.box = b, .tensor = tensor, .context = context, .err = err};
    return look(&w, root, name, 0);
}

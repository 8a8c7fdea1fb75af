/*
 * Choosing happens on names, types and shapes alone. What people keep beside embeddings is no candidate for them:
 * labels (n × 1), ids (integers, where floats are there too), scalars, empty arrays, text.
 */
#include "analysis/files/array_choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_TOLD = 12 };

array_layout array_layout_of(const strided *a, const array_request *r) {
    uint64_t shape[STRIDED_DIMS], steps[STRIDED_DIMS];
    int dims = a->dims, most = r->dims == 1 ? 1 : r->tokens ? 3 : 2;
    memcpy(shape, a->shape, sizeof shape);
    memcpy(steps, a->strides, sizeof steps);
    for (int d = dims - 1; d >= 0 && dims > most; d--) { /* the first dimension, the rows', last */
        if (shape[d] != 1) continue;
        for (int k = d; k + 1 < dims; k++) shape[k] = shape[k + 1], steps[k] = steps[k + 1];
        dims--;
    }
    array_layout l = {.dims = dims, .rows = dims > 0 ? shape[0] : 1, .tokens = 1, .cols = 1};
    l.row_step = dims > 0 ? steps[0] : 0;
    if (dims == 2) l.cols = shape[1], l.col_step = steps[1];
    if (dims == 3) l.tokens = shape[1], l.token_step = steps[1], l.cols = shape[2], l.col_step = steps[2];
    return l;
}

void array_tell_offer(const array_offer *o, char *out, size_t size) {
    const strided *a = &o->array;
    bool shaped = a->dims > 0 || !o->problem;
    if (shaped) strided_tell_shape(a->dims, a->shape, out, size);
    if (!shaped) snprintf(out, size, "unreadable");
    size_t length = strlen(out);
    if (shaped && !o->problem && element_is_text(a->type)) snprintf(out + length, size - length, " strings");
    if (shaped && o->problem) snprintf(out + length, size - length, ", unreadable");
}

/* Could this be what is asked for, by its shape? */
static bool has_shape(const array_offer *o, const array_request *r) {
    array_layout l = array_layout_of(&o->array, r);
    if (o->part) return false;
    if (o->problem && !(r->type && o->array.type == ELEMENT_OPAQUE)) return false;
    if (l.rows == 0 || l.cols == 0 || l.tokens == 0) return false;
    if (r->dims == 1) return l.dims == 1 || (l.dims == 2 && !element_is_text(o->array.type));
    return !element_is_text(o->array.type) && (l.dims == 2 || l.dims == 3) && l.cols > 1;
}

/* MATLAB keeps labels as a row beside the matrix whose rows they are of. */
static bool is_label_row(const array_box *b, const array_offer *o, const array_request *r) {
    array_layout row = array_layout_of(&o->array, r);
    if (row.dims != 2 || row.rows != 1) return false;
    for (size_t i = 0; i < b->count; i++)
        if (has_shape(&b->offers[i], r) && array_layout_of(&b->offers[i].array, r).rows == row.cols) return true;
    return false;
}

static bool fits(const array_box *b, const array_offer *o, const array_request *r) {
    return has_shape(o, r) && (r->dims == 1 || !is_label_row(b, o, r));
}

static bool is_float(const array_offer *o) {
    return !element_is_integer(o->array.type) && !element_is_text(o->array.type);
}

/* "`a` (10 × 20), `b` (5)": all of them, or those that fit. */
static void tell_offers(const array_box *b, const array_request *r, bool fitting, bool floats, char *out, size_t size) {
    size_t length = 0, told = 0, left = 0;
    out[0] = 0;
    for (size_t i = 0; i < b->count; i++) {
        const array_offer *o = &b->offers[i];
        if (o->part || (fitting && (!fits(b, o, r) || (floats && !is_float(o))))) continue;
        if (told == NAMES_TOLD || length + 120 > size) {
            left++;
            continue;
        }
        char shape[64];
        array_tell_offer(o, shape, sizeof shape);
        length += (size_t)snprintf(out + length, size - length, "%s`%.40s` (%s)", told++ ? ", " : "",
                                   o->name ? o->name : "", shape);
    }
    if (left && length < size) snprintf(out + length, size - length, " and %zu more", left);
}

/* Named exactly, or by the last parts of its name where that singles one out. */
static bool find_named(const array_box *b, const char *name, size_t *chosen) {
    size_t found = 0, length = strlen(name);
    for (size_t i = 0; i < b->count; i++) {
        const char *offered = b->offers[i].name;
        if (!offered) continue;
        *chosen = i;
        if (strcmp(offered, name) == 0) return true;
    }
    for (size_t i = 0; i < b->count; i++) {
        const char *offered = b->offers[i].name;
        size_t whole = offered ? strlen(offered) : 0;
        if (whole <= length || strcmp(offered + whole - length, name) != 0) continue;
        if (offered[whole - length - 1] != '.' && offered[whole - length - 1] != '/') continue;
        *chosen = i;
        found++;
    }
    return found == 1;
}

static bool refuse_name(const array_box *b, const array_request *r, error *err) {
    const char **names = calloc(b->count + 1, sizeof *names);
    size_t named = 0;
    char told[600];
    if (!names) return error_memory(err, (b->count + 1) * sizeof *names, "tensor names");
    for (size_t i = 0; i < b->count; i++)
        if (b->offers[i].name) names[named++] = b->offers[i].name;
    const char *near = error_nearest(r->tensor, names);
    if (near) {
        error_set(err, ERROR_USAGE, "%s: no tensor `%.60s`; did you mean `%.60s`?", b->name, r->tensor, near);
    } else {
        tell_offers(b, r, false, false, told, sizeof told);
        error_set(err, ERROR_USAGE, "%s: no tensor `%.60s`; it holds %s", b->name, r->tensor, b->count ? told : "none");
    }
    free(names);
    return false;
}

/* Of several that fit, the first of the usual names. */
static bool find_usual(const array_box *b, const array_request *r, size_t *chosen) {
    for (const char *word = r->usual; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        size_t length = strcspn(word, ",");
        for (size_t i = 0; i < b->count; i++) {
            const char *name = b->offers[i].name;
            if (!name || strlen(name) != length || strncmp(name, word, length) != 0 || !fits(b, &b->offers[i], r))
                continue;
            *chosen = i;
            return true;
        }
    }
    return false;
}

/* The array that was most likely meant among those that cannot be read: the largest that has rows and columns, or the
 * only one. */
static const array_offer *find_unreadable(const array_box *b, const array_request *r) {
    const array_offer *found = NULL;
    uint64_t largest = 0;
    for (size_t i = 0; i < b->count; i++) {
        const array_offer *o = &b->offers[i];
        uint64_t count;
        bool shaped = r->dims == 1 || o->array.dims == 0 || array_layout_of(&o->array, r).dims >= 2;
        if (!o->problem || !strided_count(&o->array, &count)) continue;
        if (b->count > 1 && (!shaped || (found && count <= largest))) continue;
        found = o, largest = count;
    }
    return found;
}

static bool refuse_all(const array_box *b, const array_request *r, error *err) {
    const char *wanted = r->dims == 2 ? "matrix (n × d)" : "vector or matrix";
    const array_offer *o = find_unreadable(b, r);
    char told[600];
    if (o) {
        char shape[64];
        array_tell_offer(o, shape, sizeof shape);
        return error_set(err, ERROR_RUN, "%s: `%.60s` (%s) %s", b->name, o->name ? o->name : "", shape, o->problem);
    }
    tell_offers(b, r, false, false, told, sizeof told);
    return error_set(err, ERROR_RUN, "%s: holds no %s%s%s", b->name, wanted, b->count ? ", only " : "", told);
}

bool array_choose(const array_box *b, const array_request *r, size_t *chosen, error *err) {
    if (b->count == 1 && !b->offers[0].name) {
        *chosen = 0;
        if (!r->tensor) return true; /* what is wrong with it is said of it alone */
        return error_set(err, ERROR_USAGE, "%s: %s holds one array, without a name; leave `%s %.60s` out", b->name,
                         b->format->kind, r->option ? r->option : "--tensor", r->tensor);
    }
    if (r->tensor) return find_named(b, r->tensor, chosen) || refuse_name(b, r, err);
    size_t found = 0, floats = 0, first_float = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (!fits(b, &b->offers[i], r)) continue;
        if (found++ == 0) *chosen = i;
        if (is_float(&b->offers[i]) && floats++ == 0) first_float = i;
    }
    if (find_usual(b, r, chosen)) return true;
    if (r->dims == 2 && floats) found = floats, *chosen = first_float;
    if (found == 1) return true;
    if (found == 0) return refuse_all(b, r, err);
    char told[600];
    tell_offers(b, r, true, r->dims == 2 && floats, told, sizeof told);
    return error_set(err, ERROR_USAGE, "%s: holds %zu arrays: %s; %s%s", b->name, found, told,
                     r->option ? r->option : "give the one that is meant in a file of its own",
                     r->option ? " NAME says which is meant" : "");
}

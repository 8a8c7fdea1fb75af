/*
 * Finding a network among named tensors. A prefix is tried wherever a tensor's name ends as the backbone's first
 * parameter's does; the one under which all parameters are found, of their shapes, is the network. Values are read
 * whole before the first parameter is touched.
 */
#include "experiments/run/weights.h"
#include "analysis/files/array_box.h"
#include "engine/teacher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIXES = 32 };
static const char own[] = "backbone.";

typedef struct search {
    const parameters *parameters;
    const array_box *box;
    const char *path;
} search;

static const array_offer *offer_named(const array_box *b, const char *prefix, const char *name) {
    size_t length = strlen(prefix);
    for (size_t i = 0; i < b->count; i++)
        if (b->offers[i].name && strncmp(b->offers[i].name, prefix, length) == 0 &&
            strcmp(b->offers[i].name + length, name) == 0)
            return &b->offers[i];
    return NULL;
}

/* A parameter of the backbone by torchvision's name, or NULL for any other. */
static const char *backbone_name(const parameter *one) {
    return strncmp(one->name, own, sizeof own - 1) == 0 && one->role != ROLE_CONSTANT ? one->name + sizeof own - 1
                                                                                      : NULL;
}

static int64_t count_of(const array_offer *o) {
    int64_t count = 1;
    for (int i = 0; i < o->array.dims; i++) count *= (int64_t)o->array.shape[i];
    return count;
}

/* One shape but for dimensions of 1: a bias (1, c) here is (c) there. */
static bool same_shape(const tensor *t, const array_offer *o) {
    int i = 0, k = 0;
    for (;;) {
        while (i < t->rank && t->shape[i] == 1) i++;
        while (k < o->array.dims && o->array.shape[k] == 1) k++;
        if (i == t->rank || k == o->array.dims) return i == t->rank && k == o->array.dims;
        if (t->shape[i++] != (int64_t)o->array.shape[k++]) return false;
    }
}

/* Patches along a side that so many rows of positions are for: with the class token's row, or without; 0: neither. */
static int grid_of(int64_t rows, int64_t *class_rows) {
    for (*class_rows = 0; *class_rows < 2; ++*class_rows) {
        int side = (int)lround(sqrt((double)(rows - *class_rows)));
        if (side > 0 && (int64_t)side * side == rows - *class_rows) return side;
    }
    return 0;
}

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* Positions that were learned for another grid: its side, and 0 where they are none or do not fit otherwise. */
static int other_grid(const parameter *one, const array_offer *o) {
    const tensor *t = &one->value;
    int dims = o->array.dims;
    if (!ends_with(one->name, ".pos_embed") || dims < 2 || (int64_t)o->array.shape[dims - 1] != t->shape[1]) return 0;
    int64_t here, there;
    int own = grid_of(t->shape[0], &here), side = grid_of((int64_t)o->array.shape[dims - 2], &there);
    return own && here == there && side != own ? side : 0;
}

/* One shape, or positions that can be resampled. */
static bool fits(const parameter *one, const array_offer *o) {
    return same_shape(&one->value, o) || other_grid(one, o) > 0;
}

static void print_shape(char *out, size_t size, int dims, const int64_t *shape) {
    size_t used = (size_t)snprintf(out, size, dims ? "" : "one number");
    for (int i = 0; i < dims && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "×" : "", (long long)shape[i]);
}

/* How many of the backbone's parameters stand under `prefix`; the first that does not, or is of another shape. */
static size_t count_under(const search *s, const char *prefix, size_t *wanted, const parameter **lacking,
                          const array_offer **odd) {
    size_t found = 0;
    *wanted = 0, *lacking = NULL, *odd = NULL;
    for (size_t i = 0; i < s->parameters->count; i++) {
        const parameter *one = s->parameters->items[i];
        const char *name = backbone_name(one);
        if (!name) continue;
        (*wanted)++;
        const array_offer *o = offer_named(s->box, prefix, name);
        if (o && !o->problem && fits(one, o))
            found++;
        else if (!*lacking)
            *lacking = one, *odd = o;
    }
    return found;
}

/* How many stand there by name alone: what tells the network that was meant from its parts. */
static size_t count_named(const search *s, const char *prefix) {
    size_t found = 0;
    for (size_t i = 0; i < s->parameters->count; i++) {
        const char *name = backbone_name(s->parameters->items[i]);
        found += name && offer_named(s->box, prefix, name);
    }
    return found;
}

/* Every prefix under which something ends as the backbone's first parameter does. */
static size_t find_prefixes(const search *s, char prefixes[PREFIXES][128]) {
    const char *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < s->parameters->count && !first; i++) first = backbone_name(s->parameters->items[i]);
    for (size_t i = 0; first && i < s->box->count && count < PREFIXES; i++) {
        const char *name = s->box->offers[i].parts ? NULL : s->box->offers[i].name;
        size_t length = name ? strlen(name) : 0, tail = strlen(first);
        if (length < tail || length - tail >= 128 || strcmp(name + length - tail, first) != 0) continue;
        if (length > tail && name[length - tail - 1] != '.') continue;
        snprintf(prefixes[count++], 128, "%.*s", (int)(length - tail), name);
    }
    return count;
}

static bool none_fits(const search *s, const char *prefix, error *err) {
    const parameter *lacking;
    const array_offer *odd;
    char here[96], there[96] = "";
    size_t wanted, found = count_under(s, prefix, &wanted, &lacking, &odd);
    if (!lacking) return error_set(err, ERROR_RUN, "%s: holds no tensors", s->path);
    if (odd && odd->problem) return error_set(err, ERROR_RUN, "%s: %s: %s", s->path, odd->name, odd->problem);
    print_shape(here, sizeof here, lacking->value.rank, lacking->value.shape);
    int64_t shape[8] = {0};
    for (int i = 0; odd && i < odd->array.dims && i < 8; i++) shape[i] = (int64_t)odd->array.shape[i];
    if (odd) print_shape(there, sizeof there, odd->array.dims < 8 ? odd->array.dims : 8, shape);
    const char *name = backbone_name(lacking);
    if (strcmp(name, "reg_token") == 0)
        return error_set(err, ERROR_USAGE, "%s: holds %lld registers, where backbone.registers asks for %lld", s->path,
                         odd && odd->array.dims > 1 ? (long long)shape[odd->array.dims - 2] : 0,
                         (long long)lacking->value.shape[0]);
    bool patches = strcmp(name, "patch_embed.proj.weight") == 0;
    if (odd && patches && odd->array.dims == 4 && shape[0] == lacking->value.shape[0])
        return error_set(err, ERROR_USAGE, "%s: its patches are %lld pixels wide, where backbone.patch is %lld",
                         s->path, (long long)shape[3], (long long)lacking->value.shape[3]);
    if (odd)
        return error_set(err, ERROR_USAGE, "%s: %s is %s, where this backbone has %s; %s say what it is", s->path,
                         odd->name, there, here,
                         patches || strncmp(name, "blocks.", 7) == 0
                             ? "backbone.name, backbone.width and backbone.depth"
                             : "backbone.name, backbone.width and backbone.stem");
    return error_set(err, ERROR_USAGE,
                     "%s: holds %zu of the backbone's %zu tensors under `%s`; `%s%s` is not there: it is another "
                     "network's, or backbone.name is",
                     s->path, found, wanted, prefix, prefix, backbone_name(lacking));
}

/* The prefix that is meant: the given one, or the only one under which the whole backbone stands. */
static bool choose_prefix(const search *s, const char *given, char chosen[128], error *err) {
    char prefixes[PREFIXES][128], whole[512] = "";
    size_t count = find_prefixes(s, prefixes), fitting = 0, best = 0, most = 0;
    if (given && *given) {
        const parameter *lacking;
        const array_offer *odd;
        size_t wanted;
        snprintf(chosen, 128, "%.120s%s", given, given[strlen(given) - 1] == '.' ? "" : ".");
        return count_under(s, chosen, &wanted, &lacking, &odd) == wanted || none_fits(s, chosen, err);
    }
    for (size_t i = 0; i < count; i++) {
        const parameter *lacking;
        const array_offer *odd;
        size_t wanted, found = count_under(s, prefixes[i], &wanted, &lacking, &odd), used = strlen(whole);
        size_t named = count_named(s, prefixes[i]);
        if (named > most) most = named, best = i;
        if (found < wanted) continue;
        if (!fitting++) snprintf(chosen, 128, "%.127s", prefixes[i]);
        snprintf(whole + used, sizeof whole - used, "%s%.100s", used ? ", " : "",
                 *prefixes[i] ? prefixes[i] : "(none)");
    }
    if (fitting == 1) return true;
    if (fitting > 1)
        return error_set(err, ERROR_USAGE, "%s: holds this backbone %zu times, under %s; train.init_prefix says which",
                         s->path, fitting, whole);
    return none_fits(s, count ? prefixes[best] : "", err);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

typedef struct loaded {
    const parameter **to;
    float **values;
    size_t count;
} loaded;

static void free_loaded(loaded *l) {
    for (size_t i = 0; i < l->count; i++) free(l->values[i]);
    free(l->to);
    free(l->values);
}

/* All elements in C order, as floats. */
static void read_values(const strided *a, float *out) {
    uint64_t index[STRIDED_DIMS] = {0};
    for (size_t i = 0;; i++) {
        out[i] = (float)strided_double(a, strided_at(a, index));
        int k = a->dims - 1;
        while (k >= 0 && ++index[k] == a->shape[k]) index[k--] = 0;
        if (k < 0) return;
    }
}

/* (class row, grid² rows) of a file become as many as `to` has. Takes `values`; NULL when memory runs out. */
static float *resample(float *values, int from, const parameter *to, resampling how) {
    int64_t class_rows, d = to->value.shape[1], old = (int64_t)from * from;
    int side = grid_of(to->value.shape[0], &class_rows);
    int64_t new = (int64_t)side *side;
    float *weights = malloc((size_t)(old * new) * sizeof *weights);
    float *out = calloc((size_t)tensor_count(&to->value), sizeof *out);
    if (weights && out) {
        positions_resampling(how, from, side, weights);
        memcpy(out, values, (size_t)(class_rows * d) * sizeof *out);
        const float *table = values + class_rows * d;
        for (int64_t i = 0; i < new; i++)
            for (int64_t k = 0; k < old; k++)
                for (int64_t c = 0; weights[i * old + k] != 0 && c < d; c++)
                    out[(class_rows + i) * d + c] += weights[i * old + k] * table[k * d + c];
    } else {
        free(out);
        out = NULL;
    }
    free(weights);
    free(values);
    return out;
}

static bool read_one(array_box *b, const array_offer *o, const parameter *to, resampling how, weights_found *found,
                     loaded *l, error *err) {
    strided array;
    void *memory = NULL;
    size_t count = (size_t)count_of(o);
    float *values = malloc(count * sizeof *values);
    bool ok = (values || error_memory(err, count * sizeof *values, to->name)) &&
              array_box_load(b, (size_t)(o - b->offers), &array, &memory, err);
    if (ok && count) read_values(&array, values);
    free(memory);
    int from = ok ? other_grid(to, o) : 0;
    if (from) {
        int64_t class_rows;
        found->grid = from, found->own_grid = grid_of(to->value.shape[0], &class_rows);
        values = resample(values, from, to, how);
        ok = values || error_memory(err, (size_t)tensor_count(&to->value) * sizeof *values, to->name);
    }
    l->to[l->count] = to;
    l->values[l->count++] = values;
    return ok;
}

/* mews' own checkpoints name the whole model; there the head comes along. */
static bool is_own(const array_box *b, const parameters *p) {
    for (size_t i = 0; i < p->count; i++)
        if (backbone_name(p->items[i]) && offer_named(b, "", p->items[i]->name)) return true;
    return false;
}

static bool read_all(const search *s, array_box *b, resampling how, weights_found *found, loaded *l, error *err) {
    const parameters *p = s->parameters;
    l->to = calloc(p->count, sizeof *l->to);
    l->values = calloc(p->count, sizeof *l->values);
    if (!l->to || !l->values) return error_memory(err, p->count * sizeof *l->to, "weights");
    for (size_t i = 0; i < p->count; i++) {
        const parameter *one = p->items[i];
        const char *name = backbone_name(one);
        const array_offer *o = name ? offer_named(b, found->prefix, name) : NULL;
        if (!name && found->heads && one->role != ROLE_CONSTANT && strncmp(one->name, "online.", 7) != 0)
            o = offer_named(b, "", one->name);
        if (!o && !name) continue;
        if (!o || o->problem || !fits(one, o)) {
            if (name) return none_fits(s, found->prefix, err);
            continue; /* the head of another method or size is not taken */
        }
        if (!read_one(b, o, one, how, found, l, err)) return false;
    }
    return true;
}

static void note_unused(const array_box *b, const loaded *l, weights_found *found) {
    found->taken = l->count;
    for (size_t i = 0; i < b->count; i++) {
        const char *name = b->offers[i].name ? b->offers[i].name : "";
        bool used =
            b->offers[i].parts || strstr(name, "num_batches_tracked") != NULL || strncmp(name, "optimizer.", 10) == 0;
        for (size_t k = 0; k < l->count && !used; k++) {
            const char *plain = backbone_name(l->to[k]);
            size_t length = strlen(found->prefix);
            used = strcmp(name, l->to[k]->name) == 0 ||
                   (plain && strncmp(name, found->prefix, length) == 0 && strcmp(name + length, plain) == 0);
        }
        if (used) continue;
        if (!found->unused++) snprintf(found->first_unused, sizeof found->first_unused, "%.150s", name);
    }
}

/* A teacher whose own values were not in the file begins where its student does. */
static bool start_teacher(parameters *p, const loaded *l, error *err) {
    for (size_t i = 0; i < p->count; i++) {
        if (!parameters_is_teacher(p->items[i])) continue;
        bool given = false;
        for (size_t k = 0; k < l->count; k++) given = given || l->to[k] == p->items[i];
        if (!given) return teacher_copy(p, err);
    }
    return true;
}

bool weights_load(parameters *p, const char *path, const char *prefix, resampling how, weights_found *found,
                  error *err) {
    loaded l = {0};
    *found = (weights_found){0};
    array_box *b = array_box_open(path, NULL, err);
    if (!b) return error_prefix(err, "train.init");
    search s = {.parameters = p, .box = b, .path = path};
    found->heads = !(prefix && *prefix) && is_own(b, p);
    if (found->heads) snprintf(found->prefix, sizeof found->prefix, "%s", own);
    bool ok = (found->heads || choose_prefix(&s, prefix, found->prefix, err)) && read_all(&s, b, how, found, &l, err);
    for (size_t i = 0; ok && i < l.count; i++) p->backend->write(p->backend, (tensor *)&l.to[i]->value, l.values[i]);
    ok = ok && start_teacher(p, &l, err);
    if (ok) note_unused(b, &l, found);
    free_loaded(&l);
    array_box_leave(b);
    return ok || error_prefix(err, "train.init");
}

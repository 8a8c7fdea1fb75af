/*
 * Dictionaries: how each kind is drawn, and the rules of the ops that multiply by them.
 */
#include "engine/codes.h"
#include "engine/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const dictionary_names[] = {"rademacher", "hadamard", "orthogonal", "gaussian", "learned", NULL};

static int64_t hadamard_order(int64_t features) {
    int64_t order = 1;
    while (order < features) order *= 2;
    return order;
}

static bool create_hadamard(dictionary *d, parameters *p, const char *name, error *err) {
    int64_t order = hadamard_order(d->features);
    int64_t blocks = (d->codes + order - 1) / order;
    d->values = parameters_add(p, name, ROLE_CONSTANT, 2, (int64_t[]){blocks, order}, INIT_SIGNS, 1, err);
    if (!d->values || d->features == order) return d->values != NULL;
    char rows[sizeof p->items[0]->name];
    snprintf(rows, sizeof rows, "%s.rows", name);
    d->position =
        parameters_add(p, rows, ROLE_CONSTANT, 2, (int64_t[]){1, d->features}, INIT_CHOICE, (double)order, err);
    return d->position != NULL;
}

/* Blocks r·B/K … (r + 1)·B/K − 1 of B are rank r's. */
static bool split_codes(dictionary *d, const peers *all, column_range *own, error *err) {
    int64_t block = d->kind == CODES_HADAMARD ? hadamard_order(d->features) : 1;
    int64_t blocks = (d->codes + block - 1) / block;
    if (blocks < all->count)
        return error_set(
            err, ERROR_USAGE,
            "%lld codes, handed out %lld at a time, do not go round %d processes; take more codes or start "
            "fewer",
            (long long)d->codes, (long long)block, all->count);
    int64_t end = (all->rank + 1) * blocks / all->count * block;
    own->first = all->rank * blocks / all->count * block;
    own->count = (end < d->codes ? end : d->codes) - own->first;
    d->split = true;
    return true;
}

bool dictionary_create(dictionary *d, parameters *p, const char *name, dictionary_law law, int64_t features,
                       int64_t codes, bool split, error *err) {
    static const init_law start[] = {[DICTIONARY_RADEMACHER] = INIT_SIGNS,
                                     [DICTIONARY_ORTHOGONAL] = INIT_ORTHOGONAL,
                                     [DICTIONARY_GAUSSIAN] = INIT_NORMAL,
                                     [DICTIONARY_LEARNED] = INIT_SIGNS};
    static const code_kind kinds[] = {[DICTIONARY_RADEMACHER] = CODES_SIGNS,
                                      [DICTIONARY_HADAMARD] = CODES_HADAMARD,
                                      [DICTIONARY_ORTHOGONAL] = CODES_DENSE,
                                      [DICTIONARY_GAUSSIAN] = CODES_DENSE,
                                      [DICTIONARY_LEARNED] = CODES_DENSE};
    const peers *all = p->backend->peers;
    column_range own = {0, codes, codes};
    *d = (dictionary){.kind = kinds[law], .features = features, .codes = codes};
    if (split && law == DICTIONARY_LEARNED)
        return error_set(err, ERROR_USAGE, "a learned dictionary moves as a whole and cannot be split");
    if (split && all && !split_codes(d, all, &own, err)) return false;
    d->own = own.count;
    if (law == DICTIONARY_HADAMARD) {
        d->place = own.first; /* the diagonals are few: everyone has them all */
        return create_hadamard(d, p, name, err);
    }
    if (all && d->split && all->rank == 0) own.count = codes;
    d->values = law == DICTIONARY_LEARNED
                    ? parameters_add(p, name, ROLE_WEIGHT, 2, (int64_t[]){features, codes}, start[law], 1, err)
                    : parameters_add_columns(p, name, d->kind == CODES_SIGNS ? TENSOR_SIGNS : TENSOR_PLAIN, features,
                                             own, start[law], err);
    return d->values != NULL;
}

/* Rules ----------------------------------------------------------------------------------------------------------- */

static const char *check(const node *n) {
    const tensor *h = n->in[0], *values = n->in[1], *position = n->in[2];
    if (!h || h->kind != TENSOR_PLAIN || h->rank != 2) return "needs a matrix of embeddings";
    if (!values || values->rank != 2) return "needs a dictionary";
    int64_t f = h->shape[1], last = n->with.codes.place + n->with.codes.count;
    if (n->with.codes.kind != CODES_HADAMARD)
        return values->shape[0] == f && values->shape[1] >= last ? NULL : "the dictionary is for other embeddings";
    if (position ? position->shape[1] != f : values->shape[1] != f) return "the dictionary is for other embeddings";
    return NULL;
}

static const char *shape_logits(node *n) {
    const char *why = check(n);
    if (why) return why;
    *n->out = (tensor){.kind = TENSOR_PLAIN, .rank = 2, .shape = {n->in[0]->shape[0], n->with.codes.count}};
    return NULL;
}

/* saved[0]: statistics, code_match_statistics; saved[1]: the logits while they fit. */
static const char *shape_match(node *n) {
    const char *why = check(n);
    if (why) return why;
    int64_t rows = n->in[0]->shape[0], c = n->with.codes.count;
    if (rows < 2 || rows % 2) return "needs as many first views as second ones";
    *n->out = (tensor){.kind = TENSOR_PLAIN, .rank = 2, .shape = {2, 1}};
    n->saved_count[0] = code_match_statistics(rows, c);
    int64_t logits = rows * code_match_stride(c);
    /* A transform costs less than reading back what it gave. */
    bool keep = n->with.codes.kind != CODES_HADAMARD && logits <= n->with.codes.memory / (int64_t)sizeof(real);
    n->saved_count[1] = keep ? logits : 0;
    return NULL;
}

/* What the definition asks for, however it is come by: 2·n·f·c, or n·c·log2 F additions of a transform. */
static double flops(const node *n) {
    double entries = (double)n->in[0]->shape[0] * (double)n->with.codes.count;
    if (n->with.codes.kind == CODES_HADAMARD) return entries * log2((double)n->in[1]->shape[1]);
    return 2 * entries * (double)n->in[0]->shape[1];
}

const op_rule rule_code_logits = {"code_logits", KEEP_IN(0) | KEEP_IN(1) | KEEP_IN(2), shape_logits, flops, 0,
                                  MAKES_REAL};
const op_rule rule_code_match = {"code_match", KEEP_IN(0) | KEEP_IN(1) | KEEP_IN(2), shape_match, flops, 0, MAKES_REAL};

tensor *(op_code_logits)(tape *t, tensor *h, const dictionary *d, double alpha) {
    op_attributes with = {.codes = {.kind = d->kind, .count = d->codes, .total = d->codes, .alpha = alpha}};
    return tape_apply(t, OP_code_logits, with, 3, (tensor *[]){h, d->values, d->position});
}

tensor *(op_code_match)(tape *t, tensor *h, const dictionary *d, code_match with) {
    op_attributes attributes = {.codes = {.kind = d->kind,
                                          .split = d->split,
                                          .place = d->place,
                                          .count = d->own,
                                          .total = d->codes,
                                          .alpha = with.alpha,
                                          .reverse = with.reverse,
                                          .symmetric = with.symmetric,
                                          .memory = with.memory}};
    return tape_apply(t, OP_code_match, attributes, 3, (tensor *[]){h, d->values, d->position});
}

/*
 * Ops that move values and compute nothing: parts of a matrix, matrices beside and below each other, another shape for
 * the same values, and sorting, whose gradient goes back to where each value came from.
 */
#include "engine/ops.h"

static const char *shape_slice_rows(node *n) {
    int64_t first = n->with.slice.first, count = n->with.slice.count;
    if (!is_matrix(n->in[0])) return "needs a matrix";
    if (first < 0 || count < 1 || first + count > n->in[0]->shape[0]) return "the rows asked for do not exist";
    set_matrix(n->out, count, n->in[0]->shape[1]);
    return NULL;
}
const op_rule rule_slice_rows = {"slice_rows", 0, shape_slice_rows, NULL, 0, MAKES_REAL};

tensor *(op_slice_rows)(tape *t, tensor *x, int64_t first, int64_t count) {
    op_attributes with = {.slice = {first, count}};
    return tape_apply(t, OP_slice_rows, with, 1, &x);
}

static const char *shape_concat_rows(node *n) {
    if (!is_matrix(n->in[0]) || !is_matrix(n->in[1])) return "needs two matrices";
    if (n->in[0]->shape[1] != n->in[1]->shape[1]) return "the matrices have different numbers of columns";
    set_matrix(n->out, n->in[0]->shape[0] + n->in[1]->shape[0], n->in[0]->shape[1]);
    return NULL;
}
const op_rule rule_concat_rows = {"concat_rows", 0, shape_concat_rows, NULL, 0, MAKES_REAL};

tensor *(op_concat_rows)(tape *t, tensor *a, tensor *b) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_concat_rows, with, 2, (tensor *[]){a, b});
}

static const char *shape_concat_cols(node *n) {
    if (!is_matrix(n->in[0]) || !is_matrix(n->in[1])) return "needs two matrices";
    if (n->in[0]->shape[0] != n->in[1]->shape[0]) return "the matrices have different numbers of rows";
    set_matrix(n->out, n->in[0]->shape[0], n->in[0]->shape[1] + n->in[1]->shape[1]);
    return NULL;
}
const op_rule rule_concat_cols = {"concat_cols", 0, shape_concat_cols, NULL, 0, MAKES_REAL};

tensor *(op_concat_cols)(tape *t, tensor *a, tensor *b) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_concat_cols, with, 2, (tensor *[]){a, b});
}

static const char *shape_reshape(node *n) {
    int64_t rows = n->with.slice.first, cols = n->with.slice.count;
    if (!is_matrix(n->in[0])) return "needs a matrix";
    if (rows < 1 || cols < 1 || rows * cols != tensor_count(n->in[0]))
        return "the matrix holds another number of values than the shape asked for";
    set_matrix(n->out, rows, cols);
    return NULL;
}
const op_rule rule_reshape = {"reshape", 0, shape_reshape, NULL, 0, MAKES_REAL};

tensor *(op_reshape)(tape *t, tensor *x, int64_t rows, int64_t cols) {
    op_attributes with = {.slice = {rows, cols}};
    return tape_apply(t, OP_reshape, with, 1, &x);
}

/* Saved: the row that each sorted value came from. */
static const char *shape_sort(node *n) {
    if (!is_matrix(n->in[0])) return "needs a matrix";
    n->saved_count[0] = tensor_count(n->in[0]);
    set_matrix(n->out, n->in[0]->shape[0], n->in[0]->shape[1]);
    return NULL;
}
const op_rule rule_sort = {"sort", 0, shape_sort, NULL, 0, MAKES_REAL};

tensor *(op_sort)(tape *t, tensor *x) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_sort, with, 1, &x);
}

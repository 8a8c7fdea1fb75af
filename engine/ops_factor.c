/*
 * Ops on square matrices: more on the diagonal, a Cholesky factor, and the triangular system behind it. Together
 * the last two whiten: rows of covariance S = L·Lᵀ become L⁻¹·row, of covariance I, without S⁻¹ ever being formed.
 */
#include "engine/ops.h"

static bool is_square(const tensor *x) {
    return x && x->kind == TENSOR_PLAIN && x->rank == 2 && x->shape[0] == x->shape[1];
}

static void set_matrix(tensor *out, int64_t rows, int64_t cols) {
    out->kind = TENSOR_PLAIN;
    out->rank = 2;
    out->shape[0] = rows, out->shape[1] = cols;
}

static const char *shape_square(node *n) {
    if (!is_square(n->in[0])) return "needs a square matrix";
    set_matrix(n->out, n->in[0]->shape[0], n->in[0]->shape[1]);
    return NULL;
}
const op_rule rule_add_diagonal = {"add_diagonal", 0, shape_square, NULL};

tensor *(op_add_diagonal)(tape *t, tensor *x, double value) {
    op_attributes with = {.affine = {0, value}};
    return tape_apply(t, OP_add_diagonal, with, 1, &x);
}

const op_rule rule_cholesky = {"cholesky", KEEP_OUT, shape_square, NULL};

tensor *(op_cholesky)(tape *t, tensor *x) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_cholesky, with, 1, &x);
}

static const char *shape_triangular_solve(node *n) {
    const tensor *x = n->in[0], *l = n->in[1];
    if (!is_square(l)) return "needs a square triangular matrix";
    if (!x || x->kind != TENSOR_PLAIN || x->rank != 2 || x->shape[1] != l->shape[0])
        return "needs a matrix with as many columns as the triangular one";
    set_matrix(n->out, x->shape[0], x->shape[1]);
    return NULL;
}
const op_rule rule_triangular_solve = {"triangular_solve", KEEP_IN(1) | KEEP_OUT, shape_triangular_solve, NULL};

tensor *(op_triangular_solve)(tape *t, tensor *x, tensor *l) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_triangular_solve, with, 2, (tensor *[]){x, l});
}

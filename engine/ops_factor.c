/*
 * Ops on what a matrix is made of: more on the diagonal, a Cholesky factor and the triangular system behind it, and
 * functions of eigenvalues and singular values. The Cholesky factor whitens: rows of covariance S = L·Lᵀ become
 * L⁻¹·row, of covariance I, without S⁻¹ ever being formed; the inverse root whitens and turns as little as it can
 * (ZCA).
 */
#include "engine/ops.h"

static bool is_square(const tensor *x) { return is_matrix(x) && x->shape[0] == x->shape[1]; }

static const char *shape_square(node *n) {
    if (!is_square(n->in[0])) return "needs a square matrix";
    set_matrix(n->out, n->in[0]->shape[0], n->in[0]->shape[1]);
    return NULL;
}
const op_rule rule_add_diagonal = {"add_diagonal", 0, shape_square, NULL, 0, MAKES_REAL};

tensor *(op_add_diagonal)(tape *t, tensor *x, double value) {
    op_attributes with = {.affine = {0, value}};
    return tape_apply(t, OP_add_diagonal, with, 1, &x);
}

const op_rule rule_cholesky = {"cholesky", KEEP_OUT, shape_square, NULL, 0, MAKES_REAL};

tensor *(op_cholesky)(tape *t, tensor *x) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_cholesky, with, 1, &x);
}

static const char *shape_triangular_solve(node *n) {
    const tensor *x = n->in[0], *l = n->in[1];
    if (!is_square(l)) return "needs a square triangular matrix";
    if (!is_matrix(x) || x->shape[1] != l->shape[0]) return "needs a matrix with as many columns as the triangular one";
    set_matrix(n->out, x->shape[0], x->shape[1]);
    return NULL;
}
const op_rule rule_triangular_solve = {"triangular_solve", KEEP_IN(1) | KEEP_OUT, shape_triangular_solve, NULL, 0,
                                       MAKES_REAL};

tensor *(op_triangular_solve)(tape *t, tensor *x, tensor *l) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_triangular_solve, with, 2, (tensor *[]){x, l});
}

/* log det S = 2 Σ_i log L_ii, S = L·Lᵀ; it has no care for which eigenvalues repeat. */
tensor *(op_logdet)(tape *t, tensor *x) {
    tensor *logs = (op_log)(t, (op_diagonal)(t, (op_cholesky)(t, x)));
    return (op_scale)(t, (op_sum)(t, logs, AXIS_ALL), 2);
}

/* Saved: the eigenvectors as rows, and eigenvalues to the power −½. */
static const char *shape_inverse_root(node *n) {
    const char *why = shape_square(n);
    if (why) return why;
    n->saved_count[0] = tensor_count(n->in[0]);
    n->saved_count[1] = n->in[0]->shape[0];
    return NULL;
}
const op_rule rule_inverse_root = {"inverse_root", 0, shape_inverse_root, NULL, 0, MAKES_REAL};

tensor *(op_inverse_root)(tape *t, tensor *x) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_inverse_root, with, 1, &x);
}

/* Saved: the polar factor U·Vᵀ of each group, which is its gradient. */
static const char *shape_nuclear_norm(node *n) {
    const tensor *x = n->in[0];
    int64_t groups = n->with.slice.count;
    if (!is_matrix(x)) return "needs a matrix";
    if (groups < 1 || x->shape[0] % groups) return "the rows do not divide into the groups";
    n->saved_count[0] = tensor_count(x);
    set_matrix(n->out, groups, 1);
    return NULL;
}
const op_rule rule_nuclear_norm = {"nuclear_norm", 0, shape_nuclear_norm, NULL, 0, MAKES_REAL};

tensor *(op_nuclear_norm)(tape *t, tensor *x, int64_t groups) {
    op_attributes with = {.slice = {0, groups}};
    return tape_apply(t, OP_nuclear_norm, with, 1, &x);
}

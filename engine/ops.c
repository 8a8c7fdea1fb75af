/*
 * The ops: for each its rule (the shape of its result, which values its backward pass reads) beside its constructor.
 * The arithmetic is the backend's. A constructor's name stands in brackets because ops.h wraps it in a macro that notes
 * the caller's line; ops made of other ops call them in brackets too, so that the caller's line stays.
 */
#include "engine/ops.h"

#include <math.h>

/* Shapes -------------------------------------------------------------------------------------------------------- */

static void set_images(tensor *out, int64_t n, int64_t h, int64_t w, int64_t c) {
    out->kind = TENSOR_IMAGES;
    out->rank = 4;
    out->shape[0] = n, out->shape[1] = h, out->shape[2] = w, out->shape[3] = c;
}

static void set_like(tensor *out, const tensor *x) {
    out->kind = x->kind;
    out->rank = x->rank;
    for (int i = 0; i < x->rank; i++) out->shape[i] = x->shape[i];
}

static bool is_images(const tensor *x) { return x && x->kind == TENSOR_IMAGES; }

static bool same_shape(const tensor *a, const tensor *b) {
    if (a->kind != b->kind || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

static bool is_row(const tensor *x, int64_t cols) { return is_matrix(x) && x->shape[0] == 1 && x->shape[1] == cols; }

static const char *shape_same(node *n) {
    if (!n->in[0]) return "its input is missing";
    set_like(n->out, n->in[0]);
    return NULL;
}

static const char *shape_same_matrix(node *n) {
    if (!is_matrix(n->in[0])) return "its input must be a matrix";
    set_like(n->out, n->in[0]);
    return NULL;
}

static const char *shape_broadcast(node *n) {
    const tensor *a = n->in[0], *b = n->in[1];
    if (!a || !b) return "an input is missing";
    if (same_shape(a, b)) return shape_same(n);
    if (!is_matrix(a) || !is_matrix(b)) return "images add only to images of the same shape";
    int64_t shape[2];
    for (int i = 0; i < 2; i++) {
        if (a->shape[i] != b->shape[i] && a->shape[i] != 1 && b->shape[i] != 1) return "the shapes do not broadcast";
        shape[i] = a->shape[i] > b->shape[i] ? a->shape[i] : b->shape[i];
    }
    set_matrix(n->out, shape[0], shape[1]);
    return NULL;
}

/* Images -------------------------------------------------------------------------------------------------------- */

static const char *shape_conv2d(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    int stride = n->with.conv.stride, padding = n->with.conv.padding;
    if (!is_images(x) || !w || w->rank != 4) return "needs images and a weight (out, in, k, k)";
    if (w->shape[1] != x->shape[3]) return "the weight takes another number of channels than the images have";
    if (w->shape[2] != w->shape[3] || stride < 1 || padding < 0)
        return "needs a square window, stride >= 1, padding >= 0";
    if (bias && !is_row(bias, w->shape[0])) return "the bias must be (1, out)";
    int64_t h = x->shape[1] + 2 * padding - w->shape[2], width = x->shape[2] + 2 * padding - w->shape[3];
    if (h < 0 || width < 0) return "the images are smaller than the window";
    set_images(n->out, x->shape[0], h / stride + 1, width / stride + 1, w->shape[0]);
    return NULL;
}
static double flops_conv2d(const node *n) {
    const tensor *w = n->in[1];
    return 2 * (double)tensor_count(n->out) * (double)(w->shape[1] * w->shape[2] * w->shape[3]);
}
static const op_rule rule_conv2d = {"conv2d",   KEEP_IN(0) | KEEP_IN(1), shape_conv2d, flops_conv2d,
                                    KEEP_IN(0), MAKES_BFLOAT16};

tensor *(op_conv2d)(tape *t, tensor *x, tensor *w, tensor *bias, int stride, int padding) {
    op_attributes with = {.conv = {stride, padding}};
    return tape_apply(t, OP_conv2d, with, 3, (tensor *[]){x, w, bias});
}

static const char *shape_avg_pool(node *n) {
    const tensor *x = n->in[0];
    int size = n->with.pool.size;
    if (!is_images(x) || size < 1 || x->shape[1] < size || x->shape[2] < size)
        return "needs images at least as large as the window";
    set_images(n->out, x->shape[0], x->shape[1] / size, x->shape[2] / size, x->shape[3]);
    return NULL;
}
static const op_rule rule_avg_pool = {"avg_pool", 0, shape_avg_pool, NULL, KEEP_IN(0), MAKES_LIKE_INPUT};

tensor *(op_avg_pool)(tape *t, tensor *x, int size) {
    op_attributes with = {.pool = {size, size, 0}};
    return tape_apply(t, OP_avg_pool, with, 1, &x);
}

static const char *shape_max_pool(node *n) {
    const tensor *x = n->in[0];
    int size = n->with.pool.size, stride = n->with.pool.stride, padding = n->with.pool.padding;
    if (!is_images(x) || size < 1 || stride < 1 || padding < 0 || padding > size / 2)
        return "needs images, a window, a stride >= 1 and padding of at most half the window";
    int64_t h = x->shape[1] + 2 * padding - size, w = x->shape[2] + 2 * padding - size;
    if (h < 0 || w < 0) return "the images are smaller than the window";
    set_images(n->out, x->shape[0], h / stride + 1, w / stride + 1, x->shape[3]);
    return NULL;
}
static const op_rule rule_max_pool = {"max_pool", KEEP_IN(0) | KEEP_OUT, shape_max_pool, NULL,
                                      KEEP_IN(0), MAKES_LIKE_INPUT};

tensor *(op_max_pool)(tape *t, tensor *x, int size, int stride, int padding) {
    op_attributes with = {.pool = {size, stride, padding}};
    return tape_apply(t, OP_max_pool, with, 1, &x);
}

static const char *shape_global_pool(node *n) {
    if (!is_images(n->in[0])) return "needs images";
    set_matrix(n->out, n->in[0]->shape[0], n->in[0]->shape[3]);
    return NULL;
}
static const op_rule rule_global_pool = {"global_pool", 0, shape_global_pool, NULL, KEEP_IN(0), MAKES_REAL};

tensor *(op_global_pool)(tape *t, tensor *x) {
    op_attributes with = {.pool = {0, 0, 0}};
    return tape_apply(t, OP_global_pool, with, 1, &x);
}

/* Normalisation and activations ----------------------------------------------------------------------------------- */

/* in: x, gamma, beta, mean, var, residual. Saved: mean and 1/std, (groups, C) each. */
static const char *shape_batchnorm(node *n) {
    const tensor *x = n->in[0], *residual = n->in[5];
    if (!is_images(x) && !is_matrix(x)) return "needs images or a matrix";
    int64_t channels = is_images(x) ? x->shape[3] : x->shape[1];
    int groups = n->with.norm.groups;
    if (groups < 1 || x->shape[0] % groups) return "the samples do not divide into the groups";
    if (n->with.norm.training && is_matrix(x) && x->shape[0] / groups < 2)
        return "a group of one sample has no variance; use a larger batch";
    if ((n->in[1] == NULL) != (n->in[2] == NULL)) return "gamma and beta come together";
    for (int i = 1; i <= 4; i++)
        if (n->in[i] && !is_row(n->in[i], channels)) return "gamma, beta, mean and var must be (1, channels)";
    if (!n->in[3] || !n->in[4]) return "running mean and variance are missing";
    if (residual && !same_shape(residual, x)) return "the residual has another shape";
    n->saved_count[0] = n->saved_count[1] = groups * channels;
    set_like(n->out, x);
    return NULL;
}
static const op_rule rule_batchnorm = {
    "batchnorm", KEEP_IN(0) | KEEP_IN(1) | KEEP_MASK, shape_batchnorm, NULL, KEEP_IN(0) | KEEP_IN(5), MAKES_LIKE_INPUT};

tensor *(op_batchnorm)(tape *t, tensor *x, const batchnorm *bn, tensor *residual, bool relu, int groups,
                       bool training) {
    double momentum = tape_moves_statistics(t) ? bn->momentum : 0;
    op_attributes with = {.norm = {groups, training, relu, momentum, bn->eps, tape_backend(t)->sharded && training}};
    return tape_apply(t, OP_batchnorm, with, 6, (tensor *[]){x, bn->gamma, bn->beta, bn->mean, bn->var, residual});
}

#define UNARY(name, keep, rule_shape) UNARY_OF(name, keep, rule_shape, 0, MAKES_REAL)
#define UNARY_BRIEF(name, keep) UNARY_OF(name, keep, shape_same, KEEP_IN(0), MAKES_LIKE_INPUT)
#define UNARY_OF(name, keep, rule_shape, brief, makes)                                                                 \
    static const op_rule rule_##name = {#name, keep, rule_shape, NULL, brief, makes};                                  \
    tensor *(op_##name)(tape * t, tensor * x) {                                                                        \
        op_attributes with = {.affine = {0, 0}};                                                                       \
        return tape_apply(t, OP_##name, with, 1, &x);                                                                  \
    }

UNARY_BRIEF(relu, KEEP_OUT)
UNARY_BRIEF(tanh, KEEP_OUT)
UNARY_BRIEF(gelu, KEEP_IN(0))
UNARY(exp, KEEP_OUT, shape_same_matrix)
UNARY(log, KEEP_IN(0), shape_same_matrix)
UNARY(sqrt, KEEP_OUT, shape_same_matrix)
UNARY(sin, KEEP_IN(0), shape_same_matrix)
UNARY(cos, KEEP_IN(0), shape_same_matrix)
UNARY(abs, KEEP_IN(0), shape_same_matrix)
UNARY(softmax, KEEP_OUT, shape_same_matrix)
UNARY(log_softmax, KEEP_OUT, shape_same_matrix)

static const op_rule rule_leaky_relu = {"leaky_relu", KEEP_IN(0), shape_same, NULL, KEEP_IN(0), MAKES_LIKE_INPUT};

tensor *(op_leaky_relu)(tape *t, tensor *x, double slope) {
    op_attributes with = {.leaky = {slope}};
    return tape_apply(t, OP_leaky_relu, with, 1, &x);
}

/* Saved: the rows' norms. */
static const char *shape_l2_normalize(node *n) {
    const char *why = shape_same_matrix(n);
    if (!why) n->saved_count[0] = n->in[0]->shape[0];
    return why;
}
UNARY(l2_normalize, KEEP_OUT, shape_l2_normalize)

/* The same values as reals; the tape's own, for ops that take nothing shorter. */
static const op_rule rule_widen = {"widen", 0, shape_same, NULL, KEEP_IN(0), MAKES_REAL};

/* Arithmetic ------------------------------------------------------------------------------------------------------ */

#define BINARY(name, keep, brief, makes)                                                                               \
    static const op_rule rule_##name = {#name, keep, shape_broadcast, NULL, brief, makes};                             \
    tensor *(op_##name)(tape * t, tensor * a, tensor * b) {                                                            \
        op_attributes with = {.affine = {0, 0}};                                                                       \
        return tape_apply(t, OP_##name, with, 2, (tensor *[]){a, b});                                                  \
    }

BINARY(add, 0, KEEP_IN(0) | KEEP_IN(1), MAKES_LIKE_INPUT)
BINARY(sub, 0, 0, MAKES_REAL)
BINARY(mul, KEEP_IN(0) | KEEP_IN(1), 0, MAKES_REAL)
BINARY(div, KEEP_IN(1) | KEEP_OUT, 0, MAKES_REAL)

static const op_rule rule_affine = {"affine", 0, shape_same, NULL, KEEP_IN(0), MAKES_LIKE_INPUT};

tensor *(op_affine)(tape *t, tensor *x, double scale, double shift) {
    op_attributes with = {.affine = {scale, shift}};
    return tape_apply(t, OP_affine, with, 1, &x);
}

tensor *(op_scale)(tape *t, tensor *x, double scale) { return (op_affine)(t, x, scale, 0); }

/* Products -------------------------------------------------------------------------------------------------------- */

static const char *shape_linear(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    if (!is_matrix(x) || !is_matrix(w)) return "needs a matrix and a weight (out, in)";
    if (x->shape[1] != w->shape[1]) return "the weight takes another number of columns than the matrix has";
    if (bias && !is_row(bias, w->shape[0])) return "the bias must be (1, out)";
    set_matrix(n->out, x->shape[0], w->shape[0]);
    return NULL;
}
static double flops_linear(const node *n) { return 2 * (double)tensor_count(n->out) * (double)n->in[0]->shape[1]; }
static const op_rule rule_linear = {"linear",   KEEP_IN(0) | KEEP_IN(1), shape_linear, flops_linear,
                                    KEEP_IN(0), MAKES_LIKE_INPUT};

tensor *(op_linear)(tape *t, tensor *x, tensor *w, tensor *bias) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_linear, with, 3, (tensor *[]){x, w, bias});
}

static const char *shape_matmul(node *n) {
    const tensor *a = n->in[0], *b = n->in[1];
    if (!is_matrix(a) || !is_matrix(b)) return "needs two matrices";
    bool ta = n->with.matmul.transpose_a, tb = n->with.matmul.transpose_b;
    if (a->shape[!ta] != b->shape[tb]) return "the inner dimensions differ";
    set_matrix(n->out, a->shape[ta], b->shape[!tb]);
    return NULL;
}
static double flops_matmul(const node *n) {
    return 2 * (double)tensor_count(n->out) * (double)n->in[0]->shape[!n->with.matmul.transpose_a];
}
static const op_rule rule_matmul = {"matmul", KEEP_IN(0) | KEEP_IN(1), shape_matmul, flops_matmul, 0, MAKES_REAL};

tensor *(op_matmul)(tape *t, tensor *a, bool transpose_a, tensor *b, bool transpose_b, double alpha) {
    op_attributes with = {.matmul = {transpose_a, transpose_b, alpha}};
    return tape_apply(t, OP_matmul, with, 2, (tensor *[]){a, b});
}

/* Reductions ------------------------------------------------------------------------------------------------------ */

static const char *shape_reduce(node *n) {
    if (!is_matrix(n->in[0])) return "needs a matrix";
    op_axis axis = n->with.reduce.axis;
    set_matrix(n->out, axis == AXIS_COLS ? n->in[0]->shape[0] : 1, axis == AXIS_ROWS ? n->in[0]->shape[1] : 1);
    return NULL;
}
static const op_rule rule_sum = {"sum", 0, shape_reduce, NULL, 0, MAKES_REAL};

tensor *(op_sum)(tape *t, tensor *x, op_axis axis) {
    op_attributes with = {.reduce = {axis}};
    return tape_apply(t, OP_sum, with, 1, &x);
}

tensor *(op_mean)(tape *t, tensor *x, op_axis axis) {
    if (!x) return NULL;
    int64_t over = (axis != AXIS_COLS ? x->shape[0] : 1) * (axis != AXIS_ROWS ? x->shape[1] : 1);
    return (op_scale)(t, (op_sum)(t, x, axis), 1.0 / (double)over);
}

static const char *shape_logsumexp(node *n) {
    return n->with.reduce.axis == AXIS_ALL ? "goes over rows or over columns" : shape_reduce(n);
}
static const op_rule rule_logsumexp = {"logsumexp", KEEP_IN(0) | KEEP_OUT, shape_logsumexp, NULL, 0, MAKES_REAL};

tensor *(op_logsumexp)(tape *t, tensor *x, op_axis axis) {
    op_attributes with = {.reduce = {axis}};
    return tape_apply(t, OP_logsumexp, with, 1, &x);
}

static const char *shape_scalar(node *n) {
    if (!is_matrix(n->in[0])) return "needs a matrix";
    set_matrix(n->out, 1, 1);
    return NULL;
}
UNARY(sum_squares, KEEP_IN(0), shape_scalar)

tensor *(op_mean_squares)(tape *t, tensor *x) {
    return x ? (op_scale)(t, (op_sum_squares)(t, x), 1.0 / (double)tensor_count(x)) : NULL;
}

static const char *shape_diagonal(node *n) {
    if (!is_matrix(n->in[0]) || n->in[0]->shape[0] != n->in[0]->shape[1]) return "needs a square matrix";
    set_matrix(n->out, 1, n->in[0]->shape[1]);
    return NULL;
}
UNARY(diagonal, 0, shape_diagonal)

/* Losses ---------------------------------------------------------------------------------------------------------- */

static const char *shape_pair_to_scalar(node *n) {
    if (!is_matrix(n->in[0]) || !is_matrix(n->in[1]) || !same_shape(n->in[0], n->in[1]))
        return "needs two matrices of the same shape";
    set_matrix(n->out, 1, 1);
    return NULL;
}
static const op_rule rule_soft_cross_entropy = {
    "soft_cross_entropy", KEEP_IN(0) | KEEP_IN(1), shape_pair_to_scalar, NULL, 0, MAKES_REAL};

tensor *(op_soft_cross_entropy)(tape *t, tensor *log_p, tensor *log_q) {
    op_attributes with = {.affine = {0, 0}};
    return tape_apply(t, OP_soft_cross_entropy, with, 2, (tensor *[]){log_p, log_q});
}

/* Statistics of the batch ----------------------------------------------------------------------------------------- */

int64_t batch_size(const tensor *x) { return x ? x->shape[0] : 1; }

tensor *(op_batch_sum)(tape *t, tensor *x) { return (op_sum)(t, x, AXIS_ROWS); }

tensor *(op_batch_mean)(tape *t, tensor *x) { return (op_mean)(t, x, AXIS_ROWS); }

tensor *(op_batch_logmeanexp)(tape *t, tensor *x) {
    return (op_affine)(t, (op_logsumexp)(t, x, AXIS_ROWS), 1, -log((double)batch_size(x)));
}

static const char *shape_gather_rows(node *n) {
    if (!is_matrix(n->in[0])) return "needs a matrix";
    if (n->in[0]->shape[0] % n->with.gather.groups) return "the rows do not divide into the groups";
    set_matrix(n->out, n->in[0]->shape[0] * n->with.gather.peers, n->in[0]->shape[1]);
    return NULL;
}
static const op_rule rule_gather_rows = {"gather_rows", 0, shape_gather_rows, NULL, 0, MAKES_REAL};

tensor *(op_gather_rows)(tape *t, tensor *x, int groups) {
    peers *p = tape_backend(t)->peers;
    if (!p || !x) return x;
    op_attributes with = {.gather = {groups, p->rank, p->count}};
    return tape_apply(t, OP_gather_rows, with, 1, &x);
}

/* ops_factor.c, ops_rows.c, codes.c, ops_tokens.c */
extern const op_rule rule_add_diagonal, rule_cholesky, rule_triangular_solve, rule_nuclear_norm, rule_inverse_root;
extern const op_rule rule_slice_rows, rule_concat_rows, rule_concat_cols, rule_reshape, rule_sort;
extern const op_rule rule_code_logits, rule_code_match;
extern const op_rule rule_layernorm, rule_branch_norm, rule_attention, rule_feed_forward, rule_residual,
    rule_scaled_residual, rule_patch_embed, rule_tokens, rule_keep_tokens, rule_pool_tokens;

const op_rule *const op_rules[OP_COUNT] = {
#define X(name) &rule_##name,
    OP_LIST(X)
#undef X
};

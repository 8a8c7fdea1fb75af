/*
 * What an op is made of. One line in OP_LIST, a rule (its shape, and what its backward pass needs to keep) beside its
 * constructor in ops_*.c, and a kernel (forward beside backward) in the backend. Nothing else knows the list.
 */
#ifndef MEWS_OP_H
#define MEWS_OP_H

#include "engine/tensor.h"

/* clang-format off */
#define OP_LIST(X) \
    X(conv2d) X(batchnorm) X(relu) X(leaky_relu) X(tanh) X(gelu) X(avg_pool) X(max_pool) X(global_pool) \
    X(linear) X(matmul) X(l2_normalize) X(softmax) X(log_softmax) X(logsumexp) X(sum) X(sum_squares) \
    X(diagonal) X(add_diagonal) X(cholesky) X(triangular_solve) X(nuclear_norm) X(inverse_root) \
    X(add) X(sub) X(mul) X(div) X(affine) X(exp) X(log) X(sqrt) X(sin) X(cos) X(abs) \
    X(widen) X(slice_rows) X(concat_rows) X(gather_rows) X(concat_cols) X(reshape) X(sort) \
    X(soft_cross_entropy) X(code_logits) X(code_match) \
    X(layernorm) X(branch_norm) X(attention) X(feed_forward) X(residual) X(scaled_residual) X(patch_embed) X(tokens) \
    X(keep_tokens) X(pool_tokens)
/* clang-format on */

typedef enum op_id {
#define X(name) OP_##name,
    OP_LIST(X)
#undef X
        OP_COUNT
} op_id;

enum { OP_INPUTS = 6, OP_SAVED = 2 };

/* How a dictionary of codes is stored; engine/codes.h says more. */
typedef enum code_kind { CODES_DENSE, CODES_SIGNS, CODES_HADAMARD } code_kind;

/* Which sums: over the rows (leaving 1×cols), over the columns (rows×1), or over everything (1×1). */
typedef enum op_axis { AXIS_ROWS, AXIS_COLS, AXIS_ALL } op_axis;

typedef union op_attributes {
    struct {
        int stride, padding;
    } conv;
    struct {
        int groups;
        bool training, relu;
        double momentum, eps;
        bool shared; /* the batch is spread over the backend's peers */
    } norm;
    struct {
        int groups, rank, peers;
    } gather;
    struct {
        double slope;
    } leaky;
    struct {
        int size, stride, padding;
    } pool;
    struct {
        bool transpose_a, transpose_b;
        double alpha;
    } matmul;
    struct {
        op_axis axis;
    } reduce;
    struct {
        double scale, shift;
    } affine;
    struct {
        int64_t first, count;
    } slice;
    struct {
        code_kind kind;
        bool reverse, symmetric;
        bool split;                  /* the other codes are the backend's peers' */
        int64_t place, count, total; /* codes place … place + count − 1 of those held; c */
        double alpha;
        int64_t memory; /* bytes that logits may take */
    } codes;
    struct {
        int64_t tokens, heads, first, count; /* of a sample; OP_tokens: tokens = samples */
        double eps;
        bool keep;
    } tokens;
} op_attributes;

typedef struct node {
    op_id op;
    tensor *in[OP_INPUTS]; /* NULL where an optional input is absent */
    int inputs;
    tensor *out;
    op_attributes with;
    real *saved[OP_SAVED]; /* what forward keeps for backward */
    int64_t saved_count[OP_SAVED];
    const char *file; /* the caller, for messages */
    int line;
    bool again; /* forward runs a second time, for values that were forgotten: what is in `saved` stands */
} node;

/* KEEP_MASK: the output where a residual and a ReLU are folded in, whose mask it holds. */
enum { KEEP_OUT = 1u << OP_INPUTS, KEEP_MASK = KEEP_OUT << 1 };
#define KEEP_IN(i) (1u << (i))

/* What a result is stored in while the backend stores activations in bfloat16. */
typedef enum op_makes { MAKES_REAL, MAKES_LIKE_INPUT, MAKES_BFLOAT16 } op_makes;

typedef struct op_rule {
    const char *name;
    unsigned keeps; /* whose values backward reads: KEEP_IN(i), KEEP_OUT, KEEP_MASK */
    /* Sets out's kind, rank and shape and saved_count from inputs and attributes; NULL, or why they do not fit. */
    const char *(*shape)(node *n);
    /* Products: additions and multiplications of one pass (forward, or one of the two gradients). NULL: not counted. */
    double (*flops)(const node *n);
    /* Inputs that may be stored in bfloat16, all of them or none and of one shape: KEEP_IN(i). The tape widens what
       else comes so. */
    unsigned brief;
    op_makes makes;
} op_rule;

extern const op_rule *const op_rules[OP_COUNT];

/* Whose values a node's backward reads: KEEP_IN(i), KEEP_OUT. */
static inline unsigned op_keeps(const node *n) {
    unsigned keeps = op_rules[n->op]->keeps;
    bool masked = keeps & KEEP_MASK && n->with.norm.relu && n->in[5];
    return (keeps & ~(unsigned)KEEP_MASK) | (masked ? KEEP_OUT : 0);
}

/* For rules of shape. */
static inline bool is_matrix(const tensor *x) { return x && x->kind == TENSOR_PLAIN && x->rank == 2; }

static inline void set_matrix(tensor *out, int64_t rows, int64_t cols) {
    out->kind = TENSOR_PLAIN;
    out->rank = 2;
    out->shape[0] = rows, out->shape[1] = cols;
}

#endif

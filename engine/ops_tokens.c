/*
 * The rules and constructors of ops on tokens; what they compute stands in the header, their kernels in cpu/.
 */
#include "engine/tokens.h"

static bool is_shape(const tensor *x, int64_t rows, int64_t cols) {
    return is_matrix(x) && x->shape[0] == rows && x->shape[1] == cols;
}

/* Saved: mean and 1/deviation of each row. */
static const char *shape_layernorm(node *n) {
    const tensor *x = n->in[0];
    if (!is_matrix(x)) return "needs a matrix";
    if (!is_shape(n->in[1], 1, x->shape[1]) || !is_shape(n->in[2], 1, x->shape[1]))
        return "scale and shift must be (1, columns)";
    n->saved_count[0] = n->saved_count[1] = x->shape[0];
    set_matrix(n->out, x->shape[0], x->shape[1]);
    return NULL;
}
const op_rule rule_layernorm = {"layernorm", KEEP_IN(0) | KEEP_IN(1), shape_layernorm, NULL, 0, MAKES_REAL};
const op_rule rule_branch_norm = {"branch_norm", KEEP_IN(0) | KEEP_IN(1), shape_layernorm, NULL, 0, MAKES_BFLOAT16};

tensor *(op_layernorm)(tape *t, tensor *x, tensor *gamma, tensor *beta, double eps) {
    op_attributes with = {.tokens = {.eps = eps}};
    return tape_apply(t, OP_layernorm, with, 3, (tensor *[]){x, gamma, beta});
}

tensor *(op_branch_norm)(tape *t, tensor *x, tensor *gamma, tensor *beta, double eps) {
    op_attributes with = {.tokens = {.eps = eps}};
    return tape_apply(t, OP_branch_norm, with, 3, (tensor *[]){x, gamma, beta});
}

/* Saved: log Σ exp of each sample's, head's and query's logits. */
static const char *shape_attention(node *n) {
    const tensor *x = n->in[0];
    int64_t tokens = n->with.tokens.tokens, queries = n->with.tokens.count, heads = n->with.tokens.heads;
    if (!is_matrix(x) || tokens < 1 || x->shape[0] % tokens) return "needs a matrix of whole samples";
    if (heads < 1 || x->shape[1] % (3 * heads)) return "the columns are not q, k and v of that many heads";
    if (x->shape[1] / (3 * heads) % 16) return "a head's width must be a multiple of 16";
    if (queries < 1 || queries > tokens) return "the queries must be some of a sample's tokens";
    n->saved_count[0] = x->shape[0] / tokens * queries * heads;
    set_matrix(n->out, x->shape[0] / tokens * queries, x->shape[1] / 3);
    return NULL;
}
/* q·kᵀ and p·v; backward counts two passes where it computes five products, two and a half. */
static double flops_attention(const node *n) {
    return 4 * (double)tensor_count(n->out) * (double)n->with.tokens.tokens;
}
const op_rule rule_attention = {"attention", KEEP_IN(0) | KEEP_OUT, shape_attention, flops_attention,
                                KEEP_IN(0),  MAKES_LIKE_INPUT};

tensor *(op_attention)(tape *t, tensor *qkv, int64_t tokens, int64_t heads, int64_t queries) {
    op_attributes with = {.tokens = {.tokens = tokens, .heads = heads, .count = queries}};
    return tape_apply(t, OP_attention, with, 1, &qkv);
}

/* Saved: the hidden layer before its GELU, if it is kept. */
static const char *shape_feed_forward(node *n) {
    const tensor *x = n->in[0], *w1 = n->in[1], *w2 = n->in[3];
    if (!is_matrix(x) || !is_matrix(w1)) return "needs a matrix and weights (out, in)";
    int64_t d = x->shape[1], h = w1->shape[0];
    if (w1->shape[1] != d || !is_shape(w2, d, h)) return "the weights must be (h, D) and (D, h)";
    if (!is_shape(n->in[2], 1, h) || !is_shape(n->in[4], 1, d)) return "the biases must be (1, h) and (1, D)";
    if (n->with.tokens.keep) n->saved_count[0] = x->bfloat16 ? (x->shape[0] * h + 1) / 2 : x->shape[0] * h;
    set_matrix(n->out, x->shape[0], d);
    return NULL;
}
static double flops_feed_forward(const node *n) {
    return 4 * (double)tensor_count(n->out) * (double)n->in[1]->shape[0];
}
const op_rule rule_feed_forward = {"feed_forward",     KEEP_IN(0) | KEEP_IN(1) | KEEP_IN(2) | KEEP_IN(3),
                                   shape_feed_forward, flops_feed_forward,
                                   KEEP_IN(0),         MAKES_LIKE_INPUT};

tensor *(op_feed_forward)(tape *t, tensor *x, tensor *w1, tensor *b1, tensor *w2, tensor *b2, bool keep) {
    op_attributes with = {.tokens = {.keep = keep}};
    return tape_apply(t, OP_feed_forward, with, 5, (tensor *[]){x, w1, b1, w2, b2});
}

/* Two ops of one kernel, since only with a gamma does backward read y. */
static const char *shape_residual(node *n) {
    const tensor *x = n->in[0], *gamma = n->in[2], *samples = n->in[3];
    if (!is_matrix(x) || !is_shape(n->in[1], x->shape[0], x->shape[1])) return "needs two matrices of one shape";
    if (gamma && !is_shape(gamma, 1, x->shape[1])) return "the scale must be (1, columns)";
    if (samples && (!is_shape(samples, samples->shape[0], 1) || x->shape[0] % samples->shape[0]))
        return "the rows are not so many samples";
    set_matrix(n->out, x->shape[0], x->shape[1]);
    return NULL;
}
const op_rule rule_residual = {"residual", 0, shape_residual, NULL, KEEP_IN(1), MAKES_REAL};
const op_rule rule_scaled_residual = {"scaled_residual", KEEP_IN(1) | KEEP_IN(2), shape_residual, NULL, KEEP_IN(1),
                                      MAKES_REAL};

tensor *(op_residual)(tape *t, tensor *x, tensor *y, tensor *gamma, tensor *samples) {
    op_attributes with = {.tokens = {.keep = false}};
    return tape_apply(t, gamma ? OP_scaled_residual : OP_residual, with, 4, (tensor *[]){x, y, gamma, samples});
}

static const char *shape_patch_embed(node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *bias = n->in[2];
    if (!x || x->kind != TENSOR_IMAGES || !w || w->rank != 4) return "needs images and a weight (D, channels, p, p)";
    if (w->shape[1] != x->shape[3] || w->shape[2] != w->shape[3]) return "the weight is for other channels";
    int64_t p = w->shape[2];
    if (x->shape[1] % p || x->shape[2] % p) return "the patches do not divide the images";
    if (!is_shape(bias, 1, w->shape[0])) return "the bias must be (1, D)";
    set_matrix(n->out, x->shape[0] * (x->shape[1] / p) * (x->shape[2] / p), w->shape[0]);
    return NULL;
}
static double flops_patch_embed(const node *n) { return 2 * (double)n->out->shape[0] * (double)tensor_count(n->in[1]); }
const op_rule rule_patch_embed = {"patch_embed", KEEP_IN(0) | KEEP_IN(1), shape_patch_embed, flops_patch_embed, 0,
                                  MAKES_REAL};

tensor *(op_patch_embed)(tape *t, tensor *images, tensor *w, tensor *bias) {
    op_attributes with = {.tokens = {.keep = false}};
    return tape_apply(t, OP_patch_embed, with, 3, (tensor *[]){images, w, bias});
}

static const char *shape_tokens(node *n) {
    const tensor *x = n->in[0], *class_token = n->in[1], *registers = n->in[2], *positions = n->in[3];
    int64_t samples = n->with.tokens.tokens;
    if (!is_matrix(x) || samples < 1 || x->shape[0] % samples) return "needs a matrix of whole samples";
    int64_t patches = x->shape[0] / samples, d = x->shape[1];
    if (class_token && !is_shape(class_token, 1, d)) return "the class token must be (1, D)";
    if (registers && !is_shape(registers, registers->shape[0], d)) return "the registers must be (R, D)";
    if (positions && !is_shape(positions, patches, d) && !(class_token && is_shape(positions, patches + 1, d)))
        return "the positions are for another number of patches";
    set_matrix(n->out, samples * (patches + (class_token != NULL) + (registers ? registers->shape[0] : 0)), d);
    return NULL;
}
const op_rule rule_tokens = {"tokens", 0, shape_tokens, NULL, 0, MAKES_REAL};

tensor *(op_tokens)(tape *t, tensor *patches, int64_t samples, tensor *class_token, tensor *registers,
                    tensor *positions) {
    op_attributes with = {.tokens = {.tokens = samples}};
    return tape_apply(t, OP_tokens, with, 4, (tensor *[]){patches, class_token, registers, positions});
}

static const char *shape_keep_tokens(node *n) {
    const tensor *x = n->in[0], *kept = n->in[1];
    int64_t samples = n->with.tokens.tokens;
    if (!is_matrix(x) || samples < 1 || x->shape[0] % samples) return "needs a matrix of whole samples";
    if (!is_shape(kept, kept->shape[0], 1) || kept->shape[0] % samples) return "keeps other numbers of samples' tokens";
    if (kept->shape[0] > x->shape[0]) return "keeps more tokens than there are";
    set_matrix(n->out, kept->shape[0], x->shape[1]);
    return NULL;
}
const op_rule rule_keep_tokens = {"keep_tokens", KEEP_IN(1), shape_keep_tokens, NULL, 0, MAKES_REAL};

tensor *(op_keep_tokens)(tape *t, tensor *x, tensor *kept, int64_t samples) {
    op_attributes with = {.tokens = {.tokens = samples}};
    return tape_apply(t, OP_keep_tokens, with, 2, (tensor *[]){x, kept});
}

static const char *shape_pool_tokens(node *n) {
    const tensor *x = n->in[0];
    int64_t tokens = n->with.tokens.tokens, first = n->with.tokens.first, count = n->with.tokens.count;
    if (!is_matrix(x) || tokens < 1 || x->shape[0] % tokens) return "needs a matrix of whole samples";
    if (first < 0 || count < 1 || first + count > tokens) return "the tokens asked for do not exist";
    set_matrix(n->out, x->shape[0] / tokens, x->shape[1]);
    return NULL;
}
const op_rule rule_pool_tokens = {"pool_tokens", 0, shape_pool_tokens, NULL, 0, MAKES_REAL};

tensor *(op_pool_tokens)(tape *t, tensor *x, int64_t tokens, int64_t first, int64_t count) {
    op_attributes with = {.tokens = {.tokens = tokens, .first = first, .count = count}};
    return tape_apply(t, OP_pool_tokens, with, 1, &x);
}

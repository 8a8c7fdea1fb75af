/*
 * Every op, in every variant that takes another path through its kernel. Each is checked alone, and applied twice to
 * the same inputs, where the second gradient is added to the first. Smooth inputs suffice: kinks (relu, max) are met
 * with probability zero.
 */
#include "engine/codes.h"
#include "engine/tokens.h"
#include "tests/gradients/gradients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_INPUTS = 5 };

typedef struct attributes {
    int a, b, c, d;
} attributes;

/* Shapes: {n,h,w,c} images, {rows,cols,0} matrices, {out,in,-k} weights; an empty one ends the list. */
typedef struct op_case {
    const char *name;
    tensor *(*make)(tape *t, tensor *const *in, attributes with);
    int64_t shapes[MAX_INPUTS][4];
    attributes with;
} op_case;

#define MAKE(name, expression)                                                                                         \
    static tensor *make_##name(tape *t, tensor *const *in, attributes with) {                                          \
        (void)with;                                                                                                    \
        return expression;                                                                                             \
    }

MAKE(conv2d, op_conv2d(t, in[0], in[1], in[2], with.a, with.b))
MAKE(relu, op_relu(t, in[0]))
MAKE(leaky_relu, op_leaky_relu(t, in[0], 0.2))
MAKE(tanh, op_tanh(t, in[0]))
MAKE(gelu, op_gelu(t, in[0]))
MAKE(affine, op_affine(t, in[0], -2.5, 0.75))
MAKE(add, op_add(t, in[0], in[1]))
MAKE(sub, op_sub(t, in[0], in[1]))
MAKE(mul, op_mul(t, in[0], in[1]))
MAKE(div, op_div(t, in[0], op_affine(t, op_exp(t, in[1]), 1, 0.5)))
MAKE(add_self, op_add(t, in[0], in[0]))
MAKE(sub_self, op_mul(t, op_sub(t, in[0], in[0]), in[0]))
MAKE(mul_self, op_mul(t, in[0], in[0]))
MAKE(div_self, op_mul(t, op_div(t, in[0], in[0]), in[0]))
MAKE(avg_pool, op_avg_pool(t, in[0], with.a))
MAKE(max_pool, op_max_pool(t, in[0], with.a, with.b, with.c))
MAKE(global_pool, op_global_pool(t, in[0]))
MAKE(linear, op_linear(t, in[0], in[1], in[2]))
MAKE(linear_self, op_linear(t, in[0], in[0], NULL))
MAKE(matmul, op_matmul(t, in[0], with.a, in[1], with.b, -1.5))
MAKE(matmul_self, op_matmul(t, in[0], with.a, in[0], with.b, 0.7))
MAKE(exp, op_exp(t, in[0]))
MAKE(log, op_log(t, op_affine(t, op_exp(t, in[0]), 1, 0.1)))
MAKE(sqrt, op_sqrt(t, op_affine(t, op_exp(t, in[0]), 1, 0.1)))
MAKE(sin, op_sin(t, op_scale(t, in[0], 3)))
MAKE(cos, op_cos(t, op_scale(t, in[0], 3)))
MAKE(abs, op_abs(t, in[0]))
MAKE(l2_normalize, op_l2_normalize(t, in[0]))
MAKE(softmax, op_softmax(t, op_scale(t, in[0], 3)))
MAKE(log_softmax, op_log_softmax(t, op_scale(t, in[0], 3)))
MAKE(logsumexp, op_logsumexp(t, in[0], (op_axis)with.a))
MAKE(sum, op_sum(t, in[0], (op_axis)with.a))
MAKE(mean, op_mean(t, in[0], (op_axis)with.a))
MAKE(sum_squares, op_sum_squares(t, in[0]))
MAKE(diagonal, op_diagonal(t, in[0]))
MAKE(add_diagonal, op_add_diagonal(t, in[0], -3))
MAKE(slice_rows, op_slice_rows(t, in[0], with.a, with.b))
MAKE(concat_rows, op_concat_rows(t, in[0], in[1]))
MAKE(concat_self, op_concat_rows(t, in[0], in[0]))
MAKE(concat_cols, op_concat_cols(t, in[0], in[1]))
MAKE(concat_cols_self, op_concat_cols(t, in[0], in[0]))
MAKE(reshape, op_reshape(t, in[0], with.a, with.b))
MAKE(sort, op_sort(t, in[0]))
MAKE(cross_entropy, op_soft_cross_entropy(t, op_log_softmax(t, in[0]), op_log_softmax(t, in[1])))
MAKE(cross_entropy_raw, op_soft_cross_entropy(t, in[0], in[1]))
MAKE(cross_entropy_self, op_soft_cross_entropy(t, in[0], in[0]))
MAKE(batch_mean, op_batch_mean(t, in[0]))
MAKE(batch_logmeanexp, op_batch_logmeanexp(t, in[0]))

/* What rank 1 of three sees whose peers have rows of zeros, and no part in the loss. */
static bool gather_zeros(peers *p, const void *mine, void *all, size_t bytes) {
    memset(all, 0, bytes * (size_t)p->count);
    memcpy((char *)all + (size_t)p->rank * bytes, mine, bytes);
    return true;
}

static bool sum_zeros(peers *p, const float *mine, float *all, size_t count) {
    (void)p;
    memcpy(all, mine, count * sizeof(real));
    return true;
}

static bool look_at_nothing(peers *p, bool waits) { return p && (waits || !waits); }

static void share_with_zeros(tape *t, bool sharded) {
    static peers three = {
        .rank = 1, .count = 3, .gather = gather_zeros, .begin_sum = sum_zeros, .look = look_at_nothing};
    tape_backend(t)->peers = &three;
    tape_backend(t)->sharded = sharded;
}

static tensor *make_gather_rows(tape *t, tensor *const *in, attributes with) {
    share_with_zeros(t, false);
    return op_gather_rows(t, in[0], with.a);
}

/* A dictionary that is learned; with: a reverse, b symmetric, c MiB of logits kept. */
static dictionary dictionary_of(tensor *w) {
    return (dictionary){
        .kind = CODES_DENSE, .features = w->shape[0], .codes = w->shape[1], .own = w->shape[1], .values = w};
}

static tensor *make_code_logits(tape *t, tensor *const *in, attributes with) {
    (void)with;
    dictionary d = dictionary_of(in[1]);
    return op_code_logits(t, in[0], &d, 0.6);
}

static tensor *make_code_match(tape *t, tensor *const *in, attributes with) {
    dictionary d = dictionary_of(in[1]);
    return op_code_match(t, in[0], &d, (code_match){0.6, with.a, with.b, (int64_t)with.c << 20});
}

/* Five of twelve codes, behind three that are another's; the rest have no probability. */
static tensor *make_split_code_match(tape *t, tensor *const *in, attributes with) {
    float w[4 * 9];
    for (int i = 0; i < 4 * 9; i++) w[i] = cosf((float)(i * i));
    share_with_zeros(t, false);
    dictionary d = {.features = 4, .codes = 12, .split = true, .own = 5, .place = 3, .values = tape_matrix(t, w, 4, 9)};
    return op_code_match(t, in[0], &d, (code_match){0.6, with.a, with.b, (int64_t)with.c << 20});
}

/* with: a groups, b relu, c training, d: 1 residual, 2 the input itself as residual. In: x, (residual), gamma, beta. */
static tensor *make_batchnorm(tape *t, tensor *const *in, attributes with) {
    float mean[64], var[64];
    int64_t channels = in[0]->kind == TENSOR_IMAGES ? in[0]->shape[3] : in[0]->shape[1];
    for (int i = 0; i < 64; i++) mean[i] = 0.1F * (float)(i % 7), var[i] = 0.5F + 0.1F * (float)(i % 5);
    int next = 1;
    tensor *residual = with.d == 1 ? in[next++] : with.d == 2 ? in[0] : NULL;
    batchnorm bn = {.gamma = in[next], .beta = in[next] ? in[next + 1] : NULL, .momentum = 0.1, .eps = 1e-5};
    bn.mean = tape_matrix(t, mean, 1, channels);
    bn.var = tape_matrix(t, var, 1, channels);
    return op_batchnorm(t, in[0], &bn, residual, with.b, with.a, with.c);
}

static tensor *make_shared_batchnorm(tape *t, tensor *const *in, attributes with) {
    share_with_zeros(t, true);
    tensor *y = make_batchnorm(t, in, with);
    tape_backend(t)->sharded = false;
    return y;
}

/* x·xᵀ + I, which is symmetric and positive definite. */
static tensor *covariance(tape *t, tensor *x) { return op_add_diagonal(t, op_matmul(t, x, false, x, true, 1), 1); }
MAKE(cholesky, op_cholesky(t, covariance(t, in[0])))
MAKE(triangular_solve, op_triangular_solve(t, in[0], op_add_diagonal(t, in[1], 4)))
MAKE(triangular_solve_self, op_triangular_solve(t, in[0], in[0]))
MAKE(logdet, op_logdet(t, covariance(t, in[0])))
MAKE(inverse_root, op_inverse_root(t, covariance(t, in[0])))
MAKE(zca, op_matmul(t, in[0], false, op_inverse_root(t, covariance(t, in[1])), false, 1))
MAKE(nuclear_norm, op_nuclear_norm(t, in[0], with.a))
MAKE(whiten, op_triangular_solve(t, in[0], op_cholesky(t, covariance(t, in[1]))))

/* Logits of some spread, so that the softmax is not flat. with: tokens, heads, queries. */
MAKE(attention, op_attention(t, op_scale(t, in[0], 1.5), with.a, with.b, with.c))
MAKE(layernorm, op_layernorm(t, in[0], in[1], in[2], 1e-6))
MAKE(feed_forward, op_feed_forward(t, in[0], in[1], in[2], in[3], in[4], with.a))
MAKE(patch_embed, op_patch_embed(t, in[0], in[1], in[2]))
/* with: samples; those of four tokens that are kept, in an order of their own. */
static tensor *make_keep_tokens(tape *t, tensor *const *in, attributes with) {
    static const float kept[] = {0, 3, 2, 0, 1, 3};
    return op_keep_tokens(t, in[0], tape_matrix(t, kept, 2 * with.a, 1), with.a);
}
MAKE(keep_tokens_twice, op_add(t, make_keep_tokens(t, in, with), op_scale(t, make_keep_tokens(t, in, with), 2)))
MAKE(pool_tokens, op_pool_tokens(t, in[0], with.a, with.b, with.c))
/* with: samples; b: no class token; c: no registers; d: no positions. */
MAKE(tokens, op_tokens(t, in[0], with.a, with.b ? NULL : in[1], with.c ? NULL : in[2 - with.b],
                       with.d ? NULL : in[3 - with.b - with.c]))
MAKE(residual_self, op_residual(t, in[0], in[0], NULL, NULL))
MAKE(residual_stream, op_residual(t, op_scale(t, in[0], 2), op_tanh(t, in[0]), NULL, NULL))

/* with: samples whose branches are scaled by 0, 1, 2 in turn, or none; b: with a scale. */
static tensor *make_residual(tape *t, tensor *const *in, attributes with) {
    static const float factors[] = {0, 1, 2};
    tensor *samples = with.a ? tape_matrix(t, factors, with.a, 1) : NULL;
    return op_residual(t, in[0], in[1], with.b ? in[2] : NULL, samples);
}

static const op_case cases[] = {
    {"attention, one head", make_attention, {{10, 48}}, {5, 1, 5, 0}},
    {"attention, heads", make_attention, {{34, 96}}, {17, 2, 17, 0}},
    {"attention, blocks of queries and keys", make_attention, {{300, 48}}, {300, 1, 300, 0}},
    {"attention of a class token", make_attention, {{34, 96}}, {17, 2, 1, 0}},
    {"attention of the first tokens", make_attention, {{300, 48}}, {300, 1, 90, 0}},
    {"layernorm", make_layernorm, {{5, 19}, {1, 19}, {1, 19}}, {0}},
    {"layernorm, many rows", make_layernorm, {{131, 3}, {1, 3}, {1, 3}}, {0}},
    {"feed_forward, kept", make_feed_forward, {{6, 5}, {9, 5}, {1, 9}, {5, 9}, {1, 5}}, {1, 0, 0, 0}},
    {"feed_forward, computed again", make_feed_forward, {{6, 5}, {9, 5}, {1, 9}, {5, 9}, {1, 5}}, {0}},
    {"feed_forward, in runs", make_feed_forward, {{515, 2}, {3, 2}, {1, 3}, {2, 3}, {1, 2}}, {1, 0, 0, 0}},
    {"linear, in runs", make_linear, {{2050, 2}, {3, 2}, {1, 3}}, {0}},
    {"patch_embed", make_patch_embed, {{2, 4, 6, 3}, {7, 3, -2}, {1, 7}}, {0}},
    {"patch_embed, blocked", make_patch_embed, {{2, 4, 4, 16}, {5, 16, -4}, {1, 5}}, {0}},
    {"patch_embed, odd channels", make_patch_embed, {{1, 3, 6, 5}, {4, 5, -3}, {1, 4}}, {0}},
    {"tokens", make_tokens, {{8, 5}, {1, 5}, {2, 5}, {5, 5}}, {2, 0, 0, 0}},
    {"tokens, the class without a position", make_tokens, {{8, 5}, {1, 5}, {2, 5}, {4, 5}}, {2, 0, 0, 0}},
    {"tokens, patches alone", make_tokens, {{8, 5}, {4, 5}}, {2, 1, 1, 0}},
    {"tokens, no positions", make_tokens, {{8, 5}, {1, 5}}, {2, 0, 1, 1}},
    {"keep_tokens", make_keep_tokens, {{12, 5}}, {3, 0, 0, 0}},
    {"keep_tokens, twice", make_keep_tokens_twice, {{12, 5}}, {3, 0, 0, 0}},
    {"pool_tokens, the first", make_pool_tokens, {{12, 5}}, {4, 0, 1, 0}},
    {"pool_tokens, a mean", make_pool_tokens, {{12, 5}}, {4, 1, 3, 0}},
    {"residual", make_residual, {{6, 5}, {6, 5}}, {0}},
    {"residual, samples", make_residual, {{6, 5}, {6, 5}}, {3, 0, 0, 0}},
    {"residual, scaled", make_residual, {{6, 5}, {6, 5}, {1, 5}}, {3, 1, 0, 0}},
    {"residual, many rows", make_residual, {{130, 3}, {130, 3}, {1, 3}}, {0, 1, 0, 0}},
    {"residual of itself", make_residual_self, {{6, 5}}, {0}},
    {"residual along a stream", make_residual_stream, {{6, 5}}, {0}},
    {"conv2d pixels", make_conv2d, {{2, 5, 5, 3}, {16, 3, -3}}, {1, 1, 0, 0}},
    {"conv2d wide padding", make_conv2d, {{2, 4, 4, 3}, {5, 3, -3}}, {1, 2, 0, 0}},
    {"conv2d blocked, stride 2", make_conv2d, {{2, 5, 5, 16}, {32, 16, -3}}, {2, 1, 0, 0}},
    {"conv2d blocked, bias", make_conv2d, {{2, 4, 4, 32}, {16, 32, -3}, {1, 16}}, {1, 1, 0, 0}},
    {"conv2d shortcut", make_conv2d, {{2, 4, 4, 16}, {32, 16, -1}}, {2, 0, 0, 0}},
    {"conv2d odd channels, bias", make_conv2d, {{2, 5, 5, 5}, {3, 5, -3}, {1, 3}}, {2, 1, 0, 0}},
    {"conv2d odd to blocked", make_conv2d, {{2, 4, 4, 5}, {16, 5, -3}}, {1, 0, 0, 0}},
    {"conv2d one by one, bias", make_conv2d, {{3, 3, 3, 3}, {5, 3, -1}, {1, 5}}, {1, 0, 0, 0}},
    {"batchnorm images", make_batchnorm, {{4, 3, 3, 16}, {1, 16}, {1, 16}}, {1, 0, 1, 0}},
    {"batchnorm images, plain", make_batchnorm, {{4, 3, 3, 16}}, {1, 0, 1, 0}},
    {"batchnorm images, relu", make_batchnorm, {{4, 3, 3, 32}, {1, 32}, {1, 32}}, {2, 1, 1, 0}},
    {"batchnorm images, residual", make_batchnorm, {{4, 3, 3, 16}, {4, 3, 3, 16}, {1, 16}, {1, 16}}, {2, 0, 1, 1}},
    {"batchnorm images, residual, relu", make_batchnorm, {{4, 2, 2, 5}, {4, 2, 2, 5}, {1, 5}, {1, 5}}, {2, 1, 1, 1}},
    {"batchnorm images, residual, relu, 16", make_batchnorm, {{4, 2, 2, 16}, {4, 2, 2, 16}}, {2, 1, 1, 1}},
    {"batchnorm images, itself as residual", make_batchnorm, {{4, 2, 2, 16}, {1, 16}, {1, 16}}, {2, 1, 1, 2}},
    {"batchnorm images, three channels", make_batchnorm, {{4, 3, 3, 3}, {1, 3}, {1, 3}}, {1, 1, 1, 0}},
    {"batchnorm images, evaluation", make_batchnorm, {{4, 3, 3, 16}, {1, 16}, {1, 16}}, {1, 1, 0, 0}},
    {"batchnorm images, evaluation, residual", make_batchnorm, {{4, 2, 2, 5}, {4, 2, 2, 5}}, {2, 0, 0, 1}},
    {"batchnorm matrix", make_batchnorm, {{12, 20}, {1, 20}, {1, 20}}, {1, 0, 1, 0}},
    {"batchnorm matrix, views", make_batchnorm, {{12, 20}, {1, 20}, {1, 20}}, {2, 1, 1, 0}},
    {"batchnorm matrix, plain", make_batchnorm, {{12, 7}}, {2, 0, 1, 0}},
    {"batchnorm matrix, residual", make_batchnorm, {{12, 7}, {12, 7}, {1, 7}, {1, 7}}, {2, 1, 1, 1}},
    {"batchnorm images of three peers", make_shared_batchnorm, {{4, 3, 3, 16}, {1, 16}, {1, 16}}, {2, 0, 1, 0}},
    {"batchnorm matrix of three peers", make_shared_batchnorm, {{12, 20}, {1, 20}, {1, 20}}, {1, 1, 1, 0}},
    {"gather_rows", make_gather_rows, {{6, 4}}, {2, 0, 0, 0}},
    {"batchnorm matrix, evaluation", make_batchnorm, {{12, 20}, {1, 20}, {1, 20}}, {1, 0, 0, 0}},
    {"relu images", make_relu, {{2, 3, 3, 16}}, {0}},
    {"relu matrix", make_relu, {{4, 9}}, {0}},
    {"leaky_relu images", make_leaky_relu, {{2, 3, 3, 5}}, {0}},
    {"leaky_relu matrix", make_leaky_relu, {{4, 9}}, {0}},
    {"tanh images", make_tanh, {{2, 3, 3, 3}}, {0}},
    {"tanh matrix", make_tanh, {{4, 9}}, {0}},
    {"gelu images", make_gelu, {{2, 3, 3, 16}}, {0}},
    {"gelu matrix", make_gelu, {{4, 9}}, {0}},
    {"affine images", make_affine, {{2, 3, 3, 5}}, {0}},
    {"affine matrix", make_affine, {{4, 9}}, {0}},
    {"add images", make_add, {{2, 3, 3, 16}, {2, 3, 3, 16}}, {0}},
    {"avg_pool blocked", make_avg_pool, {{2, 4, 6, 16}}, {2, 0, 0, 0}},
    {"avg_pool three", make_avg_pool, {{2, 6, 3, 5}}, {3, 0, 0, 0}},
    {"avg_pool with a remainder", make_avg_pool, {{2, 5, 7, 5}}, {2, 0, 0, 0}},
    {"max_pool overlapping", make_max_pool, {{2, 7, 7, 16}}, {3, 2, 1, 0}},
    {"max_pool pixels", make_max_pool, {{2, 6, 5, 3}}, {2, 2, 0, 0}},
    {"max_pool every pixel", make_max_pool, {{1, 5, 5, 5}}, {3, 1, 1, 0}},
    {"global_pool", make_global_pool, {{3, 4, 4, 32}}, {0}},
    {"global_pool odd", make_global_pool, {{3, 3, 5, 7}}, {0}},
    {"linear", make_linear, {{6, 5}, {7, 5}, {1, 7}}, {0}},
    {"linear, no bias", make_linear, {{6, 5}, {7, 5}}, {0}},
    {"linear with itself", make_linear_self, {{6, 5}}, {0}},
    {"matmul AB", make_matmul, {{7, 4}, {4, 5}}, {0, 0, 0, 0}},
    {"matmul ABt", make_matmul, {{7, 4}, {5, 4}}, {0, 1, 0, 0}},
    {"matmul AtB", make_matmul, {{4, 7}, {4, 5}}, {1, 0, 0, 0}},
    {"matmul AtBt", make_matmul, {{4, 7}, {5, 4}}, {1, 1, 0, 0}},
    {"matmul AAt", make_matmul_self, {{4, 7}}, {0, 1, 0, 0}},
    {"matmul AtA", make_matmul_self, {{4, 7}}, {1, 0, 0, 0}},
    {"add with itself", make_add_self, {{4, 6}}, {0}},
    {"sub with itself", make_sub_self, {{4, 6}}, {0}},
    {"mul with itself", make_mul_self, {{4, 6}}, {0}},
    {"div with itself", make_div_self, {{4, 6}}, {0}},
    {"exp", make_exp, {{4, 9}}, {0}},
    {"log", make_log, {{4, 9}}, {0}},
    {"sqrt", make_sqrt, {{4, 9}}, {0}},
    {"sin", make_sin, {{4, 9}}, {0}},
    {"cos", make_cos, {{4, 9}}, {0}},
    {"abs", make_abs, {{4, 9}}, {0}},
    {"l2_normalize", make_l2_normalize, {{5, 9}}, {0}},
    {"softmax", make_softmax, {{5, 9}}, {0}},
    {"log_softmax", make_log_softmax, {{5, 9}}, {0}},
    {"logsumexp rows", make_logsumexp, {{7, 19}}, {AXIS_ROWS, 0, 0, 0}},
    {"logsumexp cols", make_logsumexp, {{7, 19}}, {AXIS_COLS, 0, 0, 0}},
    {"sum rows", make_sum, {{70, 3}}, {AXIS_ROWS, 0, 0, 0}},
    {"sum cols", make_sum, {{7, 3}}, {AXIS_COLS, 0, 0, 0}},
    {"sum all", make_sum, {{7, 3}}, {AXIS_ALL, 0, 0, 0}},
    {"mean rows", make_mean, {{7, 3}}, {AXIS_ROWS, 0, 0, 0}},
    {"mean cols", make_mean, {{7, 3}}, {AXIS_COLS, 0, 0, 0}},
    {"mean all", make_mean, {{7, 3}}, {AXIS_ALL, 0, 0, 0}},
    {"sum_squares", make_sum_squares, {{7, 3}}, {0}},
    {"diagonal", make_diagonal, {{6, 6}}, {0}},
    {"add_diagonal", make_add_diagonal, {{6, 6}}, {0}},
    {"cholesky", make_cholesky, {{5, 7}}, {0}},
    {"triangular_solve", make_triangular_solve, {{7, 5}, {5, 5}}, {0}},
    {"triangular_solve of itself", make_triangular_solve_self, {{3, 3}}, {0}},
    {"triangular_solve by a Cholesky factor", make_whiten, {{9, 5}, {5, 6}}, {0}},
    {"logdet", make_logdet, {{5, 7}}, {0}},
    {"inverse_root", make_inverse_root, {{5, 7}}, {0}},
    {"inverse_root with the identity's eigenvalue repeated", make_inverse_root, {{6, 2}}, {0}},
    {"whitening without a turn", make_zca, {{9, 5}, {5, 6}}, {0}},
    {"nuclear_norm of a high matrix", make_nuclear_norm, {{9, 4}}, {1, 0, 0, 0}},
    {"nuclear_norm of a wide matrix", make_nuclear_norm, {{3, 7}}, {1, 0, 0, 0}},
    {"nuclear_norm of groups of rows", make_nuclear_norm, {{8, 5}}, {4, 0, 0, 0}},
    {"slice_rows", make_slice_rows, {{7, 4}}, {2, 3, 0, 0}},
    {"slice_rows to the end", make_slice_rows, {{7, 4}}, {4, 3, 0, 0}},
    {"concat_rows", make_concat_rows, {{3, 4}, {2, 4}}, {0}},
    {"concat_rows with itself", make_concat_self, {{3, 4}}, {0}},
    {"concat_cols", make_concat_cols, {{3, 4}, {3, 2}}, {0}},
    {"concat_cols with itself", make_concat_cols_self, {{3, 4}}, {0}},
    {"reshape", make_reshape, {{3, 8}}, {6, 4, 0, 0}},
    {"sort", make_sort, {{11, 3}}, {0}},
    {"soft_cross_entropy of softmaxes", make_cross_entropy, {{5, 9}, {5, 9}}, {0}},
    {"soft_cross_entropy", make_cross_entropy_raw, {{5, 9}, {5, 9}}, {0}},
    {"soft_cross_entropy with itself", make_cross_entropy_self, {{5, 9}}, {0}},
    {"code_logits", make_code_logits, {{5, 4}, {4, 7}}, {0}},
    {"code_match forward", make_code_match, {{6, 4}, {4, 7}}, {0, 0, 1, 0}},
    {"code_match forward, both orders", make_code_match, {{6, 4}, {4, 7}}, {0, 1, 0, 0}},
    {"code_match reverse", make_code_match, {{6, 4}, {4, 7}}, {1, 0, 0, 0}},
    {"code_match reverse, both orders", make_code_match, {{6, 4}, {4, 7}}, {1, 1, 1, 0}},
    {"code_match of split codes, forward", make_split_code_match, {{6, 4}}, {0, 0, 1, 0}},
    {"code_match of split codes, reverse, both orders", make_split_code_match, {{6, 4}}, {1, 1, 0, 0}},
    {"batch_mean", make_batch_mean, {{5, 9}}, {0}},
    {"batch_logmeanexp", make_batch_logmeanexp, {{5, 9}}, {0}},
};
enum { CASES = sizeof cases / sizeof *cases };

static void create_input(backend *b, tensor *t, const int64_t *shape, int key) {
    if (shape[2] < 0)
        leaf_create(b, t, TENSOR_PLAIN, (int64_t[]){shape[0], shape[1], -shape[2], -shape[2]}, 4, key);
    else
        leaf_create(b, t, shape[3] ? TENSOR_IMAGES : TENSOR_PLAIN, shape, shape[3] ? 4 : 2, key);
}

static tensor *loss_once(const graph *g) {
    const op_case *c = g->with;
    return weighted_sum(g->tape, c->make(g->tape, g->leaf, c->with), 1);
}

/* Two uses of the same inputs, weighted apart. */
static tensor *loss_twice(const graph *g) {
    const op_case *c = g->with;
    tensor *first = loss_once(g);
    return op_add(g->tape, first, weighted_sum(g->tape, c->make(g->tape, g->leaf, c->with), 2));
}

static void check_case(const op_case *c) {
    backend *b = counting_backend();
    error err = {0};
    tensor inputs[MAX_INPUTS];
    graph g = {.backend = b, .tape = tape_create(b, &err), .with = c};
    for (int i = 0; i < MAX_INPUTS && c->shapes[i][0]; i++) {
        create_input(b, &inputs[i], c->shapes[i], i);
        g.leaf[g.leaves++] = &inputs[i];
    }
    char twice[96];
    snprintf(twice, sizeof twice, "%s, twice", c->name);
    g.loss = loss_once;
    check_gradients(&g, c->name);
    g.loss = loss_twice;
    check_gradients(&g, twice);
    for (int i = 0; i < g.leaves; i++) leaf_destroy(b, &inputs[i]);
    tape_destroy(g.tape);
    b->destroy(b);
}

START_TEST(test_gradient_of_every_op_matches_finite_differences) { check_case(&cases[_i]); }
END_TEST

START_TEST(test_gradient_of_every_broadcast_pattern_matches_finite_differences) {
    static const int64_t patterns[][2][4] = {
        {{4, 6}, {4, 6}}, {{4, 6}, {1, 6}}, {{4, 6}, {4, 1}}, {{4, 6}, {1, 1}}, {{1, 6}, {4, 6}},
        {{4, 1}, {4, 6}}, {{1, 1}, {4, 6}}, {{4, 1}, {1, 6}}, {{1, 6}, {4, 1}}, {{1, 6}, {1, 6}},
        {{4, 1}, {4, 1}}, {{1, 1}, {1, 1}}, {{4, 1}, {1, 1}}, {{1, 1}, {1, 6}},
    };
    static const char *const names[] = {"add", "sub", "mul", "div"};
    op_case c = {.make =
                     (tensor * (*[])(tape *, tensor *const *, attributes)){make_add, make_sub, make_mul, make_div}[_i]};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        char name[64];
        memcpy(c.shapes, patterns[p], sizeof patterns[p]);
        snprintf(name, sizeof name, "%s of %dx%d and %dx%d", names[_i], (int)patterns[p][0][0], (int)patterns[p][0][1],
                 (int)patterns[p][1][0], (int)patterns[p][1][1]);
        c.name = name;
        check_case(&c);
    }
}
END_TEST

/* Where eigenvalues or singular values are equal: at 2·I, and at two equal pairs, turned.
 * ---------------------------------
 */

static tensor *symmetric(tape *t, tensor *x) { /* (x + xᵀ)/2 of a (6,6) matrix */
    float one[36] = {0};
    for (int i = 0; i < 6; i++) one[7 * i] = 1;
    tensor *turned = op_matmul(t, x, true, tape_matrix(t, one, 6, 6), false, 1);
    return op_scale(t, op_add(t, x, turned), 0.5);
}
MAKE(equal_logdet, op_logdet(t, symmetric(t, in[0])))
MAKE(equal_inverse_root, op_inverse_root(t, symmetric(t, in[0])))
MAKE(equal_nuclear_norm, op_nuclear_norm(t, in[0], 1))
MAKE(equal_cholesky, op_cholesky(t, symmetric(t, in[0])))

/* x ← H·diag(λ)·H with the reflection H = I − 2·w·wᵀ, |w| = 1. */
static void set_eigenvalues(tensor *x, const double *lambda, double length) {
    double w[6], h[6][6];
    for (int i = 0; i < 6; i++) w[i] = length * (i + 1) / sqrt(91);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++) h[i][k] = (i == k) - 2 * w[i] * w[k];
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++) {
            double sum = 0;
            for (int j = 0; j < 6; j++) sum += h[i][j] * lambda[j] * h[j][k];
            x->data[6 * i + k] = sum;
        }
}

START_TEST(test_gradients_hold_where_eigenvalues_repeat) {
    static const double spectra[][6] = {{2, 2, 2, 2, 2, 2}, {3, 3, 1, 1, 1, 0.5}};
    static const op_case equal[] = {{"logdet", make_equal_logdet, {{0}}, {0}},
                                    {"inverse_root", make_equal_inverse_root, {{0}}, {0}},
                                    {"nuclear_norm", make_equal_nuclear_norm, {{0}}, {0}},
                                    {"cholesky", make_equal_cholesky, {{0}}, {0}}};
    for (int k = 0; k < 4; k++) {
        backend *b = counting_backend();
        error err = {0};
        tensor x;
        char what[64];
        leaf_create(b, &x, TENSOR_PLAIN, (int64_t[]){6, 6}, 2, 0);
        set_eigenvalues(&x, spectra[_i / 2], _i % 2);
        graph g = {.backend = b, .tape = tape_create(b, &err), .leaf = {&x}, .leaves = 1, .with = &equal[k]};
        snprintf(what, sizeof what, "%s of spectrum %d, turned %d", equal[k].name, _i / 2, _i % 2);
        g.loss = loss_twice;
        check_gradients(&g, what);
        leaf_destroy(b, &x);
        tape_destroy(g.tape);
        b->destroy(b);
    }
}
END_TEST

/* At a matrix of rank 1 the nuclear norm has a kink; its gradient is then that of the one direction there is. */
START_TEST(test_nuclear_norm_of_a_collapsed_matrix_has_the_gradient_of_what_is_left) {
    backend *b = counting_backend();
    error err = {0};
    tensor x;
    tape *t = tape_create(b, &err);
    leaf_create(b, &x, TENSOR_PLAIN, (int64_t[]){4, 3}, 2, 0);
    for (int k = 0; k < 2; k++) { /* all rows (2, 0, 0); then nothing at all */
        for (int i = 0; i < 12; i++) x.data[i] = k == 0 && i % 3 == 0 ? 2 : 0;
        tape_reset(t);
        x.grad_ready = false;
        tensor *norm = op_nuclear_norm(t, &x, 1);
        ck_assert_double_eq_tol(tape_scalar(t, norm), k ? 0 : 4, 1e-12);
        tape_backward(t, norm);
        ck_assert(tape_check(t, &err));
        for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(x.grad[i], k == 0 && i % 3 == 0 ? 0.5 : 0, 1e-12);
    }
    leaf_destroy(b, &x);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* x·stop(x): its gradient is x, not 2x, and nothing flows through what was stopped. */
START_TEST(test_no_gradient_flows_through_a_stop) {
    backend *b = counting_backend();
    error err = {0};
    tape *t = tape_create(b, &err);
    tensor x;
    leaf_create(b, &x, TENSOR_PLAIN, (int64_t[]){3, 4}, 2, 0);
    tape_backward(t, op_sum(t, op_mul(t, &x, tape_stop_gradient(t, op_scale(t, &x, 3))), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(x.grad[i], 3 * x.data[i], 1e-15);
    leaf_destroy(b, &x);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

START_TEST(test_nothing_is_recorded_while_recording_is_off) {
    backend *b = counting_backend();
    error err = {0};
    tape *t = tape_create(b, &err);
    tensor x;
    leaf_create(b, &x, TENSOR_PLAIN, (int64_t[]){3, 4}, 2, 0);
    ck_assert(tape_set_recording(t, false));
    tensor *teacher = op_exp(t, &x);
    ck_assert(!teacher->requires_grad);
    ck_assert(!tape_set_recording(t, true));
    tape_backward(t, op_sum(t, op_mul(t, op_scale(t, &x, 2), teacher), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(x.grad[i], 2 * exp(x.data[i]), 1e-12);
    leaf_destroy(b, &x);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* A frozen input keeps its gradient untouched while the other inputs of the same op receive theirs. */
START_TEST(test_frozen_inputs_receive_no_gradient) {
    backend *b = counting_backend();
    error err = {0};
    tape *t = tape_create(b, &err);
    for (int frozen = 0; frozen < 3; frozen++) {
        tensor in[3];
        create_input(b, &in[0], (int64_t[]){2, 4, 4, 5}, 0);
        create_input(b, &in[1], (int64_t[]){5, 5, -3, 0}, 1);
        create_input(b, &in[2], (int64_t[]){1, 5, 0, 0}, 2);
        in[frozen].requires_grad = false;
        tape_reset(t);
        tape_backward(t, weighted_sum(t, op_conv2d(t, &in[0], &in[1], &in[2], 1, 1), 1));
        ck_assert(tape_check(t, &err));
        for (int i = 0; i < 3; i++) ck_assert_int_eq(in[i].grad_ready, i != frozen);
        for (int i = 0; i < 3; i++) leaf_destroy(b, &in[i]);
    }
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

START_TEST(test_no_op_went_unchecked) {
    const char *missing = op_never_seen();
    ck_assert_msg(missing == NULL, "no gradient of op %s was checked", missing);
}
END_TEST

Suite *suite_ops(void) {
    Suite *s = suite_create("gradients of ops");
    TCase *t = tcase_create("finite differences");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_gradient_of_every_op_matches_finite_differences, 0, CASES);
    tcase_add_loop_test(t, test_gradient_of_every_broadcast_pattern_matches_finite_differences, 0, 4);
    tcase_add_loop_test(t, test_gradients_hold_where_eigenvalues_repeat, 0, 4);
    tcase_add_test(t, test_nuclear_norm_of_a_collapsed_matrix_has_the_gradient_of_what_is_left);
    tcase_add_test(t, test_no_gradient_flows_through_a_stop);
    tcase_add_test(t, test_nothing_is_recorded_while_recording_is_off);
    tcase_add_test(t, test_frozen_inputs_receive_no_gradient);
    tcase_add_test(t, test_no_op_went_unchecked);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Every op, forward and backward in single precision, beside PyTorch's figures (tests/golden/make_ops.py). The loss is
 * made as there: Σ out·r for matrices, Σ mean_pixels(tanh(out))·r for images.
 */
#include "engine/tokens.h"
#include "tests/golden/golden.h"

#include <string.h>

enum { MAX_TENSORS = 6 };

typedef struct bench {
    tape *tape;
    tensor *in[MAX_TENSORS], *w[MAX_TENSORS], frozen[MAX_TENSORS], weight[MAX_TENSORS];
    int inputs, weights, frozens;
    const char *group;
} bench;

typedef tensor *(*build)(tape *t, bench *b, const int *with);

/* A plain tensor that lasts, as a parameter does. */
static void lasting(backend *b, tensor *t, array a, bool trained) {
    *t = (tensor){.rank = a.dims, .lasting = true, .requires_grad = trained};
    memcpy(t->shape, a.shape, (size_t)a.dims * sizeof *a.shape);
    size_t bytes = (size_t)a.count * sizeof(real);
    t->data = b->allocate(b, bytes);
    if (trained) t->grad = b->allocate(b, bytes);
    b->write(b, t, a.values);
}

static void load(const safetensors *file, bench *s, backend *b) {
    char name[32];
    for (int i = 0; i < MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "in%d", i);
        array a = golden_maybe(file, s->group, name);
        if (!a.values) continue;
        s->in[i] = a.dims == 4 ? tape_images(s->tape, a.values, a.shape[0], a.shape[1], a.shape[2], a.shape[3])
                               : tape_matrix(s->tape, a.values, a.shape[0], a.shape[1]);
        tape_require_grad(s->in[i]);
        s->inputs = i + 1;
    }
    for (int i = 0; i < MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "w%d", i);
        array w = golden_maybe(file, s->group, name);
        if (w.values) lasting(b, &s->weight[i], w, true), s->w[i] = &s->weight[i], s->weights = i + 1;
        snprintf(name, sizeof name, "f%d", i);
        array f = golden_maybe(file, s->group, name);
        if (f.values) lasting(b, &s->frozen[i], f, false), s->frozens = i + 1;
    }
}

static void compare_gradients(const safetensors *file, bench *s, backend *b) {
    float *host = malloc((size_t)1 << 20);
    char name[32];
    for (int i = 0; i < s->inputs; i++) {
        snprintf(name, sizeof name, "grad%d", i);
        tape_read_grad(s->tape, s->in[i], host);
        assert_close(host, golden(file, s->group, name), 1e-4, s->group, name);
    }
    for (int i = 0; i < s->weights; i++) {
        snprintf(name, sizeof name, "wgrad%d", i);
        ck_assert_msg(s->w[i]->grad_ready, "%s: no gradient for %s", s->group, name);
        tape_read_grad(s->tape, s->w[i], host);
        assert_close(host, golden(file, s->group, name), 1e-4, s->group, name);
    }
    for (int i = 0; i < s->frozens; i++) {
        snprintf(name, sizeof name, "fafter%d", i);
        array after = golden_maybe(file, s->group, name);
        if (!after.values) continue;
        b->read(b, &s->frozen[i], host);
        assert_close(host, after, 1e-5, s->group, name);
    }
    free(host);
}

static void check(const safetensors *file, backend *b, const char *group, build make, const int *with) {
    error err = {0};
    bench s = {.tape = tape_create(b, &err), .group = group};
    tape *t = s.tape;
    load(file, &s, b);
    tensor *out = make(t, &s, with);
    array expected = golden(file, group, "out"), r = golden(file, group, "r");
    bool images = out && out->kind == TENSOR_IMAGES;
    if (out) ck_assert_msg(tensor_count(out) == expected.count, "%s: another number of values", group);
    float *host = malloc((size_t)expected.count * sizeof *host);
    tape_read(t, out, host);
    tensor *values = images ? op_global_pool(t, op_tanh(t, out)) : out;
    tensor *loss = op_sum(t, op_mul(t, values, tape_matrix(t, r.values, r.shape[0], r.shape[1])), AXIS_ALL);
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s: %s", group, err.text);
    assert_close(host, expected, 1e-5, group, "out");
    free(host);
    compare_gradients(file, &s, b);
    for (int i = 0; i < MAX_TENSORS; i++) {
        b->release(b, s.weight[i].data);
        b->release(b, s.weight[i].grad);
        b->release(b, s.frozen[i].data);
    }
    tape_destroy(t);
}

#define MAKE(name, expression)                                                                                         \
    static tensor *make_##name(tape *t, bench *b, const int *with) {                                                   \
        (void)with;                                                                                                    \
        return expression;                                                                                             \
    }
MAKE(conv2d, op_conv2d(t, b->in[0], b->w[0], b->w[1], with[0], with[1]))
MAKE(relu, op_relu(t, b->in[0]))
MAKE(leaky_relu, op_leaky_relu(t, b->in[0], 0.2))
MAKE(tanh, op_tanh(t, b->in[0]))
MAKE(gelu, op_gelu(t, b->in[0]))
MAKE(affine, op_affine(t, b->in[0], -2.5, 0.75))
MAKE(add, op_add(t, b->in[0], b->in[1]))
MAKE(sub, op_sub(t, b->in[0], b->in[1]))
MAKE(mul, op_mul(t, b->in[0], b->in[1]))
MAKE(div, op_div(t, b->in[0], b->in[1]))
MAKE(avg_pool, op_avg_pool(t, b->in[0], with[0]))
MAKE(max_pool, op_max_pool(t, b->in[0], with[0], with[1], with[2]))
MAKE(global_pool, op_global_pool(t, b->in[0]))
MAKE(linear, op_linear(t, b->in[0], b->w[0], b->w[1]))
MAKE(matmul, op_matmul(t, b->in[0], with[0], b->in[1], with[1], -1.5))
MAKE(exp, op_exp(t, b->in[0]))
MAKE(log, op_log(t, b->in[0]))
MAKE(sqrt, op_sqrt(t, b->in[0]))
MAKE(sin, op_sin(t, b->in[0]))
MAKE(cos, op_cos(t, b->in[0]))
MAKE(abs, op_abs(t, b->in[0]))
MAKE(l2_normalize, op_l2_normalize(t, b->in[0]))
MAKE(softmax, op_softmax(t, b->in[0]))
MAKE(log_softmax, op_log_softmax(t, b->in[0]))
MAKE(logsumexp, op_logsumexp(t, b->in[0], (op_axis)with[0]))
MAKE(sum, op_sum(t, b->in[0], (op_axis)with[0]))
MAKE(mean, op_mean(t, b->in[0], (op_axis)with[0]))
MAKE(sum_squares, op_sum_squares(t, b->in[0]))
MAKE(diagonal, op_diagonal(t, b->in[0]))
MAKE(add_diagonal, op_add_diagonal(t, b->in[0], -3))
MAKE(cholesky, op_cholesky(t, b->in[0]))
MAKE(triangular_solve, op_triangular_solve(t, b->in[0], b->in[1]))
MAKE(slice_rows, op_slice_rows(t, b->in[0], 2, 3))
MAKE(concat_rows, op_concat_rows(t, b->in[0], b->in[1]))
MAKE(concat_cols, op_concat_cols(t, b->in[0], b->in[1]))
MAKE(reshape, op_reshape(t, b->in[0], 6, 4))
MAKE(sort, op_sort(t, b->in[0]))
MAKE(logdet, op_logdet(t, b->in[0]))
MAKE(inverse_root, op_inverse_root(t, b->in[0]))
MAKE(nuclear_norm, op_nuclear_norm(t, b->in[0], with[0]))
MAKE(soft_cross_entropy, op_soft_cross_entropy(t, b->in[0], b->in[1]))
MAKE(batch_logmeanexp, op_batch_logmeanexp(t, b->in[0]))

MAKE(layernorm, op_layernorm(t, b->in[0], b->w[0], b->w[1], 1e-6))
MAKE(attention, op_attention(t, b->in[0], with[0], with[1], with[0]))
MAKE(feed_forward, op_feed_forward(t, b->in[0], b->w[0], b->w[1], b->w[2], b->w[3], with[0]))
MAKE(patch_embed, op_patch_embed(t, b->in[0], b->w[0], b->w[1]))
MAKE(tokens, op_tokens(t, b->in[0], with[0], b->w[0], b->w[1], b->w[2]))
MAKE(keep_tokens, op_keep_tokens(t, b->in[0], &b->frozen[0], with[0]))
MAKE(pool_tokens, op_pool_tokens(t, b->in[0], with[0], with[1], with[2]))
MAKE(residual, op_residual(t, b->in[0], b->in[1], b->w[0], &b->frozen[0]))

/* with: groups, relu, training. A second input is the residual. */
static tensor *make_batchnorm(tape *t, bench *b, const int *with) {
    batchnorm bn = {b->w[0], b->w[1], &b->frozen[0], &b->frozen[1], 0.1, 1e-5};
    return op_batchnorm(t, b->in[0], &bn, b->in[1], with[1], with[0], with[2]);
}

static const struct {
    const char *group;
    build make;
    int with[3];
} cases[] = {
    {"conv2d.pixels", make_conv2d, {1, 1}},
    {"conv2d.pixels_wide_pad", make_conv2d, {1, 2}},
    {"conv2d.blocked", make_conv2d, {2, 1}},
    {"conv2d.blocked_bias", make_conv2d, {1, 1}},
    {"conv2d.shortcut", make_conv2d, {2, 0}},
    {"conv2d.odd_channels", make_conv2d, {2, 1}},
    {"conv2d.odd_to_blocked", make_conv2d, {1, 0}},
    {"conv2d.one_by_one", make_conv2d, {1, 0}},
    {"batchnorm.images", make_batchnorm, {1, 0, 1}},
    {"batchnorm.images_views", make_batchnorm, {2, 1, 1}},
    {"batchnorm.images_residual", make_batchnorm, {2, 1, 1}},
    {"batchnorm.images_odd", make_batchnorm, {2, 0, 1}},
    {"batchnorm.images_eval", make_batchnorm, {1, 1, 0}},
    {"batchnorm.matrix", make_batchnorm, {2, 0, 1}},
    {"batchnorm.matrix_plain", make_batchnorm, {1, 0, 1}},
    {"batchnorm.matrix_eval", make_batchnorm, {1, 1, 0}},
    {"relu.images", make_relu, {0}},
    {"relu.matrix", make_relu, {0}},
    {"leaky_relu.images", make_leaky_relu, {0}},
    {"leaky_relu.matrix", make_leaky_relu, {0}},
    {"tanh.images", make_tanh, {0}},
    {"tanh.matrix", make_tanh, {0}},
    {"tanh.range", make_tanh, {0}},
    {"gelu.images", make_gelu, {0}},
    {"gelu.matrix", make_gelu, {0}},
    {"affine.matrix", make_affine, {0}},
    {"add.images", make_add, {0}},
    {"add.matrix", make_add, {0}},
    {"avg_pool.blocked", make_avg_pool, {2}},
    {"avg_pool.three", make_avg_pool, {3}},
    {"max_pool.overlap", make_max_pool, {3, 2, 1}},
    {"max_pool.plain", make_max_pool, {2, 2, 0}},
    {"max_pool.ties", make_max_pool, {3, 1, 1}},
    {"global_pool.blocked", make_global_pool, {0}},
    {"global_pool.odd", make_global_pool, {0}},
    {"linear.bias", make_linear, {0}},
    {"linear.plain", make_linear, {0}},
    {"matmul.00", make_matmul, {0, 0}},
    {"matmul.01", make_matmul, {0, 1}},
    {"matmul.10", make_matmul, {1, 0}},
    {"matmul.11", make_matmul, {1, 1}},
    {"exp", make_exp, {0}},
    {"log", make_log, {0}},
    {"sqrt", make_sqrt, {0}},
    {"l2_normalize", make_l2_normalize, {0}},
    {"softmax", make_softmax, {0}},
    {"log_softmax", make_log_softmax, {0}},
    {"log_softmax.steep", make_log_softmax, {0}},
    {"logsumexp.rows", make_logsumexp, {AXIS_ROWS}},
    {"logsumexp.cols", make_logsumexp, {AXIS_COLS}},
    {"sum.rows", make_sum, {AXIS_ROWS}},
    {"sum.cols", make_sum, {AXIS_COLS}},
    {"sum.all", make_sum, {AXIS_ALL}},
    {"mean.rows", make_mean, {AXIS_ROWS}},
    {"mean.all", make_mean, {AXIS_ALL}},
    {"sum_squares", make_sum_squares, {0}},
    {"diagonal", make_diagonal, {0}},
    {"add_diagonal", make_add_diagonal, {0}},
    {"cholesky", make_cholesky, {0}},
    {"triangular_solve", make_triangular_solve, {0}},
    {"slice_rows", make_slice_rows, {0}},
    {"concat_rows", make_concat_rows, {0}},
    {"sin", make_sin, {0}},
    {"cos", make_cos, {0}},
    {"abs", make_abs, {0}},
    {"concat_cols", make_concat_cols, {0}},
    {"reshape", make_reshape, {0}},
    {"sort", make_sort, {0}},
    {"logdet", make_logdet, {0}},
    {"inverse_root", make_inverse_root, {0}},
    {"nuclear_norm.high", make_nuclear_norm, {1}},
    {"nuclear_norm.wide", make_nuclear_norm, {1}},
    {"nuclear_norm.groups", make_nuclear_norm, {4}},
    {"soft_cross_entropy", make_soft_cross_entropy, {0}},
    {"batch_logmeanexp", make_batch_logmeanexp, {0}},
    {"layernorm", make_layernorm, {0}},
    {"layernorm.steep", make_layernorm, {0}},
    {"attention.heads", make_attention, {17, 2}},
    {"attention.wide", make_attention, {65, 1}},
    {"attention.steep", make_attention, {5, 1}},
    {"attention.blocks", make_attention, {300, 1}},
    {"feed_forward", make_feed_forward, {1}},
    {"feed_forward", make_feed_forward, {0}},
    {"patch_embed", make_patch_embed, {0}},
    {"tokens", make_tokens, {2}},
    {"keep_tokens", make_keep_tokens, {2}},
    {"pool_tokens", make_pool_tokens, {5, 1, 4}},
    {"residual", make_residual, {0}},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(test_op_forward_and_backward_match_pytorch) {
    error err = {0};
    backend *b = backend_cpu(0, &err);
    safetensors *file = golden_file("ops");
    check(file, b, cases[_i].group, cases[_i].make, cases[_i].with);
    safetensors_close(file);
    b->destroy(b);
}
END_TEST

START_TEST(test_broadcast_arithmetic_matches_pytorch) {
    static const char *const patterns[] = {"same",  "row",       "column",       "scalar",
                                           "outer", "row_first", "column_first", "scalar_first"};
    static const char *const names[] = {"add", "sub", "mul", "div"};
    static const build makes[] = {make_add, make_sub, make_mul, make_div};
    error err = {0};
    backend *b = backend_cpu(0, &err);
    safetensors *file = golden_file("ops");
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char group[64];
        snprintf(group, sizeof group, "%s.%s", names[_i], patterns[i]);
        check(file, b, group, makes[_i], NULL);
    }
    safetensors_close(file);
    b->destroy(b);
}
END_TEST

Suite *suite_golden_ops(void) {
    Suite *s = suite_create("golden_ops");
    TCase *t = tcase_create("pytorch");
    tcase_add_loop_test(t, test_op_forward_and_backward_match_pytorch, 0, CASES);
    tcase_add_loop_test(t, test_broadcast_arithmetic_matches_pytorch, 0, 4);
    suite_add_tcase(s, t);
    return s;
}

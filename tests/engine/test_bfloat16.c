/*
 * Values stored in bfloat16: how they are rounded, where they come to be stored so, products of tokens and with codes,
 * attention, and convolutions and linear layers beside PyTorch's (tests/golden/make_bfloat16.py). Convolutions are held
 * to their definition in test_bfloat16_convolution.c.
 */
#include "engine/codes.h"
#include "engine/tokens.h"
#include "tests/engine/bfloat16_bench.h"
#include "tests/golden/golden.h"

/* Rounding --------------------------------------------------------------------------------------------------------- */

START_TEST(test_rounding_is_to_the_nearest_and_to_even_between_two) {
    for (uint32_t high = 0; high < 0x7f80; high += 7) /* finite, both ends included */
        for (uint32_t low = 0; low < 4; low++) {
            static const uint32_t lows[] = {0, 0x7fff, 0x8000, 0x8001};
            uint32_t bits = high << 16 | lows[low];
            float value;
            memcpy(&value, &bits, sizeof value);
            uint32_t up = lows[low] > 0x8000 || (lows[low] == 0x8000 && high % 2);
            ck_assert_uint_eq(bfloat_round(value), high + up);
            ck_assert_uint_eq(bfloat_round(-value), 0x8000 + high + up);
        }
    float rest;
    memcpy(&rest, &(uint32_t){0x7f800001}, sizeof rest); /* a NaN that would round to infinity */
    ck_assert(isnan(bfloat_value(bfloat_round(rest))));
    ck_assert(isinf(bfloat_value(bfloat_round(INFINITY))));
    for (uint32_t stored = 0; stored < 0x10000; stored++) {
        float value = (float)bfloat_value((bfloat)stored);
        if (!isnan(value)) ck_assert_uint_eq(bfloat_round(value), stored);
    }
}
END_TEST

/* Where values come to be stored so, and where not ------------------------------------------------------------------
 */

START_TEST(test_pixels_and_what_leaves_the_backbone_stay_floats) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    float *pixels = normals(2 * 8 * 8 * 3, 1, 1), *weights = normals(16 * 27, 2, 1);
    tensor w = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){16, 3, 3, 3}, weights, false);
    for (int on = 0; on < 2; on++) {
        b->bfloat16 = on;
        tensor *x = tape_images(t, pixels, 2, 8, 8, 3), *y = op_conv2d(t, x, &w, NULL, 1, 1);
        tensor *z = op_global_pool(t, op_relu(t, y));
        ck_assert(x && y && z && !x->bfloat16 && y->bfloat16 == on && !z->bfloat16);
    }
    tape_reset(t);
    ck_assert(tape_check(t, &err));
    free(pixels), free(weights);
    leaf_free(b, &w);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Products of images are taken as floats: the tape widens them, and rounds the gradient once. */
START_TEST(test_an_op_that_takes_floats_alone_gets_them) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    enum { VALUES = 2 * 4 * 4 * 16 };
    float *x = normals(VALUES, 1, 1), *r = normals(2 * 16, 2, 1), got[VALUES];
    double expected[VALUES];
    tensor leaf_x = leaf(b, TENSOR_IMAGES, 4, (int64_t[]){2, 4, 4, 16}, x, true);
    tensor *square = op_mul(t, &leaf_x, &leaf_x);
    ck_assert(square && !square->bfloat16);
    tape_backward(t, op_sum(t, op_mul(t, op_global_pool(t, square), tape_matrix(t, r, 2, 16)), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    tape_read_grad(t, &leaf_x, got);
    for (int i = 0; i < VALUES; i++) expected[i] = 2 * (double)x[i] * (double)r[i / 256 * 16 + i % 16] / 16;
    compare(got, expected, VALUES, 2, 1e-6, "dx"); /* two uses, each rounded */
    free(x), free(r);
    leaf_free(b, &leaf_x);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Products of tokens ----------------------------------------------------------------------------------------------- */

/* y = x·Wᵀ + bias, dx = g·W, dW = gᵀ·x for one random shape, of one row and column up, some deeper than a block. */
static void hold_linear(backend *b, rng *r) {
    error err = {0};
    const int64_t rows = 1 + rng_below(r, 70), in = 1 + rng_below(r, rng_below(r, 4) ? 80 : 1200);
    const int64_t out = 1 + rng_below(r, rng_below(r, 4) ? 80 : 1200);
    float *x = normals(rows * in, 1, 1), *w = normals(out * in, 2, 0.25), *g = normals(rows * out, 3, 1);
    float *bias = normals(out, 4, 1), *host = malloc((size_t)(rows * (in + out) + out * in) * sizeof *host);
    double *y = calloc((size_t)(rows * out), sizeof *y), *dx = calloc((size_t)(rows * in), sizeof *dx);
    double *dw = calloc((size_t)(out * in), sizeof *dw);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t o = 0; o < out; o++) {
            const double slope = (double)g[i * out + o];
            double sum = (double)bias[o];
            for (int64_t k = 0; k < in; k++) {
                sum += (double)x[i * in + k] * (double)w[o * in + k];
                dx[i * in + k] += slope * (double)w[o * in + k];
                dw[o * in + k] += slope * (double)x[i * in + k];
            }
            y[i * out + o] = sum;
        }
    tape *t = tape_create(b, &err);
    tensor tx = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){rows, in}, x, true);
    tensor tw = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){out, in}, w, false);
    tensor tb = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, out}, bias, false);
    tensor *z = op_linear(t, &tx, &tw, &tb);
    ck_assert(z && z->bfloat16);
    char what[3][96];
    static const char *const parts[] = {"y", "dx", "dW"};
    for (int i = 0; i < 3; i++)
        snprintf(what[i], sizeof *what, "%s, %d rows, %d to %d columns: %s", b->isa, (int)rows, (int)in, (int)out,
                 parts[i]);
    tape_read(t, z, host);
    compare(host, y, rows * out, 1, 1e-5, what[0]);
    tape_backward(t, op_sum(t, op_mul(t, z, tape_matrix(t, g, rows, out)), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    tape_read_grad(t, &tx, host);
    compare(host, dx, rows * in, 1, 1e-5, what[1]);
    tape_read_grad(t, &tw, host);
    compare(host, dw, out * in, 0, 1e-5, what[2]);
    free(x), free(w), free(g), free(bias), free(host), free(y), free(dx), free(dw);
    leaf_free(b, &tx), leaf_free(b, &tw), leaf_free(b, &tb);
    tape_destroy(t);
}

START_TEST(test_a_linear_layer_of_any_shape_is_held_to_its_definition) {
    backend *b = kernels_of(isas[_i]);
    rng r = rng_stream(9, RNG_TEST, 0, 0, 0);
    for (int i = 0; b && i < shapes_asked(); i++) hold_linear(b, &r);
    if (b) b->destroy(b);
}
END_TEST

/* Attention -------------------------------------------------------------------------------------------------------- */

typedef struct attention_case {
    int64_t samples, tokens, heads, width, queries;
} attention_case;

/* One head of a sample: x's rows (tokens, 3·d) → y and dx, for a gradient g (queries, d). */
static void attend(const attention_case *c, const float *x, const float *g, double *y, double *dx) {
    const int64_t n = c->tokens, w = c->width, d = c->heads * w;
    const double scale = 1 / sqrt((double)w);
    double *p = malloc((size_t)n * sizeof *p), *dp = malloc((size_t)n * sizeof *dp);
    for (int64_t i = 0; i < c->queries; i++) {
        double most = -INFINITY, sum = 0, level = 0;
        for (int64_t j = 0; j < n; j++) {
            p[j] = dp[j] = 0;
            for (int64_t k = 0; k < w; k++) {
                p[j] += scale * (double)x[3 * i * d + k] * (double)x[(3 * j + 1) * d + k];
                dp[j] += (double)g[i * d + k] * (double)x[(3 * j + 2) * d + k];
            }
            most = fmax(most, p[j]);
        }
        for (int64_t j = 0; j < n; j++) sum += p[j] = exp(p[j] - most);
        for (int64_t j = 0; j < n; j++) level += (p[j] /= sum) * dp[j];
        for (int64_t j = 0; j < n; j++) {
            const double slope = scale * p[j] * (dp[j] - level);
            for (int64_t k = 0; k < w; k++) {
                y[i * d + k] += p[j] * (double)x[(3 * j + 2) * d + k];
                dx[3 * i * d + k] += slope * (double)x[(3 * j + 1) * d + k];
                dx[(3 * j + 1) * d + k] += slope * (double)x[3 * i * d + k];
                dx[(3 * j + 2) * d + k] += p[j] * (double)g[i * d + k];
            }
        }
    }
    free(p), free(dp);
}

/* y and, after `times` uses, dx. */
static void attention_of(backend *b, const attention_case *c, const float *x, const float *g, int times, float *y,
                         float *dx) {
    error err = {0};
    const int64_t rows = c->samples * c->tokens, d = c->heads * c->width;
    tape *t = tape_create(b, &err);
    tensor tx = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){rows, 3 * d}, x, true);
    tensor *loss = NULL;
    for (int k = 0; k < times; k++) {
        tensor *z = op_attention(t, &tx, c->tokens, c->heads, c->queries);
        ck_assert(z && z->bfloat16);
        tape_read(t, z, y);
        tensor *part = op_sum(t, op_mul(t, z, tape_matrix(t, g, c->samples * c->queries, d)), AXIS_ALL);
        loss = loss ? op_add(t, loss, part) : part;
    }
    tape_backward(t, loss);
    ck_assert_msg(tape_check(t, &err), "%s", err.text);
    tape_read_grad(t, &tx, dx);
    leaf_free(b, &tx);
    tape_destroy(t);
}

/* Floats round what they store and once more the result that δ is taken of; tiles what they multiply, too. */
static void hold_attention(backend *b, const attention_case *c, int times) {
    const int64_t rows = c->samples * c->tokens, asked = c->samples * c->queries, d = c->heads * c->width;
    float *x = normals(rows * 3 * d, 1, 1.5), *g = normals(asked * d, 2, 1);
    float *y = malloc((size_t)((asked + 3 * rows) * d) * sizeof *y), *dx = y + asked * d;
    double *expected = calloc((size_t)((asked + 3 * rows) * d), sizeof *expected), *slopes = expected + asked * d;
    for (int64_t i = 0; i < c->samples; i++)
        for (int64_t h = 0; h < c->heads; h++) {
            const int64_t at = i * c->queries * d + h * c->width, at_3 = 3 * i * c->tokens * d + h * c->width;
            attend(c, x + at_3, g + at, expected + at, slopes + at_3);
        }
    for (int64_t i = 0; i < rows * 3 * d; i++) slopes[i] *= times;
    attention_of(b, c, x, g, times, y, dx);
    char what[2][96];
    for (int i = 0; i < 2; i++)
        snprintf(what[i], sizeof *what, "%s, %d samples, %d of %d tokens, %d heads of %d: %s", b->isa, (int)c->samples,
                 (int)c->queries, (int)c->tokens, (int)c->heads, (int)c->width, i ? "dx" : "y");
    if (multiplies_brief(b))
        compare_whole(y, expected, asked * d, 0.003, 0.05, what[0]);
    else
        compare(y, expected, asked * d, 1, 1e-5, what[0]);
    const double gathered = sqrt((double)c->tokens / (double)c->queries); /* few queries move few rows far */
    compare_whole(dx, slopes, rows * 3 * d, 0.006, 0.15 * gathered, what[1]);
    free(x), free(g), free(y), free(expected);
}

/* Fewer tokens than a tile has rows, exactly as many, one more; blocks of queries and of keys and their edges; some of
   the tokens asking, or one. */
START_TEST(test_attention_of_any_shape_is_held_to_its_definition) {
    static const attention_case cases[] = {
        {3, 1, 2, 16, 1},     {2, 5, 1, 48, 5},     {2, 16, 3, 32, 16},   {2, 17, 2, 16, 17},
        {1, 32, 1, 64, 32},   {2, 65, 3, 64, 65},   {1, 128, 1, 80, 128}, {1, 129, 2, 32, 129},
        {1, 197, 2, 64, 197}, {1, 256, 1, 16, 256}, {1, 257, 1, 64, 257}, {1, 530, 1, 48, 530},
        {3, 65, 3, 64, 1},    {2, 300, 2, 32, 1},   {2, 197, 1, 64, 33},  {1, 300, 1, 48, 129},
    };
    backend *b = kernels_of(isas[_i]);
    if (!b) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) hold_attention(b, &cases[i], 1 + i % 2);
    rng r = rng_stream(10, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < shapes_asked(); i++) {
        attention_case c = {1 + rng_below(&r, 3), 1 + rng_below(&r, rng_below(&r, 8) ? 90 : 600), 1 + rng_below(&r, 3),
                            16 * (1 + rng_below(&r, 5)), 0};
        c.queries = rng_below(&r, 3) ? c.tokens : 1 + rng_below(&r, (uint32_t)c.tokens);
        hold_attention(b, &c, 1 + i % 2);
    }
    b->destroy(b);
}
END_TEST

START_TEST(test_attentions_bits_do_not_depend_on_the_threads) {
    const attention_case c = {2, 140, 3, 32, 140};
    enum { ROWS = 280, D = 96 };
    float *x = normals(ROWS * 3 * D, 1, 1.5), *g = normals(ROWS * D, 2, 1), *made[2];
    backend *b[] = {kernels_with(isas[_i], 1), kernels_with(isas[_i], 4)};
    for (int i = 0; b[0] && i < 2; i++) {
        made[i] = malloc(4 * ROWS * D * sizeof *made[i]);
        attention_of(b[i], &c, x, g, 2, made[i], made[i] + ROWS * D);
        b[i]->destroy(b[i]);
    }
    if (b[0]) ck_assert_mem_eq(made[0], made[1], 4 * ROWS * D * sizeof(float));
    for (int i = 0; b[0] && i < 2; i++) free(made[i]);
    free(x), free(g);
}
END_TEST

/* Codes ------------------------------------------------------------------------------------------------------------ */

/* Products with signs by AVX512-BF16 round the sums of four to bfloat16, which are off by 0.17 % of them at the most in
   the mean, and add those in floats. */
static void compare_product(const backend *b, bool signs, const float *got, const double *expected, int64_t count,
                            const char *what) {
    if (signs && multiplies_brief(b) && !b->tiles)
        compare_whole(got, expected, count, 0.003, 0.024, what);
    else
        compare(got, expected, count, 0, 1e-5, what);
}

/* Rows, features and codes that fill no tile; more codes than are packed at a time. */
START_TEST(test_products_with_codes_are_sums_in_floats) {
    enum { ROWS = 37, FEATURES = 70, CODES = 1300 };
    const bool signs = _i % 2;
    error err = {0};
    backend *b = kernels_of(isas[_i / 2]);
    if (!b) return;
    tape *t = tape_create(b, &err);
    float *h = normals(ROWS * FEATURES, 1, 1), *w = normals(FEATURES * CODES, 2, 1), *r = normals(ROWS * CODES, 3, 1);
    for (int i = 0; signs && i < FEATURES * CODES; i++) w[i] = w[i] < 0 ? -1 : 1;
    double *z = calloc(ROWS * CODES, sizeof *z), *dh = calloc(ROWS * FEATURES, sizeof *dh);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < FEATURES; k++)
            for (int j = 0; j < CODES; j++) {
                z[i * CODES + j] += 0.5 * (double)h[i * FEATURES + k] * (double)w[k * CODES + j];
                dh[i * FEATURES + k] += 0.5 * (double)r[i * CODES + j] * (double)w[k * CODES + j];
            }
    tensor values = {
        .kind = signs ? TENSOR_SIGNS : TENSOR_PLAIN, .rank = 2, .shape = {FEATURES, CODES}, .lasting = true};
    values.data = b->allocate(b, (size_t)b->layout(b, &values) * sizeof(real));
    b->write(b, &values, w);
    dictionary codes = {
        .kind = signs ? CODES_SIGNS : CODES_DENSE, .features = FEATURES, .codes = CODES, .values = &values};
    tensor x = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){ROWS, FEATURES}, h, false);
    tensor *logits = op_code_logits(t, &x, &codes, 0.5);
    float *got = malloc(ROWS * CODES * sizeof *got);
    tape_read(t, logits, got);
    compare_product(b, signs, got, z, ROWS * CODES, "logits");
    tape_backward(t, op_sum(t, op_mul(t, logits, tape_matrix(t, r, ROWS, CODES)), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    tape_read_grad(t, &x, got);
    compare_product(b, signs, got, dh, ROWS * FEATURES, "dh");
    free(h), free(w), free(r), free(z), free(dh), free(got);
    b->release(b, values.data);
    leaf_free(b, &x);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

/* Beside PyTorch --------------------------------------------------------------------------------------------------- */

typedef struct peer_case {
    const char *group;
    int stride, padding; /* stride 0: a linear layer */
} peer_case;

static const peer_case peers_cases[] = {
    {"conv", 1, 1},     {"conv_stride", 2, 1}, {"conv_wide", 1, 1},   {"conv_one", 2, 0},
    {"conv_odd", 1, 1}, {"linear", 0, 0},      {"linear_tall", 0, 0},
};
enum { PEER_CASES = sizeof peers_cases / sizeof *peers_cases };

static double *doubles(array a) {
    double *to = malloc((size_t)a.count * sizeof *to);
    for (int64_t i = 0; i < a.count; i++) to[i] = (double)a.values[i];
    return to;
}

static void compare_golden(const safetensors *file, const char *group, const char *name, const float *got,
                           double units) {
    array a = golden(file, group, name);
    double *expected = doubles(a);
    char what[96];
    snprintf(what, sizeof what, "%s.%s", group, name);
    compare(got, expected, a.count, units, 1e-5, what);
    free(expected);
}

/* PyTorch rounds what it stores, too, and its gradients of weights: two roundings apart at the most. */
static void beside_pytorch(backend *b, const peer_case *c) {
    error err = {0};
    if (!b) return;
    b->direct = true; /* Winograd's algorithm rounds otherwise: test_bfloat16_convolution.c */
    tape *t = tape_create(b, &err);
    safetensors *file = golden_file("bfloat16");
    array x = golden(file, c->group, "x"), w = golden(file, c->group, "w"), g = golden(file, c->group, "g");
    array bias = golden(file, c->group, "bias");
    bool images = c->stride > 0;
    tensor tx = leaf(b, images ? TENSOR_IMAGES : TENSOR_PLAIN, x.dims, x.shape, x.values, true);
    tensor tw = leaf(b, TENSOR_PLAIN, w.dims, w.shape, w.values, false);
    tensor tb = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, bias.count}, bias.values, false);
    tensor *y = images ? op_conv2d(t, &tx, &tw, &tb, c->stride, c->padding) : op_linear(t, &tx, &tw, &tb);
    ck_assert(y && y->bfloat16);
    float *host = malloc((size_t)(x.count + w.count + g.count) * sizeof *host);
    tape_read(t, y, host);
    compare_golden(file, c->group, "y", host, 2);
    tensor *out = images ? op_global_pool(t, y) : y;
    tape_backward(t, op_sum(t, op_mul(t, out, tape_matrix(t, g.values, g.shape[0], g.shape[1])), AXIS_ALL));
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    tensor *leaves[] = {&tx, &tw, &tb};
    const char *names[] = {"dx", "dw", "dbias"};
    for (int i = 0; i < 3; i++) {
        tape_read_grad(t, leaves[i], host);
        compare_golden(file, c->group, names[i], host, 2);
    }
    free(host);
    safetensors_close(file);
    leaf_free(b, &tx), leaf_free(b, &tw), leaf_free(b, &tb);
    tape_destroy(t);
    b->destroy(b);
}

START_TEST(test_layers_are_within_two_roundings_of_pytorchs) {
    beside_pytorch(kernels_of(isas[_i / PEER_CASES]), &peers_cases[_i % PEER_CASES]);
}
END_TEST

Suite *suite_bfloat16(void) {
    Suite *s = suite_create("bfloat16");
    TCase *t = tcase_create("storage");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_rounding_is_to_the_nearest_and_to_even_between_two);
    tcase_add_test(t, test_pixels_and_what_leaves_the_backbone_stay_floats);
    tcase_add_test(t, test_an_op_that_takes_floats_alone_gets_them);
    tcase_add_loop_test(t, test_a_linear_layer_of_any_shape_is_held_to_its_definition, 0, ISAS);
    tcase_add_loop_test(t, test_attention_of_any_shape_is_held_to_its_definition, 0, ISAS);
    tcase_add_loop_test(t, test_attentions_bits_do_not_depend_on_the_threads, 0, ISAS);
    tcase_add_loop_test(t, test_products_with_codes_are_sums_in_floats, 0, 2 * ISAS);
    tcase_add_loop_test(t, test_layers_are_within_two_roundings_of_pytorchs, 0, PEER_CASES * ISAS);
    suite_add_tcase(s, t);
    return s;
}

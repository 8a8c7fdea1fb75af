/*
 * Values stored in bfloat16. A unit of rounding is u = 2⁻⁸: the nearest number with 8 significant bits is at most that
 * part of a value away. Operands here are such numbers to begin with, so what an op stores is the nearest to a sum that
 * is known in double precision, but for the sum's own rounding in floats; gradients likewise. Every convolution is held
 * to its definition that way, by the kernels of every instruction set; and convolutions and linear layers to PyTorch's
 * (tests/golden/make_bfloat16.py).
 */
#include "engine/codes.h"
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"
#include "engine/isa.h"
#include "engine/ops.h"
#include "engine/rng.h"
#include "engine/tokens.h"
#include "tests/golden/golden.h"

#include <string.h>

static const double UNIT = 1.0 / 256;

static float rounded(float x) { return (float)bfloat_value(bfloat_round(x)); }

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

/* Tensors ---------------------------------------------------------------------------------------------------------- */

/* `count` numbers that bfloat16 has, normally distributed. */
static float *normals(int64_t count, int key, double scale) {
    float *v = malloc((size_t)count * sizeof *v);
    rng r = rng_stream(0, RNG_TEST, 1, (uint64_t)key, 0);
    for (int64_t i = 0; i < count; i++) v[i] = rounded((float)(rng_normal(&r) * scale));
    return v;
}

/* A tensor that lasts, of values from the host. */
static tensor leaf(backend *b, tensor_kind kind, int rank, const int64_t *shape, const float *host, bool brief) {
    tensor t = {.kind = kind, .rank = rank, .lasting = true, .requires_grad = true};
    memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    int64_t count = b->layout(b, &t);
    t.data = b->allocate(b, (size_t)count * sizeof(real));
    t.grad = b->allocate(b, (size_t)count * sizeof(real));
    b->write(b, &t, host);
    if (!brief) return t;
    for (int64_t i = 0; i < count; i++) ((bfloat *)t.grad)[i] = bfloat_round(t.data[i]);
    memcpy(t.data, t.grad, (size_t)count * sizeof(bfloat));
    t.bfloat16 = true;
    return t;
}

static void leaf_free(backend *b, tensor *t) {
    b->release(b, t->data);
    b->release(b, t->grad);
}

/* Each element within `units` roundings, and `slack` of the largest for sums in floats. */
static void compare(const float *got, const double *expected, int64_t count, double units, double slack,
                    const char *what) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - expected[i]);
        ck_assert_msg(off <= units * UNIT * fabs(expected[i]) + slack * most, "%s[%d]: %.9g where %.9g was expected",
                      what, (int)i, (double)got[i], expected[i]);
    }
}

/* Kernels ---------------------------------------------------------------------------------------------------------- */

/* The CPU's, held to an instruction set; NULL where this processor has not that. Each test is a process of its own. */
static backend *kernels_of(const char *isa) {
    if (atoi(isa + 1) > isa_processor_level()) return NULL;
    setenv("MEWS_ISA", (char[]){isa[0], isa[1], '\0'}, 1);
    error err = {0};
    if (!isa_choose(&err)) unsetenv("MEWS_ISA"); /* a build for one processor has its own set alone */
    backend *b = backend_cpu(2, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    if (isa[2]) ((cpu_context *)b->context)->tiles = false;
    b->bfloat16 = true;
    return b;
}

/* Convolutions ----------------------------------------------------------------------------------------------------- */

typedef struct conv_case {
    int n, side, in, out, window, stride, padding, bias;
} conv_case;

/* Sides whose outputs' pixels are a power of two, so that gradients are exact; blocks of channels whole, odd in number,
   and none. */
static const conv_case cases[] = {
    {3, 8, 16, 16, 3, 1, 1, 0},  {2, 8, 16, 48, 3, 1, 1, 1},  {2, 8, 48, 32, 3, 2, 1, 0},  {2, 16, 32, 64, 1, 2, 0, 1},
    {1, 32, 16, 16, 3, 1, 1, 1}, {5, 4, 64, 80, 3, 1, 1, 0},  {33, 4, 64, 64, 3, 1, 1, 1}, {2, 16, 32, 16, 5, 2, 2, 1},
    {2, 8, 20, 12, 3, 1, 1, 1},  {2, 8, 5, 16, 3, 1, 1, 0},   {2, 8, 16, 5, 3, 2, 1, 1},   {1, 1, 16, 32, 1, 1, 0, 0},
    {2, 9, 16, 32, 2, 1, 0, 1},  {2, 10, 32, 32, 2, 3, 1, 0}, {65, 8, 32, 96, 3, 1, 1, 0},
};
/* The last one: a processor without tiles, as far as the kernels know. */
static const char *const isas[] = {"v2", "v3", "v4", "v4-"};
enum { CASES = sizeof cases / sizeof *cases, ISAS = sizeof isas / sizeof *isas };

typedef struct values {
    int64_t x_count, w_count, y_count, side_out;
    float *x, *w, *bias, *r; /* r: what each image's and channel's mean is multiplied by */
    double *y, *dx, *dw, *dbias;
} values;

static values make_values(const conv_case *c) {
    values v = {.side_out = (c->side + 2 * c->padding - c->window) / c->stride + 1};
    v.x_count = (int64_t)c->n * c->side * c->side * c->in;
    v.w_count = (int64_t)c->out * c->in * c->window * c->window;
    v.y_count = c->n * v.side_out * v.side_out * c->out;
    v.x = normals(v.x_count, 1, 1), v.bias = normals(c->out, 3, 1), v.r = normals((int64_t)c->n * c->out, 4, 1);
    v.w = normals(v.w_count, 2, 1 / sqrt((double)(c->in * c->window * c->window)));
    v.y = calloc((size_t)v.y_count, sizeof *v.y), v.dx = calloc((size_t)v.x_count, sizeof *v.dx);
    v.dw = calloc((size_t)v.w_count, sizeof *v.dw), v.dbias = calloc((size_t)c->out, sizeof *v.dbias);
    return v;
}

static void free_values(values *v) {
    void *all[] = {v->x, v->w, v->bias, v->r, v->y, v->dx, v->dw, v->dbias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void definition(const conv_case *c, values *v) {
    int64_t area = (int64_t)c->window * c->window, pixels = v->side_out * v->side_out;
    for (int64_t i = 0; i < v->y_count; i++) {
        int64_t o = i % c->out, px = i / c->out % v->side_out, py = i / c->out / v->side_out % v->side_out;
        int64_t s = i / c->out / pixels;
        double sum = c->bias ? (double)v->bias[o] : 0, g = (double)v->r[s * c->out + o] / (double)pixels;
        for (int64_t k = 0; k < area; k++) {
            int64_t row = py * c->stride + k / c->window - c->padding;
            int64_t col = px * c->stride + k % c->window - c->padding;
            if (row < 0 || row >= c->side || col < 0 || col >= c->side) continue;
            int64_t at = ((s * c->side + row) * c->side + col) * c->in;
            for (int64_t ch = 0; ch < c->in; ch++) {
                int64_t weight = (o * c->in + ch) * area + k;
                sum += (double)v->x[at + ch] * (double)v->w[weight];
                v->dx[at + ch] += g * (double)v->w[weight];
                v->dw[weight] += g * (double)v->x[at + ch];
            }
        }
        v->dbias[o] += g;
        v->y[i] = sum;
    }
}

/* `times` uses of one convolution, whose gradients add up: each sum is rounded where it is stored. */
static void check(backend *b, const conv_case *c, int times) {
    error err = {0};
    if (!b) return;
    tape *t = tape_create(b, &err);
    values v = make_values(c);
    definition(c, &v);
    tensor x = leaf(b, TENSOR_IMAGES, 4, (int64_t[]){c->n, c->side, c->side, c->in}, v.x, true);
    tensor w = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){c->out, c->in, c->window, c->window}, v.w, false);
    tensor bias = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, c->out}, v.bias, false);
    tensor *loss = NULL;
    float *host = malloc((size_t)(v.y_count + v.x_count + v.w_count + c->out) * sizeof *host);
    for (int k = 0; k < times; k++) {
        tensor *y = op_conv2d(t, &x, &w, c->bias ? &bias : NULL, c->stride, c->padding);
        ck_assert(y && y->bfloat16);
        tape_read(t, y, host);
        compare(host, v.y, v.y_count, 1, 1e-5, "y");
        tensor *part = op_mul(t, op_global_pool(t, y), tape_matrix(t, v.r, c->n, c->out));
        part = op_sum(t, part, AXIS_ALL);
        loss = k ? op_add(t, loss, part) : part;
    }
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    tensor *operands[] = {&x, &w, &bias};
    double *expected[] = {v.dx, v.dw, v.dbias};
    const char *names[] = {"dx", "dw", "dbias"};
    for (int i = 0; i < (c->bias ? 3 : 2); i++) {
        int64_t count = tensor_count(operands[i]);
        tape_read_grad(t, operands[i], host);
        for (int64_t k = 0; k < count; k++) host[k] /= (float)times;
        compare(host, expected[i], count, i ? 0 : times, 2e-5, names[i]);
    }
    free(host);
    free_values(&v);
    leaf_free(b, &x), leaf_free(b, &w), leaf_free(b, &bias);
    tape_destroy(t);
    b->destroy(b);
}

START_TEST(test_a_convolution_stores_the_nearest_to_its_sums) {
    check(kernels_of(isas[_i / CASES]), &cases[_i % CASES], 1);
}
END_TEST

START_TEST(test_gradients_of_two_uses_add_up) { check(kernels_of(isas[_i / CASES]), &cases[_i % CASES], 2); }
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

/* Codes ------------------------------------------------------------------------------------------------------------ */

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
    compare(got, z, ROWS * CODES, 0, 1e-5, "logits");
    tape_backward(t, op_sum(t, op_mul(t, logits, tape_matrix(t, r, ROWS, CODES)), AXIS_ALL));
    ck_assert(tape_check(t, &err));
    tape_read_grad(t, &x, got);
    compare(got, dh, ROWS * FEATURES, 0, 1e-5, "dh");
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
    tcase_add_loop_test(t, test_a_convolution_stores_the_nearest_to_its_sums, 0, CASES * ISAS);
    tcase_add_loop_test(t, test_gradients_of_two_uses_add_up, 0, CASES * ISAS);
    tcase_add_test(t, test_pixels_and_what_leaves_the_backbone_stay_floats);
    tcase_add_test(t, test_an_op_that_takes_floats_alone_gets_them);
    tcase_add_loop_test(t, test_products_with_codes_are_sums_in_floats, 0, 2 * ISAS);
    tcase_add_loop_test(t, test_layers_are_within_two_roundings_of_pytorchs, 0, PEER_CASES * ISAS);
    suite_add_tcase(s, t);
    return s;
}

/*
 * Convolutions over images in bfloat16, held to their definition. Operands are numbers that bfloat16 has, so what is
 * stored is the nearest to a sum that is known in double precision, but for the sum's own rounding in floats; gradients
 * likewise. Winograd's algorithm rounds what it multiplies: there the whole is held to it, each number loosely.
 */
#include "tests/engine/bfloat16_bench.h"

#include <stdio.h>

typedef struct conv_case {
    int n, h, w, in, out, window, stride, padding, bias;
} conv_case;

/* Blocks of channels whole, odd in number, and none; in the last, pixels enough for threads to have parts of them, of
 * which one is smaller. */
static const conv_case cases[] = {
    {3, 8, 8, 16, 16, 3, 1, 1, 0},    {2, 8, 8, 16, 48, 3, 1, 1, 1},   {2, 8, 8, 48, 32, 3, 2, 1, 0},
    {2, 16, 16, 32, 64, 1, 2, 0, 1},  {1, 32, 32, 16, 16, 3, 1, 1, 1}, {5, 4, 4, 64, 80, 3, 1, 1, 0},
    {33, 4, 4, 64, 64, 3, 1, 1, 1},   {2, 16, 16, 32, 16, 5, 2, 2, 1}, {2, 8, 8, 20, 12, 3, 1, 1, 1},
    {2, 8, 8, 5, 16, 3, 1, 1, 0},     {2, 8, 8, 16, 5, 3, 2, 1, 1},    {1, 1, 1, 16, 32, 1, 1, 0, 0},
    {2, 9, 9, 16, 32, 2, 1, 0, 1},    {2, 10, 10, 32, 32, 2, 3, 1, 0}, {65, 8, 8, 32, 96, 3, 1, 1, 0},
    {67, 29, 33, 16, 16, 3, 2, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct values {
    int64_t x_count, w_count, y_count, out_h, out_w;
    float *x, *w, *bias, *r; /* r: what each image's and channel's mean is multiplied by */
    double *y, *dx, *dw, *dbias;
} values;

static values make_values(const conv_case *c) {
    values v = {.out_h = (c->h + 2 * c->padding - c->window) / c->stride + 1,
                .out_w = (c->w + 2 * c->padding - c->window) / c->stride + 1};
    v.x_count = (int64_t)c->n * c->h * c->w * c->in;
    v.w_count = (int64_t)c->out * c->in * c->window * c->window;
    v.y_count = c->n * v.out_h * v.out_w * c->out;
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
    int64_t area = (int64_t)c->window * c->window, pixels = v->out_h * v->out_w;
    const float share = (float)(1.0 / (double)pixels); /* of the mean over pixels: what arrives is rounded once */
    for (int64_t i = 0; i < v->y_count; i++) {
        int64_t o = i % c->out, px = i / c->out % v->out_w, py = i / c->out / v->out_w % v->out_h;
        int64_t s = i / c->out / pixels;
        double sum = c->bias ? (double)v->bias[o] : 0, g = (double)rounded(v->r[s * c->out + o] * share);
        for (int64_t k = 0; k < area; k++) {
            int64_t row = py * c->stride + k / c->window - c->padding;
            int64_t col = px * c->stride + k % c->window - c->padding;
            if (row < 0 || row >= c->h || col < 0 || col >= c->w) continue;
            int64_t at = ((s * c->h + row) * c->w + col) * c->in;
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

static void find_winograd(void *found, const char *convolution, const char *kernel) {
    (void)convolution;
    *(bool *)found = *(bool *)found || strcmp(kernel, "bfloat16 winograd") == 0;
}

/* What Winograd's algorithm in bfloat16 is off by: 0.9 % of the length of normal numbers, more where an image is
   smaller than a tile and the sums that cancel are many beside those that stay. */
static const double WINOGRAD = 0.04;

/* `times` uses of one convolution, whose gradients add up: each sum is rounded where it is stored. Not `brief`: the
   input is stored as floats, as a first layer's is. */
static void hold(backend *b, const conv_case *c, int times, bool brief) {
    error err = {0};
    char what[4][160];
    static const char *const parts[] = {"y", "dx", "dw", "dbias"};
    for (int i = 0; i < 4; i++)
        snprintf(what[i], sizeof *what, "%s, %d images %dx%d, %d to %d channels, window %d, stride %d, padding %d: %s",
                 b->isa, c->n, c->h, c->w, c->in, c->out, c->window, c->stride, c->padding, parts[i]);
    tape *t = tape_create(b, &err);
    values v = make_values(c);
    definition(c, &v);
    tensor x = leaf(b, TENSOR_IMAGES, 4, (int64_t[]){c->n, c->h, c->w, c->in}, v.x, brief);
    tensor w = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){c->out, c->in, c->window, c->window}, v.w, false);
    tensor bias = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, c->out}, v.bias, false);
    tensor *loss = NULL;
    float *host = malloc((size_t)(v.y_count + v.x_count + v.w_count + c->out) * sizeof *host);
    bool winograd = false;
    for (int k = 0; k < times; k++) {
        tensor *y = op_conv2d(t, &x, &w, c->bias ? &bias : NULL, c->stride, c->padding);
        ck_assert(y && y->bfloat16);
        tape_read(t, y, host);
        if (k == 0 && !b->direct) b->convolutions(b, find_winograd, &winograd);
        if (winograd)
            compare_whole(host, v.y, v.y_count, WINOGRAD, 8 * WINOGRAD, what[0]);
        else
            compare(host, v.y, v.y_count, 1, 1e-5, what[0]);
        tensor *part = op_mul(t, op_global_pool(t, y), tape_matrix(t, v.r, c->n, c->out));
        part = op_sum(t, part, AXIS_ALL);
        loss = k ? op_add(t, loss, part) : part;
    }
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    tensor *operands[] = {&x, &w, &bias};
    double *expected[] = {v.dx, v.dw, v.dbias};
    for (int i = 0; i < (c->bias ? 3 : 2); i++) {
        int64_t count = tensor_count(operands[i]);
        tape_read_grad(t, operands[i], host);
        for (int64_t k = 0; k < count; k++) host[k] /= (float)times;
        if (winograd && i < 2)
            compare_whole(host, expected[i], count, WINOGRAD, 8 * WINOGRAD, what[1 + i]);
        else
            compare(host, expected[i], count, i ? 0 : times, 2e-5, what[1 + i]);
    }
    free(host);
    free_values(&v);
    leaf_free(b, &x), leaf_free(b, &w), leaf_free(b, &bias);
    tape_destroy(t);
}

/* By Winograd's algorithm where that is taken, and by direct sums. */
static void check(const char *isa, const conv_case *c, int times, bool brief) {
    for (int direct = 0; direct < 2; direct++) {
        backend *b = kernels_of(isa);
        if (!b) return;
        b->direct = direct;
        hold(b, c, times, brief);
        b->destroy(b);
    }
}

START_TEST(test_a_convolution_stores_the_nearest_to_its_sums) { check(isas[_i / CASES], &cases[_i % CASES], 1, true); }
END_TEST

START_TEST(test_gradients_of_two_uses_add_up) { check(isas[_i / CASES], &cases[_i % CASES], 2, true); }
END_TEST

/* Of few pixels and of many: what a thread sums up by itself does not depend on how many there are. */
START_TEST(test_bits_do_not_depend_on_the_threads) {
    static const conv_case shared[] = {{9, 7, 5, 48, 32, 3, 1, 1, 0}, {67, 29, 33, 32, 16, 3, 2, 1, 0}};
    const conv_case *c = &shared[_i % 2];
    const int64_t out_h = (c->h - 1) / c->stride + 1, out_w = (c->w - 1) / c->stride + 1;
    const int64_t x_count = (int64_t)c->n * c->h * c->w * c->in, w_count = (int64_t)c->out * c->in * 9;
    const int64_t y_count = c->n * out_h * out_w * c->out, count = x_count + y_count + w_count;
    float *x = normals(x_count, 1, 1), *w = normals(w_count, 2, 0.1), *r = normals((int64_t)c->n * c->out, 3, 1);
    float *first = malloc((size_t)count * sizeof *first), *got = malloc((size_t)count * sizeof *got);
    for (int threads = 1; threads < 4; threads++) {
        error err = {0};
        backend *b = kernels_with(isas[_i / 2], threads);
        if (!b) break;
        tape *t = tape_create(b, &err);
        tensor tx = leaf(b, TENSOR_IMAGES, 4, (int64_t[]){c->n, c->h, c->w, c->in}, x, true);
        tensor tw = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){c->out, c->in, 3, 3}, w, false);
        tensor *y = op_conv2d(t, &tx, &tw, NULL, c->stride, c->padding);
        float *to = threads > 1 ? got : first;
        tape_read(t, y, to);
        tape_backward(t, op_sum(t, op_mul(t, op_global_pool(t, y), tape_matrix(t, r, c->n, c->out)), AXIS_ALL));
        ck_assert(tape_check(t, &err));
        tape_read_grad(t, &tx, to + y_count);
        tape_read_grad(t, &tw, to + y_count + x_count);
        ck_assert_msg(threads == 1 || memcmp(first, got, (size_t)count * sizeof *got) == 0, "%s: %d threads", b->isa,
                      threads);
        leaf_free(b, &tx), leaf_free(b, &tw);
        tape_destroy(t);
        b->destroy(b);
    }
    free(x), free(w), free(r), free(first), free(got);
}
END_TEST

/* Images of one pixel and up, no taller than wide or the other way round, windows that reach beyond them on all sides,
   strides that leave pixels out. */
START_TEST(test_any_shape_is_held_to_the_definition) {
    static const int channels[] = {1, 3, 4, 5, 8, 12, 16, 16, 20, 24, 32, 32, 40, 48, 48, 64, 80};
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < shapes_asked(); i++) {
        enum { KINDS = sizeof channels / sizeof *channels };
        conv_case c = {.n = 1 + (int)rng_below(&r, 7), .h = 1 + (int)rng_below(&r, 9), .w = 1 + (int)rng_below(&r, 9)};
        c.in = channels[rng_below(&r, KINDS)], c.out = channels[rng_below(&r, KINDS)];
        c.window = 1 + (int)rng_below(&r, 5), c.stride = 1 + (int)rng_below(&r, 3);
        c.padding = (int)rng_below(&r, 4), c.bias = (int)rng_below(&r, 2);
        if (c.h + 2 * c.padding < c.window || c.w + 2 * c.padding < c.window) continue;
        const int times = 1 + (int)rng_below(&r, 2);
        check(isas[_i], &c, times, rng_below(&r, 4) > 0);
    }
}
END_TEST

/* Past the caches ----------------------------------------------------------------------------------------------------
 */

enum { MANY = 112, SIDE = 32, CHANNELS = 64, IMAGE = SIDE * SIDE * CHANNELS };

/* Images `first` … through each kind of kernel that writes images: a first layer, 3×3 by Winograd's algorithm,
   BatchNorm with and without a residual, 1×1 by direct sums; their outputs and gradients to `y` and `dx`. */
static void through(backend *b, const float *x, const float *r, int first, int count, bool brief, float *y, float *dx) {
    error err = {0};
    tape *t = tape_create(b, &err);
    float *w3 = normals(CHANNELS * CHANNELS * 9, 11, 0.05), *w1 = normals(CHANNELS * CHANNELS, 12, 0.1), one[CHANNELS];
    for (int c = 0; c < CHANNELS; c++) one[c] = 1;
    tensor in = leaf(b, TENSOR_IMAGES, 4, (int64_t[]){count, SIDE, SIDE, CHANNELS}, x + (int64_t)first * IMAGE, brief);
    tensor wide = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){CHANNELS, CHANNELS, 3, 3}, w3, false);
    tensor point = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){CHANNELS, CHANNELS, 1, 1}, w1, false);
    tensor stem = leaf(b, TENSOR_PLAIN, 4, (int64_t[]){CHANNELS, 3, 3, 3}, w3, false);
    tensor mean = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, CHANNELS}, w1, false);
    tensor var = leaf(b, TENSOR_PLAIN, 2, (int64_t[]){1, CHANNELS}, one, false);
    const batchnorm bn = {NULL, NULL, &mean, &var, 0.1, 1e-5};
    tensor *pixels = tape_images(t, x + (int64_t)first * SIDE * SIDE * 3, count, SIDE, SIDE, 3);
    tensor *colours = op_conv2d(t, pixels, &stem, NULL, 1, 1);
    tensor *h = op_batchnorm(t, op_conv2d(t, &in, &wide, NULL, 1, 1), &bn, NULL, true, 1, false);
    h = op_add(t, h, colours);
    h = op_batchnorm(t, op_conv2d(t, h, &point, NULL, 1, 0), &bn, &in, true, 1, false);
    ck_assert(h && h->bfloat16 == brief);
    tape_read(t, h, y + (int64_t)first * IMAGE);
    tensor *part = op_mul(t, op_global_pool(t, h), tape_matrix(t, r + (int64_t)first * CHANNELS, count, CHANNELS));
    tape_backward(t, op_sum(t, part, AXIS_ALL));
    ck_assert(tape_check(t, &err));
    tape_read_grad(t, &in, dx + (int64_t)first * IMAGE);
    free(w3), free(w1);
    tensor *leaves[] = {&in, &wide, &point, &stem, &mean, &var};
    for (int i = 0; i < 6; i++) leaf_free(b, leaves[i]);
    tape_destroy(t);
}

/* 14 or 28 MiB of images at once are written past the caches, a quarter of them into these. */
START_TEST(test_images_larger_than_the_caches_have_the_bits_of_small_batches) {
    const bool brief = _i % 2;
    backend *b = kernels_of(isas[_i / 2]);
    if (!b) return;
    b->bfloat16 = brief;
    float *x = normals((int64_t)MANY * IMAGE, 1, 1), *r = normals(MANY * CHANNELS, 2, 1), *made[4];
    for (int i = 0; i < 4; i++) made[i] = malloc((size_t)MANY * IMAGE * sizeof *made[i]);
    through(b, x, r, 0, MANY, brief, made[0], made[1]);
    for (int quarter = 0; quarter < 4; quarter++)
        through(b, x, r, quarter * MANY / 4, MANY / 4, brief, made[2], made[3]);
    ck_assert_msg(memcmp(made[0], made[2], (size_t)MANY * IMAGE * sizeof **made) == 0, "%s: outputs", b->isa);
    ck_assert_msg(memcmp(made[1], made[3], (size_t)MANY * IMAGE * sizeof **made) == 0, "%s: gradients", b->isa);
    free(x), free(r);
    for (int i = 0; i < 4; i++) free(made[i]);
    b->destroy(b);
}
END_TEST

Suite *suite_bfloat16_convolution(void) {
    Suite *s = suite_create("bfloat16_convolution");
    TCase *t = tcase_create("definition");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_a_convolution_stores_the_nearest_to_its_sums, 0, CASES * ISAS);
    tcase_add_loop_test(t, test_gradients_of_two_uses_add_up, 0, CASES * ISAS);
    tcase_add_loop_test(t, test_bits_do_not_depend_on_the_threads, 0, 2 * ISAS);
    suite_add_tcase(s, t);
    t = tcase_create("shapes");
    tcase_set_timeout(t, 3600);
    tcase_add_loop_test(t, test_any_shape_is_held_to_the_definition, 0, ISAS);
    suite_add_tcase(s, t);
    t = tcase_create("past the caches");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_images_larger_than_the_caches_have_the_bits_of_small_batches, 0, 2 * ISAS);
    suite_add_tcase(s, t);
    return s;
}

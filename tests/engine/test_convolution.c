/*
 * The library's convolution beside its definition, written as loops in double precision: odd channels, odd sizes and
 * every layout that images take, forward and all three gradients, and frozen operands.
 */
#include "engine/ops.h"
#include "engine/rng.h"
#include "tests/golden/golden.h"

#include <string.h>

typedef struct conv_case {
    int n, side, in, out, window, stride, padding, bias;
} conv_case;

static const conv_case cases[] = {
    {2, 32, 3, 8, 3, 1, 1, 0},    {2, 32, 3, 20, 3, 1, 1, 0},   {2, 32, 3, 48, 3, 1, 2, 1},
    {2, 32, 8, 16, 3, 2, 1, 0},   {2, 16, 20, 40, 3, 2, 1, 0},  {2, 16, 20, 40, 1, 2, 0, 0},
    {2, 7, 48, 20, 3, 2, 1, 1},   {2, 7, 48, 96, 1, 2, 0, 1},   {3, 7, 5, 3, 3, 2, 0, 1},
    {2, 7, 3, 16, 5, 2, 2, 0},    {1, 7, 16, 3, 3, 1, 1, 1},    {2, 9, 32, 16, 3, 3, 1, 0},
    {1, 1, 16, 32, 1, 1, 0, 0},   {2, 8, 1, 16, 3, 1, 1, 0},    {2, 8, 4, 17, 3, 1, 1, 1},
    {33, 5, 64, 64, 3, 1, 1, 0},  {2, 13, 48, 16, 3, 1, 2, 1},  {3, 6, 16, 80, 3, 1, 0, 1},
    {40, 12, 32, 48, 3, 1, 1, 1}, {2, 4, 512, 256, 3, 1, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Everything on the host: images as N,H,W,C, and the gradient that arrives at y. */
typedef struct values {
    int64_t x_count, w_count, y_count, side_out;
    float *x, *w, *bias, *r, *y, *dy, *dx, *dw, *dbias;
} values;

static float *normals(int64_t count, int key) {
    float *v = malloc((size_t)count * sizeof *v);
    rng r = rng_stream(0, RNG_TEST, 0, (uint64_t)key, 0);
    for (int64_t i = 0; i < count; i++) v[i] = (float)rng_normal(&r);
    return v;
}

static values make_values(const conv_case *c) {
    values v = {.side_out = (c->side + 2 * c->padding - c->window) / c->stride + 1};
    v.x_count = (int64_t)c->n * c->side * c->side * c->in;
    v.w_count = (int64_t)c->out * c->in * c->window * c->window;
    v.y_count = c->n * v.side_out * v.side_out * c->out;
    v.x = normals(v.x_count, 1), v.w = normals(v.w_count, 2), v.bias = normals(c->out, 3);
    v.r = normals((int64_t)c->n * c->out, 4);
    for (int64_t i = 0; i < v.w_count; i++) v.w[i] /= sqrtf((float)(c->in * c->window * c->window));
    v.y = calloc((size_t)v.y_count, sizeof *v.y), v.dy = calloc((size_t)v.y_count, sizeof *v.dy);
    v.dx = calloc((size_t)v.x_count, sizeof *v.dx), v.dw = calloc((size_t)v.w_count, sizeof *v.dw);
    v.dbias = calloc((size_t)c->out, sizeof *v.dbias);
    return v;
}

static void free_values(values *v) {
    float *all[] = {v->x, v->w, v->bias, v->r, v->y, v->dy, v->dx, v->dw, v->dbias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* y, or with `dy` in place the gradients, by the definition. */
static void definition(const conv_case *c, values *v, bool backward) {
    double *dx = calloc((size_t)v->x_count, sizeof *dx), *dw = calloc((size_t)v->w_count, sizeof *dw);
    double *dbias = calloc((size_t)c->out, sizeof *dbias);
    int64_t k2 = (int64_t)c->window * c->window;
    for (int64_t i = 0; i < v->y_count; i++) {
        int64_t o = i % c->out, px = i / c->out % v->side_out, py = i / c->out / v->side_out % v->side_out;
        int64_t s = i / c->out / v->side_out / v->side_out;
        double sum = c->bias ? (double)v->bias[o] : 0, g = (double)v->dy[i];
        for (int64_t k = 0; k < k2; k++) {
            int64_t row = py * c->stride + k / c->window - c->padding,
                    col = px * c->stride + k % c->window - c->padding;
            if (row < 0 || row >= c->side || col < 0 || col >= c->side) continue;
            int64_t at = ((s * c->side + row) * c->side + col) * c->in;
            for (int64_t ch = 0; ch < c->in; ch++) {
                int64_t weight = (o * c->in + ch) * k2 + k;
                sum += (double)v->x[at + ch] * (double)v->w[weight];
                dx[at + ch] += g * (double)v->w[weight];
                dw[weight] += g * (double)v->x[at + ch];
            }
        }
        dbias[o] += g;
        if (!backward) v->y[i] = (float)sum;
    }
    for (int64_t i = 0; i < v->x_count; i++) v->dx[i] = (float)dx[i];
    for (int64_t i = 0; i < v->w_count; i++) v->dw[i] = (float)dw[i];
    for (int64_t i = 0; i < c->out; i++) v->dbias[i] = (float)dbias[i];
    free(dx);
    free(dw);
    free(dbias);
}

/* The loss is Σ mean_pixels(tanh y)·r, so dy = r·(1 − tanh² y)/pixels. */
static void arriving_gradient(const conv_case *c, values *v) {
    double pixels = (double)(v->side_out * v->side_out);
    for (int64_t i = 0; i < v->y_count; i++) {
        double squash = tanh((double)v->y[i]), r = (double)v->r[i / c->out / (int64_t)pixels * c->out + i % c->out];
        v->dy[i] = (float)(r * (1 - squash * squash) / pixels);
    }
}

static tensor lasting(backend *b, int64_t rank, const int64_t *shape, const float *host) {
    tensor t = {.rank = (int)rank, .lasting = true, .requires_grad = true};
    memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    t.data = b->allocate(b, (size_t)tensor_count(&t) * sizeof(real));
    t.grad = b->allocate(b, (size_t)tensor_count(&t) * sizeof(real));
    b->write(b, &t, host);
    return t;
}

static void compare(const float *got, const float *expected, int64_t count, const char *what) {
    double difference = relative_difference(got, expected, count);
    ck_assert_msg(difference < 4e-6, /* direct sums stay below 2e-6, Winograd's lose up to twice that */
                  "%s differs by %.3g of its norm", what, difference);
}

static tensor *loss_of(tape *t, const conv_case *c, const values *v, tensor *y) {
    return op_sum(t, op_mul(t, op_global_pool(t, op_tanh(t, y)), tape_matrix(t, v->r, c->n, c->out)), AXIS_ALL);
}

/* `frozen`: which of x, w, bias takes no gradient (−1: none); `times`: how often the same convolution is used. */
static void check(const conv_case *c, int frozen, int times) {
    error err = {0};
    backend *b = backend_cpu(2, &err);
    tape *t = tape_create(b, &err);
    values v = make_values(c);
    definition(c, &v, false);
    arriving_gradient(c, &v);
    definition(c, &v, true);

    tensor *x = tape_images(t, v.x, c->n, c->side, c->side, c->in);
    tensor w = lasting(b, 4, (int64_t[]){c->out, c->in, c->window, c->window}, v.w);
    tensor bias = lasting(b, 2, (int64_t[]){1, c->out}, v.bias);
    tensor *operands[] = {x, &w, &bias};
    for (int i = 0; i < 3; i++) {
        operands[i]->requires_grad = i != frozen && (i < 2 || c->bias);
        if (operands[i]->requires_grad || i == 0) continue;
        b->release(b, operands[i]->grad); /* what is frozen has no memory for a gradient */
        operands[i]->grad = NULL;
    }
    tensor *loss = NULL;
    float *y = malloc((size_t)v.y_count * sizeof *y);
    for (int k = 0; k < times; k++) {
        tensor *out = op_conv2d(t, x, &w, c->bias ? &bias : NULL, c->stride, c->padding);
        tape_read(t, out, y);
        loss = k ? op_add(t, loss, loss_of(t, c, &v, out)) : loss_of(t, c, &v, out);
    }
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    compare(y, v.y, v.y_count, "y");

    float *expected[] = {v.dx, v.dw, v.dbias};
    const char *names[] = {"dx", "dw", "dbias"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(operands[i]->grad_ready, operands[i]->requires_grad);
        if (!operands[i]->requires_grad) continue;
        int64_t count = tensor_count(operands[i]);
        float *got = malloc((size_t)count * sizeof *got);
        tape_read_grad(t, operands[i], got);
        for (int64_t k = 0; k < count; k++) got[k] /= (float)times;
        compare(got, expected[i], count, names[i]);
        free(got);
    }
    free(y);
    free_values(&v);
    for (int i = 1; i < 3; i++) {
        b->release(b, operands[i]->data);
        b->release(b, operands[i]->grad);
    }
    tape_destroy(t);
    b->destroy(b);
}

START_TEST(test_convolution_and_its_gradients_match_the_definition) { check(&cases[_i], -1, 1); }
END_TEST

START_TEST(test_gradients_of_a_convolution_used_twice_add_up) { check(&cases[_i], -1, 2); }
END_TEST

START_TEST(test_frozen_operands_of_a_convolution_receive_no_gradient) {
    const conv_case direct = {2, 7, 16, 32, 3, 2, 1, 1}, winograd = {2, 7, 16, 32, 3, 1, 1, 1};
    check(_i < 3 ? &direct : &winograd, _i % 3, 2);
}
END_TEST

Suite *suite_convolution(void) {
    Suite *s = suite_create("convolution");
    TCase *t = tcase_create("definition");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_convolution_and_its_gradients_match_the_definition, 0, CASES);
    tcase_add_loop_test(t, test_gradients_of_a_convolution_used_twice_add_up, 6, CASES);
    tcase_add_loop_test(t, test_frozen_operands_of_a_convolution_receive_no_gradient, 0, 6);
    suite_add_tcase(s, t);
    return s;
}

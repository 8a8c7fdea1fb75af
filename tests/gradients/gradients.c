#include "tests/gradients/gradients.h"

#include "engine/rng.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which ops have run backward ------------------------------------------------------------------------------------- */

static bool seen[OP_COUNT];
static kernel original[OP_COUNT];

static bool counting_backward(backend *b, node *n) {
    seen[n->op] = true;
    return original[n->op].backward(b, n);
}

backend *counting_backend(void) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    memcpy(original, b->kernels, sizeof original);
    for (int i = 0; i < OP_COUNT; i++) b->kernels[i].backward = counting_backward;
    return b;
}

const char *op_never_seen(void) {
    for (int i = 0; i < OP_COUNT; i++)
        if (!seen[i]) return op_rules[i]->name;
    return NULL;
}

/* Leaves and losses ----------------------------------------------------------------------------------------------- */

void leaf_create(backend *b, tensor *t, tensor_kind kind, const int64_t *shape, int rank, int key) {
    *t = (tensor){.kind = kind, .rank = rank, .lasting = true, .requires_grad = true};
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    int64_t count = b->layout(b, t);
    t->data = b->allocate(b, (size_t)count * sizeof(real));
    t->grad = b->allocate(b, (size_t)count * sizeof(real));
    rng r = rng_stream(1, RNG_TEST, 0, (uint64_t)key, 0);
    for (int64_t i = 0; i < count; i++) t->data[i] = (real)rng_normal(&r);
}

void leaf_destroy(backend *b, tensor *t) {
    b->release(b, t->data);
    b->release(b, t->grad);
}

tensor *weighted_sum(tape *t, tensor *out, int key) {
    if (out && out->kind == TENSOR_IMAGES) out = op_global_pool(t, op_tanh(t, out));
    if (!out) return NULL;
    rng r = rng_stream(2, RNG_TEST, 0, (uint64_t)key, 0);
    float *weights = malloc((size_t)tensor_count(out) * sizeof *weights);
    for (int64_t i = 0; i < tensor_count(out); i++) weights[i] = (float)rng_normal(&r);
    tensor *by = tape_matrix(t, weights, tensor_rows(out), tensor_cols(out));
    free(weights);
    return op_sum(t, op_mul(t, out, by), AXIS_ALL);
}

/* Differences ----------------------------------------------------------------------------------------------------- */

static double value_of(const graph *g) {
    tape_reset(g->tape);
    bool was = tape_set_recording(g->tape, false);
    double value = tape_scalar(g->tape, g->loss(g));
    tape_set_recording(g->tape, was);
    return value;
}

static const double STEP = 4e-6;

/*
 * What rounding alone may do to a difference of losses: both are sums of up to some hundreds of terms, whose roundings
 * add up like a random walk to about 16 of the last place, and the difference is divided by the two steps. It is all
 * there is where a gradient is zero by nature, as that of a bias before BatchNorm.
 */
static double rounding(double loss) { return 16 * DBL_EPSILON * fmax(fabs(loss), 1) / STEP; }

/* d loss along `direction`, by differences about the leaf's values, which are put back exactly. */
static double slope(const graph *g, tensor *leaf, const real *values, const real *direction) {
    double side[2];
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < tensor_count(leaf); i++) leaf->data[i] = values[i] + (k ? -STEP : STEP) * direction[i];
        side[k] = value_of(g);
    }
    memcpy(leaf->data, values, (size_t)tensor_count(leaf) * sizeof *values);
    return (side[0] - side[1]) / (2 * STEP);
}

enum { ELEMENTS = 24, DIRECTIONS = 2 };

static void check_leaf(const graph *g, tensor *leaf, const real *gradient, const char *what, int index) {
    int64_t count = tensor_count(leaf);
    real *values = malloc((size_t)count * sizeof *values), *direction = calloc((size_t)count, sizeof *direction);
    memcpy(values, leaf->data, (size_t)count * sizeof *values);
    double norm = 0, worst = 0, noise = rounding(value_of(g));
    for (int64_t i = 0; i < count; i++) norm += gradient[i] * gradient[i];
    norm = sqrt(norm);
    rng r = rng_stream(3, RNG_TEST, 0, (uint64_t)index, 0);
    int elements = g->elements ? g->elements : ELEMENTS;
    for (int k = 0; k < elements && k < count; k++) {
        int64_t i = count <= elements ? k : (int64_t)rng_below(&r, (uint32_t)count);
        memset(direction, 0, (size_t)count * sizeof *direction);
        direction[i] = 1;
        worst = fmax(worst, fabs(slope(g, leaf, values, direction) - gradient[i]));
    }
    for (int k = 0; k < DIRECTIONS; k++) {
        double expected = 0, length = 0;
        for (int64_t i = 0; i < count; i++) direction[i] = rng_normal(&r), length += direction[i] * direction[i];
        for (int64_t i = 0; i < count; i++) direction[i] /= sqrt(length), expected += direction[i] * gradient[i];
        worst = fmax(worst, fabs(slope(g, leaf, values, direction) - expected));
    }
    free(values);
    free(direction);
    ck_assert_msg(worst <= 1e-6 * norm + noise, "%s: input %d's gradient (norm %.3g) is off by %.3g; rounding is %.3g",
                  what, index, norm, worst, noise);
}

void check_gradients(const graph *g, const char *what) {
    real *gradients[MAX_LEAVES];
    error err = {0};
    tape_reset(g->tape);
    for (int k = 0; k < g->leaves; k++) g->leaf[k]->grad_ready = false;
    tape_backward(g->tape, g->loss(g));
    bool ok = tape_check(g->tape, &err);
    ck_assert_msg(ok, "%s: %s", what, err.text);
    for (int k = 0; k < g->leaves; k++) {
        ck_assert_msg(g->leaf[k]->grad_ready, "%s: input %d received no gradient", what, k);
        size_t bytes = (size_t)tensor_count(g->leaf[k]) * sizeof(real);
        gradients[k] = memcpy(malloc(bytes), g->leaf[k]->grad, bytes);
    }
    for (int k = 0; k < g->leaves; k++) check_leaf(g, g->leaf[k], gradients[k], what, k);
    for (int k = 0; k < g->leaves; k++) free(gradients[k]);
    ok = tape_check(g->tape, &err);
    ck_assert_msg(ok, "%s: %s", what, err.text);
}

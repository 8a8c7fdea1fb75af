/*
 * Gradients beside central finite differences, with the engine compiled in double precision. A check perturbs single
 * elements of each leaf and random directions through all of them, so that no element goes unseen.
 */
#ifndef MEWS_TESTS_GRADIENTS_H
#define MEWS_TESTS_GRADIENTS_H

#include "engine/ops.h"

#include <check.h>

enum { MAX_LEAVES = 200 };

/* What is differentiated: tensors that last, and a function that makes a 1×1 loss of them. */
typedef struct graph {
    backend *backend;
    tape *tape;
    tensor *leaf[MAX_LEAVES];
    int leaves;
    int elements; /* of each leaf that are perturbed alone; 0 = 24 */
    tensor *(*loss)(const struct graph *g);
    const void *with; /* the loss' own */
} graph;

backend *
counting_backend(void); /* the CPU backend on one thread, which small sizes like; notes which ops' backward ran */
const char *op_never_seen(void); /* an op whose backward never ran, or NULL */

/* A lasting tensor of normal numbers; `key` decides which. */
void leaf_create(backend *b, tensor *t, tensor_kind kind, const int64_t *shape, int rank, int key);
void leaf_destroy(backend *b, tensor *t);

/* Σ out·r for matrices, Σ mean_pixels(tanh(out))·r for images, with r random and decided by `key`. */
tensor *weighted_sum(tape *t, tensor *out, int key);

/* Fails the test, naming `what` and the leaf, where a gradient is off by more than 1e-6 of its norm and rounding. */
void check_gradients(const graph *g, const char *what);

Suite *suite_ops(void);
Suite *suite_networks(void);
Suite *suite_extremes(void);
Suite *suite_bfloat16(void);

#endif

/*
 * Bytes of tensors that a step moves between memory and the processor, counted from what each op's kernels read and
 * write. It is a count by what the kernels are known to do, not a measurement: tensors are taken to be larger than the
 * caches, and what a kernel goes through piece by piece in the caches crosses once. Beside it stands the least, in
 * which each value crosses once for each pass that needs it:
 *
 *   forward            every input, the output, and what is kept for backward beside it
 *   backward           the output's gradient, the kept values, each input's gradient (read as well where it is added
 * to) of a product       for each gradient of its two factors: the output's gradient, the other factor, the gradient
 *   made again         nothing: a value that was forgotten, and is made a second time, moves bytes to save memory
 */
#ifndef MEWS_TRAFFIC_H
#define MEWS_TRAFFIC_H

#include "engine/op.h"

typedef struct backend backend;

typedef enum op_pass { PASS_FORWARD, PASS_AGAIN, PASS_BACKWARD } op_pass;

/* Of all nodes of an op, since the counting began. */
typedef struct op_traffic {
    double moved, least; /* bytes */
    int64_t passes;
} op_traffic;

typedef struct traffic {
    op_traffic ops[OP_COUNT];
} traffic;

/* Bytes of a tensor's values (or of its gradient) as they lie in memory, padding of the layout included; 0 of NULL. */
double traffic_of(backend *b, const tensor *x);

/* Adds a pass of a node, of which backward has not run yet: whether gradients are added to is seen from the tensors. */
void traffic_add(traffic *to, backend *b, const node *n, op_pass pass);

#endif

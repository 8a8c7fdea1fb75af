/*
 * What most methods begin with: a perceptron on the representations, the projector, as the first member of the method's
 * state. Its output in training is what the loss sees, and by default what the method embeds.
 */
#ifndef MEWS_PROJECTOR_H
#define MEWS_PROJECTOR_H

#include "methods/method.h"
#include "methods/mlp.h"

/*
 * Allocates the method's state, `size` zero bytes that begin with an mlp, and creates that as "head.projector". NULL
 * when memory runs out; what there is of it is freed by projector_destroy.
 */
void *projector_build(method_model *m, size_t size, mlp_shape shape, error *err);

/* Rows of method_model.embed, destroy and attainable: the projection, as one group of rows; the directions it spans. */
tensor *projector_embed(method_model *m, tape *t, tensor *representations, bool training);
void projector_destroy(method_model *m);
int projector_attainable(const method_model *m);

/* In training, BatchNorm over each of `groups` runs of rows. */
tensor *projector_forward(method_model *m, tape *t, tensor *representations, int groups);

#endif

/*
 * Online figures (`eval.online`): what papers of today call linear accuracy is often that of a probe trained beside the
 * method, and kNN over the features of the last steps. Both see the backbone's features of the global views behind a
 * stopped gradient and change no bit of the method. Their state (weights, momentum, bank) is buffers called "online.…",
 * so that checkpoints carry it and a resumed run goes on with the same bits.
 *
 *   x = (z − mean)/√(var + 1e-5), the batch's statistics in training, running ones otherwise
 *
 * linear: softmax(W x + b), cross-entropy over all views of the batch; SGD, momentum 0.9, no decay, from zero; its rate
 * is online_lr times where the method's own schedule stands.
 *
 * knn: the features of the first views of the last online_bank images (k and T as in eval's own kNN).
 */
#ifndef MEWS_ONLINE_H
#define MEWS_ONLINE_H

#include "analysis/matrix.h"
#include "engine/parameters.h"
#include "engine/tape.h"
#include "experiments/spec/options.h"

typedef struct online online;

/* Shares right, in [0, 1]; NaN for what is not kept. */
typedef struct online_figures {
    double linear, knn;
} online_figures;

/* Adds the buffers. features: columns of z; views, pairs: rows of a batch; the bank holds online_bank rows, at least a
 * batch's pairs.
 */
online *online_create(parameters *p, const eval_options *options, int features, int views, int pairs, int classes,
                      error *err);
void online_destroy(online *o);

/* One batch: z (views·pairs, features), view by view, is only read. `labels` (pairs); a negative one is none. `pace`:
   the learning rate as a share of its top. Before the backward pass gives z back; errors wait on the tape. */
void online_step(online *o, tape *t, tensor *z, const int *labels, double pace);

/* Of the last batch, before the step: cross-entropy and the share right; NaN where it had no labels. */
double online_loss(const online *o);
double online_train(const online *o);

/* On rows as the backbone represents them in evaluation; labels in [0, classes). */
bool online_measure(online *o, tape *t, matrix rows, const int32_t *labels, online_figures *out, error *err);

#endif

/*
 * The training loop of one run: from the last checkpoint (or the start) to the last epoch, with a history in
 * metrics.jsonl and a checkpoint every so many epochs and when asked to stop.
 */
#ifndef MEWS_TRAIN_H
#define MEWS_TRAIN_H

#include "experiments/run/experiment.h"
#include "experiments/run/model.h"

/*
 * *interrupted: stopped by the hooks' flag, a checkpoint stands. ERROR_RUN when the loss or a gradient is no longer a
 * number: says at which step and in which parameter; the last good checkpoint stands.
 */
bool train_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted, error *err);

/*
 * Rank 0's train_model tells its peers what to do; this is what they do: the same steps on their parts of each batch,
 * until train_end_followers. Nothing is written.
 */
bool train_follow(const spec *s, const dataset *data, const experiment_hooks *hooks, error *err);

/* Rank 0's last word to processes that follow. Harmless on NULL. */
void train_end_followers(peers *p);

#endif

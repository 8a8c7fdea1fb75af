/*
 * What a trained model is worth and how it collapsed: representations of training and test images, then the figures
 * that the spec's `eval:` asks for, into run.json, diagnosis.json and the .npy files beside them.
 */
#ifndef MEWS_EVALUATE_H
#define MEWS_EVALUATE_H

#include "experiments/run/experiment.h"
#include "experiments/run/model.h"

/* *interrupted: stopped by the hooks' flag between two figures; nothing half-written. */
bool evaluate_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted,
                    error *err);

/* The same figures of a network that has trained for `step` steps and goes on, but for the verdicts, as an object that
 * is the caller's. Nothing is written, and the network stays as it is. *interrupted: `figures` are not all of them. */
bool evaluate_midway(model *m, const dataset *data, uint64_t step, const experiment_hooks *hooks, json_t **figures,
                     bool *interrupted, error *err);

/*
 * What of `eval:` is left out, or measured in part, where the images have no labels: words for people in `out`, "" when
 * nothing is. Returns `out`.
 */
char *evaluate_without_labels(const eval_options *options, char *out, size_t size);

#endif

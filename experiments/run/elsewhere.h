/*
 * Networks on images that they were not trained on: a run's (`mews eval RUN --data PATH`) and other people's
 * (`mews embed CHECKPOINT --data PATH`). Both are a spec of no epochs whose weights come from `train.init`, so that
 * what follows (probes, clusters, verdicts, the run's folder, its page) is that of any other run.
 */
#ifndef MEWS_ELSEWHERE_H
#define MEWS_ELSEWHERE_H

#include "experiments/spec/spec_file.h"

/* The spec of the run in `folder` with its newest checkpoint, on the images at `data`, normalised as its own were;
   named
   "<name>-on-<data's base name>". `data` NULL: the overrides of `file` say it. */
bool elsewhere_of_run(spec_file *file, const char *folder, const char *data, error *err);

/* A spec that measures the weights in the file `weights` on the images at `data`; named "embed-<weights' base name>".
   What backbone it is, overrides say (backbone.name, …). */
bool elsewhere_of_weights(spec_file *file, const char *weights, const char *data, error *err);

#endif

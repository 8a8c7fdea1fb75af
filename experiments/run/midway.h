/*
 * The figures of `eval:` while a run trains: before the first step and after every `train.eval_every` epochs, but for the
 * last, whose figures are the run's own. They are whole, on all the images that the final ones are measured on; the
 * verdicts are told by the looks after every epoch (onset.h).
 */
#ifndef MEWS_MIDWAY_H
#define MEWS_MIDWAY_H

#include "experiments/run/experiment.h"
#include "experiments/run/model.h"

/* Whether they are wanted after `step` steps. */
bool midway_is_due(const spec *s, uint64_t step, uint64_t steps_per_epoch);

/*
 * Measures, and appends {"step", "epoch", "figures": {metric: value}, "time": {"figures"}} to metrics.jsonl. The
 * network and its statistics stay as they are. *interrupted: stopped by the hooks' flag, and no line was written.
 *
 * The line comes behind its epoch's checkpoint and right before the next step. A run that goes on from that checkpoint
 * has its history cut back to before the line, measures again and so has it once.
 */
bool midway_measure(model *m, const dataset *data, run *r, const experiment_hooks *hooks, uint64_t step, uint64_t epoch,
                    bool *interrupted, error *err);

#endif

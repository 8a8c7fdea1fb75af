/*
 * What the commands share in showing: progress and warnings of an experiment on a terminal, and its outcome.
 */
#ifndef MEWS_WATCH_H
#define MEWS_WATCH_H

#include "experiments/run/experiment.h"
#include "experiments/commands/terminal.h"

/* Hooks that show phase and count on `t`'s status line and let warnings stay. */
experiment_hooks watch_on(terminal *t, const volatile sig_atomic_t *interrupted);

/* "eval: k-means 3/7" into `out`. Returns `out`. */
char *watch_text(const experiment_progress *now, char *out, size_t size);

/* The run's folder, its final figures and its four verdicts, a line each. */
void watch_print_outcome(const run_outcome *out);

/* {status, reason, stopped, id, folder, final, verdicts: {mode: word}}; `failure` may hold the reason. The caller's to
 * json_decref. */
json_t *watch_outcome_json(const run_outcome *out, const error *failure);

/* "; dimensional collapsed, cluster warning" of verdicts {mode: word}, "; nothing collapsed", or "" where none is
 * known. */
char *watch_verdicts(const json_t *verdicts, char *out, size_t size);

/* Prints an object as one line and lets go of it. */
void watch_print_json(json_t *object);

#endif

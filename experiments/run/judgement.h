/*
 * The verdicts of a run: taken when it is evaluated, from its history (metrics.jsonl) or, for what the history lacks,
 * by looking again; kept in diagnosis.json with all that they rest on ("course"), and in run.json as four words; judged
 * again from what was kept, without the network, when the rules have changed.
 */
#ifndef MEWS_JUDGEMENT_H
#define MEWS_JUDGEMENT_H

#include "experiments/run/look.h"
#include "experiments/run/run.h"

/* Puts the run's own verdicts and their onsets into `c`, which holds those of its test embeddings; *record takes the
 * object "course" for diagnosis.json. The model holds the run's weights. */
bool judgement_take(run *r, const model *m, const dataset *data, collapse *c, json_t **record, error *err);

/* Writes diagnosis.json of this landing in the run's folder; root NULL: out of memory. */
bool judgement_write(const char *folder, const json_t *root, error *err);

/* Four words, as run.json keeps them: {representation: "healthy", …}, and of a diagnosis.json. */
json_t *judgement_words(const collapse *c);

/* Judges the finished run in `folder` again from its diagnosis.json and metrics.jsonl and writes both records anew;
 * *changed: a verdict is another one. *kept is false, and nothing is done, for a run that keeps no embeddings. */
bool judgement_again(const char *folder, bool *kept, bool *changed, error *err);

#endif

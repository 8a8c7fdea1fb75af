/*
 * A longer run out of a shorter one. Where nothing in a training depends on how long it is to be, the first 20 epochs
 * of a run of 40 are the run of 20, bit for bit. So a run that begins looks whether the same spec with fewer
 * train.epochs has finished beside it, takes that one's last checkpoint and history for its own, and goes on from
 * there. A cosine over the whole training (a learning rate, a teacher's momentum) depends on the length: the shorter
 * run's record names such keys under "follows_length", and a longer one begins anew and says why.
 */
#ifndef MEWS_EXTEND_H
#define MEWS_EXTEND_H

#include "experiments/run/run.h"

/* The shorter run that was found, if any. */
typedef struct extension {
    char id[RUN_ID_SIZE], folder[1024];
    int64_t epochs;
    json_t *record;    /* its run.json; NULL: there is no such run */
    char hinders[512]; /* why it cannot be gone on from; "" when it can */
    bool expected;     /* that there are shorter runs: the spec sweeps train.epochs */
} extension;

/* The longest finished run beside `id`, in `folder`'s parent, that `plan` differs from by more train.epochs alone. With
 * `reuse` one that other code made will do. */
bool extension_find(extension *e, const run_plan *plan, const char *id, const char *folder, const char *data_checksum,
                    bool reuse, error *err);

/* Its history and its last checkpoint, made those of `r`: from there on `r` is a run that was interrupted. */
bool extension_take(const extension *e, const run *r, error *err);

/* Whether `record` is of a finished run that `s` could go on from, as far as epochs and schedule say. */
bool extension_is_shorter(const json_t *record, const spec *s);

void extension_free(extension *e);

#endif

/*
 * Checkpoints: parameters, buffers and optimiser state in one safetensors file, under PyTorch's names (the optimiser's
 * under "optimizer.first." and "optimizer.second."), with where training stood in the metadata. Constants are drawn
 * again from the seed and are not in it. Loading gives back the same bits. A seal (engine/files/seal.h) over every byte
 * binds weights, run, step, threads and the history before them together.
 */
#ifndef MEWS_CHECKPOINT_H
#define MEWS_CHECKPOINT_H

#include "engine/optimizer.h"

typedef struct checkpoint_position {
    uint64_t step;           /* optimiser steps taken */
    uint64_t metrics_offset; /* bytes of the history that belong to them */
    double seconds;          /* spent training so far */
    int threads;             /* that computed the steps; 0: the checkpoint does not say */
} checkpoint_position;

/* Whose checkpoints, and where. */
typedef struct checkpoint_place {
    const char *folder;
    const char *run; /* the run's id, never NULL; a checkpoint of another run is not taken */
    char code[65];   /* the code at work; a checkpoint of other code is not taken, unless any_code */
    bool any_code;
    const char *history; /* a file of the folder whose first metrics_offset bytes are bound, too; NULL: none */
    bool newest_only;    /* an older one would not do: the run is finished */
    void (*warn)(void *context, const char *line); /* may be NULL */
    void *context;
} checkpoint_place;

/* Writes "<folder>/checkpoint-<step>.safetensors" whole, then removes all but the last two. */
bool checkpoint_save(const checkpoint_place *place, const parameters *p, const optimizer *o,
                     const checkpoint_position *at, error *err);

/* Removes every checkpoint of the folder, and what was put aside. */
void checkpoint_remove_all(const char *folder);

/* Whether there is any, sound or not; also when that cannot be told. */
bool checkpoint_stands(const char *folder);

/*
 * Loads the newest checkpoint that verifies: its seal holds, it is this run's, of the step in its name, and the history
 * is the one it was written with. One that does not is named to `warn` and renamed to "….aside". Checkpoints of earlier
 * versions, which carry no seal, are taken as far as they can be checked. *found false, and nothing changed, when there
 * is none. `o` may be NULL: parameters only. ERROR_RUN when a sound one does not fit the parameters, or when, with
 * newest_only, the newest does not verify (it then stays where it is).
 */
bool checkpoint_load(const checkpoint_place *place, parameters *p, optimizer *o, checkpoint_position *at, bool *found,
                     error *err);

/* Where the newest checkpoint stands, which has to verify; ERROR_RUN otherwise, and nothing is moved aside. */
bool checkpoint_newest(const checkpoint_place *place, checkpoint_position *at, error *err);

/* Writes the checkpoint of step at->step of `from` as one of `to`, whose history is at->metrics_offset bytes long. */
bool checkpoint_copy(const checkpoint_place *from, const checkpoint_place *to, const checkpoint_position *at,
                     error *err);

#endif

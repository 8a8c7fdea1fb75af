/*
 * What a run computes with: threads, kernels, libraries, processes. All of them decide its last bits, so that a run
 * which goes on keeps the threads that it began with; what it cannot keep stands in its record beside what it goes on
 * with, under "computed_before".
 */
#ifndef MEWS_SITTING_H
#define MEWS_SITTING_H

#include "engine/peers.h"

#include <jansson.h>
#include <stddef.h>

/* Compute threads where `record` began with some and the spec asks for `asked` now: the record's, if they can be had.
 */
int sitting_threads(const json_t *record, int asked);

/*
 * Into `fresh`, the record of a sitting that goes on from a checkpoint of the one that `old` records: the threads to
 * compute with, and what computed before where that is not the same. `told` becomes one line about what changes, or
 * "". Returns the threads.
 */
int sitting_goes_on(const json_t *old, json_t *fresh, char *told, size_t size);

/*
 * Notes in `record` with how many processes, by whose MPI, and with how many gradients a sum this sitting computes
 * ("processes"; one process alone has no such key). Where an earlier sitting had others, they go to "computed_before",
 * and `told` becomes a line; else "". The gradients' sums, and so the last bits, depend on all three.
 */
void sitting_note_processes(json_t *record, const peers *p, char *told, size_t size);

#endif

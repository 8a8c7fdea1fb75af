/*
 * An evaluation lands as one. Its arrays, its diagnosis and the record of them are written into a folder beside the old
 * ones; one rename decides that they count, and only then does each take its place. Killed before it, the old
 * evaluation stands; killed after it, whoever opens the run next finishes the moves.
 */
#ifndef MEWS_LANDING_H
#define MEWS_LANDING_H

#include "engine/error.h"

/* All by a run's folder, whose lease is ours. */
bool landing_begin(const char *folder, error *err);

/* Where `name` is written meanwhile, into `out`. Returns `out`. */
char *landing_path(const char *folder, const char *name, char *out, size_t size);

/* The new evaluation has no file `name`: an old one goes when it lands. */
bool landing_without(const char *folder, const char *name, error *err);

bool landing_commit(const char *folder, error *err);

/* Whether one was decided and is not in its place yet. */
bool landing_is_pending(const char *folder);

/* Finishes what a killed process had decided, and drops what it had not. */
bool landing_recover(const char *folder, error *err);

#endif

/* Taking a run away. */
#ifndef MEWS_REMOVE_H
#define MEWS_REMOVE_H

#include "engine/error.h"

/*
 * Removes a run directory and its line in the index. The directory is renamed first, so that a run is there whole or
 * not at all; what a killed removal left behind goes with the next. ERROR_RUN when a process works on the run.
 */
bool remove_run(const char *folder, error *err);

#endif

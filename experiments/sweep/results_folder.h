/*
 * The folder results/NAME before a sweep begins: whether it can be written, and whether the runs that it holds were
 * made from this spec. Runs of two specs in one folder would stand in one table as if they were comparable.
 */
#ifndef MEWS_RESULTS_FOLDER_H
#define MEWS_RESULTS_FOLDER_H

#include "experiments/sweep/queue.h"

/* Makes the folder. ERROR_USAGE when it cannot be made or written. */
bool results_folder_open(const char *results, const char *name, error *err);

/* The folder that a sweep's name means, "<results>/<name>"; or the name as a path. False when it is neither. */
bool results_folder_find(const char *name, const char *results, char out[1024]);

/*
 * ERROR_USAGE when the folder holds runs that this spec could not have made, whatever its sweep: runs that differ in a
 * key that decides results and that neither they nor the spec sweep, train.seed excepted, and none that is of this
 * spec. Says what changed.
 */
bool results_folder_check(const queue *q, const char *results, error *err);

#endif

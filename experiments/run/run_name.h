/* How a run is called on a command's line: by its folder, its id, or a part of the id that no other run has. */
#ifndef MEWS_RUN_NAME_H
#define MEWS_RUN_NAME_H

#include "engine/error.h"

/* The path of the run directory that `word` means, in `results` unless it is a path itself. ERROR_USAGE when there is
 * none (with the nearest id) or more than one. */
bool run_name_find(const char *word, const char *results, char folder[1024], error *err);

/* A results folder out of what a user names: <results>, or <results>/<name>, which `name` (64) then holds, else "". */
bool run_name_place(const char *dir, char results[1024], char name[64], error *err);

#endif

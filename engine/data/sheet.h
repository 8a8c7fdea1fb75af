/*
 * A contact sheet: a data set to look at, as one PNG. On top a row of training images for each class, below the first
 * samples that a run would take: each as it is, then its views, with the very pixels that the loader hands out.
 */
#ifndef MEWS_SHEET_H
#define MEWS_SHEET_H

#include "engine/data/views/augment.h"
#include "engine/data/dataset.h"

/* `seed` is the run's (train.seed). The file appears whole or not at all. */
bool sheet_write(const dataset *set, const augment_options *augment, uint64_t seed, const char *path, error *err);

#endif

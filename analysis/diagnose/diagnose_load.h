/*
 * What loading a subject is made of: its files of assignments, and what lies in a run's folder. Private to diagnose/.
 */
#ifndef MEWS_DIAGNOSE_LOAD_H
#define MEWS_DIAGNOSE_LOAD_H

#include "analysis/diagnose/diagnose.h"

/* One integer a row, of the rows that are looked at; free() it. NULL on an error. */
int64_t *subject_ints(const subject *s, const array_file *a, error *err);

/* Integers, or a column a code: probabilities, or scores, over `temperature` where that is not 0. codes 0: not said.
 * Fills the subject's assignment and usage of all its rows. */
bool assignments_take(subject *s, const array_file *a, size_t codes, double temperature, error *err);

/* What stands in a run's folder, where the options do not say otherwise. */
typedef struct run_files {
    char embeddings[1100], labels[1100], assignments[1100], diagnosis[1100];
} run_files;

/* Where the source is a run's folder, the options come to point at its files, in *f. */
bool run_use(diagnose_options *o, run_files *f, error *err);
/* A run's learned prototypes out of its newest checkpoint; a run without is none the worse. ERROR_RUN for a damaged
 * one. */
bool run_take_prototypes(subject *s, error *err);

#endif

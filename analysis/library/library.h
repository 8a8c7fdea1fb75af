/* Inside libmews: what mews_diagnose and the monitor share. */
#ifndef MEWS_LIBRARY_H
#define MEWS_LIBRARY_H

#include "analysis/diagnose/diagnose.h"
#include "analysis/library/mews.h"

enum { LIBRARY_ARRAYS = 8 };

/* The input as `mews diagnose` would have it; `arrays` are what the options' names stand for. ERROR_USAGE for an input
   that contradicts itself. */
bool library_options(const mews_input *in, memory_array arrays[LIBRARY_ARRAYS], diagnose_options *o, error *err);

/* The outcome of a call and its message. `loaded`: the input was taken, so that what failed is none of its faults. */
mews_result library_end(bool ok, bool loaded, const error *err, char *message, size_t size);

/* Figures as text, whose reference is taken over. */
bool library_text(json_t *figures, char **json, error *err);

/* Sets OpenMP's threads for a call (0: leaves them); returns what to set afterwards. */
int library_threads(int wanted);

#endif

/*
 * What the swept keys did, in words.
 */
#ifndef MEWS_EFFECTS_WORDS_H
#define MEWS_EFFECTS_WORDS_H

#include "analysis/report/study/effects.h"

/* Whether the k-th key matters, by how much, and how sure that is. Fresh memory, NULL when there is none. */
char *effects_sentence(const block_effects *b, size_t k);

/* "3 values: 16, 64, 256"; fresh memory as well. */
char *effects_varied(const block_effects *b, size_t k);

/* "over 3 seeds": what an interval is taken over. */
void effects_say_units(const effect *e, char *out, size_t size);

#endif

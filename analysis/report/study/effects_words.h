/*
 * What the swept keys did, in words.
 */
#ifndef MEWS_EFFECTS_WORDS_H
#define MEWS_EFFECTS_WORDS_H

#include "analysis/report/study/effects.h"
#include "analysis/report/study/words.h"

/* Whether the k-th key matters, by how much, and how sure that is. */
void effects_say(words *w, const block_effects *b, size_t k);

/* "3 values: 16, 64, 256". */
void effects_say_varied(words *w, const block_effects *b, size_t k);

/* "over 3 seeds": what an interval is taken over. */
void effects_say_units(const effect *e, char *out, size_t size);

#endif

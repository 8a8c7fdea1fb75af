/*
 * What advice.c (the rules) and advice_seeds.c (the rules about repetitions) share.
 */
#ifndef MEWS_ADVICE_PARTS_H
#define MEWS_ADVICE_PARTS_H

#include "analysis/report/study/advice.h"
#include "analysis/report/study/words.h"

enum { MOST_OF_A_KIND = 4, MOST_SEEDS = 30 };

/* One setting of a block. */
typedef struct candidate {
    const study_series *series;
    const study_point *point;
    double mean;
    size_t seeds; /* with the figure */
} candidate;

/* False when out of memory. `command` may be NULL, or empty. */
bool advice_add(advice *a, const words *text, const words *command);

/* "mews VERB FOLDER/spec.yaml --out RESULTS": finds the run again by its spec. Nothing when the run lies elsewhere than
 * where its spec would put it. */
bool advice_say_command(words *w, const char *verb, const record *r);

void advice_say_setting(words *w, const study_block *b, const candidate *c);

/* The seeds that the block's runs have had, in order; returns how many. */
size_t advice_list_seeds(const factors *f, long seeds[MOST_SEEDS]);

/* Seeds for a block whose best setting cannot be told from others; nothing of one seed a setting where all were told.
 */
bool advise_seeds(advice *a, const block_effects *e, const candidate *list, size_t count, bool told);

/* Of many blocks with one seed it is said once: `told`. */
bool advise_seeds_of_all(advice *a, const effects *e, bool *told);

#endif

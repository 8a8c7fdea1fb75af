/*
 * What to run next, by plain rules from the numbers: what stopped goes on; a best value at the edge of its range asks
 * for values beyond it; settings that cannot be told apart ask for seeds; a collapsed setting is shown its nearest
 * healthy one.
 */
#ifndef MEWS_ADVICE_H
#define MEWS_ADVICE_H

#include "analysis/report/study/effects.h"

typedef struct advice_item {
    char *text;    /* what, and the numbers that say so */
    char *command; /* to be typed as it stands, or NULL */
} advice_item;

typedef struct advice {
    advice_item *items;
    size_t count;
} advice;

bool advice_give(advice *a, const study *s, const effects *e, error *err);
void advice_free(advice *a);

#endif

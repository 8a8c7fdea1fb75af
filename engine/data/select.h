/*
 * Which samples of a packed data set each split takes, and how its classes are numbered: data.classes, validation,
 * imbalance and limit, in this order. All of it is a function of the pack and the options.
 */
#ifndef MEWS_SELECT_H
#define MEWS_SELECT_H

#include "engine/data/dataset.h"
#include "engine/data/pack.h"

typedef struct selection {
    /* Places in the packed training list, from counts[PACK_TRAIN] on in the unlabelled one; test: in the test list. */
    uint32_t *samples[SPLIT_COUNT], counts[SPLIT_COUNT];
    uint32_t classes, *kept; /* packed label of each class */
    int *renumbered;         /* label of each packed one; −1 = left out */
} selection;

/* ERROR_USAGE for classes that are not there, and where nothing is left to train on. Frees s on failure. */
bool selection_make(selection *s, const pack *p, const data_options *options, error *err);
void selection_free(selection *s);

#endif

/*
 * Labels as they come: integers, floats that are whole numbers, strings, a 1 in the column of the class (one-hot); as a
 * vector, a column or a row. Their distinct values become classes 0, 1, 2, … in order (of strings: by letters). A row
 * without a label is −1 beside labels from 0 up (beside 1 alone it is a class, as in {−1, 1}), NaN, or an empty string.
 */
#ifndef MEWS_DIAGNOSE_LABELS_H
#define MEWS_DIAGNOSE_LABELS_H

#include "analysis/files/array_file.h"

typedef struct label_set {
    int32_t *labels; /* (count): the class of each of the rows asked for, −1: none */
    int classes;
    size_t unlabelled;
} label_set;

/* Of rows rows[0 …]/repeat of the array: one label stands for `repeat` rows. `none`: another number that
 * is no label; NULL: none such. free() the labels. */
bool labels_read(label_set *out, const array_file *a, const uint64_t *rows, size_t count, uint64_t repeat,
                 const int64_t *none, error *err);

#endif

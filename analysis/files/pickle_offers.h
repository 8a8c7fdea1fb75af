/*
 * What of a pickle's tree is an array: NumPy's, tensors by a reader that is handed in, lists of numbers and of strings.
 * Names are the way there: keys and places, with dots between.
 */
#ifndef MEWS_PICKLE_OFFERS_H
#define MEWS_PICKLE_OFFERS_H

#include "analysis/files/array_box.h"

enum { PICKLE_PROBLEM = 200 };

/* An object as a tensor: true when it is one, with the array, or with what is wrong in `problem`. */
typedef bool (*pickle_tensor)(void *context, const pickle_value *object, strided *out, char problem[PICKLE_PROBLEM]);

/* `name`: of the whole; "" for none. `tensor` NULL: objects are no tensors. */
bool pickle_offer(array_box *b, const pickle_value *root, const char *name, pickle_tensor tensor, void *context,
                  error *err);

#endif

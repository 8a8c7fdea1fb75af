/*
 * A sweep's axes as wheels that turn like those of an odometer: an axis on its own is a wheel, so are the axes of a zip
 * together, and those that are drawn. The last wheel turns fastest; a block's own come before the file's.
 */
#ifndef MEWS_WHEELS_H
#define MEWS_WHEELS_H

#include "experiments/spec/spec_axes.h"

enum { WHEELS_MOST_KEYS = 32 };

/* A key that varies and what it is on each row of its wheel. */
typedef struct wheel_column {
    const spec_axis *axis;
    size_t wheel;
    settings values; /* owned */
} wheel_column;

typedef struct wheels {
    wheel_column columns[WHEELS_MOST_KEYS];
    size_t column_count;
    size_t rows[WHEELS_MOST_KEYS], at[WHEELS_MOST_KEYS]; /* by wheel */
    size_t wheel_count;
} wheels;

/*
 * `own` may be NULL; of `top` come the axes that `own` does not vary itself. What is drawn depends on random.seed, the
 * key and the number of the draw alone, so more runs or other keys leave the draws that were there as they were; a draw
 * that repeats an earlier one is made again. The axes must outlive `w`; wheels_free whatever is returned.
 */
bool wheels_make(wheels *w, const spec_axes *own, const spec_axes *top, error *err);
bool wheels_turn(wheels *w); /* the next combination; false after the last */
const setting *wheels_value(const wheels *w, size_t column);
void wheels_free(wheels *w);

#endif

/*
 * Random directions, on which methods of sliced statistics look at a batch: new ones at every step, from the run's
 * keyed generator, so that a resumed run draws the same and every process would.
 */
#ifndef MEWS_SLICES_H
#define MEWS_SLICES_H

#include "methods/method.h"

/*
 * → (features, count): columns uniform on the sphere, normal numbers brought to length 1. Row i's numbers are the draws
 * of rng_stream(seed, RNG_METHOD, epoch, step, i). No gradient flows into them. NULL on a failed tape, as an op's.
 */
tensor *slices_draw(const method_context *context, tape *t, int64_t features, int64_t count);

/* x with Φ(x) = p, Φ the normal distribution function; 0 < p < 1. */
double slices_normal_quantile(double p);

#endif

/*
 * Values that change in the course of training. All are functions of the step (or epoch), so nothing needs saving.
 */
#ifndef MEWS_SCHEDULE_H
#define MEWS_SCHEDULE_H

#include <stdint.h>

/* to − (to − from)·(1 + cos(π·step/steps))/2: from `from` at step 0 to `to` at step `steps`, and there it stays. */
double schedule_cosine(double from, double to, uint64_t step, uint64_t steps);

/* The element `i` of `count` evenly spaced values from `from` to `to` (both included), and `to` beyond them. */
double schedule_linear(double from, double to, uint64_t i, uint64_t count);

#endif

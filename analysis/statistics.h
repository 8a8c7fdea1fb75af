/*
 * Statistics of repeated runs: mean and standard deviation over seeds, Student's paired test, Holm's correction.
 */
#ifndef MEWS_STATISTICS_H
#define MEWS_STATISTICS_H

#include <stddef.h>

/* NaN for n = 0. */
double statistics_mean(const double *x, size_t n);

/* The sample's standard deviation (n − 1); NaN for n < 2. */
double statistics_sd(const double *x, size_t n);

/* P(|T| ≥ |t|) of Student's t with `degrees` degrees of freedom; NaN when t is. */
double statistics_student_p(double t, double degrees);

/*
 * Two-sided p of the hypothesis that a and b differ by 0 on average, pair by pair. NaN for n < 2; when all differences
 * are equal, 0, or 1 if they are 0.
 */
double statistics_paired_p(const double *a, const double *b, size_t n);

/* Holm's step-down correction (Holm 1979) of n p-values in place; NaNs are no tests and stay. */
void statistics_holm(double *p, size_t n);

#endif

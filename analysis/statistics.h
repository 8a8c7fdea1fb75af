/*
 * Statistics of repeated runs: mean and standard deviation over seeds, Student's paired test, analysis of variance,
 * Holm's correction.
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

/* P(F ≥ f) of Fisher's F with `above` and `below` degrees of freedom (numerator, denominator); NaN when f is. */
double statistics_f_p(double f, double above, double below);

/* The t that P(|T| ≥ t) = p of Student's t with `degrees` (1 or more) degrees of freedom, 0 < p < 1. */
double statistics_student_quantile(double p, double degrees);

/* With fewer repetitions no p is given: two of them estimate the spread that it rests on from a single difference. */
enum { STATISTICS_LEAST = 3 };

/*
 * Two-sided p of the hypothesis that a and b differ by 0 on average, pair by pair. NaN for fewer pairs than
 * STATISTICS_LEAST, and where all differences are equal and not 0: without any spread there is nothing to hold them
 * against. 1 where all are 0.
 */
double statistics_paired_p(const double *a, const double *b, size_t n);

/* What an analysis of variance finds: the mean square that is left over, on so many degrees of freedom, and the p of
 * the hypothesis that all groups are alike. NaN where there are no degrees of freedom; p also where groups differ and
 * nothing is left over. */
typedef struct variance {
    double error, degrees, p;
} variance;

/* Groups are the columns of a table whose rows are repetitions, each with a level of its own (randomised blocks). */
variance statistics_blocks(const double *table, size_t rows, size_t cols);

/* Groups by themselves: x[i] belongs to group[i] < groups, all of which have members. */
variance statistics_groups(const double *x, const size_t *group, size_t n, size_t groups);

/*
 * Repetitions that tell two groups apart with a chance of at least 80 % by a paired test at 5 % (two-sided), if they
 * truly differ by `difference`. `error` is the mean square left over so far, on `degrees` degrees of freedom: since so
 * few repetitions may well have underestimated it, its upper 80 % limit is taken. At least STATISTICS_LEAST, at most a
 * million; 0 when the difference is 0 or the error is not known.
 */
size_t statistics_repetitions(double difference, double error, double degrees);

/* Holm's step-down correction (Holm 1979) of n p-values in place; NaNs are no tests and stay. */
void statistics_holm(double *p, size_t n);

#endif

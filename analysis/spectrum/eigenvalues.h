/*
 * Eigenvalues of symmetric matrices, without their vectors, by LAPACK.
 */
#ifndef MEWS_ANALYSIS_EIGENVALUES_H
#define MEWS_ANALYSIS_EIGENVALUES_H

#include <stdbool.h>
#include <stddef.h>

/* Of a (d, d), whose half 'U' or 'L' (column by column) is read: values (d), from the least. a is overwritten. False
 * where they do not converge. */
bool eigenvalues(double *a, char half, size_t d, double *values);

/* Of a x = λ b x, b positive definite; upper halves. Both are overwritten. */
bool eigenvalues_of_pair(double *a, double *b, size_t d, double *values);

#endif

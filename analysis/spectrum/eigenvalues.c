/*
 * OpenBLAS shares every step of a reduction among the threads, also where a step is a small matrix times a vector: up
 * to CALM columns they would do little but wait for each other. Within a parallel region it takes one thread, so that
 * one of a team computes and the others sleep. With that the values are the same for any number of threads.
 */
#include "analysis/spectrum/eigenvalues.h"

#include <lapacke.h>

enum { CALM = 1024 };

bool eigenvalues(double *a, char half, size_t d, double *values) {
    lapack_int n = (lapack_int)d, info = 0;
#pragma omp parallel if (d <= CALM)
#pragma omp single
    info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', half, n, a, n, values);
    return info == 0;
}

bool eigenvalues_of_pair(double *a, double *b, size_t d, double *values) {
    lapack_int n = (lapack_int)d, info = 0;
#pragma omp parallel if (d <= CALM)
#pragma omp single
    info = LAPACKE_dsygvd(LAPACK_COL_MAJOR, 1, 'N', 'U', n, a, n, b, n, values);
    return info == 0;
}

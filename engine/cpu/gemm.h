/*
 * Products by OpenBLAS, and how the rows of a tall matrix are shared out among threads: in runs that stay in the
 * second-level cache from one product to the next, each run's products on one thread (OpenBLAS starts no team within a
 * team). Runs go to threads in order and what threads sum up is added in order, so bits depend only on how many threads
 * there are.
 */
#ifndef MEWS_GEMM_H
#define MEWS_GEMM_H

#include "engine/cpu/cpu.h"

#include <cblas.h>
#include <omp.h>

static inline CBLAS_TRANSPOSE gemm_flip(bool transpose) { return transpose ? CblasTrans : CblasNoTrans; }

/* c (m×n) = α·op(a)·op(b), added to c if asked; leading dimensions are those of the row-major operands as stored. */
static inline void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const real *a, int64_t lda,
                        const real *b, int64_t ldb, bool add, real *c) {
    cblas_rgemm(CblasRowMajor, gemm_flip(ta), gemm_flip(tb), (blasint)m, (blasint)n, (blasint)k, (real)alpha, a,
                (blasint)lda, b, (blasint)ldb, add ? 1 : 0, c, (blasint)n);
}

typedef struct runs {
    int64_t rows, step, count;
} runs;

/* At most `most` rows a run, and as many runs for each thread. */
static inline runs runs_of(int64_t rows, int64_t most, int threads) {
    int64_t count = (rows + most - 1) / most;
    count = (count + threads - 1) / threads * threads;
    int64_t step = (rows + count - 1) / count;
    return (runs){rows, step, (rows + step - 1) / step};
}

static inline int64_t run_first(runs r, int64_t k) { return k * r.step; }
static inline int64_t run_rows(runs r, int64_t k) { return (k + 1) * r.step < r.rows ? r.step : r.rows - k * r.step; }

/* The runs of one thread of a team: [first, last). */
static inline void runs_share(runs r, int64_t *first, int64_t *last) {
    int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    *first = r.count * thread / team, *last = r.count * (thread + 1) / team;
}

/* sums[cols] += the columns of x (rows, cols). */
static inline void add_columns(const real *x, int64_t rows, int64_t cols, double *sums) {
    for (int64_t r = 0; r < rows; r++)
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) sums[c] += (double)x[r * cols + c];
}

/* to[count] (+)= Σ over `threads` partial sums that stand `stride` apart, in order. */
void cpu_sum_partial(const real *partial, int64_t threads, int64_t stride, int64_t count, bool add, real *to);
void cpu_sum_partial_double(const double *partial, int64_t threads, int64_t stride, int64_t count, bool add, real *to);

/* to[cols] (+)= the columns of x (rows, cols), stored in bfloat16 where `brief`, summed up; the same for any number of
   threads. linear.c */
bool cpu_sum_rows(backend *b, const void *x, bool brief, int64_t rows, int64_t cols, bool add, real *to);

#endif

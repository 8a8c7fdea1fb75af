/*
 * The ops, as a method or a backbone calls them. Shapes stand beside each; n rows are samples. Every op records its
 * caller's place, so that a shape error names the line in your file. Matrices broadcast: a dimension of 1 meets any.
 */
#ifndef MEWS_OPS_H
#define MEWS_OPS_H

#include "engine/tape.h"

/* Images (N,H,W,C) ------------------------------------------------------------------------------------------------ */

/* w (out, in, k, k), bias (1, out) or NULL → (N, H', W', out), H' = (H + 2·padding − k)/stride + 1. */
tensor *op_conv2d(tape *t, tensor *x, tensor *w, tensor *bias, int stride, int padding);

tensor *op_avg_pool(tape *t, tensor *x, int size); /* windows of size×size, side by side; a remainder is left out */
tensor *op_max_pool(tape *t, tensor *x, int size, int stride, int padding);
tensor *op_global_pool(tape *t, tensor *x); /* mean over pixels → matrix (N, C) */

/* Images or matrices ---------------------------------------------------------------------------------------------- */

/*
 * Batch normalisation (Ioffe & Szegedy 2015) per channel or column, then + residual (or NULL), then ReLU if asked.
 * gamma, beta (1, C), or both NULL for none. In training the statistics are those of each of `groups` equal runs of
 * samples (one per view), and mean and var (1, C) move by `momentum` towards each group's in turn (variance unbiased);
 * in evaluation mean and var are used.
 */
typedef struct batchnorm {
    tensor *gamma, *beta, *mean, *var;
    double momentum, eps;
} batchnorm;
tensor *op_batchnorm(tape *t, tensor *x, const batchnorm *bn, tensor *residual, bool relu, int groups, bool training);

tensor *op_relu(tape *t, tensor *x);
tensor *op_leaky_relu(tape *t, tensor *x, double slope);
tensor *op_tanh(tape *t, tensor *x);
tensor *op_gelu(tape *t, tensor *x); /* x·Φ(x), exact */
tensor *op_add(tape *t, tensor *a, tensor *b);

/* Matrices (rows, cols) ------------------------------------------------------------------------------------------- */

tensor *op_linear(tape *t, tensor *x, tensor *w, tensor *bias); /* x (n,in) · w (out,in)ᵀ + bias (1,out) */
tensor *op_matmul(tape *t, tensor *a, bool transpose_a, tensor *b, bool transpose_b, double alpha); /* α·A·B */
tensor *op_sub(tape *t, tensor *a, tensor *b);
tensor *op_mul(tape *t, tensor *a, tensor *b); /* elementwise */
tensor *op_div(tape *t, tensor *a, tensor *b);
tensor *op_affine(tape *t, tensor *x, double scale, double shift); /* scale·x + shift */
tensor *op_scale(tape *t, tensor *x, double scale);
tensor *op_exp(tape *t, tensor *x);
tensor *op_log(tape *t, tensor *x);
tensor *op_sqrt(tape *t, tensor *x); /* its gradient at 0 is 0, as of a deviation or a norm */
tensor *op_sin(tape *t, tensor *x);
tensor *op_cos(tape *t, tensor *x);
tensor *op_abs(tape *t, tensor *x);          /* its gradient at 0 is 0 */
tensor *op_l2_normalize(tape *t, tensor *x); /* rows / max(‖row‖, 1e-12) */
tensor *op_softmax(tape *t, tensor *x);      /* over each row */
tensor *op_log_softmax(tape *t, tensor *x);
tensor *op_logsumexp(tape *t, tensor *x, op_axis axis); /* AXIS_ROWS → (1,c), AXIS_COLS → (n,1) */
tensor *op_sum(tape *t, tensor *x, op_axis axis);
tensor *op_mean(tape *t, tensor *x, op_axis axis);
tensor *op_sum_squares(tape *t, tensor *x);                /* Σ x² → 1×1 */
tensor *op_mean_squares(tape *t, tensor *x);               /* the same over the number of values */
tensor *op_diagonal(tape *t, tensor *x);                   /* (c,c) → (1,c) */
tensor *op_add_diagonal(tape *t, tensor *x, double value); /* x (c,c) + value·I */
tensor *op_cholesky(tape *t, tensor *x); /* symmetric, positive definite (c,c) → lower L with L·Lᵀ = x */
tensor *op_triangular_solve(tape *t, tensor *x, tensor *l); /* L⁻¹ on each row of x (n,c): X·L⁻ᵀ; l (c,c) lower */
tensor *op_logdet(tape *t, tensor *x);       /* log of the determinant of a symmetric, positive definite x → 1×1 */
tensor *op_inverse_root(tape *t, tensor *x); /* the same kind of x (c,c) → symmetric R with R·R = x⁻¹ (ZCA) */
tensor *op_nuclear_norm(tape *t, tensor *x, int64_t groups); /* Σ singular values of each of `groups` equal runs of rows
                                                                 (groups·r,c) → (groups,1) */
tensor *op_slice_rows(tape *t, tensor *x, int64_t first, int64_t count);
tensor *op_concat_rows(tape *t, tensor *a, tensor *b);
tensor *op_concat_cols(tape *t, tensor *a, tensor *b);
tensor *op_reshape(tape *t, tensor *x, int64_t rows, int64_t cols); /* the same values, row by row */
tensor *op_sort(tape *t, tensor *x);                                /* each column by itself, ascending */

/* −(1/n) Σ_i Σ_j exp(log_p_ij)·log_q_ij → 1×1; both (n,c) hold log-probabilities and both receive gradients. */
tensor *op_soft_cross_entropy(tape *t, tensor *log_p, tensor *log_q);

/* Statistics of the batch. ---------------------------------------------------------------------------------------- */
int64_t batch_size(const tensor *x);      /* samples in the whole batch */
tensor *op_batch_sum(tape *t, tensor *x); /* (n,c) → (1,c) */
tensor *op_batch_mean(tape *t, tensor *x);
tensor *op_batch_logmeanexp(tape *t, tensor *x); /* log (1/n) Σ_i exp x_ij → (1,c) */
/* Rows of every peer's x (groups·n, c), group by group and in each by rank → (groups·n·peers, c); x itself where there
 * are none. */
tensor *op_gather_rows(tape *t, tensor *x, int groups);

#define MEWS_AT(t) tape_at(t, __FILE__, __LINE__)
#define op_conv2d(t, ...) op_conv2d(MEWS_AT(t), __VA_ARGS__)
#define op_avg_pool(t, ...) op_avg_pool(MEWS_AT(t), __VA_ARGS__)
#define op_max_pool(t, ...) op_max_pool(MEWS_AT(t), __VA_ARGS__)
#define op_global_pool(t, ...) op_global_pool(MEWS_AT(t), __VA_ARGS__)
#define op_batchnorm(t, ...) op_batchnorm(MEWS_AT(t), __VA_ARGS__)
#define op_relu(t, ...) op_relu(MEWS_AT(t), __VA_ARGS__)
#define op_leaky_relu(t, ...) op_leaky_relu(MEWS_AT(t), __VA_ARGS__)
#define op_tanh(t, ...) op_tanh(MEWS_AT(t), __VA_ARGS__)
#define op_gelu(t, ...) op_gelu(MEWS_AT(t), __VA_ARGS__)
#define op_add(t, ...) op_add(MEWS_AT(t), __VA_ARGS__)
#define op_linear(t, ...) op_linear(MEWS_AT(t), __VA_ARGS__)
#define op_matmul(t, ...) op_matmul(MEWS_AT(t), __VA_ARGS__)
#define op_sub(t, ...) op_sub(MEWS_AT(t), __VA_ARGS__)
#define op_mul(t, ...) op_mul(MEWS_AT(t), __VA_ARGS__)
#define op_div(t, ...) op_div(MEWS_AT(t), __VA_ARGS__)
#define op_affine(t, ...) op_affine(MEWS_AT(t), __VA_ARGS__)
#define op_scale(t, ...) op_scale(MEWS_AT(t), __VA_ARGS__)
#define op_exp(t, ...) op_exp(MEWS_AT(t), __VA_ARGS__)
#define op_log(t, ...) op_log(MEWS_AT(t), __VA_ARGS__)
#define op_sqrt(t, ...) op_sqrt(MEWS_AT(t), __VA_ARGS__)
#define op_sin(t, ...) op_sin(MEWS_AT(t), __VA_ARGS__)
#define op_cos(t, ...) op_cos(MEWS_AT(t), __VA_ARGS__)
#define op_abs(t, ...) op_abs(MEWS_AT(t), __VA_ARGS__)
#define op_l2_normalize(t, ...) op_l2_normalize(MEWS_AT(t), __VA_ARGS__)
#define op_softmax(t, ...) op_softmax(MEWS_AT(t), __VA_ARGS__)
#define op_log_softmax(t, ...) op_log_softmax(MEWS_AT(t), __VA_ARGS__)
#define op_logsumexp(t, ...) op_logsumexp(MEWS_AT(t), __VA_ARGS__)
#define op_sum(t, ...) op_sum(MEWS_AT(t), __VA_ARGS__)
#define op_mean(t, ...) op_mean(MEWS_AT(t), __VA_ARGS__)
#define op_sum_squares(t, ...) op_sum_squares(MEWS_AT(t), __VA_ARGS__)
#define op_mean_squares(t, ...) op_mean_squares(MEWS_AT(t), __VA_ARGS__)
#define op_diagonal(t, ...) op_diagonal(MEWS_AT(t), __VA_ARGS__)
#define op_add_diagonal(t, ...) op_add_diagonal(MEWS_AT(t), __VA_ARGS__)
#define op_cholesky(t, ...) op_cholesky(MEWS_AT(t), __VA_ARGS__)
#define op_triangular_solve(t, ...) op_triangular_solve(MEWS_AT(t), __VA_ARGS__)
#define op_logdet(t, ...) op_logdet(MEWS_AT(t), __VA_ARGS__)
#define op_inverse_root(t, ...) op_inverse_root(MEWS_AT(t), __VA_ARGS__)
#define op_nuclear_norm(t, ...) op_nuclear_norm(MEWS_AT(t), __VA_ARGS__)
#define op_slice_rows(t, ...) op_slice_rows(MEWS_AT(t), __VA_ARGS__)
#define op_concat_rows(t, ...) op_concat_rows(MEWS_AT(t), __VA_ARGS__)
#define op_concat_cols(t, ...) op_concat_cols(MEWS_AT(t), __VA_ARGS__)
#define op_reshape(t, ...) op_reshape(MEWS_AT(t), __VA_ARGS__)
#define op_sort(t, ...) op_sort(MEWS_AT(t), __VA_ARGS__)
#define op_soft_cross_entropy(t, ...) op_soft_cross_entropy(MEWS_AT(t), __VA_ARGS__)
#define op_batch_sum(t, ...) op_batch_sum(MEWS_AT(t), __VA_ARGS__)
#define op_batch_mean(t, ...) op_batch_mean(MEWS_AT(t), __VA_ARGS__)
#define op_batch_logmeanexp(t, ...) op_batch_logmeanexp(MEWS_AT(t), __VA_ARGS__)
#define op_gather_rows(t, ...) op_gather_rows(MEWS_AT(t), __VA_ARGS__)

#endif

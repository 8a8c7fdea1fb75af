/*
 * Ops on tokens, of which transformers are made. Tokens are a matrix: the T rows of the first sample, then those of the
 * second, and so on, (N·T, D). Nothing here keeps a T×T matrix: memory grows with the number of tokens, not its square.
 */
#ifndef MEWS_TOKENS_H
#define MEWS_TOKENS_H

#include "engine/ops.h"

/* Layer normalisation (Ba et al. 2016) of each row: gamma·(x − mean)/√(var + eps) + beta; gamma, beta (1, D). */
tensor *op_layernorm(tape *t, tensor *x, tensor *gamma, tensor *beta, double eps);

/* The same, for what a block's products read: stored in bfloat16 while activations are. */
tensor *op_branch_norm(tape *t, tensor *x, tensor *gamma, tensor *beta, double eps);

/*
 * Multi-head self-attention (Vaswani et al. 2017): qkv (N·T, 3D), its columns q, k, v and in each of them head after
 * head, → softmax(q·kᵀ/√(D/heads))·v of each sample and head for its first `queries` tokens, (N·queries, D); all T
 * where later layers read them all. The softmax is streamed over blocks of keys (Milakov & Gimelshein 2018; Dao et al.
 * 2022): forward keeps a logarithm a row and head, and backward makes the probabilities again. D/heads must be a
 * multiple of 16.
 */
tensor *op_attention(tape *t, tensor *qkv, int64_t tokens, int64_t heads, int64_t queries);

/*
 * The block's second half: GELU(x·W1ᵀ + b1)·W2ᵀ + b2 with W1 (h, D), b1 (1, h), W2 (D, h), b2 (1, D). Rows pass through
 * both layers in runs that fit the cache. `keep`: what comes before the GELU is kept for backward, (N·T, h); else it is
 * computed again there, for a sixth more multiplications of this op.
 */
tensor *op_feed_forward(tape *t, tensor *x, tensor *w1, tensor *b1, tensor *w2, tensor *b2, bool keep);

/*
 * x + s_n·gamma ⊙ y: a block's residual connection. gamma (1, D) is LayerScale's (Touvron et al. 2021), s (N, 1) a
 * factor for each sample, whose tokens are N-ths of the rows: 0 drops the branch (stochastic depth, Huang et al. 2016).
 * NULL for either leaves it out.
 */
tensor *op_residual(tape *t, tensor *x, tensor *y, tensor *gamma, tensor *samples);

/* Images in patches of p×p pixels side by side, row by row, each through one linear layer: w (D, C, p, p), bias (1, D)
   → (N·P, D). The patches must divide the images. */
tensor *op_patch_embed(tape *t, tensor *images, tensor *w, tensor *bias);

/*
 * What the first block reads: before each sample's P patches (N·P, D) its class token (1, D), or NULL, and its
 * registers (R, D), or NULL. Positions (P, D) are added to the patches; of (P + 1, D) the first row goes to the class
 * token. NULL: none.
 */
tensor *op_tokens(tape *t, tensor *patches, int64_t samples, tensor *class_token, tensor *registers, tensor *positions);

/* Of each sample's tokens those that `kept` (N·K, 1) numbers from 0, each at most once: (N·T, D) → (N·K, D). No
   gradient flows to the numbers. */
tensor *op_keep_tokens(tape *t, tensor *x, tensor *kept, int64_t samples);

/* The mean of `count` tokens of each sample from `first` on: (N·T, D) → (N, D). */
tensor *op_pool_tokens(tape *t, tensor *x, int64_t tokens, int64_t first, int64_t count);

#define op_layernorm(t, ...) op_layernorm(MEWS_AT(t), __VA_ARGS__)
#define op_branch_norm(t, ...) op_branch_norm(MEWS_AT(t), __VA_ARGS__)
#define op_attention(t, ...) op_attention(MEWS_AT(t), __VA_ARGS__)
#define op_feed_forward(t, ...) op_feed_forward(MEWS_AT(t), __VA_ARGS__)
#define op_residual(t, ...) op_residual(MEWS_AT(t), __VA_ARGS__)
#define op_patch_embed(t, ...) op_patch_embed(MEWS_AT(t), __VA_ARGS__)
#define op_tokens(t, ...) op_tokens(MEWS_AT(t), __VA_ARGS__)
#define op_keep_tokens(t, ...) op_keep_tokens(MEWS_AT(t), __VA_ARGS__)
#define op_pool_tokens(t, ...) op_pool_tokens(MEWS_AT(t), __VA_ARGS__)

#endif

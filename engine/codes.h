/*
 * Dictionaries of codes, and the ops that meet them. A dictionary is a matrix W (f, c), one column a code, but a
 * million codes need not be a matrix in memory:
 *
 *   dense      W as it is: Gaussian, orthogonal in blocks, or learned
 *   signs      W ∈ {−1,+1} drawn at random, one bit an element; products look up sums of four features at a time
 *   hadamard   W = [D_1 H | D_2 H | …] truncated to c columns
 *
 * There H is the F×F Hadamard matrix, F the power of two at or above f, of which f rows at random are kept, and D_b are
 * random ±1 diagonals. Nothing but the diagonals is stored, and a product is a fast Walsh-Hadamard transform, O(c log
 * f) a row. Codes of one block are orthogonal (exactly when F = f); between blocks their cosines have mean 0 and
 * variance 1/f, as random signs have; W Wᵀ = c·I when c is a multiple of F. The columns are not shuffled: no use of
 * codes minds their order.
 */
#ifndef MEWS_CODES_H
#define MEWS_CODES_H

#include "engine/parameters.h"

typedef enum dictionary_law {
    DICTIONARY_RADEMACHER, /* ±1, even odds, frozen */
    DICTIONARY_HADAMARD,   /* as above, frozen */
    DICTIONARY_ORTHOGONAL, /* blocks of f columns of random orthogonal matrices (Haar), times √f; frozen */
    DICTIONARY_GAUSSIAN,   /* standard normal, frozen */
    DICTIONARY_LEARNED,    /* starts as random signs and receives a gradient */
} dictionary_law;
extern const char *const dictionary_names[]; /* NULL-terminated, for a field's choices */

typedef struct dictionary {
    code_kind kind;
    int64_t features, codes; /* f, c */
    bool split;              /* over the backend's peers */
    int64_t own;             /* codes of this process: c unless it is split */
    int64_t place;           /* of its first code in `values` */
    tensor *values;          /* dense, signs: (f, c) or what is held of it; hadamard: (blocks, F), the diagonals */
    tensor *position;        /* hadamard with f < F: (1, f), the rows of H that are kept; else NULL */
} dictionary;

/*
 * Adds the parameter `name` (and `name`.rows) and fills in `d`. `split`: where the backend has peers each of K has c/K
 * of the codes as its own, whole blocks of Hadamard codes, and holds no others; but rank 0 holds all, for
 * op_code_logits. A learned dictionary cannot be split. ERROR_USAGE where somebody would have none.
 */
bool dictionary_create(dictionary *d, parameters *p, const char *name, dictionary_law law, int64_t features,
                       int64_t codes, bool split, error *err);

/* α·H·W: h (n, f) → (n, c). Of a dictionary that is split rank 0 alone can tell, by itself. */
tensor *op_code_logits(tape *t, tensor *h, const dictionary *d, double alpha);

/*
 * FALCON's loss on the logits Z = α·H·W, without an (n, c) matrix where `memory` bytes do not hold it: h (2n, f), first
 * views above second ones → (2, 1): the invariance −(1/n) Σ_i Σ_j p_ij log p'_ij and how far the mean assignments are
 * from uniform, forward −(1/c) Σ_j log p̄_j or reverse Σ_j p̄_j log(c·p̄_j); `symmetric` takes the mean of both over both
 * orders of the views. log p̄, a log-sum-exp over the rows, is the one statistic of the batch in it. The bits do not
 * depend on `memory`.
 *
 * Of a dictionary that is split each process computes the logits of all 2n rows with its own codes, so `memory`, time
 * and what is kept are those of c/K codes. h is the same everywhere, and so is what comes out. Of all that the loss
 * asks for, log p̄_j alone belongs to a code and stays where the code is; what runs over codes meets:
 *
 *   forward   of each row the largest logit and Σ_j exp z_ij from there          gathered, 2n·16 bytes a process
 *             of each row Σ_j p_ij log p'_ij and the prior's sum, and the prior  gathered, 2n·16 + 32 bytes
 *   backward  dH = α·dZ·Wᵀ, a sum over codes                                     added up, 2n·f·4 bytes
 *
 * Added in the order of ranks, but for dH: MPI's sum has the same bits everywhere, for the same K.
 */
typedef struct code_match {
    double alpha;
    bool reverse, symmetric;
    int64_t memory;
} code_match;
tensor *op_code_match(tape *t, tensor *h, const dictionary *d, code_match with);

/* Reals that op_code_match keeps: statistics of rows and codes, and a row of logits, padded off powers of two. */
static inline int64_t code_match_statistics(int64_t rows, int64_t codes) { return 3 * rows + 2 * codes; }
static inline int64_t code_match_stride(int64_t codes) { return (codes + 15) / 16 * 16 + 16; }

#define op_code_logits(t, ...) op_code_logits(MEWS_AT(t), __VA_ARGS__)
#define op_code_match(t, ...) op_code_match(MEWS_AT(t), __VA_ARGS__)

#endif

/*
 * Products with a dictionary of codes, a block of codes at a time, so that a loss can stream over a million of them.
 * Z (rows, c) = α·H (rows, f)·W (f, c) with W stored as engine/codes.h says. The block is fixed by the shapes, never by
 * the memory there is: whether a value is kept or computed again, its bits are the same.
 */
#ifndef MEWS_CPU_CODES_H
#define MEWS_CPU_CODES_H

#include "engine/codes.h"
#include "engine/cpu/cpu.h"

typedef struct code_product {
    backend *backend;
    code_kind kind;
    int64_t rows, features, codes;   /* codes: of this process */
    int64_t place, held;             /* of the first of them among those in `values`; those (dense) */
    int64_t block;                   /* codes taken at once; a multiple of 64, and of F for Hadamard codes */
    int64_t order;                   /* F: length of the transform */
    const tensor *values, *position; /* of the dictionary */
    real alpha;
    const real *h;      /* (rows, f), or (rows, F) with the features at their places in the transform */
    real *placed;       /* that (rows, F), when it is not H itself */
    real *sum;          /* (rows, F): gradient of `placed` */
    real *scratch;      /* per thread */
    int64_t per_thread; /* values of scratch */
} code_product;

/* For a node whose first inputs are H, values and position. False when out of memory: code_product_end all the same. */
bool code_product_begin(code_product *p, backend *b, const node *n);
void code_product_end(code_product *p);

/* All of these: false when out of memory. */

/* z (rows, count), leading dimension ld: codes first … first + count − 1 of Z; first is a multiple of the block. */
bool code_product_forward(const code_product *p, int64_t first, int64_t count, real *z, int64_t ld);

/* to (rows, f) = (add ? to : 0) + α·dZ·Wᵀ: begin, every block in order, end. */
bool code_product_gradient_begin(code_product *p, bool add, real *to);
bool code_product_gradient(const code_product *p, int64_t first, int64_t count, const real *dz, int64_t ld, real *to);
void code_product_gradient_end(const code_product *p, real *to);

/* Dense dictionaries: the block's columns of dW (f, c) = (add ? dW : 0) + α·Hᵀ·dZ. */
bool code_product_weights(const code_product *p, int64_t first, int64_t count, const real *dz, int64_t ld, bool add,
                          real *dw);

/* ---- hadamard.c: y_j = Σ_k (−1)^popcount(j & k) x_k in place; length is a power of two. */
void hadamard_transform(real *x, int64_t length);

/* ---- signs.c: matrices of ±1, one bit an element, packed along both dimensions. */

/* Reals that a (rows, cols) matrix of signs takes. */
int64_t signs_layout(int64_t rows, int64_t cols);
/* Rows first … first + count − 1 from and to numbers; first is a multiple of 32. What is not negative is +1. */
void signs_write(tensor *t, int64_t first, int64_t count, const float *host);
void signs_read(const tensor *t, float *host);

/* Reals of scratch per thread for products with vectors of `length`. */
int64_t signs_scratch(int64_t length);

/* out (rows, count) = scale·x (rows, length)·S, S the block of W, or (transposed) of Wᵀ, added to out where `add`.
   Features or codes `first` to first + count − 1, out's columns, for the sums over `from` … from + length − 1; first
   is a multiple of 16, from of 32. `brief`: with AVX512-BF16, sums of four values of x may be rounded to bfloat16. */
void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread, bool brief);

#endif

/*
 * Products of bfloat16 by tiles of 16 rows of 32 numbers, with sums in floats: by the processor's own (AMX), which
 * multiplies two tiles at once, or by AVX512-BF16, which adds the products of two numbers to each sum of a register.
 * Sums run in the order of memory, so bits do not depend on how the work is shared out; they differ between the two.
 *
 * Linux lends a process AMX's tiles when it asks (isa.h). A thread configures its own before it multiplies and gives
 * them back.
 */
#ifndef MEWS_TILES_H
#define MEWS_TILES_H

#include "engine/cpu/bfloat16.h"
#include "engine/cpu/convolution.h"

#if defined(__AVX512BF16__) && !defined(MEWS_DOUBLE)
#define TILES_BUILT /* into this build of the kernels */
#include <immintrin.h>
#endif

/*
 * TILE_ROWS  rows of a tile, and columns of a tile of sums
 * TILE_DEPTH numbers in a row of the left factor
 * TILE_SIZE  numbers in a tile of either factor
 */
enum { TILE_ROWS = 16, TILE_DEPTH = 32, TILE_SIZE = TILE_ROWS * TILE_DEPTH };

/* Around a thread's products. */
void tiles_begin(const backend *b);
void tiles_end(const backend *b);

/*
 * c (+)= a·b for up to 32 rows times one or two tiles of columns. The left factor's tiles are [16 rows][32], the right
 * one's [16 pairs][16 columns][2], sums [16][row]. Distances in numbers: from tile to tile in depth (step), and to the
 * second tile of rows or columns (next; sums: down, right). Tiles hold zeros beyond `depth`; whole tiles may be read
 * and written, whatever `rows`.
 */
typedef struct tile_product {
    const bfloat *a, *b;
    int64_t a_next, a_step, b_next, b_step;
    float *c;
    int64_t c_down, c_right, c_row;
    int64_t depth;
    int rows, cols; /* rows in numbers, columns in tiles */
    bool add;
} tile_product;

void tiles_multiply(const backend *b, const tile_product *p);

#ifdef TILES_BUILT
/* Of 32 numbers the first 16, each with that 16 places behind it: a line of a right factor's tile. */
static inline __m512i tile_pairs(__m512i both) {
    const __m512i places = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                            21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(places, both);
}
#endif

/* 16×16 pairs of numbers, turned: between a left factor's tile and a right one's. Both on whole cache lines. */
void tile_turn(const uint32_t *from, uint32_t *to);

/* conv_tiles.c: convolutions over images in bfloat16, in blocks of channels, as direct sums. */
bool tiles_conv_takes(const conv_shape *s);
bool tiles_conv_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y);
bool tiles_conv_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add);
bool tiles_conv_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add);

#endif

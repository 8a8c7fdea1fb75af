/*
 * Matrices of ±1, one bit an element: packing and unpacking. Products with them are signs_permute.c's with AVX-512 and
 * signs_lookup.c's without. In double precision, for tests, a stretch of codes is unpacked here at a time and
 * multiplied by the BLAS.
 */
#include "engine/cpu/signs.h"

#include <cblas.h>
#include <string.h>

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* A few words more than the row needs: rows a power of two apart would share few lines of the cache. */
packing packing_of(const tensor *t, bool transposed) {
    int64_t rows = t->shape[0], cols = t->shape[1];
    uint32_t *words = (uint32_t *)(void *)t->data;
    packing across = {words, (rows + WORD - 1) / WORD, round_up(cols, STRIP) + PADDING};
    if (!transposed) return across;
    return (packing){words + across.deep * across.wide, (cols + WORD - 1) / WORD, round_up(rows, STRIP) + PADDING};
}

int64_t signs_layout(int64_t rows, int64_t cols) {
    tensor t = {.shape = {rows, cols}};
    packing a = packing_of(&t, false), b = packing_of(&t, true);
    return (int64_t)(((size_t)(a.deep * a.wide + b.deep * b.wide) * sizeof(uint32_t) + sizeof(real) - 1) /
                     sizeof(real));
}

void signs_write(tensor *t, int64_t first, int64_t count, const float *host) {
    packing a = packing_of(t, false), b = packing_of(t, true);
    int64_t cols = t->shape[1];
    if (first == 0) memset(t->data, 0, (size_t)signs_layout(t->shape[0], cols) * sizeof(real));
#pragma omp parallel for schedule(static) if (count * cols > 65536)
    for (int64_t column = 0; column < cols; column += WORD) {
        int64_t width = cols - column < WORD ? cols - column : WORD;
        uint32_t *down = a.words + first / WORD * a.wide + column, *along = b.words + column / WORD * b.wide + first;
        for (int64_t i = 0; i < count; i++) {
            const float *row = host + i * cols + column;
            uint32_t word = 0;
            for (int64_t j = 0; j < width; j++) {
                uint32_t plus = row[j] >= 0;
                word |= plus << j;
                down[i / WORD * a.wide + j] |= plus << i % WORD;
            }
            along[i] = word;
        }
    }
}

static real sign_at(packing p, int64_t along, int64_t at) {
    return p.words[along / WORD * p.wide + at] >> along % WORD & 1 ? 1 : -1;
}

void signs_read(const tensor *t, float *host) {
    packing p = packing_of(t, false);
    for (int64_t k = 0; k < t->shape[0]; k++)
        for (int64_t j = 0; j < t->shape[1]; j++) host[k * t->shape[1] + j] = (float)sign_at(p, k, j);
}

#ifdef MEWS_DOUBLE

enum { STRETCH = 256, ROWS_AT_ONCE = 64 };

int64_t signs_scratch(int64_t length) { return length * STRETCH; }

/* Rows are shared out by hand, in parts that do not depend on the threads: the BLAS would cut them by the threads. */
void signs_product(const tensor *w, bool transposed, int64_t rows, const real *x, int64_t ldx, int64_t from,
                   int64_t length, int64_t first, int64_t count, real scale, bool add, real *out, int64_t ldo,
                   real *scratch, int64_t per_thread, bool brief) {
    (void)per_thread, (void)brief;
    packing p = packing_of(w, transposed);
    for (int64_t j = 0; j < count; j += STRETCH) {
        int64_t n = count - j < STRETCH ? count - j : STRETCH;
#pragma omp parallel
        {
#pragma omp for schedule(static)
            for (int64_t k = 0; k < length; k++)
                for (int64_t i = 0; i < n; i++) scratch[k * n + i] = sign_at(p, from + k, first + j + i);
#pragma omp for schedule(static)
            for (int64_t r = 0; r < rows; r += ROWS_AT_ONCE) {
                int64_t some = rows - r < ROWS_AT_ONCE ? rows - r : ROWS_AT_ONCE;
                cblas_rgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)some, (blasint)n, (blasint)length,
                            scale, x + r * ldx, (blasint)ldx, scratch, (blasint)n, add ? 1 : 0, out + r * ldo + j,
                            (blasint)ldo);
            }
        }
    }
}

#endif

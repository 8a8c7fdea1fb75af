/*
 * By tiles: blocks of columns and of depth of the right factor are packed into tiles by all threads, then each thread
 * takes panels of rows of the left one, packs them and multiplies, and hands the sums on to c. What is packed is
 * rounded on the way; where a tile's numbers of one column lie side by side in memory and not in the tile, 16×16 pairs
 * are turned.
 */
#include "engine/cpu/gemm_brief.h"
#include "engine/cpu/gemm.h"
#include "engine/cpu/tiles.h"

/* One row of sums to c. */
static inline __attribute__((always_inline)) void hand_on_to(const brief_product *p, int64_t row, int64_t first,
                                                             int64_t count, const real *sums, const bool add,
                                                             const real *bias) {
    const real alpha = p->alpha;
    void *to = value_at(p->c.data, row * p->c.row + first, p->c.brief);
    for (int64_t j = 0; j < count; j++) {
        real value = (add ? value_get(to, j, p->c.brief) : 0) + alpha * sums[j] + (bias ? bias[first + j] : 0);
        value_put(to, j, value, p->c.brief);
    }
}

static void hand_on(const brief_product *p, int64_t row, int64_t first, int64_t count, const real *sums, bool add,
                    const real *bias) {
    if (add)
        hand_on_to(p, row, first, count, sums, true, bias);
    else
        hand_on_to(p, row, first, count, sums, false, bias);
}

#ifndef TILES_BUILT

/* By OpenBLAS ------------------------------------------------------------------------------------------------------ */

/* An operand of (rows, cols) as reals that bfloat16 has, row by row as it is stored: `stored` lines of `length`. */
static real *widened(backend *b, const operand *x, int64_t rows, int64_t cols) {
    const int64_t lines = x->col == 1 ? rows : cols, length = x->col == 1 ? cols : rows;
    const int64_t step = x->col == 1 ? x->row : x->col;
    real *to = b->allocate(b, (size_t)(lines * length) * sizeof *to);
#pragma omp parallel for schedule(static) if (lines * length > 32768)
    for (int64_t i = 0; i < (to ? lines : 0); i++) {
        if (x->brief) {
            const bfloat *from = (const bfloat *)x->data + i * step;
            for (int64_t j = 0; j < length; j++) to[i * length + j] = bfloat_value(from[j]);
        } else {
            const real *from = (const real *)x->data + i * step;
            for (int64_t j = 0; j < length; j++) to[i * length + j] = bfloat_value(bfloat_round(from[j]));
        }
    }
    return to;
}

/* Straight into c where that is stored as sums are, and otherwise by way of them. */
static bool by_blas(backend *b, const brief_product *p) {
    const bool straight = !p->c.brief && !p->bias, ta = p->a.col != 1, tb = p->b.col != 1;
    real *left = widened(b, &p->a, p->m, p->k), *right = widened(b, &p->b, p->k, p->n);
    real *sums = straight ? (real *)p->c.data : b->allocate(b, (size_t)(p->m * p->n) * sizeof *sums);
    bool ok = left && right && sums;
    if (ok)
        cblas_rgemm(CblasRowMajor, gemm_flip(ta), gemm_flip(tb), (blasint)p->m, (blasint)p->n, (blasint)p->k,
                    straight ? p->alpha : 1, left, (blasint)(ta ? p->m : p->k), right, (blasint)(tb ? p->k : p->n),
                    straight && p->add ? 1 : 0, sums, (blasint)(straight ? p->c.row : p->n));
#pragma omp parallel for schedule(static) if (p->m * p->n > 32768)
    for (int64_t i = 0; i < (ok && !straight ? p->m : 0); i++) hand_on(p, i, 0, p->n, sums + i * p->n, p->add, p->bias);
    if (!straight) b->release(b, sums);
    b->release(b, right);
    b->release(b, left);
    return ok || cpu_fail(b, "out of memory");
}

#else

/* By tiles --------------------------------------------------------------------------------------------------------- */

/*
 *   PANEL   rows that a thread takes at a time
 *   COLUMNS of the right factor packed at a time
 *   DEPTH   likewise
 *   DOWN, ACROSS  rows and columns of sums that are multiplied, and handed on, at once
 */
enum { PANEL = 128, COLUMNS = 1024, DEPTH = 2048, DOWN = 2 * TILE_ROWS, ACROSS = 2 * TILE_ROWS };

/* Up to 32 numbers that lie side by side, as a line of a left factor's tile; zeros in place of the others. */
static inline __m512i take_line(const operand *x, int64_t at, __mmask32 there) {
    if (x->brief) return _mm512_maskz_loadu_epi16(there, (const bfloat *)x->data + at);
    const float *from = (const float *)x->data + at;
    const __m512 low = _mm512_maskz_loadu_ps((__mmask16)there, from);
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps((__mmask16)(there >> TILE_ROWS), from + TILE_ROWS), low);
}

/* Up to 16 numbers, each with that which lies `next` behind it, as a line of a right factor's tile. */
static inline __m512i take_pairs(const operand *x, int64_t at, int64_t next, __mmask16 there, __mmask16 also) {
    if (x->brief) {
        const bfloat *from = (const bfloat *)x->data + at;
        const __m512i first = _mm512_castsi256_si512(_mm256_maskz_loadu_epi16(there, from));
        return tile_pairs(_mm512_inserti64x4(first, _mm256_maskz_loadu_epi16(also, from + next), 1));
    }
    const float *from = (const float *)x->data + at;
    const __m512 first = _mm512_maskz_loadu_ps(there, from), second = _mm512_maskz_loadu_ps(also, from + next);
    return tile_pairs((__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* Lines from `at` on, whose numbers lie side by side, to tiles of a left factor: one line after the other. */
static void lines_pack(const operand *x, int64_t at, int64_t lines, int64_t depth, bfloat *to) {
    const int64_t steps = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const __mmask32 last = depth % TILE_DEPTH ? (1U << depth % TILE_DEPTH) - 1 : ~0U;
    for (int64_t i = 0; i < (lines + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; i++) {
        bfloat *line = to + i / TILE_ROWS * steps * TILE_SIZE + i % TILE_ROWS * TILE_DEPTH;
        for (int64_t k = 0; k < steps; k++, line += TILE_SIZE)
            _mm512_store_si512(line, i < lines
                                         ? take_line(x, at + i * x->row + k * TILE_DEPTH, k < steps - 1 ? ~0U : last)
                                         : _mm512_setzero_si512());
    }
}

/* Where the lines lie side by side, a tile of 16 of them, [16 pairs][16 lines]; and asks for the next 32 numbers, which
   are in other places of memory. */
static void pairs_pack(const operand *x, int64_t at, int64_t lines, int64_t depth, uint32_t *to) {
    const __mmask16 there = lines < TILE_ROWS ? (__mmask16)((1U << lines) - 1) : 0xffff;
    for (int64_t k = 0; k < TILE_DEPTH; k += 2) {
        const int64_t next = at + (k + TILE_DEPTH) * x->col;
        __builtin_prefetch(value_at(x->data, next, x->brief));
        __builtin_prefetch(value_at(x->data, next + x->col, x->brief));
        _mm512_store_si512(to + k / 2 * TILE_ROWS,
                           k < depth ? take_pairs(x, at + k * x->col, x->col, there, k + 1 < depth ? there : 0)
                                     : _mm512_setzero_si512());
    }
}

/* In the order of memory. */
void tiles_pack(const operand *x, int64_t lines, int64_t depth, bool by_pairs, bfloat *to) {
    uint32_t scratch[TILE_ROWS * TILE_ROWS] __attribute__((aligned(64)));
    const int64_t steps = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
    if (x->col == 1 && !by_pairs) {
        lines_pack(x, 0, lines, depth, to);
    } else if (x->col == 1) {
        for (int64_t i = 0; i < lines; i += TILE_ROWS)
            for (int64_t k = 0; k < depth; k += TILE_DEPTH, to += TILE_SIZE) {
                lines_pack(x, i * x->row + k, smaller(TILE_ROWS, lines - i), smaller(TILE_DEPTH, depth - k),
                           (bfloat *)scratch);
                tile_turn(scratch, (uint32_t *)to);
            }
    } else {
        for (int64_t k = 0; k < depth; k += TILE_DEPTH)
            for (int64_t i = 0; i < lines; i += TILE_ROWS) {
                uint32_t *tile = (uint32_t *)(to + (i / TILE_ROWS * steps + k / TILE_DEPTH) * TILE_SIZE);
                pairs_pack(x, i * x->row + k * x->col, lines - i, depth - k, by_pairs ? tile : scratch);
                if (!by_pairs) tile_turn(scratch, tile);
            }
    }
}

/* From element (i, k) on. */
static operand part_of(const operand *x, int64_t i, int64_t k) {
    operand part = *x;
    part.data = value_at(x->data, i * x->row + k * x->col, x->brief);
    return part;
}

/* The tile of signs that 16 words hold, a column each: for every bit that is not set, the sign of −1. */
static void unpack_signs(const uint32_t *words, uint32_t *to) {
    for (int pair = 0; pair < TILE_ROWS; pair++)
        for (int j = 0; j < TILE_ROWS; j++) {
            uint32_t two = words[j] >> 2 * pair;
            to[pair * TILE_ROWS + j] = 0xbf80bf80 ^ (two & 1) << 15 ^ (two >> 1 & 1) << 31;
        }
}

static void pack_right(const operand *x, int64_t first, int64_t cols, int64_t k, int64_t depth, bfloat *to) {
    if (x->signs) {
        unpack_signs((const uint32_t *)x->data + k / TILE_DEPTH * x->row + first, (uint32_t *)to);
    } else {
        const operand part = turned(part_of(x, k, first));
        tiles_pack(&part, smaller(cols, TILE_ROWS), smaller(depth, TILE_DEPTH), true, to);
    }
}

/* What is to be added to, while it is still far from being needed. */
static void ask_for(const operand *x, int64_t at, int64_t count) {
    const int64_t line = 64 / (int64_t)(x->brief ? sizeof(bfloat) : sizeof(real));
    for (int64_t j = 0; j < count; j += line) __builtin_prefetch(value_at(x->data, at + j, x->brief), 1);
}

/* One panel times the packed block: columns from `first` on, depth from `k` on. */
static void multiply_panel(const backend *b, const brief_product *p, int64_t row, int64_t rows, int64_t first,
                           int64_t cols, int64_t k, int64_t depth, const bfloat *right, bfloat *left, float *sums) {
    const int64_t steps = (depth + TILE_DEPTH - 1) / TILE_DEPTH, tiles = (cols + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t lines = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const bool add = p->add || k > 0, last = k + depth == p->k;
    const operand panel = part_of(&p->a, row, k);
    tiles_pack(&panel, rows, depth, false, left);
    for (int64_t j = 0; j < tiles; j += 2)
        for (int64_t i = 0; i < lines; i += 2) {
            const int64_t at = first + j * TILE_ROWS, some = smaller(ACROSS, cols - j * TILE_ROWS);
            const int64_t down = row + i * TILE_ROWS, high = smaller(DOWN, rows - i * TILE_ROWS);
            for (int64_t r = 0; add && r < high; r++) ask_for(&p->c, (down + r) * p->c.row + at, some);
            tile_product product = {.a = left + i * steps * TILE_SIZE,
                                    .a_next = steps * TILE_SIZE,
                                    .a_step = TILE_SIZE,
                                    .b = right + j * steps * TILE_SIZE,
                                    .b_next = steps * TILE_SIZE,
                                    .b_step = TILE_SIZE,
                                    .c = sums,
                                    .c_down = TILE_ROWS * ACROSS,
                                    .c_right = TILE_ROWS,
                                    .c_row = ACROSS,
                                    .depth = depth,
                                    .rows = (int)high,
                                    .cols = tiles - j < 2 ? 1 : 2};
            tiles_multiply(b, &product);
            for (int64_t r = 0; r < high; r++)
                hand_on(p, down + r, at, some, sums + r * ACROSS, add, last ? p->bias : NULL);
        }
}

static bool by_tiles(backend *b, const brief_product *p) {
    /* What is stored in bfloat16 must not be rounded between blocks of depth. */
    const int64_t deep = p->c.brief || p->k < DEPTH ? p->k : DEPTH, wide = smaller(p->n, COLUMNS);
    const int64_t steps = (deep + TILE_DEPTH - 1) / TILE_DEPTH, tiles = (wide + TILE_ROWS - 1) / TILE_ROWS;
    int64_t panels = (p->m + PANEL - 1) / PANEL;
    panels = (panels + b->threads - 1) / b->threads * b->threads;
    const int64_t pair = 2 * TILE_ROWS, panel = ((p->m + panels - 1) / panels + pair - 1) / pair * pair;
    const int64_t left = panel / TILE_ROWS * steps * TILE_SIZE * (int64_t)sizeof(bfloat);
    const int64_t per_thread = left + DOWN * ACROSS * (int64_t)sizeof(float);
    bfloat *right = b->allocate(b, (size_t)(tiles * steps * TILE_SIZE) * sizeof *right);
    char *scratch = b->allocate(b, (size_t)(b->threads * per_thread));
    const bool by_rows = p->b.col == 1;
    bool ok = right && scratch;
#pragma omp parallel num_threads(b->threads) if (ok)
    {
        char *own = scratch + (ok ? omp_get_thread_num() * per_thread : 0);
        if (ok) tiles_begin(b);
        for (int64_t first = 0; ok && first < p->n; first += wide)
            for (int64_t k = 0; k < p->k; k += deep) {
                const int64_t cols = smaller(wide, p->n - first), depth = smaller(deep, p->k - k);
                const int64_t down = (depth + TILE_DEPTH - 1) / TILE_DEPTH, across = (cols + TILE_ROWS - 1) / TILE_ROWS;
#pragma omp for schedule(static)
                for (int64_t t = 0; t < across * down; t++) {
                    /* Along what lies side by side in memory. */
                    const int64_t j = by_rows ? t % across : t / down, d = by_rows ? t / across : t % down;
                    pack_right(&p->b, first + j * TILE_ROWS, cols - j * TILE_ROWS, k + d * TILE_DEPTH,
                               depth - d * TILE_DEPTH, right + (j * down + d) * TILE_SIZE);
                }
#pragma omp for schedule(static)
                for (int64_t row = 0; row < p->m; row += panel)
                    multiply_panel(b, p, row, smaller(panel, p->m - row), first, cols, k, depth, right, (bfloat *)own,
                                   (float *)(own + left));
            }
        if (ok) tiles_end(b);
    }
    b->release(b, scratch);
    b->release(b, right);
    return ok || cpu_fail(b, "out of memory");
}

#endif

bool gemm_brief(backend *b, const brief_product *p) {
#ifdef TILES_BUILT
    return by_tiles(b, p);
#else
    return by_blas(b, p);
#endif
}

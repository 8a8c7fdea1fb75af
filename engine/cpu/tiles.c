#include "engine/cpu/tiles.h"

#ifdef TILES_BUILT

/* Two numbers, as one lane takes them. */
typedef int32_t pair_of __attribute__((may_alias));

/* The compiler does not know what the instructions read and write. */
#define MEMORY __asm__ volatile("" ::: "memory")

#define AMX __attribute__((target("amx-tile,amx-bf16"), noinline))

AMX static void configure(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.bytes[i] = TILE_DEPTH * sizeof(bfloat), config.rows[i] = TILE_ROWS;
    MEMORY;
    _tile_loadconfig(&config);
}

AMX static void give_back(void) { _tile_release(); }

void tiles_begin(const backend *b) {
    if (b->tiles) configure();
}

void tiles_end(const backend *b) {
    if (b->tiles) give_back();
}

/* Sums are in tiles 0 to 3, the left factor in 4 and 5, the right one in 6 and 7. */
AMX static void by_amx(const tile_product *p) {
    const int64_t row = TILE_DEPTH * sizeof(bfloat), c_row = p->c_row * (int64_t)sizeof(float);
    const bfloat *a = p->a, *b = p->b;
    float *c00 = p->c, *c01 = c00 + p->c_right, *c10 = c00 + p->c_down, *c11 = c10 + p->c_right;
    const int64_t steps = (p->depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const bool down = p->rows > TILE_ROWS, right = p->cols > 1;
    MEMORY;
    if (p->add) {
        _tile_loadd(0, c00, c_row);
        if (right) _tile_loadd(1, c01, c_row);
        if (down) _tile_loadd(2, c10, c_row);
        if (down && right) _tile_loadd(3, c11, c_row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    if (down && right)
        for (int64_t k = 0; k < steps; k++, a += p->a_step, b += p->b_step) {
            _tile_loadd(4, a, row);
            _tile_loadd(6, b, row);
            _tile_loadd(7, b + p->b_next, row);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, a + p->a_next, row);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    else if (down)
        for (int64_t k = 0; k < steps; k++, a += p->a_step, b += p->b_step) {
            _tile_loadd(4, a, row);
            _tile_loadd(5, a + p->a_next, row);
            _tile_loadd(6, b, row);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(2, 5, 6);
        }
    else
        for (int64_t k = 0; k < steps; k++, a += p->a_step, b += p->b_step) {
            _tile_loadd(4, a, row);
            _tile_loadd(6, b, row);
            _tile_dpbf16ps(0, 4, 6);
            if (!right) continue;
            _tile_loadd(7, b + p->b_next, row);
            _tile_dpbf16ps(1, 4, 7);
        }
    _tile_stored(0, c00, c_row);
    if (right) _tile_stored(1, c01, c_row);
    if (down) _tile_stored(2, c10, c_row);
    if (down && right) _tile_stored(3, c11, c_row);
    MEMORY;
}

/* DOTS rows of sums, for one or two tiles of columns, in registers. */
enum { DOTS = 8 };

static inline __attribute__((always_inline)) void dots(const tile_product *p, const bfloat *a, float *c, int cols) {
    const int64_t c_row = p->c_row, c_right = p->c_right; /* the compiler has to think that c may hold them */
    const bfloat *b = p->b;
    __m512 sums[DOTS][2];
    for (int i = 0; i < DOTS; i++)
        for (int j = 0; j < 2; j++)
            sums[i][j] = p->add && j < cols ? _mm512_loadu_ps(c + i * c_row + j * c_right) : _mm512_setzero_ps();
    for (int64_t left = p->depth; left > 0; left -= TILE_DEPTH, a += p->a_step, b += p->b_step) {
        const int pairs = left < TILE_DEPTH ? ((int)left + 1) / 2 : TILE_DEPTH / 2;
        for (int pair = 0; pair < pairs; pair++) {
            const bfloat *right = b + pair * 2 * TILE_ROWS;
            const __m512bh b0 = (__m512bh)_mm512_load_si512(right);
            const __m512bh b1 = cols > 1 ? (__m512bh)_mm512_load_si512(right + p->b_next) : b0;
#pragma GCC unroll 8
            for (int i = 0; i < DOTS; i++) {
                const __m512bh two = (__m512bh)_mm512_set1_epi32(((const pair_of *)(a + i * TILE_DEPTH))[pair]);
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], two, b0);
                if (cols > 1) sums[i][1] = _mm512_dpbf16_ps(sums[i][1], two, b1);
            }
        }
    }
    for (int i = 0; i < DOTS; i++)
        for (int j = 0; j < cols; j++) _mm512_storeu_ps(c + i * c_row + j * c_right, sums[i][j]);
}

static void by_dots(const tile_product *p) {
    for (int row = 0; row < p->rows; row += DOTS) {
        const bfloat *a = p->a + row / TILE_ROWS * p->a_next + row % TILE_ROWS * TILE_DEPTH;
        float *c = p->c + row / TILE_ROWS * p->c_down + row % TILE_ROWS * p->c_row;
        if (p->cols > 1)
            dots(p, a, c, 2);
        else
            dots(p, a, c, 1);
    }
}

void tiles_multiply(const backend *b, const tile_product *p) {
    if (b->tiles)
        by_amx(p);
    else
        by_dots(p);
}

/* In four steps squares of 8, 4, 2 and 1 beside the diagonal change places with those across it. */
void tile_turn(const uint32_t *from, uint32_t *to) {
    typedef uint32_t line __attribute__((vector_size(64), may_alias));
    line r[TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++) r[i] = ((const line *)from)[i];
#define EXCHANGE(d, kept, taken)                                                                                       \
    _Pragma("GCC unroll 16") for (int i = 0; i < TILE_ROWS; i++) if (!(i & (d))) {                                     \
        line a = r[i], z = r[i + (d)];                                                                                 \
        r[i] = __builtin_shufflevector(a, z, kept);                                                                    \
        r[i + (d)] = __builtin_shufflevector(a, z, taken);                                                             \
    }
#define PLACES(...) __VA_ARGS__
    EXCHANGE(8, PLACES(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
             PLACES(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    EXCHANGE(4, PLACES(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
             PLACES(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    EXCHANGE(2, PLACES(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
             PLACES(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    EXCHANGE(1, PLACES(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
             PLACES(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
    for (int i = 0; i < TILE_ROWS; i++) ((line *)to)[i] = r[i];
}

#endif

#include "engine/cpu/amx.h"

#ifdef AMX_BUILT
#include "engine/isa.h"

#include <immintrin.h>

#define TILES __attribute__((target("amx-tile,amx-bf16"), noinline))

/* The compiler does not know what the instructions read and write. */
#define MEMORY __asm__ volatile("" ::: "memory")

bool amx_available(void) { return isa_tiles(); }

TILES void amx_begin(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.bytes[i] = TILE_DEPTH * sizeof(bfloat), config.rows[i] = TILE_ROWS;
    MEMORY;
    _tile_loadconfig(&config);
}

TILES void amx_end(void) { _tile_release(); }

/* Sums are in tiles 0 to 3, the left factor in 4 and 5, the right one in 6 and 7. */
TILES void amx_multiply(const amx_product *p) {
    const int64_t row = TILE_DEPTH * sizeof(bfloat), c_row = p->c_row * (int64_t)sizeof(float);
    const bfloat *a = p->a, *b = p->b;
    float *c00 = p->c, *c01 = c00 + p->c_right, *c10 = c00 + p->c_down, *c11 = c10 + p->c_right;
    const bool down = p->rows > 1, right = p->cols > 1;
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
        for (int64_t k = 0; k < p->steps; k++, a += p->a_step, b += p->b_step) {
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
        for (int64_t k = 0; k < p->steps; k++, a += p->a_step, b += p->b_step) {
            _tile_loadd(4, a, row);
            _tile_loadd(5, a + p->a_next, row);
            _tile_loadd(6, b, row);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(2, 5, 6);
        }
    else
        for (int64_t k = 0; k < p->steps; k++, a += p->a_step, b += p->b_step) {
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

/* In four steps squares of 8, 4, 2 and 1 beside the diagonal change places with those across it. */
void amx_turn(const uint32_t *from, uint32_t *to) {
    typedef uint32_t line __attribute__((vector_size(64)));
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

#else

bool amx_available(void) { return false; }

#endif

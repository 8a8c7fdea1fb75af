/*
 * Images as Winograd's algorithm sees them: tiles that cover an image's outputs, squares of pixels out of one, sums
 * back into it. And what there is to choose of: how transforms are stored and multiplied.
 */
#ifndef MEWS_WINOGRAD_IMAGES_H
#define MEWS_WINOGRAD_IMAGES_H

#include "engine/cpu/convolution.h"
#include "engine/cpu/winograd_tiles.h"

/* Tiles cover an image's outputs; the last ones may reach over its edge. */
typedef struct grid {
    int64_t rows, cols, per_image, count;
} grid;

static inline grid grid_over(int64_t n, int64_t h, int64_t w) {
    grid g = {.rows = (h + TILE - 1) / TILE, .cols = (w + TILE - 1) / TILE};
    g.per_image = g.rows * g.cols;
    g.count = n * g.per_image;
    return g;
}

/* At least so many vectors, which fill an odd number of cache lines. */
static inline int64_t odd(int64_t vectors) {
    const int64_t per_line = 64 / (int64_t)sizeof(vec);
    return ((vectors + per_line - 1) / per_line | 1) * per_line;
}

/* `n` images in blocks of channels, and one block of one of them. */
typedef struct images {
    int64_t n, h, w, blocks;
    bool brief;  /* stored in bfloat16 */
    bool stream; /* written past the caches */
    void *data;
} images;

typedef struct picture {
    void *pixels;
    int64_t h, w;
} picture;

INLINE picture picture_of(const images *of, int64_t image, int64_t block, bool brief) {
    return (picture){value_at(of->data, (image * of->blocks + block) * of->h * of->w * BLOCK_LANES, brief), of->h,
                     of->w};
}

/* `side`×`side` pixels from (y, x) on, zero outside the image. */
INLINE void load_square(picture p, int64_t y, int64_t x, int side, vec *to, bool brief) {
    bool inside = y >= 0 && x >= 0 && y + side <= p.h && x + side <= p.w;
    if (inside) {
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) to[i * side + j] = pixel_get(p.pixels, (y + i) * p.w + x + j, brief);
        return;
    }
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            bool in = y + i >= 0 && y + i < p.h && x + j >= 0 && x + j < p.w;
            to[i * side + j] = in ? pixel_get(p.pixels, (y + i) * p.w + x + j, brief) : (vec){0};
        }
}

/* The pixels that tile `t` of a block's outputs are made from, and the tile's own. */
INLINE void input_square(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *d) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    if (in->brief)
        load_square(picture_of(in, image, block, true), y - padding, x - padding, HALO, d, true);
    else
        load_square(picture_of(in, image, block, false), y - padding, x - padding, HALO, d, false);
}

INLINE void output_square(const images *out, const grid *g, int64_t t, int64_t block, vec *d) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    if (out->brief)
        load_square(picture_of(out, image, block, true), y, x, TILE, d, true);
    else
        load_square(picture_of(out, image, block, false), y, x, TILE, d, false);
}

/* Aᵀ m A (+ bias) to the image, cut at its edges; added to what is there when `add`. */
INLINE void output_tile(const vec *m, int64_t stride, const vec *bias, const grid *g, int64_t t, int64_t block,
                        const images *to, bool add, bool brief) {
    int64_t image = t / g->per_image, k = t % g->per_image, y = k / g->cols * TILE, x = k % g->cols * TILE;
    vec out[TILE * TILE], half[TILE * HALO];
    for (int j = 0; j < HALO; j++) output_line(m + j * stride, HALO * stride, half + j, HALO);
    for (int i = 0; i < TILE; i++) output_line(half + i * HALO, 1, out + i * TILE, 1);
    const picture p = picture_of(to, image, block, brief);
    int64_t rows = p.h - y < TILE ? p.h - y : TILE, cols = p.w - x < TILE ? p.w - x : TILE, corner = y * p.w + x;
    if (rows == TILE && cols == TILE && !add) {
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j++)
                pixel_write(p.pixels, corner + i * p.w + j, out[i * TILE + j] + *bias, brief, to->stream);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            int64_t at = corner + i * p.w + j;
            vec before = add ? pixel_get(p.pixels, at, brief) : (vec){0};
            pixel_put(p.pixels, at, before + out[i * TILE + j] + *bias, brief);
        }
}

/* Windows of a channel for a block of outputs; `turned`: as the data gradient needs them, inputs and outputs exchanged
   and the window rotated by 180°. */
INLINE void window_take(const real *weights, int64_t in, int64_t out, bool turned, int64_t block, int64_t c, vec *to) {
    for (int l = 0; l < BLOCK_LANES; l++) {
        int64_t o = block * BLOCK_LANES + l;
        const real *from = weights + (turned ? c * out + o : o * in + c) * WINDOW * WINDOW;
        for (int i = 0; i < WINDOW * WINDOW; i++) to[i][l] = from[turned ? WINDOW * WINDOW - 1 - i : i];
    }
}

/*
 * Transforms as floats, or in bfloat16 two by two (winograd_brief.c). Of each tile and block of channels there is one
 * for every place of the 36, `stride` of them apart. A vector holds a block of outputs for one channel, or for two; in
 * the weight gradient, which sums over tiles, a block of channels of one tile or of two.
 */
typedef struct transforms {
    int together; /* 1, or 2 */
    void (*window)(const real *weights, int64_t in, int64_t out, bool turned, int64_t block, int64_t c, vec *to,
                   int64_t stride); /* channels c … of the input */
    void (*input)(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, void *to, int64_t stride);
    /* m[t][width] = Σ_c v[t][c]·u[c][width] for STEP tiles; v[block][tiles][lanes]. */
    void (*product)(const void *v, int64_t blocks, int64_t tiles, const vec *u, vec *m, int width);
    /* Tiles t …, which may end before. */
    void (*summed_input)(const images *in, int64_t padding, const grid *g, int64_t t, int64_t block, vec *to,
                         int64_t stride);
    void (*summed_gradient)(const images *out, const grid *g, int64_t t, int64_t block, vec *to, int64_t stride);
    /* sums[block][channels] (+)= Σ_t v[t][c]·m[block][t] for OUTER channels c; vectors of a block of m stand `run`
     * apart. */
    void (*outer)(const real *v, const vec *m, int64_t run, int64_t count, int64_t blocks, vec *sums, int64_t channels,
                  bool fresh);
} transforms;

#ifdef __AVX512BF16__
extern const transforms winograd_brief;
#endif

#endif

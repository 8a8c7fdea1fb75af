/*
 * Pooling over images. Windows are small and the lanes of a pixel lie side by side, so each output pixel is a short
 * sum of vectors; backward scatters the same way.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* A plane is one (sample, block): [height][width][lanes]. */
static int64_t plane_count(const tensor *t) { return t->shape[0] * (t->shape[3] / t->lanes); }

/* The functions of one plane are written out for both storages; channels go in pieces that fit registers. */
#define INLINE static inline __attribute__((always_inline))

static inline int piece(int64_t lanes, int64_t first) {
    return lanes - first < BLOCK_LANES ? (int)(lanes - first) : BLOCK_LANES;
}

INLINE void avg_plane(const node *n, int64_t p, bool brief) {
    const tensor *x = n->in[0];
    int64_t h = n->out->shape[1], w = n->out->shape[2], lanes = x->lanes, size = n->with.pool.size, in_w = x->shape[2];
    const real scale = (real)(1.0 / (double)(size * size));
    for (int64_t i = 0; i < h * w; i++)
        for (int64_t first = 0; first < lanes; first += BLOCK_LANES) {
            const int64_t corner = (p * x->shape[1] * in_w + i / w * size * in_w + i % w * size) * lanes + first;
            const int64_t to = (p * h * w + i) * lanes + first;
            const int width = piece(lanes, first);
            real sum[BLOCK_LANES];
            for (int l = 0; l < width; l++) sum[l] = value_get(x->data, corner + l, brief);
            for (int64_t k = 1; k < size * size; k++) {
                const int64_t pixel = corner + (k / size * in_w + k % size) * lanes;
#pragma omp simd
                for (int l = 0; l < width; l++) sum[l] += value_get(x->data, pixel + l, brief);
            }
            for (int l = 0; l < width; l++) value_put(n->out->data, to + l, sum[l] * scale, brief);
        }
}

static bool avg_pool_forward(backend *b, node *n) {
    (void)b;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(n->in[0]); p++) {
        if (n->out->bfloat16)
            avg_plane(n, p, true);
        else
            avg_plane(n, p, false);
    }
    return true;
}

INLINE void avg_plane_back(const node *n, int64_t p, bool add, bool brief) {
    const tensor *x = n->in[0];
    int64_t h = x->shape[1], w = x->shape[2], lanes = x->lanes, size = n->with.pool.size;
    int64_t out_h = n->out->shape[1], out_w = n->out->shape[2];
    const real scale = (real)(1.0 / (double)(size * size));
    for (int64_t i = 0; i < h * w; i++) {
        int64_t row = i / w / size, col = i % w / size;
        bool inside = row < out_h && col < out_w; /* of a window; what is left over at the edges is in none */
        const int64_t from = (p * out_h * out_w + (inside ? row * out_w + col : 0)) * lanes;
        const int64_t to = (p * h * w + i) * lanes;
        const real part = inside ? scale : 0;
        for (int64_t l = 0; l < lanes; l++)
            value_put(x->grad, to + l,
                      (add ? value_get(x->grad, to + l, brief) : 0) + value_get(n->out->grad, from + l, brief) * part,
                      brief);
    }
}

static bool avg_pool_backward(backend *b, node *n) {
    (void)b;
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(n->in[0]); p++) {
        if (n->out->bfloat16)
            avg_plane_back(n, p, add, true);
        else
            avg_plane_back(n, p, add, false);
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_avg_pool = {avg_pool_forward, avg_pool_backward};

/* Where the window of output pixel i meets the image. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

static window window_of(const node *n, int64_t i) {
    int64_t w = n->out->shape[2], stride = n->with.pool.stride, size = n->with.pool.size, pad = n->with.pool.padding;
    int64_t top = i / w * stride - pad, left = i % w * stride - pad, height = n->in[0]->shape[1],
            width = n->in[0]->shape[2];
    return (window){top > 0 ? top : 0, top + size < height ? top + size : height, left > 0 ? left : 0,
                    left + size < width ? left + size : width};
}

INLINE void max_plane(const node *n, int64_t p, bool brief) {
    const tensor *x = n->in[0];
    int64_t pixels = n->out->shape[1] * n->out->shape[2], lanes = x->lanes, in_w = x->shape[2];
    const int64_t from = p * x->shape[1] * in_w * lanes;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t first = 0; first < lanes; first += BLOCK_LANES) {
            const window v = window_of(n, i);
            const int width = piece(lanes, first);
            real most[BLOCK_LANES];
            for (int l = 0; l < width; l++) most[l] = -INFINITY;
            for (int64_t y = v.top; y < v.bottom; y++)
                for (int64_t z = v.left; z < v.right; z++)
                    for (int l = 0; l < width; l++) {
                        real value = value_get(x->data, from + (y * in_w + z) * lanes + first + l, brief);
                        if (value > most[l] || value != value) most[l] = value; /* NaN stays, as in PyTorch */
                    }
            for (int l = 0; l < width; l++)
                value_put(n->out->data, (p * pixels + i) * lanes + first + l, most[l], brief);
        }
}

static bool max_pool_forward(backend *b, node *n) {
    (void)b;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(n->in[0]); p++) {
        if (n->out->bfloat16)
            max_plane(n, p, true);
        else
            max_plane(n, p, false);
    }
    return true;
}

/* The gradient goes to the first pixel of the window that holds the maximum, as in PyTorch. */
INLINE void max_plane_back(const node *n, int64_t p, bool brief) {
    const tensor *x = n->in[0];
    int64_t pixels = n->out->shape[1] * n->out->shape[2], lanes = x->lanes, in_w = x->shape[2];
    const int64_t plane = p * x->shape[1] * in_w * lanes;
    for (int64_t i = 0; i < pixels; i++) {
        const window v = window_of(n, i);
        for (int64_t l = 0; l < lanes; l++) {
            const int64_t at = (p * pixels + i) * lanes + l;
            const real y = value_get(n->out->data, at, brief);
            int64_t k = v.top * in_w + v.left;
            for (int64_t row = v.top; row < v.bottom; row++)
                for (int64_t col = v.left; col < v.right; col++)
                    if (value_get(x->data, plane + (row * in_w + col) * lanes + l, brief) == y) {
                        k = row * in_w + col;
                        row = v.bottom;
                        break;
                    }
            const int64_t to = plane + k * lanes + l;
            value_put(x->grad, to, value_get(x->grad, to, brief) + value_get(n->out->grad, at, brief), brief);
        }
    }
}

static bool max_pool_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    if (!x->grad_ready) memset(x->grad, 0, (size_t)tensor_count(x) * tensor_value_size(x));
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(x); p++) {
        if (n->out->bfloat16)
            max_plane_back(n, p, true);
        else
            max_plane_back(n, p, false);
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_max_pool = {max_pool_forward, max_pool_backward};

INLINE void mean_plane(const node *n, const planes *p, int64_t i, bool brief) {
    const real scale = (real)(1.0 / (double)p->pixels);
    for (int64_t first = 0; first < p->lanes; first += BLOCK_LANES) {
        const int64_t from = i * p->pixels * p->lanes + first;
        const int width = piece(p->lanes, first);
        real sum[BLOCK_LANES] = {0};
        for (int64_t k = 0; k < p->pixels; k++)
#pragma omp simd
            for (int l = 0; l < width; l++) sum[l] += value_get(n->in[0]->data, from + k * p->lanes + l, brief);
        for (int l = 0; l < width; l++) n->out->data[i * p->lanes + first + l] = sum[l] * scale;
    }
}

static bool global_pool_forward(backend *b, node *n) {
    (void)b;
    const planes p = planes_of(n->in[0]);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p.n * p.blocks; i++) {
        if (n->in[0]->bfloat16)
            mean_plane(n, &p, i, true);
        else
            mean_plane(n, &p, i, false);
    }
    return true;
}

INLINE void mean_plane_back(const node *n, const planes *p, int64_t i, bool add, bool brief) {
    const real scale = (real)(1.0 / (double)p->pixels), *g = n->out->grad + i * p->lanes;
    void *grad = n->in[0]->grad;
    for (int64_t k = 0; k < p->pixels; k++) {
        const int64_t to = (i * p->pixels + k) * p->lanes;
        for (int64_t l = 0; l < p->lanes; l++)
            value_put(grad, to + l, (add ? value_get(grad, to + l, brief) : 0) + g[l] * scale, brief);
    }
}

static bool global_pool_backward(backend *b, node *n) {
    (void)b;
    const planes p = planes_of(n->in[0]);
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p.n * p.blocks; i++) {
        if (n->in[0]->bfloat16)
            mean_plane_back(n, &p, i, add, true);
        else
            mean_plane_back(n, &p, i, add, false);
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_global_pool = {global_pool_forward, global_pool_backward};

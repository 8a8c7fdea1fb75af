/*
 * Pooling over images. Windows are small and the lanes of a pixel lie side by side, so each output pixel is a short
 * sum of vectors; backward scatters the same way.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* A plane is one (sample, block): [height][width][lanes]. */
static int64_t plane_count(const tensor *t) { return t->shape[0] * (t->shape[3] / t->lanes); }

static bool avg_pool_forward(backend *b, node *n) {
    (void)b;
    const tensor *x = n->in[0];
    int64_t h = n->out->shape[1], w = n->out->shape[2], lanes = x->lanes, size = n->with.pool.size, in_w = x->shape[2];
    const real scale = (real)(1.0 / (double)(size * size));
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(x); p++) {
        const real *from = x->data + p * x->shape[1] * in_w * lanes;
        real *to = n->out->data + p * h * w * lanes;
        for (int64_t i = 0; i < h * w; i++) {
            const real *corner = from + (i / w * size * in_w + i % w * size) * lanes;
            real *out = to + i * lanes;
            for (int64_t l = 0; l < lanes; l++) out[l] = corner[l];
            for (int64_t k = 1; k < size * size; k++) {
                const real *pixel = corner + (k / size * in_w + k % size) * lanes;
#pragma omp simd
                for (int64_t l = 0; l < lanes; l++) out[l] += pixel[l];
            }
            for (int64_t l = 0; l < lanes; l++) out[l] *= scale;
        }
    }
    return true;
}

static bool avg_pool_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t h = x->shape[1], w = x->shape[2], lanes = x->lanes, size = n->with.pool.size;
    int64_t out_h = n->out->shape[1], out_w = n->out->shape[2];
    const real scale = (real)(1.0 / (double)(size * size));
    const bool add = x->grad_ready;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(x); p++) {
        const real *g = n->out->grad + p * n->out->shape[1] * out_w * lanes;
        real *to = x->grad + p * h * w * lanes;
        for (int64_t i = 0; i < h * w; i++) {
            int64_t row = i / w / size, col = i % w / size;
            bool inside = row < out_h && col < out_w; /* of a window; what is left over at the edges is in none */
            const real *from = g + (inside ? row * out_w + col : 0) * lanes, part = inside ? scale : 0;
            for (int64_t l = 0; l < lanes; l++) to[i * lanes + l] = (add ? to[i * lanes + l] : 0) + from[l] * part;
        }
    }
    grad_done(x);
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

static bool max_pool_forward(backend *b, node *n) {
    (void)b;
    const tensor *x = n->in[0];
    int64_t pixels = n->out->shape[1] * n->out->shape[2], lanes = x->lanes, in_w = x->shape[2];
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(x); p++) {
        const real *from = x->data + p * x->shape[1] * in_w * lanes;
        for (int64_t i = 0; i < pixels; i++) {
            window v = window_of(n, i);
            real *to = n->out->data + (p * pixels + i) * lanes;
            for (int64_t l = 0; l < lanes; l++) to[l] = -INFINITY;
            for (int64_t y = v.top; y < v.bottom; y++)
                for (int64_t z = v.left; z < v.right; z++)
                    for (int64_t l = 0; l < lanes; l++) {
                        real value = from[(y * in_w + z) * lanes + l];
                        if (value > to[l] || value != value) to[l] = value; /* NaN stays, as in PyTorch */
                    }
        }
    }
    return true;
}

/* The gradient goes to the first pixel of the window that holds the maximum, as in PyTorch. */
static bool max_pool_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t pixels = n->out->shape[1] * n->out->shape[2], lanes = x->lanes, in_w = x->shape[2];
    if (!x->grad_ready) memset(x->grad, 0, (size_t)tensor_count(x) * sizeof(real));
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < plane_count(x); p++) {
        const real *from = x->data + p * x->shape[1] * in_w * lanes;
        real *to = x->grad + p * x->shape[1] * in_w * lanes;
        for (int64_t i = 0; i < pixels; i++) {
            window v = window_of(n, i);
            const real *y = n->out->data + (p * pixels + i) * lanes, *g = n->out->grad + (p * pixels + i) * lanes;
            for (int64_t l = 0; l < lanes; l++) {
                int64_t k = v.top * in_w + v.left;
                for (int64_t row = v.top; row < v.bottom; row++)
                    for (int64_t col = v.left; col < v.right; col++)
                        if (from[(row * in_w + col) * lanes + l] == y[l]) {
                            k = row * in_w + col;
                            row = v.bottom;
                            break;
                        }
                to[k * lanes + l] += g[l];
            }
        }
    }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_max_pool = {max_pool_forward, max_pool_backward};

static bool global_pool_forward(backend *b, node *n) {
    (void)b;
    planes p = planes_of(n->in[0]);
    const real scale = (real)(1.0 / (double)p.pixels);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p.n * p.blocks; i++) {
        const real *from = n->in[0]->data + i * p.pixels * p.lanes;
        real *to = n->out->data + i * p.lanes;
        for (int64_t l = 0; l < p.lanes; l++) to[l] = 0;
        for (int64_t k = 0; k < p.pixels; k++)
            for (int64_t l = 0; l < p.lanes; l++) to[l] += from[k * p.lanes + l];
        for (int64_t l = 0; l < p.lanes; l++) to[l] *= scale;
    }
    return true;
}

static bool global_pool_backward(backend *b, node *n) {
    (void)b;
    planes p = planes_of(n->in[0]);
    const real scale = (real)(1.0 / (double)p.pixels);
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p.n * p.blocks; i++) {
        const real *g = n->out->grad + i * p.lanes;
        real *to = n->in[0]->grad + i * p.pixels * p.lanes;
        for (int64_t k = 0; k < p.pixels; k++)
            for (int64_t l = 0; l < p.lanes; l++) to[k * p.lanes + l] = (add ? to[k * p.lanes + l] : 0) + g[l] * scale;
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_global_pool = {global_pool_forward, global_pool_backward};

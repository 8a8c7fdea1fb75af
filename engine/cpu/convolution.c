/*
 * Convolution: 3×3 windows of stride 1 by Winograd's algorithm, other images in blocks of channels as direct sums, a
 * network's first layer by kernels of its own, and by oneDNN what is left: channels that do not fill blocks, and the
 * gradient of pixels. The choice is made by shape alone, never by timing, so that the same run gives the same bits;
 * `direct` in the backend keeps to the direct sums.
 *
 * Images in bfloat16 are multiplied with weights that are rounded to it, and sums are floats: by the processor's tiles
 * where it has them (tiles.h); with AVX512-BF16 by Winograd's algorithm or direct sums of its own; elsewhere by the
 * same kernels as floats are, which widen what they read and round what they write. Gradients with respect to weights
 * are never rounded.
 */
#include "engine/cpu/convolution.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/direct.h"
#include "engine/cpu/products.h"
#include "engine/cpu/stem.h"
#include "engine/cpu/tiles.h"
#include "engine/cpu/winograd.h"

#include <string.h>

static conv_shape shape_of(const node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *y = n->out;
    conv_shape s;
    memset(&s, 0, sizeof s);
    s.n = x->shape[0], s.h = x->shape[1], s.w = x->shape[2], s.in = x->shape[3];
    s.out = y->shape[3], s.out_h = y->shape[1], s.out_w = y->shape[2], s.window = w->shape[2];
    s.stride = n->with.conv.stride, s.padding = n->with.conv.padding;
    s.in_lanes = x->lanes, s.out_lanes = y->lanes, s.bias = n->in[2] != NULL;
    s.in_brief = x->bfloat16, s.out_brief = y->bfloat16;
    return s;
}

/* Kernels of our own, which add to gradients that are there and leave the bias to us. Without `data` oneDNN has that.
   `rounds`: to bfloat16 what weights they are given. */
typedef struct way {
    const char *name;
    bool rounds;
    bool (*forward)(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias, void *y);
    bool (*data)(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add);
    bool (*weights)(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add);
} way;

static const way by_winograd = {"winograd", false, winograd_forward, winograd_data, winograd_weights},
                 by_direct_sums = {"direct sums", false, direct_forward, direct_data, direct_weights},
                 by_planes = {"first layer", false, stem_forward, NULL, stem_weights};
#ifdef TILES_BUILT
static const way by_tiles = {"bfloat16 tiles", true, tiles_conv_forward, tiles_conv_data, tiles_conv_weights},
                 by_dots = {"bfloat16 dots", true, tiles_conv_forward, tiles_conv_data, tiles_conv_weights},
                 by_brief_winograd = {"bfloat16 winograd", true, winograd_forward, winograd_data, winograd_weights};
#endif

/* NULL: oneDNN's. */
static const way *way_for(const backend *b, const conv_shape *s) {
#ifdef TILES_BUILT
    if (tiles_conv_takes(s))
        return b->tiles ? &by_tiles : !b->direct && winograd_takes(s) ? &by_brief_winograd : &by_dots;
#endif
    if (!b->direct && winograd_takes(s)) return &by_winograd;
    return direct_takes(s) ? &by_direct_sums : stem_takes(s) ? &by_planes : NULL;
}

/* Weights as images in bfloat16 meet them: rounded, in memory of their own. NULL: out of memory. */
static real *rounded_weights(backend *b, const tensor *w) {
    int64_t count = tensor_count(w);
    real *to = b->allocate(b, (size_t)count * sizeof *to);
    if (!to) return cpu_fail(b, "out of memory"), NULL;
#pragma omp parallel for simd schedule(static) if (count > 32768)
    for (int64_t i = 0; i < count; i++) to[i] = bfloat_value(bfloat_round(w->data[i]));
    return to;
}

static real *take_weights(backend *b, const node *n, const way *own) {
    return n->in[0]->bfloat16 && !(own && own->rounds) ? rounded_weights(b, n->in[1]) : n->in[1]->data;
}

static void leave_weights(backend *b, const node *n, real *weights) {
    if (weights != n->in[1]->data) b->release(b, weights);
}

/* Values or a gradient of `t` as reals: themselves, or a copy. */
static real *take_reals(backend *b, const tensor *t, real *data) {
    if (!t->bfloat16) return data;
    real *copy = b->allocate(b, (size_t)tensor_count(t) * sizeof *copy);
    if (!copy) return cpu_fail(b, "out of memory"), NULL;
    cpu_widen(data, copy, tensor_count(t));
    return copy;
}

static void leave_reals(backend *b, const tensor *t, real *reals) {
    if (t->bfloat16) b->release(b, reals);
}

static bool library_forward(backend *b, node *n, const conv_shape *s, real *weights, real *bias) {
    tensor *x = n->in[0], *y = n->out;
    real *from = take_reals(b, x, x->data), *to = y->data;
    if (y->bfloat16) to = b->allocate(b, (size_t)tensor_count(y) * sizeof *to);
    bool ok = from && (to || cpu_fail(b, "out of memory")) && onednn_forward(b, s, from, weights, bias, to);
    if (ok && y->bfloat16) cpu_round(to, y->data, tensor_count(y));
    leave_reals(b, x, from);
    leave_reals(b, y, to);
    return ok;
}

static bool conv2d_forward(backend *b, node *n) {
    conv_shape s = shape_of(n);
    const way *own = way_for(b, &s);
    real *weights = take_weights(b, n, own), *bias = n->in[2] ? n->in[2]->data : NULL;
    if (!weights) return false;
    if (own) conv_note(b, &s, CONV_FORWARD, own->name);
    bool ok = own ? own->forward(b, &s, n->in[0]->data, weights, bias, n->out->data)
                  : library_forward(b, n, &s, weights, bias);
    leave_weights(b, n, weights);
    return ok;
}

/*
 * oneDNN writes gradients where the tape may want them added, and computes the weight's and the bias' together where
 * one may be frozen: then it writes beside, and this adds or drops.
 */
typedef struct landing {
    tensor *to;
    real *memory;
} landing;

static bool landing_begin(backend *b, landing *l, tensor *to) {
    size_t bytes = (size_t)tensor_count(to) * sizeof(real);
    bool in_place = wants_grad(to) && !to->grad_ready && !to->bfloat16;
    *l = (landing){to, in_place ? to->grad : b->allocate(b, bytes)};
    return l->memory || cpu_fail(b, "out of memory");
}

static void landing_end(backend *b, landing *l, bool landed) {
    if (!l->memory) return;
    if (landed && l->memory != l->to->grad && wants_grad(l->to)) {
        const bool brief = l->to->bfloat16, add = l->to->grad_ready;
        int64_t count = tensor_count(l->to);
#pragma omp parallel for schedule(static) if (count > 32768)
        for (int64_t i = 0; i < count; i++)
            value_put(l->to->grad, i, (add ? value_get(l->to->grad, i, brief) : 0) + l->memory[i], brief);
    }
    if (l->memory != l->to->grad) b->release(b, l->memory);
    if (landed && wants_grad(l->to)) grad_done(l->to);
}

static bool library_data(backend *b, node *n, const conv_shape *s, real *weights) {
    landing x;
    if (!landing_begin(b, &x, n->in[0])) return false;
    real *dy = take_reals(b, n->out, n->out->grad);
    bool ok = dy && onednn_data(b, s, dy, weights, x.memory);
    leave_reals(b, n->out, dy);
    landing_end(b, &x, ok);
    return ok;
}

static bool library_weights(backend *b, node *n, const conv_shape *s) {
    landing w, bias = {0};
    if (!landing_begin(b, &w, n->in[1])) return false;
    real *x = take_reals(b, n->in[0], n->in[0]->data), *dy = take_reals(b, n->out, n->out->grad);
    bool ok = x && dy && (!n->in[2] || landing_begin(b, &bias, n->in[2])) &&
              onednn_weights(b, s, x, dy, w.memory, bias.memory);
    leave_reals(b, n->in[0], x);
    leave_reals(b, n->out, dy);
    landing_end(b, &w, ok);
    landing_end(b, &bias, ok);
    return ok;
}

/* Σ of the output's gradient over images and pixels, to (or added to) the bias' gradient: sums of single images in
   double, in order. */
static bool bias_gradient(backend *b, node *n) {
    tensor *bias = n->in[2];
    planes p = planes_of(n->out);
    int64_t channels = p.blocks * p.lanes;
    real *sums = b->allocate(b, (size_t)(p.n * channels) * sizeof *sums);
    if (!sums) return cpu_fail(b, "out of memory");
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < p.n; i++)
        for (int64_t k = 0; k < p.blocks; k++) {
            const int64_t from = (i * p.blocks + k) * p.pixels;
            vec lanes = {0};
            if (n->out->bfloat16)
                for (int64_t q = 0; q < p.pixels; q++) lanes += pixel_get(n->out->grad, from + q, true);
            else
                for (int64_t q = 0; q < p.pixels; q++) lanes += pixel_get(n->out->grad, from + q, false);
            memcpy(sums + i * channels + k * BLOCK_LANES, &lanes, sizeof lanes);
        }
    for (int64_t c = 0; c < channels; c++) {
        double total = bias->grad_ready ? (double)bias->grad[c] : 0;
        for (int64_t i = 0; i < p.n; i++) total += (double)sums[i * channels + c];
        bias->grad[c] = (real)total;
    }
    b->release(b, sums);
    grad_done(bias);
    return true;
}

/* `own` NULL or without a way to it: by oneDNN. */
static bool data_gradient(backend *b, node *n, const conv_shape *s, const way *own) {
    tensor *x = n->in[0];
    real *weights = take_weights(b, n, own);
    if (!weights) return false;
    bool ok;
    if (own && own->data) {
        conv_note(b, s, CONV_DATA, own->name);
        ok = own->data(b, s, n->out->grad, weights, x->grad, x->grad_ready);
        if (ok) grad_done(x);
    } else
        ok = library_data(b, n, s, weights);
    leave_weights(b, n, weights);
    return ok;
}

static bool own_weights(backend *b, node *n, const conv_shape *s, const way *own) {
    tensor *x = n->in[0], *weights = n->in[1];
    if (wants_grad(weights)) {
        conv_note(b, s, CONV_WEIGHTS, own->name);
        if (!own->weights(b, s, x->data, n->out->grad, weights->grad, weights->grad_ready)) return false;
        grad_done(weights);
    }
    return !wants_grad(n->in[2]) || bias_gradient(b, n);
}

static bool conv2d_backward(backend *b, node *n) {
    conv_shape s = shape_of(n);
    const way *own = way_for(b, &s);
    if (wants_grad(n->in[0]) && !data_gradient(b, n, &s, own)) return false;
    /* Half-way through the longest of ops sums go on, too; what goes wrong there is said at the end of the pass. */
    if (b->peers) b->peers->look(b->peers, false);
    if (own) return own_weights(b, n, &s, own);
    return (!wants_grad(n->in[1]) && !wants_grad(n->in[2])) || library_weights(b, n, &s);
}
const kernel cpu_kernel_conv2d = {conv2d_forward, conv2d_backward};

#endif

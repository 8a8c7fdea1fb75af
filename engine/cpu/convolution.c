/*
 * Convolution: 3×3 windows of stride 1 by Winograd's algorithm, other images in blocks of channels as direct sums, a
 * network's first layer by kernels of its own, and by oneDNN what is left: channels that do not fill blocks, and the
 * gradient of pixels. The choice is made by shape alone, never by timing, so that the same run gives the same bits;
 * `direct` in the backend keeps to the direct sums.
 */
#include "engine/cpu/convolution.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/direct.h"
#include "engine/cpu/stem.h"
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
    return s;
}

/* Kernels of our own, which add to gradients that are there and leave the bias to us. Without `data` oneDNN has that.
 */
typedef struct way {
    const char *name;
    bool (*forward)(backend *b, const conv_shape *s, const real *x, const real *weights, const real *bias, real *y);
    bool (*data)(backend *b, const conv_shape *s, const real *dy, const real *weights, real *dx, bool add);
    bool (*weights)(backend *b, const conv_shape *s, const real *x, const real *dy, real *dw, bool add);
} way;

static const way by_winograd = {"winograd", winograd_forward, winograd_data, winograd_weights},
                 by_direct_sums = {"direct sums", direct_forward, direct_data, direct_weights},
                 by_planes = {"first layer", stem_forward, NULL, stem_weights};

/* NULL: oneDNN's. */
static const way *way_for(const backend *b, const conv_shape *s) {
    if (!b->direct && winograd_takes(s)) return &by_winograd;
    return direct_takes(s) ? &by_direct_sums : stem_takes(s) ? &by_planes : NULL;
}

static bool conv2d_forward(backend *b, node *n) {
    conv_shape s = shape_of(n);
    const way *own = way_for(b, &s);
    real *x = n->in[0]->data, *weights = n->in[1]->data, *bias = n->in[2] ? n->in[2]->data : NULL;
    if (own) conv_note(b, &s, CONV_FORWARD, own->name);
    return own ? own->forward(b, &s, x, weights, bias, n->out->data)
               : onednn_forward(b, &s, x, weights, bias, n->out->data);
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
    *l = (landing){to, wants_grad(to) && !to->grad_ready ? to->grad : b->allocate(b, bytes)};
    return l->memory || cpu_fail(b, "out of memory");
}

static void landing_end(backend *b, landing *l, bool landed) {
    if (!l->memory) return;
    if (landed && l->memory != l->to->grad && wants_grad(l->to)) {
        int64_t count = tensor_count(l->to);
#pragma omp parallel for simd schedule(static) if (count > 32768)
        for (int64_t i = 0; i < count; i++) l->to->grad[i] += l->memory[i];
    }
    if (l->memory != l->to->grad) b->release(b, l->memory);
    if (landed && wants_grad(l->to)) grad_done(l->to);
}

static bool library_data(backend *b, node *n, const conv_shape *s) {
    landing x;
    if (!landing_begin(b, &x, n->in[0])) return false;
    bool ok = onednn_data(b, s, n->out->grad, n->in[1]->data, x.memory);
    landing_end(b, &x, ok);
    return ok;
}

static bool library_weights(backend *b, node *n, const conv_shape *s) {
    landing w, bias = {0};
    if (!landing_begin(b, &w, n->in[1])) return false;
    bool ok = (!n->in[2] || landing_begin(b, &bias, n->in[2])) &&
              onednn_weights(b, s, n->in[0]->data, n->out->grad, w.memory, bias.memory);
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
            const real *from = n->out->grad + (i * p.blocks + k) * p.pixels * BLOCK_LANES;
            real lanes[BLOCK_LANES] = {0};
            for (int64_t q = 0; q < p.pixels; q++)
#pragma omp simd
                for (int l = 0; l < BLOCK_LANES; l++) lanes[l] += from[q * BLOCK_LANES + l];
            memcpy(sums + i * channels + k * BLOCK_LANES, lanes, sizeof lanes);
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

static bool own_backward(backend *b, node *n, const conv_shape *s, const way *own) {
    tensor *x = n->in[0], *weights = n->in[1];
    if (wants_grad(x) && !own->data) {
        if (!library_data(b, n, s)) return false;
    } else if (wants_grad(x)) {
        conv_note(b, s, CONV_DATA, own->name);
        if (!own->data(b, s, n->out->grad, weights->data, x->grad, x->grad_ready)) return false;
        grad_done(x);
    }
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
    if (own) return own_backward(b, n, &s, own);
    if (wants_grad(n->in[0]) && !library_data(b, n, &s)) return false;
    return (!wants_grad(n->in[1]) && !wants_grad(n->in[2])) || library_weights(b, n, &s);
}
const kernel cpu_kernel_conv2d = {conv2d_forward, conv2d_backward};

#endif

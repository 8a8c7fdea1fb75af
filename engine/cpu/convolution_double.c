/*
 * Convolution by its definition, in double precision, which oneDNN does not offer: what finite differences are held
 * against when tests compile the engine in double. Not part of the program.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

#ifdef MEWS_DOUBLE

#include <stdlib.h>
#include <string.h>

struct conv_plans {
    char unused;
};

struct conv_plans *conv_plans_create(error *err) {
    (void)err;
    return calloc(1, sizeof(struct conv_plans));
}

void conv_plans_destroy(struct conv_plans *plans) { free(plans); }

static real *pixel(const tensor *t, real *data, int64_t n, int64_t y, int64_t x, int64_t c) {
    int64_t blocks = t->shape[3] / t->lanes, plane = n * blocks + c / t->lanes;
    return data + ((plane * t->shape[1] + y) * t->shape[2] + x) * t->lanes + c % t->lanes;
}

/* Calls visit for every (output value, input value, weight) that meet. */
static void each_product(node *n, void (*visit)(node *, real *, int64_t, real *, real *, real *, real *),
                         bool backward) {
    tensor *x = n->in[0], *w = n->in[1], *y = n->out;
    int64_t k = w->shape[2], stride = n->with.conv.stride, padding = n->with.conv.padding;
    for (int64_t i = 0; i < tensor_count(y); i++) {
        int64_t o = i % y->shape[3], px = i / y->shape[3] % y->shape[2];
        int64_t py = i / y->shape[3] / y->shape[2] % y->shape[1], s = i / y->shape[3] / y->shape[2] / y->shape[1];
        real *out = pixel(y, backward ? y->grad : y->data, s, py, px, o);
        for (int64_t c = 0; c < x->shape[3]; c++)
            for (int64_t v = 0; v < k * k; v++) {
                int64_t row = py * stride + v / k - padding, col = px * stride + v % k - padding;
                if (row < 0 || row >= x->shape[1] || col < 0 || col >= x->shape[2]) continue;
                int64_t at = (o * x->shape[3] + c) * k * k + v;
                visit(n, out, o, pixel(x, x->data, s, row, col, c), w->data + at,
                      backward && x->grad ? pixel(x, x->grad, s, row, col, c) : NULL,
                      backward && w->grad ? w->grad + at : NULL);
            }
    }
}

static void gather(node *n, real *out, int64_t o, real *x, real *w, real *dx, real *dw) {
    (void)n, (void)o, (void)dx, (void)dw;
    *out += *x * *w;
}

static void scatter(node *n, real *g, int64_t o, real *x, real *w, real *dx, real *dw) {
    (void)o;
    if (wants_grad(n->in[0])) *dx += *g * *w;
    if (wants_grad(n->in[1])) *dw += *g * *x;
}

static void forward_reals(node *n) {
    memset(n->out->data, 0, (size_t)tensor_count(n->out) * sizeof(real));
    each_product(n, gather, false);
    planes p = planes_of(n->out);
    if (n->in[2])
        for (int64_t i = 0; i < tensor_count(n->out); i++)
            n->out->data[i] += n->in[2]->data[i / (p.pixels * p.lanes) % p.blocks * p.lanes + i % p.lanes];
}

static void backward_reals(node *n) {
    for (int i = 0; i < 3; i++) {
        if (!wants_grad(n->in[i])) continue;
        if (!n->in[i]->grad_ready) memset(n->in[i]->grad, 0, (size_t)tensor_count(n->in[i]) * sizeof(real));
        grad_done(n->in[i]);
    }
    each_product(n, scatter, true);
    planes p = planes_of(n->out);
    if (wants_grad(n->in[2]))
        for (int64_t i = 0; i < tensor_count(n->out); i++)
            n->in[2]->grad[i / (p.pixels * p.lanes) % p.blocks * p.lanes + i % p.lanes] += n->out->grad[i];
}

/* A node of reals in the place of one whose images are stored in bfloat16. */
typedef struct stand_in {
    node node;
    tensor x, w, y;
} stand_in;

static void copy_reals(backend *b, const tensor *of, tensor *to) {
    int64_t count = tensor_count(of);
    *to = *of;
    if (!of->bfloat16) return;
    to->bfloat16 = false;
    to->data = b->allocate(b, (size_t)count * sizeof(real));
    to->grad = b->allocate(b, (size_t)count * sizeof(real));
    if (of->data) cpu_widen(of->data, to->data, count);
    if (of->grad) cpu_widen(of->grad, to->grad, count);
}

static void return_reals(backend *b, tensor *from, tensor *to, bool gradient) {
    to->grad_ready = from->grad_ready;
    if (!to->bfloat16) return;
    real *reals = gradient ? from->grad : from->data;
    void *stored = gradient ? to->grad : to->data;
    if (stored) cpu_round(reals, stored, tensor_count(to));
    b->release(b, from->data);
    b->release(b, from->grad);
}

static void stand_in_begin(backend *b, node *n, stand_in *s) {
    int64_t weights = tensor_count(n->in[1]);
    s->node = *n;
    copy_reals(b, n->in[0], &s->x);
    copy_reals(b, n->out, &s->y);
    s->w = *n->in[1];
    if (n->in[0]->bfloat16) s->w.data = b->allocate(b, (size_t)weights * sizeof(real));
    for (int64_t i = 0; n->in[0]->bfloat16 && i < weights; i++)
        s->w.data[i] = bfloat_value(bfloat_round(n->in[1]->data[i]));
    s->node.in[0] = &s->x, s->node.in[1] = &s->w, s->node.out = &s->y;
}

static bool conv2d_forward(backend *b, node *n) {
    stand_in s;
    stand_in_begin(b, n, &s);
    forward_reals(&s.node);
    return_reals(b, &s.y, n->out, false);
    return_reals(b, &s.x, n->in[0], false);
    if (s.w.data != n->in[1]->data) b->release(b, s.w.data);
    return true;
}

static bool conv2d_backward(backend *b, node *n) {
    stand_in s;
    stand_in_begin(b, n, &s);
    backward_reals(&s.node);
    return_reals(b, &s.y, n->out, true);
    return_reals(b, &s.x, n->in[0], true);
    n->in[1]->grad_ready = s.w.grad_ready;
    if (s.w.data != n->in[1]->data) b->release(b, s.w.data);
    return true;
}
const kernel cpu_kernel_conv2d = {conv2d_forward, conv2d_backward};

#endif

/*
 * From bfloat16 to float32: the door through which values pass that a kernel takes in float32 only. The gradient is
 * rounded on its way back.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"

enum { PARALLEL_FROM = 1 << 15 };

void cpu_widen(const void *from, real *to, int64_t count) {
    const bfloat *stored = from;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++) to[i] = bfloat_value(stored[i]);
}

void cpu_round(const real *from, void *to, int64_t count) {
    bfloat *stored = to;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++) stored[i] = bfloat_round(from[i]);
}

static bool widen_forward(backend *b, node *n) {
    (void)b;
    cpu_widen(n->in[0]->data, n->out->data, tensor_count(n->out));
    return true;
}

static bool widen_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const int64_t count = tensor_count(x);
    if (!x->grad_ready) {
        cpu_round(n->out->grad, x->grad, count);
        grad_done(x);
        return true;
    }
    bfloat *to = (bfloat *)x->grad;
    const real *g = n->out->grad;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++) to[i] = bfloat_round(bfloat_value(to[i]) + g[i]);
    return true;
}
const kernel cpu_kernel_widen = {widen_forward, widen_backward};

/*
 * What optimisers do to one parameter, in one pass over its memory. The formulas stand in engine/optimizer.h.
 */
#include "engine/cpu/cpu.h"

#include <math.h>

enum { SUM_CHUNK = 1 << 16 };

/* Chunks of fixed size, added in order: the same bits for any number of threads. */
double cpu_sum_squares(backend *b, const real *x, int64_t count) {
    int64_t chunks = (count + SUM_CHUNK - 1) / SUM_CHUNK;
    double *partial = b->allocate(b, (size_t)(chunks ? chunks : 1) * sizeof *partial);
    if (!partial) return NAN;
#pragma omp parallel for schedule(static) if (chunks > 1)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t end = (k + 1) * SUM_CHUNK < count ? (k + 1) * SUM_CHUNK : count;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = k * SUM_CHUNK; i < end; i++) sum += (double)x[i] * (double)x[i];
        partial[k] = sum;
    }
    double sum = 0;
    for (int64_t k = 0; k < chunks; k++) sum += partial[k];
    b->release(b, partial);
    return sum;
}

void cpu_average(backend *b, real *to, const real *from, double keep, int64_t count) {
    (void)b;
    real old = (real)keep, new = (real)(1 - keep);
#pragma omp parallel for simd schedule(static) if (count > SUM_CHUNK)
    for (int64_t i = 0; i < count; i++) to[i] = old * to[i] + new *from[i];
}

void cpu_update_sgd(backend *b, const update *u) {
    (void)b;
    real scale = (real)u->grad_scale, decay = (real)u->weight_decay, momentum = (real)u->momentum;
    real lr = (real)u->lr, trust = (real)u->trust;
#pragma omp parallel for simd schedule(static) if (u->count > SUM_CHUNK)
    for (int64_t i = 0; i < u->count; i++) {
        real d = (u->grad[i] * scale + decay * u->value[i]) * trust;
        if (u->first) d = u->first[i] = momentum * u->first[i] + d;
        u->value[i] -= lr * d;
    }
}

static inline void adam_step(const update *u, int64_t i, real grad, real shrink) {
    real beta1 = (real)u->beta1, beta2 = (real)u->beta2;
    real first = u->first[i] = beta1 * u->first[i] + (1 - beta1) * grad;
    real second = u->second[i] = beta2 * u->second[i] + (1 - beta2) * grad * grad;
#ifdef MEWS_DOUBLE
    real root = sqrt(second);
#else
    real root = sqrtf(second);
#endif
    real denominator = root / (real)u->correction2 + (real)u->eps;
    u->value[i] = u->value[i] * shrink - (real)(u->lr / u->correction1) * first / denominator;
}

void cpu_update_adam(backend *b, const update *u) {
    (void)b;
#pragma omp parallel for simd schedule(static) if (u->count > SUM_CHUNK)
    for (int64_t i = 0; i < u->count; i++)
        adam_step(u, i, u->grad[i] * (real)u->grad_scale + (real)u->weight_decay * u->value[i], 1);
}

void cpu_update_adamw(backend *b, const update *u) {
    (void)b;
    real shrink = (real)(1 - u->lr * u->weight_decay);
#pragma omp parallel for simd schedule(static) if (u->count > SUM_CHUNK)
    for (int64_t i = 0; i < u->count; i++) adam_step(u, i, u->grad[i] * (real)u->grad_scale, shrink);
}

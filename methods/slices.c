#include "methods/slices.h"

#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>

tensor *slices_draw(const method_context *context, tape *t, int64_t features, int64_t count) {
    float *values = malloc((size_t)(features * count) * sizeof *values);
    if (!values) return tape_out_of_memory(t, (size_t)(features * count) * sizeof *values, "random directions");
#pragma omp parallel for schedule(static) if (features * count > 4096)
    for (int64_t i = 0; i < features; i++) {
        rng r = rng_stream(context->seed, RNG_METHOD, context->epoch, context->step, (uint32_t)i);
        for (int64_t k = 0; k < count; k++) values[i * count + k] = (float)rng_normal(&r);
    }
#pragma omp parallel for schedule(static) if (features * count > 4096)
    for (int64_t k = 0; k < count; k++) {
        double squares = 0;
        for (int64_t i = 0; i < features; i++) squares += (double)values[i * count + k] * (double)values[i * count + k];
        for (int64_t i = 0; i < features; i++)
            values[i * count + k] = (float)((double)values[i * count + k] / sqrt(squares));
    }
    tensor *a = tape_matrix(t, values, features, count);
    free(values);
    return a;
}

/* By halving: sure, and quick enough for a batch's worth of them. */
double slices_normal_quantile(double p) {
    double low = -40, high = 40;
    for (int i = 0; i < 64; i++) {
        double middle = (low + high) / 2;
        if (erfc(-middle / sqrt(2)) / 2 < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

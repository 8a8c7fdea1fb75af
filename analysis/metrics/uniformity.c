/*
 * Uniformity on the sphere, as a diagnosis has it: see views.h.
 */
#include "analysis/diagnose/views.h"
#include "analysis/metrics/metric.h"

static bool measure(const metric_input *in, double *value, error *err) {
    uniformity u;
    if (!uniformity_compute(in->embeddings, in->seed, &u, err)) return false;
    *value = u.value;
    return true;
}

const metric metric_uniformity = {.name = "uniformity", .title = "uniformity", .measure = measure};

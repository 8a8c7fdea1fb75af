/*
 * One training step of FALCON, or its loss alone, ready to be repeated: the code that runs use, on noise.
 */
#ifndef MEWS_BENCH_STEP_H
#define MEWS_BENCH_STEP_H

#include "engine/backbone.h"
#include "engine/optimizer.h"
#include "experiments/bench/bench.h"
#include "methods/method.h"

typedef struct step_bench {
    backend *backend;
    parameters *parameters;
    backbone *net;
    const method *method;
    method_model head;
    optimizer_options optimizer_options;
    optimizer optimizer;
    tape *tape;
    float *input;        /* pixels of both views, or embeddings for the loss alone */
    int64_t width;       /* of the embeddings */
    int64_t side, patch; /* of the pixels; patch: 0 unless the backbone is a transformer */
    double flops;
} step_bench;

enum { BENCH_SIDE = 32, BENCH_VIEWS = 2 };

/* Side of a step's views. */
int64_t step_bench_side(const bench_options *o);

/* FALCON on a backbone, with room for `input_values` numbers of input. step_bench_end whatever it returns. */
bool step_bench_begin(step_bench *s, const bench_options *o, int64_t input_values, error *err);
void step_bench_end(step_bench *s);

/* Pixels of both views in, parameters moved. */
bool step_bench_body(void *context, error *err);

/* The loss alone: embeddings (2n, f) in, normalised as FALCON's projector does, their gradient out. */
bool step_bench_loss(void *context, error *err);

#endif

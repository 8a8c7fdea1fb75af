/*
 * A spec made flesh: backend, parameters, backbone, method, optimiser and tape, built together and torn down together.
 */
#ifndef MEWS_MODEL_H
#define MEWS_MODEL_H

#include "analysis/clusters/usage.h"
#include "engine/backbone.h"
#include "engine/data/loader.h"
#include "engine/optimizer.h"
#include "experiments/run/online.h"
#include "experiments/spec/spec.h"
#include "methods/method.h"

typedef struct model {
    const spec *spec;
    backend *backend;
    parameters *parameters;
    backbone *backbone, *teacher; /* teacher: NULL unless the method has one */
    const method *method;
    method_model head;
    optimizer optimizer;
    tape *tape;
    int width;      /* columns of the method's embeddings */
    int attainable; /* directions that they can span */
    online *online; /* NULL unless eval.online asks for it, and the data have labels */
    bool followed;  /* the peers, if there are any, hold the same parameters (words.h) */
    double pace;    /* of the step: its learning rate as a share of the top one */
    float *one_hot; /* (pairs, classes): the batch's labels, for a method that takes them */
    int *labels;    /* (pairs): the whole batch's, where peers have parts of it */
} model;

/* threads: compute threads. classes: of the data's labels. peers: who trains it together with this process, or NULL.
   ERROR_USAGE for settings that cannot work together, with their keys. */
bool model_create(model *m, const spec *s, int classes, int threads, peers *p, error *err);
void model_destroy(model *m);

/*
 * One training batch forward and backward, hooks around it, and its loss. size: side of the global views. The gradients
 * are in the parameters afterwards, added to those that stood there.
 */
double model_loss(model *m, const loader_batch *batch, int size, method_context *context);

/* What the method does once the optimiser has moved the parameters. */
void model_after_step(model *m, method_context *context);

/* Representations, in evaluation, of pixels (n, size, size, 3) → out (n, d). by_batch: BatchNorm by the statistics of
   these n, as in training, which leaves no trace in the running ones. */
void model_represent(model *m, const float *pixels, int n, int size, bool by_batch, float *out);

/* The method's embeddings of representations z (n, d): out (n, width). */
void model_embed(model *m, const float *z, int n, bool by_batch, float *out);

/* Adds the assignments of embeddings e (n, width) to `u`, and each row's best code to best (n). A few rows at a time:
   the logits of a million codes are never all in memory. */
bool model_assign(model *m, const float *e, int n, usage *u, int32_t *best, error *err);

#endif

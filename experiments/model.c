/*
 * A spec made flesh: backend, parameters, backbone, method and optimiser, and the passes that training and evaluation
 * run through them. The order of making them is part of a run's bits, since parameters are drawn in that order. Passes
 * for evaluation record nothing and return host copies; errors wait on the tape for the caller's tape_check.
 */
#include "experiments/model.h"

#include <stdlib.h>
#include <string.h>

static bool check(const spec *s, error *err) {
    if (s->train.accumulate > 1 && s->method->batch_statistics)
        return error_set(
            err, ERROR_USAGE,
            "train.accumulate %lld would change what %s computes, since its loss depends on the batch as a "
            "whole; raise train.batch instead",
            (long long)s->train.accumulate, s->method->name);
    return true;
}

/* A method need not say how wide its embeddings are: one row is embedded to see. */
static bool measure_width(model *m, error *err) {
    float *z = calloc((size_t)m->head.features, sizeof *z);
    if (!z) return error_memory(err, (size_t)m->head.features * sizeof *z, "the embeddings");
    bool was = tape_set_recording(m->tape, false);
    tensor *e = m->method->embed(&m->head, m->tape, tape_matrix(m->tape, z, 1, m->head.features), false);
    if (e) m->width = (int)tensor_cols(e);
    tape_set_recording(m->tape, was);
    free(z);
    bool ok = tape_check(m->tape, err);
    tape_reset(m->tape);
    return ok;
}

bool model_create(model *m, const spec *s, int threads, error *err) {
    *m = (model){.spec = s, .method = s->method};
    if (!check(s, err)) return false;
    m->backend = backend_cpu(threads, err);
    if (m->backend) m->parameters = parameters_create(m->backend, (uint64_t)s->train.seed, err);
    if (m->parameters) m->backbone = backbone_create(&s->backbone, m->parameters, "backbone", err);
    if (m->backbone) m->tape = tape_create(m->backend, err);
    if (!m->tape) {
        model_destroy(m);
        return false;
    }
    m->head = (method_model){.options = s->method_options,
                             .parameters = m->parameters,
                             .features = backbone_features(m->backbone),
                             .pairs = (int)s->train.batch,
                             .views = AUGMENT_VIEWS,
                             .joint_batchnorm = s->train.joint_batchnorm};
    if (m->method->build(&m->head, err) && optimizer_create(&m->optimizer, &s->optimizer, m->parameters, err) &&
        measure_width(m, err))
        return true;
    model_destroy(m);
    return false;
}

void model_destroy(model *m) {
    if (m->method && m->method->destroy && m->head.options) m->method->destroy(&m->head);
    tape_destroy(m->tape);
    backbone_destroy(m->backbone);
    parameters_destroy(m->parameters);
    if (m->backend) m->backend->destroy(m->backend);
    *m = (model){0};
}

double model_loss(model *m, const float *pixels, int size, method_context *context) {
    tape *t = m->tape;
    int64_t images = (int64_t)m->head.pairs * m->head.views;
    tensor *x = tape_images(t, pixels, images, size, size, 3);
    tensor *z = backbone_forward(m->backbone, t, x, method_groups(&m->head), true);
    tensor *loss = m->method->loss(&m->head, context, t, z);
    tape_backward(t, loss);
    return tape_scalar(t, loss);
}

/* eval.batchnorm: batch is the authors' protocol: their scripts never leave training mode. */
static bool batch_statistics(const model *m) { return m->spec->eval.batchnorm == EVAL_BATCHNORM_BATCH; }

void model_represent(model *m, const float *pixels, int n, int size, float *out) {
    bool was = tape_set_recording(m->tape, false);
    tensor *x = tape_images(m->tape, pixels, n, size, size, 3);
    tape_read(m->tape, backbone_forward(m->backbone, m->tape, x, 1, batch_statistics(m)), out);
    tape_set_recording(m->tape, was);
}

void model_embed(model *m, const float *z, int n, float *out) {
    bool was = tape_set_recording(m->tape, false);
    tensor *x = tape_matrix(m->tape, z, n, m->head.features);
    tape_read(m->tape, m->method->embed(&m->head, m->tape, x, batch_statistics(m)), out);
    tape_set_recording(m->tape, was);
}

void model_assign(model *m, const float *e, int n, float *out) {
    bool was = tape_set_recording(m->tape, false);
    tensor *x = tape_matrix(m->tape, e, n, m->width);
    tape_read(m->tape, m->method->assign(&m->head, m->tape, x), out);
    tape_set_recording(m->tape, was);
}

/*
 * A spec made flesh: backend, parameters, backbone, method and optimiser, and the passes that training and evaluation
 * run through them. The order of making them is part of a run's bits, since parameters are drawn in that order. Passes
 * for evaluation record nothing and return host copies; errors wait on the tape for the caller's tape_check.
 */
#include "experiments/run/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "swav, dino, …", for messages. */
static const char *methods_with_local_views(char *out, size_t size) {
    out[0] = '\0';
    for (int i = 0; method_names[i]; i++) {
        size_t used = strlen(out);
        if (method_at(i)->local_views) snprintf(out + used, size - used, "%s%s", used ? ", " : "", method_names[i]);
    }
    return out;
}

static bool check_views(const spec *s, error *err) {
    char names[256];
    if (s->augment.local_crops && !s->method->local_views)
        return error_set(err, ERROR_USAGE,
                         "augment.local_crops %lld: %s compares global views only; methods that take local ones: %s",
                         (long long)s->augment.local_crops, s->method->name,
                         methods_with_local_views(names, sizeof names));
    if (s->augment.global_crops < AUGMENT_VIEWS && !s->method->labels)
        return error_set(err, ERROR_USAGE,
                         "augment.global_crops %lld: %s compares two views of each image; set it to 2",
                         (long long)s->augment.global_crops, s->method->name);
    return augment_check(&s->augment, err);
}

static bool check_labels(const spec *s, int classes, error *err) {
    if (s->method->labels && s->data.unlabelled)
        return error_set(err, ERROR_USAGE, "method %s learns from labels, which data.unlabelled's images do not have",
                         s->method->name);
    if (!s->method->labels || classes >= 2) return true;
    return error_set(err, ERROR_USAGE, "method %s learns from labels, and this data set (data.name) has %d class%s",
                     s->method->name, classes, classes == 1 ? "" : "es");
}

/* "byol, dino, …", for messages. */
static const char *methods_with_teachers(char *out, size_t size) {
    out[0] = '\0';
    for (int i = 0; method_names[i]; i++) {
        size_t used = strlen(out);
        if (method_at(i)->teacher) snprintf(out + used, size - used, "%s%s", used ? ", " : "", method_names[i]);
    }
    return out;
}

static bool check_network(const spec *s, error *err) {
    char names[256];
    return s->eval.network == EVAL_STUDENT || s->method->teacher ||
           error_set(err, ERROR_USAGE, "eval.network teacher: %s has none; methods that have one: %s", s->method->name,
                     methods_with_teachers(names, sizeof names));
}

static bool check_trains(const spec *s, error *err) {
    return s->method->loss || !s->train.epochs ||
           error_set(err, ERROR_USAGE, "method %s trains nothing: set train.epochs to 0", s->method->name);
}

static bool check(const spec *s, int classes, error *err) {
    if (s->train.accumulate > 1 && s->method->batch_statistics)
        return error_set(
            err, ERROR_USAGE,
            "train.accumulate %lld would change what %s computes, since its loss depends on the batch as a "
            "whole; raise train.batch instead",
            (long long)s->train.accumulate, s->method->name);
    if (s->optimizer.layer_decay != 1 && !backbone_is_transformer(&s->backbone))
        return error_set(err, ERROR_USAGE,
                         "optimizer.layer_decay %g: it goes by the blocks of a transformer, and "
                         "backbone.name is %s",
                         s->optimizer.layer_decay, backbone_names[s->backbone.name]);
    return check_trains(s, err) && check_network(s, err) && check_views(s, err) && check_labels(s, classes, err) &&
           backbone_check_side(&s->backbone, s->data.size, "data.size", err) &&
           (!s->augment.local_crops ||
            backbone_check_side(&s->backbone, s->augment.local_size, "augment.local_size", err));
}

/* A method need not say how wide its embeddings are: one row is embedded to see. */
static bool measure_width(model *m, error *err) {
    float *z = calloc((size_t)m->head.features, sizeof *z);
    if (!z) return error_memory(err, (size_t)m->head.features * sizeof *z, "the embeddings");
    bool was = tape_set_recording(m->tape, false);
    tensor *e = m->method->embed(&m->head, m->tape, tape_matrix(m->tape, z, 1, m->head.features), false);
    if (e) m->width = (int)tensor_cols(e);
    m->attainable = m->method->attainable ? m->method->attainable(&m->head) : m->width;
    tape_set_recording(m->tape, was);
    free(z);
    bool ok = tape_check(m->tape, err);
    tape_reset(m->tape);
    return ok;
}

static backbone *create_backbone(model *m, const char *name, error *err) {
    backbone_options options = m->spec->backbone;
    options.side = m->spec->data.size;
    return backbone_create(&options, m->parameters, name, err);
}

static bool create_parts(model *m, int classes, error *err) {
    const spec *s = m->spec;
    m->head = (method_model){.parameters = m->parameters,
                             .features = backbone_features(m->backbone),
                             .pairs = (int)s->train.batch,
                             .views = (int)s->augment.global_crops,
                             .locals = (int)s->augment.local_crops,
                             .classes = s->method->labels ? classes : 0,
                             .batchnorm = s->train.batchnorm         ? (method_batchnorm)s->train.batchnorm
                                          : s->train.joint_batchnorm ? BATCHNORM_JOINT
                                                                     : BATCHNORM_VIEW};
    if (!(m->labels = calloc((size_t)m->head.pairs, sizeof *m->labels)))
        return error_memory(err, (size_t)m->head.pairs * sizeof *m->labels, "a batch's labels");
    size_t one_hot = (size_t)m->head.pairs * (size_t)m->head.classes;
    if (one_hot && !(m->one_hot = malloc(one_hot * sizeof *m->one_hot)))
        return error_memory(err, one_hot * sizeof *m->one_hot, "a batch's labels");
    m->head.options = s->method_options;
    if (!m->method->build(&m->head, err)) return false;
    if (m->method->teacher && !(m->teacher = create_backbone(m, "teacher.backbone", err))) return false;
    return teacher_copy(m->parameters, err) && optimizer_create(&m->optimizer, &s->optimizer, m->parameters, err) &&
           measure_width(m, err);
}

/* Last, so that what the method draws is what it would draw without. */
static bool create_online(model *m, int classes, error *err) {
    const spec *s = m->spec;
    if (!s->eval.online || classes < 2 || !s->train.epochs) return true;
    m->online = online_create(m->parameters, &s->eval, m->head.features, m->head.views, m->head.pairs, classes, err);
    return m->online != NULL;
}

bool model_create(model *m, const spec *s, int classes, int threads, peers *p, error *err) {
    *m = (model){.spec = s, .method = s->method};
    if (!check(s, classes, err)) return false;
    m->backend = backend_cpu(threads, err);
    if (m->backend) m->backend->direct = !s->train.winograd, m->backend->peers = p;
    if (m->backend) m->parameters = parameters_create(m->backend, (uint64_t)s->train.seed, err);
    if (m->parameters) m->backbone = create_backbone(m, "backbone", err);
    if (m->backbone) m->tape = tape_create(m->backend, err);
    if (m->tape && create_parts(m, classes, err) && create_online(m, classes, err)) return true;
    model_destroy(m);
    return false;
}

void model_destroy(model *m) {
    if (m->method && m->method->destroy && m->head.options) m->method->destroy(&m->head);
    tape_destroy(m->tape);
    backbone_destroy(m->teacher);
    backbone_destroy(m->backbone);
    parameters_destroy(m->parameters);
    online_destroy(m->online);
    if (m->backend) m->backend->destroy(m->backend);
    free(m->one_hot);
    free(m->labels);
    *m = (model){0};
}

/* Training ----------------------------------------------------------------------------------------------------------
 */

/* Through a backbone. Where peers have the other parts of the batch, statistics and features are of all of them: what
 * follows sees the whole batch. */
static tensor *features(model *m, backbone *net, tensor *images, const backbone_pass *pass, int views) {
    m->backend->sharded = m->backend->peers != NULL;
    tensor *z = backbone_run(net, m->tape, images, pass);
    m->backend->sharded = false;
    return op_gather_rows(m->tape, z, views);
}

/* The teacher sees the global views, its BatchNorm in training mode; its activations go before the student's come. */
static tensor *teach(model *m, tensor *images, int views) {
    bool was = tape_set_recording(m->tape, false);
    size_t mark = tape_mark(m->tape);
    backbone_pass pass = {.groups = method_groups(&m->head), .training = true};
    tensor *z = features(m, m->teacher, images, &pass, views);
    tape_release(m->tape, mark, z);
    tape_set_recording(m->tape, was);
    return z;
}

/* Of the whole batch, also where peers have its other parts. */
static const int *whole_labels(model *m, const loader_batch *batch) {
    peers *p = m->backend->peers;
    if (!p) return batch->labels;
    if (!p->gather(p, batch->labels, m->labels, (size_t)batch->pairs * sizeof *m->labels)) p->broken = true;
    return m->labels;
}

static tensor *one_hot(model *m, const int *labels) {
    int n = m->head.pairs, classes = m->head.classes;
    memset(m->one_hot, 0, (size_t)n * (size_t)classes * sizeof *m->one_hot);
    for (int i = 0; i < n; i++)
        if (labels[i] >= 0 && labels[i] < classes) m->one_hot[(size_t)i * (size_t)classes + (size_t)labels[i]] = 1;
    return tape_matrix(m->tape, m->one_hot, n, classes);
}

static tensor *batch_loss(model *m, const loader_batch *batch, int size, method_context *context) {
    tape *t = m->tape;
    const method *method = m->method;
    int n = batch->pairs, locals = batch->locals, side = batch->local_size;
    method_call(method->before_forward, &m->head, context, t);
    tensor *x = tape_images(t, batch->pixels, (int64_t)n * batch->views, size, size, 3);
    const int *labels = whole_labels(m, batch);
    context->teacher = m->teacher ? teach(m, x, batch->views) : NULL;
    context->labels = method->labels ? one_hot(m, labels) : NULL;
    backbone_pass pass = {.groups = method_groups(&m->head),
                          .training = true,
                          .samples = batch->samples,
                          .pairs = n,
                          .seed = context->seed,
                          .epoch = context->epoch};
    tensor *z = features(m, m->backbone, x, &pass, batch->views);
    if (m->online) online_step(m->online, t, z, labels, m->pace);
    context->local = NULL;
    if (locals) {
        x = tape_images(t, batch->local, (int64_t)n * locals, side, side, 3);
        pass.groups = method_local_groups(&m->head), pass.first_view = batch->views;
        context->local = features(m, m->backbone, x, &pass, locals);
    }
    return method->loss(&m->head, context, t, z);
}

double model_loss(model *m, const loader_batch *batch, int size, method_context *context) {
    m->backend->bfloat16 = m->spec->train.precision == PRECISION_BFLOAT16;
    tensor *loss = batch_loss(m, batch, size, context);
    tape_backward(m->tape, loss);
    method_call(m->method->after_backward, &m->head, context, m->tape);
    m->backend->bfloat16 = false;
    return tape_scalar(m->tape, loss);
}

void model_after_step(model *m, method_context *context) {
    method_call(m->method->after_step, &m->head, context, m->tape);
}

/* Evaluation --------------------------------------------------------------------------------------------------------
 */

/* Records nothing, and leaves running statistics alone. */
typedef struct quiet {
    bool recording, statistics;
} quiet;

static quiet quiet_begin(model *m) {
    return (quiet){tape_set_recording(m->tape, false), tape_set_statistics(m->tape, false)};
}

static void quiet_end(model *m, quiet was) {
    tape_set_recording(m->tape, was.recording);
    tape_set_statistics(m->tape, was.statistics);
}

void model_represent(model *m, const float *pixels, int n, int size, bool by_batch, float *out) {
    quiet was = quiet_begin(m);
    tensor *x = tape_images(m->tape, pixels, n, size, size, 3);
    tape_read(m->tape, backbone_forward(m->backbone, m->tape, x, 1, by_batch), out);
    quiet_end(m, was);
}

void model_embed(model *m, const float *z, int n, bool by_batch, float *out) {
    quiet was = quiet_begin(m);
    tensor *x = tape_matrix(m->tape, z, n, m->head.features);
    tape_read(m->tape, m->method->embed(&m->head, m->tape, x, by_batch), out);
    quiet_end(m, was);
}

enum { LOGITS_AT_ONCE = 1 << 24 }; /* 64 MiB */

bool model_assign(model *m, const float *e, int n, usage *u, int32_t *best, error *err) {
    size_t codes = usage_codes(u), rows = LOGITS_AT_ONCE / codes;
    rows = rows < 1 ? 1 : rows < (size_t)n ? rows : (size_t)n;
    float *logits = malloc(rows * codes * sizeof *logits);
    if (!logits) return error_memory(err, rows * codes * sizeof *logits, "logits");
    bool was = tape_set_recording(m->tape, false), ok = true;
    for (size_t first = 0; ok && first < (size_t)n; first += rows) {
        size_t count = (size_t)n - first < rows ? (size_t)n - first : rows, mark = tape_mark(m->tape);
        tensor *x = tape_matrix(m->tape, e + first * (size_t)m->width, (int64_t)count, m->width);
        tape_read(m->tape, m->method->assign(&m->head, m->tape, x), logits);
        tape_release(m->tape, mark, NULL);
        ok = tape_check(m->tape, err) && usage_add(u, logits, count, best + first, err);
    }
    tape_set_recording(m->tape, was);
    free(logits);
    return ok;
}

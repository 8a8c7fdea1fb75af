#include "experiments/bench/bench_step.h"
#include "engine/codes.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/spec/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void step_bench_end(step_bench *s) {
    if (s->method) s->method->destroy(&s->head);
    tape_destroy(s->tape);
    backbone_destroy(s->net);
    parameters_destroy(s->parameters);
    if (s->backend) s->backend->destroy(s->backend);
    free((void *)s->head.options);
    free(s->input);
}

static bool set_option(const field_table *table, void *options, const char *key, const char *value, error *err) {
    const field *row = fields_require(table, key, err);
    return row && field_parse(table, row, options, value, err);
}

static bool set_number(const field_table *table, void *options, const char *key, int64_t value, error *err) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return set_option(table, options, key, text, err);
}

int64_t step_bench_side(const bench_options *o) { return o->size ? o->size : BENCH_SIDE; }

/* FALCON on `features` columns of representations. */
bool step_bench_begin(step_bench *s, const bench_options *o, int64_t input_values, error *err) {
    s->backend = backend_cpu((int)o->threads, err);
    if (!s->backend) return false;
    s->backend->bfloat16 = o->precision == PRECISION_BFLOAT16;
    s->parameters = parameters_create(s->backend, 0, err);
    backbone_options network;
    fields_defaults(&backbone_fields, &network);
    network.name = o->backbone, network.width = o->width;
    s->side = network.side = step_bench_side(o);
    network.patch = o->patch ? o->patch : network.side < 64 ? 4 : 16;
    network.recompute = o->recompute;
    if (backbone_is_transformer(&network)) s->patch = network.patch;
    if (s->parameters) s->net = backbone_create(&network, s->parameters, "backbone", err);
    if (s->net) s->tape = tape_create(s->backend, err);
    if (!s->tape) return false;
    s->method = method_find("falcon");
    void *options = calloc(1, s->method->fields.size);
    if (!options) return error_memory(err, s->method->fields.size, "the method's options");
    fields_defaults(&s->method->fields, options);
    s->head = (method_model){.options = options,
                             .parameters = s->parameters,
                             .features = backbone_features(s->net),
                             .pairs = (int)o->batch,
                             .views = BENCH_VIEWS};
    fields_defaults(&optimizer_fields, &s->optimizer_options);
    s->input = bench_noise((size_t)input_values, err);
    return s->input && set_number(&s->method->fields, options, "features", o->features, err) &&
           set_number(&s->method->fields, options, "codes", o->codes, err) &&
           set_option(&s->method->fields, options, "dictionary", dictionary_names[o->dictionary], err) &&
           s->method->build(&s->head, err) &&
           optimizer_create(&s->optimizer, &s->optimizer_options, s->parameters, err);
}

bool step_bench_body(void *context, error *err) {
    step_bench *s = context;
    method_context training = {0};
    tape_reset(s->tape);
    parameters_clear_grad(s->parameters);
    tensor *x = tape_images(s->tape, s->input, (int64_t)s->head.pairs * BENCH_VIEWS, s->side, s->side, 3);
    tensor *z = backbone_forward(s->net, s->tape, x, BENCH_VIEWS, true);
    tape_backward(s->tape, s->method->loss(&s->head, &training, s->tape, z));
    s->flops = tape_flops(s->tape);
    if (!tape_check(s->tape, err)) return false;
    optimizer_step(&s->optimizer, 1e-3, 1, optimizer_gradient_norm(s->parameters));
    return true;
}

bool step_bench_loss(void *context, error *err) {
    step_bench *s = context;
    method_context training = {0};
    tape_reset(s->tape);
    tensor *h = tape_matrix(s->tape, s->input, (int64_t)s->head.pairs * BENCH_VIEWS, s->width);
    tape_require_grad(h);
    tensor *e = op_scale(s->tape, op_l2_normalize(s->tape, h), sqrt((double)s->width / s->head.pairs));
    tape_backward(s->tape, s->method->objective(&s->head, &training, s->tape, e));
    s->flops = tape_flops(s->tape);
    return tape_check(s->tape, err);
}

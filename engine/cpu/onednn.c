/*
 * Convolutions by oneDNN: the one file that calls it. For every shape there is a plan: forward, data-gradient and
 * weight-gradient primitives, made once. It comes to the shapes that no kernel of our own takes, whose layouts it has
 * no fast kernels for: so oneDNN chooses, and images and weights are reordered for each pass.
 */
#include "engine/cpu/convolution.h"
#include "engine/room.h"

#ifndef MEWS_DOUBLE

#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

typedef struct primitive {
    dnnl_primitive_t handle;
    dnnl_primitive_desc_t description;
} primitive;

typedef struct conv_plan {
    conv_shape key;
    primitive passes[CONV_PASSES]; /* made when first needed */
    struct conv_plan *next;
} conv_plan;

struct conv_plans {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    conv_plan *first;
};

/* More than oneDNN allocates in a call: descriptions, and the kernels that it writes. Images come from our pool. */
static bool has_room(void) { return room_for(1, (size_t)32 << 20); }

static bool fail_room(backend *b) { return cpu_fail(b, "out of memory: oneDNN needs 32 MiB beside its images"); }

struct conv_plans *conv_plans_create(error *err) {
    if (!has_room()) {
        error_memory(err, (size_t)32 << 20, "oneDNN");
        return NULL;
    }
    struct conv_plans *plans = calloc(1, sizeof *plans);
    if (plans && dnnl_engine_create(&plans->engine, dnnl_cpu, 0) == dnnl_success &&
        dnnl_stream_create(&plans->stream, plans->engine, dnnl_stream_default_flags) == dnnl_success)
        return plans;
    error_set(err, ERROR_RUN, "oneDNN does not start on this machine");
    conv_plans_destroy(plans);
    return NULL;
}

void conv_plans_destroy(struct conv_plans *plans) {
    if (!plans) return;
    for (conv_plan *p = plans->first, *next; p; p = next) {
        next = p->next;
        for (int i = 0; i < CONV_PASSES; i++) {
            if (p->passes[i].handle) dnnl_primitive_destroy(p->passes[i].handle);
            if (p->passes[i].description) dnnl_primitive_desc_destroy(p->passes[i].description);
        }
        free(p);
    }
    if (plans->stream) dnnl_stream_destroy(plans->stream);
    if (plans->engine) dnnl_engine_destroy(plans->engine);
    free(plans);
}

/* Memory descriptions --------------------------------------------------------------------------------------------- */

static dnnl_format_tag_t image_tag(int lanes) {
    const dnnl_format_tag_t blocks = BLOCK_LANES == 16 ? dnnl_nChw16c : BLOCK_LANES == 8 ? dnnl_nChw8c : dnnl_nChw4c;
    return lanes == BLOCK_LANES ? blocks : lanes == 1 ? dnnl_nchw : dnnl_nhwc;
}

static dnnl_memory_desc_t images_md(int64_t n, int64_t c, int64_t h, int64_t w, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, 4, (dnnl_dims_t){n, c, h, w}, dnnl_f32, tag);
    return md;
}

static dnnl_memory_desc_t weights_md(const conv_shape *s, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, 4, (dnnl_dims_t){s->out, s->in, s->window, s->window}, dnnl_f32, tag);
    return md;
}

static dnnl_memory_desc_t source_md(const conv_shape *s) {
    return images_md(s->n, s->in, s->h, s->w, image_tag(s->in_lanes));
}

static dnnl_memory_desc_t target_md(const conv_shape *s) {
    return images_md(s->n, s->out, s->out_h, s->out_w, image_tag(s->out_lanes));
}

/* Primitives ------------------------------------------------------------------------------------------------------ */

static dnnl_status_t describe(struct conv_plans *plans, const conv_shape *s, conv_pass which,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *made) {
    dnnl_memory_desc_t source = images_md(s->n, s->in, s->h, s->w, dnnl_format_tag_any);
    dnnl_memory_desc_t target = images_md(s->n, s->out, s->out_h, s->out_w, dnnl_format_tag_any);
    dnnl_memory_desc_t weights = weights_md(s, dnnl_format_tag_any), bias;
    dnnl_memory_desc_init_by_tag(&bias, 1, (dnnl_dims_t){s->out}, dnnl_f32, dnnl_x);
    dnnl_dims_t strides = {s->stride, s->stride}, padding = {s->padding, s->padding};
    /* The right and lower padding that makes the sizes come out exact; surplus pixels are cut by a negative one. */
    dnnl_dims_t end = {(s->out_h - 1) * s->stride + s->window - s->h - s->padding,
                       (s->out_w - 1) * s->stride + s->window - s->w - s->padding};
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;
    const dnnl_memory_desc_t *with_bias = s->bias ? &bias : NULL;
    if (which == CONV_FORWARD)
        status = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &source,
                                                    &weights, with_bias, &target, strides, padding, end);
    else if (which == CONV_DATA)
        status = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &source, &weights, &target,
                                                          strides, padding, end);
    else
        status = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &source, &weights,
                                                             with_bias, &target, strides, padding, end);
    dnnl_primitive_attr_t attributes = NULL;
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&attributes);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(made, &desc, attributes, plans->engine, hint);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

static bool ready(backend *b, conv_plan *p, conv_pass which) {
    primitive *made = &p->passes[which];
    if (made->handle) return true;
    if (which != CONV_FORWARD && !ready(b, p, CONV_FORWARD)) return false;
    struct conv_plans *plans = ((cpu_context *)b->context)->plans;
    dnnl_primitive_desc_t hint = which == CONV_FORWARD ? NULL : p->passes[CONV_FORWARD].description;
    dnnl_status_t status = describe(plans, &p->key, which, hint, &made->description);
    if (status == dnnl_success) status = dnnl_primitive_create(&made->handle, made->description);
    const char *kernel = "oneDNN";
    if (status == dnnl_success)
        dnnl_primitive_desc_query(made->description, dnnl_query_impl_info_str, 0, (void *)&kernel);
    if (status == dnnl_success) conv_note(b, &p->key, which, kernel);
    return status == dnnl_success || cpu_fail(b, "oneDNN has no kernel for this convolution (status %d)", (int)status);
}

static conv_plan *plan_for(backend *b, const conv_shape *key) {
    struct conv_plans *plans = ((cpu_context *)b->context)->plans;
    for (conv_plan *p = plans->first; p; p = p->next)
        if (memcmp(&p->key, key, sizeof *key) == 0) return p;
    conv_plan *p = calloc(1, sizeof *p);
    if (!p) {
        cpu_fail(b, "out of memory");
        return NULL;
    }
    p->key = *key;
    p->next = plans->first;
    return plans->first = p;
}

/* Running a primitive ---------------------------------------------------------------------------------------------- */

enum { MAX_ARGUMENTS = 5 };

/* One argument of a primitive: our memory, and, when the primitive wants another layout, a copy in that layout. */
typedef struct argument {
    int index;
    bool output;
    dnnl_memory_desc_t ours;
    const dnnl_memory_desc_t *wanted;
    real *memory, *copy;
    dnnl_memory_t handle;
} argument;

static dnnl_status_t reorder(struct conv_plans *plans, const dnnl_memory_desc_t *from, real *source,
                             const dnnl_memory_desc_t *to, real *target) {
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t handle = NULL;
    dnnl_memory_t in = NULL, out = NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&description, from, plans->engine, to, plans->engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&handle, description);
    if (status == dnnl_success) status = dnnl_memory_create(&in, from, plans->engine, source);
    if (status == dnnl_success) status = dnnl_memory_create(&out, to, plans->engine, target);
    if (status == dnnl_success) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, in}, {DNNL_ARG_TO, out}};
        status = dnnl_primitive_execute(handle, plans->stream, 2, arguments);
    }
    if (in) dnnl_memory_destroy(in);
    if (out) dnnl_memory_destroy(out);
    if (handle) dnnl_primitive_destroy(handle);
    if (description) dnnl_primitive_desc_destroy(description);
    return status;
}

static dnnl_status_t prepare(backend *b, struct conv_plans *plans, argument *a) {
    if (!dnnl_memory_desc_equal(&a->ours, a->wanted)) {
        a->copy = b->allocate(b, dnnl_memory_desc_get_size(a->wanted));
        if (!a->copy) return dnnl_out_of_memory;
        if (!a->output) {
            dnnl_status_t status = reorder(plans, &a->ours, a->memory, a->wanted, a->copy);
            if (status != dnnl_success) return status;
        }
    }
    return dnnl_memory_create(&a->handle, a->wanted, plans->engine, a->copy ? a->copy : a->memory);
}

static bool run(backend *b, const primitive *p, argument *arguments, int count) {
    struct conv_plans *plans = ((cpu_context *)b->context)->plans;
    dnnl_exec_arg_t list[MAX_ARGUMENTS + 1];
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < count && status == dnnl_success; i++) {
        status = prepare(b, plans, &arguments[i]);
        list[i] = (dnnl_exec_arg_t){arguments[i].index, arguments[i].handle};
    }
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(p->description, dnnl_query_scratchpad_md, 0);
    size_t bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    void *scratch_memory = bytes ? b->allocate(b, bytes) : NULL;
    dnnl_memory_t scratch_handle = NULL;
    int used = count;
    if (status == dnnl_success && bytes) {
        status = scratch_memory ? dnnl_memory_create(&scratch_handle, scratch, plans->engine, scratch_memory)
                                : dnnl_out_of_memory;
        list[used++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, scratch_handle};
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(p->handle, plans->stream, used, list);
    for (int i = 0; i < count; i++) {
        argument *a = &arguments[i];
        if (status == dnnl_success && a->output && a->copy)
            status = reorder(plans, a->wanted, a->copy, &a->ours, a->memory);
        if (a->handle) dnnl_memory_destroy(a->handle);
        b->release(b, a->copy);
    }
    if (scratch_handle) dnnl_memory_destroy(scratch_handle);
    b->release(b, scratch_memory);
    return status == dnnl_success || cpu_fail(b, "oneDNN failed (status %d)", (int)status);
}

static const dnnl_memory_desc_t *wanted(const primitive *p, dnnl_query_t what, int i) {
    return dnnl_primitive_desc_query_md(p->description, what, i);
}

static dnnl_memory_desc_t bias_md(const conv_shape *s) {
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, 1, (dnnl_dims_t){s->out}, dnnl_f32, dnnl_x);
    return md;
}

bool onednn_forward(backend *b, const conv_shape *s, real *x, real *weights, real *bias, real *y) {
    conv_plan *p = plan_for(b, s);
    if (!p || (!has_room() && !fail_room(b)) || !ready(b, p, CONV_FORWARD)) return false;
    const primitive *f = &p->passes[CONV_FORWARD];
    argument arguments[] = {
        {.index = DNNL_ARG_SRC, .ours = source_md(s), .wanted = wanted(f, dnnl_query_src_md, 0), .memory = x},
        {.index = DNNL_ARG_WEIGHTS,
         .ours = weights_md(s, dnnl_oihw),
         .wanted = wanted(f, dnnl_query_weights_md, 0),
         .memory = weights},
        {.index = DNNL_ARG_DST,
         .output = true,
         .ours = target_md(s),
         .wanted = wanted(f, dnnl_query_dst_md, 0),
         .memory = y},
        {.index = DNNL_ARG_BIAS, .ours = bias_md(s), .wanted = wanted(f, dnnl_query_weights_md, 1), .memory = bias},
    };
    return run(b, f, arguments, s->bias ? 4 : 3);
}

bool onednn_data(backend *b, const conv_shape *s, real *dy, real *weights, real *dx) {
    conv_plan *p = plan_for(b, s);
    if (!p || (!has_room() && !fail_room(b)) || !ready(b, p, CONV_DATA)) return false;
    const primitive *f = &p->passes[CONV_DATA];
    argument arguments[] = {
        {.index = DNNL_ARG_DIFF_DST,
         .ours = target_md(s),
         .wanted = wanted(f, dnnl_query_diff_dst_md, 0),
         .memory = dy},
        {.index = DNNL_ARG_WEIGHTS,
         .ours = weights_md(s, dnnl_oihw),
         .wanted = wanted(f, dnnl_query_weights_md, 0),
         .memory = weights},
        {.index = DNNL_ARG_DIFF_SRC,
         .output = true,
         .ours = source_md(s),
         .wanted = wanted(f, dnnl_query_diff_src_md, 0),
         .memory = dx},
    };
    return run(b, f, arguments, 3);
}

bool onednn_weights(backend *b, const conv_shape *s, real *x, real *dy, real *dw, real *dbias) {
    conv_plan *p = plan_for(b, s);
    if (!p || (!has_room() && !fail_room(b)) || !ready(b, p, CONV_WEIGHTS)) return false;
    const primitive *f = &p->passes[CONV_WEIGHTS];
    argument arguments[] = {
        {.index = DNNL_ARG_SRC, .ours = source_md(s), .wanted = wanted(f, dnnl_query_src_md, 0), .memory = x},
        {.index = DNNL_ARG_DIFF_DST,
         .ours = target_md(s),
         .wanted = wanted(f, dnnl_query_diff_dst_md, 0),
         .memory = dy},
        {.index = DNNL_ARG_DIFF_WEIGHTS,
         .output = true,
         .ours = weights_md(s, dnnl_oihw),
         .wanted = wanted(f, dnnl_query_diff_weights_md, 0),
         .memory = dw},
        {.index = DNNL_ARG_DIFF_BIAS,
         .output = true,
         .ours = bias_md(s),
         .wanted = wanted(f, dnnl_query_diff_weights_md, 1),
         .memory = dbias},
    };
    return run(b, f, arguments, s->bias ? 4 : 3);
}

#endif

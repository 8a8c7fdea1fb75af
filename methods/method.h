/*
 * A method is a projector and a loss, in one file that reads like its paper. It sees representations (the backbone's
 * output, one row a sample, views below each other) and builds everything else from engine ops. What it does not fill
 * in (NULL) it does not need. One line in registry.c makes it known to every command.
 */
#ifndef MEWS_METHOD_H
#define MEWS_METHOD_H

#include "engine/fields.h"
#include "engine/ops.h"
#include "engine/parameters.h"

/* A method at work: its options, its parameters, and what it knows of the run. */
typedef struct method_model {
    const void *options;    /* of the type that the method's field table describes */
    parameters *parameters; /* call them "head.…" */
    int features;           /* d: columns of the representations */
    int pairs;              /* n: samples in a training batch */
    int views;              /* views of each sample */
    bool joint_batchnorm;   /* one group for all views instead of one each */
    void *state;            /* the method's own; free it in destroy */
} method_model;

enum { METHOD_PARTS = 6 };

/* Where training stands, and room for the parts of the loss that the history shows. */
typedef struct method_context {
    uint64_t step, steps;
    uint32_t epoch, epochs;
    int parts;
    struct {
        const char *name;
        const tensor *value; /* 1×1 */
    } part[METHOD_PARTS];
} method_context;

/* Shows a part of the loss in the run's history. */
void method_report(method_context *context, const char *name, const tensor *value);

/* Groups of BatchNorm statistics in a training batch. */
static inline int method_groups(const method_model *m) { return m->joint_batchnorm ? 1 : m->views; }

typedef struct method {
    const char *name, *summary, *reference;
    field_table fields;    /* section "method" */
    bool batch_statistics; /* the loss depends on the batch as a whole: gradient accumulation would change it */

    /* Refuses settings that cannot work (ERROR_USAGE, naming the keys), adds parameters, sets state. */
    bool (*build)(method_model *m, error *err);
    void (*destroy)(method_model *m);

    /* representations (views·n, d), view by view → the loss, 1×1. */
    tensor *(*loss)(method_model *m, method_context *context, tape *t, tensor *representations);

    /* The part of `loss` behind the projector, from embeddings (views·n, width) as `embed` gives them, so that its cost
       can be measured alone; NULL where the loss needs more than these. */
    tensor *(*objective)(method_model *m, method_context *context, tape *t, tensor *embeddings);

    /* representations (n, d) → what dimensional collapse is measured on, in evaluation (running statistics), or with
       the batch's own statistics when `training`. */
    tensor *(*embed)(method_model *m, tape *t, tensor *representations, bool training);

    /* embeddings as `embed` gives them → logits over codes, clusters or prototypes (n, c); NULL if it has none. */
    tensor *(*assign)(method_model *m, tape *t, tensor *embeddings);
    int (*codes)(const method_model *m); /* c; NULL where assign is */
} method;

const method *method_find(const char *name);  /* NULL when there is none */
extern const char *const *const method_names; /* NULL-terminated */
const method *method_at(int index);           /* in the order of method_names */

#endif

/*
 * A method is a projector and a loss, in one file that reads like its paper. It sees representations (the backbone's
 * output, one row a sample, views below each other) and builds everything else from engine ops. What it does not fill
 * in (NULL) it does not need. One line in registry.c makes it known to every command.
 *
 * One step of training: before_forward; the teacher's and the student's backbones; loss and its backward pass;
 * after_backward; the optimiser; after_step. State that lasts from step to step (a queue, a centre) is a parameter of
 * ROLE_BUFFER, written with tape_assign: so it is in the checkpoint, and a resumed run goes on with the same bits.
 */
#ifndef MEWS_METHOD_H
#define MEWS_METHOD_H

#include "engine/fields.h"
#include "engine/ops.h"
#include "engine/parameters.h"
#include "engine/teacher.h"

/* Over which views BatchNorm takes its statistics: each view by itself, all views of one size together, or, in heads,
   global and local views together too (the backbone cannot: their sizes differ). */
typedef enum method_batchnorm { BATCHNORM_VIEW, BATCHNORM_JOINT, BATCHNORM_ALL } method_batchnorm;

/* A method at work: its options, its parameters, and what it knows of the run. */
typedef struct method_model {
    const void *options;    /* of the type that the method's field table describes */
    parameters *parameters; /* call them "head.…" */
    int features;           /* d: columns of the representations */
    int pairs;              /* n: samples in a training batch */
    int views;              /* global views of each sample */
    int locals;             /* local views of each sample, 0 unless the method takes them */
    int classes;            /* of the labels; 0 unless the method takes them */
    method_batchnorm batchnorm;
    void *state; /* the method's own; free it in destroy */
} method_model;

enum { METHOD_PARTS = 6 };

/* Where training stands, what a step sees beside the student's global views, and room for the parts of the loss that
   the history shows. */
typedef struct method_context {
    uint64_t step, steps; /* step counts from 0 and has not changed in after_step; `steps` is for method_cosine alone */
    uint32_t epoch, epochs;
    uint64_t seed;   /* a method's own draws: rng_stream(seed, RNG_METHOD, epoch, step, …) */
    tensor *local;   /* the student's representations of the local views (locals·n, d), view by view; or NULL */
    tensor *teacher; /* the teacher's of the global views (views·n, d), no gradient; NULL unless method.teacher */
    tensor *labels;  /* (n, classes), one 1 in each row; NULL unless method.labels */
    const char *by_length; /* the option by which training depends on its length, as method_cosine notes; or NULL */
    int parts;
    struct {
        const char *name;
        const tensor *value; /* 1×1 */
    } part[METHOD_PARTS];
} method_context;

/* Shows a part of the loss in the run's history. */
void method_report(method_context *context, const char *name, const tensor *value);

/* Half a cosine from `from` at the first step to `to` at the last, as `option` asks. It notes that this run depends on
   how long it is to be: otherwise a longer run could go on from a shorter one. */
double method_cosine(method_context *context, const char *option, double from, double to);

/* Groups of BatchNorm statistics in a training batch. */
static inline int method_groups(const method_model *m) { return m->batchnorm ? 1 : m->views; }
static inline int method_local_groups(const method_model *m) { return m->batchnorm ? 1 : m->locals; }

typedef struct method {
    const char *name, *summary, *reference;
    field_table fields;                /* section "method" */
    const field_condition *conditions; /* of those of its keys that do nothing beside some values of others; or NULL */
    bool batch_statistics; /* the loss depends on the batch as a whole: gradient accumulation would change it */
    bool teacher;          /* has one: the model adds its backbone, `build` the rest as "teacher.head.…" */
    bool local_views;      /* takes local views beside the global ones */
    bool labels;           /* takes labels; one view will do */

    /* Refuses settings that cannot work (ERROR_USAGE, naming the keys), adds parameters, sets state. */
    bool (*build)(method_model *m, error *err);
    void (*destroy)(method_model *m);

    /* representations (views·n, d), view by view → the loss, 1×1. */
    tensor *(*loss)(method_model *m, method_context *context, tape *t, tensor *representations);

    /* Around the loss; ops in them are not recorded. after_backward is the place for parameters_hold. */
    void (*before_forward)(method_model *m, method_context *context, tape *t);
    void (*after_backward)(method_model *m, method_context *context, tape *t);
    void (*after_step)(method_model *m, method_context *context, tape *t);

    /* The part of `loss` behind the projector, from embeddings (views·n, width) as `embed` gives them, so that its cost
       can be measured alone; NULL where the loss needs more than these. */
    tensor *(*objective)(method_model *m, method_context *context, tape *t, tensor *embeddings);

    /* representations (n, d) → what dimensional collapse is measured on, in evaluation (running statistics), or with
       the batch's own statistics when `training`. */
    tensor *(*embed)(method_model *m, tape *t, tensor *representations, bool training);

    /* How many directions embeddings can span: the width of the narrowest layer from the last element-wise
       nonlinearity to the end, since linear layers and a row's length add none (BatchNorm's shift may add one more).
       NULL: as many as embeddings have columns. */
    int (*attainable)(const method_model *m);

    /* The loss of outputs that tell nothing of the image: every code or partner alike; the embeddings of two views at
       right angles, or uncorrelated over an endless batch; or, where a loss is an answer to collapse by itself, all
       embeddings in one point, the cheapest. NULL or NaN: there is no such value. README.md lists them. */
    double (*chance_loss)(const method_model *m);

    /* Settings that work, but hardly as meant, in one line that names the keys, to be told before training; "" for
       none. NULL: never. */
    void (*caution)(const method_model *m, char *line, size_t size);

    /* embeddings as `embed` gives them → logits over codes, clusters or prototypes (n, c); NULL if it has none. */
    tensor *(*assign)(method_model *m, tape *t, tensor *embeddings);
    int (*codes)(const method_model *m); /* c; NULL where assign is */
} method;

/* Runs a hook, or nothing where there is none. */
typedef void (*method_hook)(method_model *m, method_context *context, tape *t);
void method_call(method_hook hook, method_model *m, method_context *context, tape *t);

const method *method_find(const char *name);  /* NULL when there is none */
extern const char *const *const method_names; /* NULL-terminated */
const method *method_at(int index);           /* in the order of method_names */

#endif

/*
 * The options of a run that belong to no part of the engine: how long to train and on what, and what to measure
 * afterwards. Same road as everywhere: a plain struct and a field table.
 */
#ifndef MEWS_OPTIONS_H
#define MEWS_OPTIONS_H

#include "engine/fields.h"

typedef struct train_options {
    int64_t epochs, batch; /* batch = pairs a step, the n of the losses */
    int64_t seed;
    int64_t threads;        /* compute threads; 0 = all. Decides the last bits, but not which run this is */
    int64_t loader_threads; /* decides nothing but speed */
    bool joint_batchnorm;   /* the older name of batchnorm: joint */
    int batchnorm;          /* choice: view, joint, all; in the order of method_batchnorm */
    bool winograd;          /* convolutions by Winograd's algorithm where it applies */
    int precision;          /* choice: PRECISION_ */
    int64_t accumulate;     /* batches whose gradients make one step */
    int64_t checkpoint_every, log_every, eval_every;          /* epochs; steps; epochs, 0 = at its end alone */
    unsigned stop_on_collapse;                                /* set of 1 << collapse_mode */
    int64_t stop_patience;                                    /* epochs in a row */
    char init[FIELD_TEXT_SIZE], init_prefix[FIELD_TEXT_SIZE]; /* weights to start from; "": drawn by the seed */
} train_options;

/* What activations are stored in while a network trains, in the order of the choice. */
enum { PRECISION_FLOAT32, PRECISION_BFLOAT16 };
extern const char *const precision_names[]; /* NULL-terminated */

extern const field_table train_fields;
extern const field_condition train_conditions[]; /* of keys that do nothing beside some values of others */

/* Bits of eval_options.metrics, in the order of the field's choices. */
enum {
    EVAL_LINEAR = 1 << 0,
    EVAL_KNN = 1 << 1,
    EVAL_KMEANS = 1 << 2,
    EVAL_PROTOTYPES = 1 << 3,
    EVAL_COLLAPSE = 1 << 4,
    EVAL_METRICS = 1 << 5, /* the first of analysis/metrics/list.h; each further one's is twice as large */
};
/* Bits of eval_options.online. */
enum { EVAL_ONLINE_LINEAR = 1 << 0, EVAL_ONLINE_KNN = 1 << 1 };
enum { EVAL_BATCHNORM_RUNNING, EVAL_BATCHNORM_BATCH };
enum { EVAL_STUDENT, EVAL_TEACHER };

typedef struct eval_options {
    unsigned metrics; /* set of EVAL_ bits */
    double probe_l2;
    int64_t knn_k;
    double knn_temperature;
    int64_t kmeans_restarts;
    int64_t sample;         /* rows of the test split; 0 = all */
    int batchnorm;          /* EVAL_BATCHNORM_ */
    unsigned batch_figures; /* set of EVAL_ bits: by the batch whatever batchnorm says */
    int network;            /* EVAL_STUDENT, EVAL_TEACHER */
    unsigned online;        /* set of EVAL_ONLINE_ bits: measured by what is trained beside the method */
    double online_lr;
    int64_t online_bank; /* rows */
} eval_options;

extern const field_table eval_fields;
extern const field_condition eval_conditions[];

#endif

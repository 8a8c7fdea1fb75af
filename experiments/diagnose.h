/*
 * `mews diagnose`, without its printing: the rows that a file or a run offers, with what is known of each, and the
 * figures taken of them. A row keeps its place: sampling and dropping take it out of all files alike.
 */
#ifndef MEWS_DIAGNOSE_H
#define MEWS_DIAGNOSE_H

#include "analysis/agreement.h"
#include "analysis/array_file.h"
#include "analysis/blocks.h"
#include "analysis/collapse.h"
#include "analysis/duplicates.h"
#include "analysis/lidar.h"
#include "analysis/mixture.h"
#include "analysis/neural_collapse.h"
#include "analysis/silhouette.h"
#include "analysis/views.h"

typedef struct diagnose_options {
    const char *source;                                 /* a file, a run's folder, or "-" */
    const char *tensor, *labels, *assignments, *second; /* NULL: none */
    const char *prototypes;                             /* NULL: none; a row a code */
    size_t sample;                                      /* rows; 0: all */
    size_t codes;                                       /* 0: as many as the assignments name */
    uint64_t seed;
    bool drop_nonfinite;
} diagnose_options;

/* Codes that can be counted: half a gigabyte of counters. */
enum { DIAGNOSE_CODES = 1 << 22 };

typedef struct subject {
    char *name;
    char *run; /* the run's folder; NULL for a file */
    matrix embeddings;
    matrix second; /* data NULL: none */
    int32_t *labels;
    int classes;            /* the labels' distinct values, in their order, are 0 … classes − 1 */
    int32_t *assignment;    /* each row's code, by argmax where assignments are soft */
    usage *usage;           /* with an assignment */
    matrix prototypes;      /* (codes, width); data NULL: none */
    uint64_t rows_given;    /* in the file */
    uint64_t *rows;         /* (embeddings.rows) each row's number in the file, ascending */
    size_t dropped;         /* rows left out for NaN or infinity */
    array_file file, other; /* kept open while the matrices point into them */
    float *own, *own_second, *own_prototypes;
} subject;

/* ERROR_RUN for a bad file, with its name; ERROR_USAGE where another option would help. */
bool subject_load(subject *s, const diagnose_options *o, error *err);
void subject_free(subject *s);

typedef struct diagnosis {
    collapse collapse;
    uniformity uniformity;
    alignment alignment;             /* with a second view */
    neural_collapse neural_collapse; /* with labels */
    agreement agreement;             /* with labels and assignments */
    lidar lidar;                     /* with a second view, or else with labels */
    block_structure blocks;          /* of the clusters: the assignment's, or k-means */
    silhouette silhouette;           /* of the same */
    mixture_curve mixture;
    duplicates duplicates; /* with prototypes */
    bool has_alignment, has_neural_collapse, has_agreement;
} diagnosis;

bool diagnosis_make(diagnosis *d, const subject *s, uint64_t seed, error *err);
void diagnosis_free(diagnosis *d);

/* collapse_to_json's object with what is beyond it. NULL when out of memory. */
json_t *diagnosis_json(const diagnosis *d, const subject *s);

#endif

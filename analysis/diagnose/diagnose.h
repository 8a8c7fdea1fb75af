/*
 * `mews diagnose`, without its printing: the rows that a file or a run offers, with what is known of each, and the
 * figures taken of them. A row keeps its place: sampling and dropping take it out of all files alike.
 */
#ifndef MEWS_DIAGNOSE_H
#define MEWS_DIAGNOSE_H

#include "analysis/clusters/agreement.h"
#include "analysis/files/array_file.h"
#include "engine/files/strided.h"
#include "analysis/diagnose/blocks.h"
#include "analysis/verdicts/collapse.h"
#include "analysis/diagnose/duplicates.h"
#include "analysis/spectrum/lidar.h"
#include "analysis/clusters/mixture.h"
#include "analysis/clusters/neural_collapse.h"
#include "analysis/clusters/silhouette.h"
#include "analysis/diagnose/views.h"
#include "analysis/diagnose/label_probes.h"

/* An array in the caller's memory, called as options name it. */
typedef struct memory_array {
    const char *name;
    strided array;
} memory_array;

typedef struct diagnose_options {
    const char *source;                                 /* a file, a run's folder, or "-" */
    const char *tensor, *labels, *assignments, *second; /* NULL: none */
    const char *labels_in;  /* which array of the labels' file, or of the embeddings' own; NULL: none */
    array_tokens tokens;    /* of n × t × d */
    const char *type;       /* how elements are to be taken whose file names no type; NULL: as it says */
    const char *prototypes; /* NULL: none; a row a code */
    size_t sample;          /* rows; 0: all */
    void (*progress)(void *context, size_t pass, uint64_t done,
                     uint64_t rows); /* through rows not in memory; or NULL */
    void *context;
    size_t codes; /* 0: as many as the assignments name */
    uint64_t seed;
    bool drop_nonfinite;
    const char *reference, *groups; /* NULL: none */
    double temperature;             /* of assignments that are scores; 0: not said */
    double attainable;              /* the narrowest layer's width; 0: the columns' number */
    const int64_t *unlabelled;      /* the label that is none, besides −1; NULL: no other */
    const memory_array *memory; /* arrays that are in memory: an option that points at a name of theirs means them */
    size_t memory_count;
    bool fast; /* ranks, spread, use of codes and verdicts without intervals */
} diagnose_options;

/* Codes that can be counted: half a gigabyte of counters. */
enum { DIAGNOSE_CODES = 1 << 22 };

/* Embeddings beyond this stay in the file: spectrum and spread take all rows in passes over it, everything that needs
 * clusters, neighbours or pairs a sample of DIAGNOSE_SAMPLE_ROWS, or as many as make DIAGNOSE_SAMPLE bytes, drawn by
 * the seed. */
enum { DIAGNOSE_IN_MEMORY = 1 << 28, DIAGNOSE_SAMPLE = 1 << 27, DIAGNOSE_SAMPLE_ROWS = 1 << 16 };

/* Hands out the rows of a file. */
typedef struct row_reader {
    const array_file *file;
    const uint64_t *rows;
    size_t count, pass;
    void (*progress)(void *context, size_t pass, uint64_t done, uint64_t rows);
    void *context;
} row_reader;

typedef struct subject {
    char *name;
    char *run;         /* the run's folder; NULL for a file */
    matrix embeddings; /* all rows, or a sample of them: labels, assignment and second are of the same ones */
    row_source all;    /* where embeddings are a sample, or float64's rounding: all rows as the file has them */
    row_reader reader; /* behind `all` */
    size_t count;      /* rows in all */
    uint32_t *sampled; /* (embeddings.rows) which of them embeddings are; NULL: all */
    matrix second;     /* data NULL: none */
    int32_t *labels;
    int classes;         /* the labels' distinct values, in their order, are 0 … classes − 1 */
    int32_t *assignment; /* each row's code, by argmax where assignments are soft */
    usage *usage;        /* with an assignment: of all rows */
    uint8_t *blocks;     /* (count) for the usage's intervals */
    assignments_are assignments_are;
    double temperature; /* that was divided by; 0: none */
    double score_range; /* of scores */
    bool codes_guessed;
    size_t unassigned; /* rows of zeros among the probabilities */
    int64_t *groups;   /* (count), or NULL */
    size_t unlabelled; /* rows without a label: then labels are those of `labelled`, the rows that have one */
    matrix labelled;   /* embeddings with a label; embeddings itself where all have one */
    double *offset;    /* (d) column means that embeddings are less of, where float32 would lose the rest; or NULL */
    collapse_evidence reference;
    char *reference_name; /* NULL: none */
    char *note;           /* a line that the user should see; NULL: none */
    double attainable;
    bool fast;
    matrix prototypes;      /* (codes, width); data NULL: none */
    uint64_t rows_given;    /* in the file */
    uint64_t *rows;         /* (count) each row's number in the file, ascending */
    size_t dropped;         /* rows left out for NaN or infinity */
    array_file file, other; /* kept open while the matrices point into them */
    double *own_doubles;
    float *own, *own_second, *own_prototypes, *own_labelled;
} subject;

/* Looks at every value of the chosen rows, takes out what may be dropped, then brings into memory what is to be there.
 * Private to subject_load; `second` NULL: none. */
bool subject_take_rows(subject *s, const diagnose_options *o, const array_file *second, error *err);

/* A reader's rows as a source; what spectra need of fewer rows than columns comes into memory: *own, to be freed. */
bool subject_source(row_reader *r, row_source *out, double **own, error *err);

/* ERROR_RUN for a bad file, with its name; ERROR_USAGE where another option would help. */
bool subject_load(subject *s, const diagnose_options *o, error *err);
void subject_free(subject *s);

typedef struct diagnosis {
    collapse collapse;
    uniformity uniformity;
    alignment alignment;             /* with a second view */
    neural_collapse neural_collapse; /* with labels */
    agreement agreement;             /* with labels and assignments */
    lidar lidar_chance;              /* of permuted labels, or of views of different inputs */
    lidar lidar;                     /* with a second view, or else with labels */
    block_structure blocks;          /* of the clusters: the assignment's, or k-means */
    silhouette silhouette;           /* of the same */
    mixture_curve mixture;
    duplicates duplicates; /* with prototypes */
    bool has_alignment, has_neural_collapse, has_agreement;
    label_probes probes; /* with labels */
} diagnosis;

bool diagnosis_make(diagnosis *d, const subject *s, uint64_t seed, error *err);
void diagnosis_free(diagnosis *d);

/* collapse_to_json's object with what is beyond it. NULL when out of memory. */
json_t *diagnosis_json(const diagnosis *d, const subject *s);

#endif

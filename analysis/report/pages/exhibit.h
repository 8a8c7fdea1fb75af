/*
 * One file or run as the diagnosis page shows it: everything that is drawn, small enough to keep while the next file is
 * read. A matrix of any size leaves a sample of its rows on a map, two heat maps, its spectra and its counts.
 */
#ifndef MEWS_EXHIBIT_H
#define MEWS_EXHIBIT_H

#include "analysis/verdicts/collapse_history.h"
#include "analysis/matrix.h"

enum { EXHIBIT_POINTS = 1500, EXHIBIT_SIDE = 160, EXHIBIT_GROUPS = 10 };

/* What it is made from; nothing of it is kept. */
typedef struct exhibit_source {
    const char *name;
    matrix embeddings;
    const int32_t *labels; /* (n) in [0, classes), or NULL */
    int classes;
    const int32_t *clusters; /* (n): codes, or k-means where there are none */
    bool by_kmeans;
    const usage *usage;    /* with codes, or NULL */
    const json_t *figures; /* what `mews diagnose --json` prints of it */
    const char *run;       /* a run's folder, for its history; or NULL */
    uint64_t seed;
    size_t points; /* on the map; at most EXHIBIT_POINTS */
} exhibit_source;

/* Rows on the map in up to EXHIBIT_GROUPS groups, the largest of them: each has its colour, −1 is all others. */
typedef struct exhibit_groups {
    int32_t *of;                     /* (points) −1 … count − 1; NULL: there are none */
    int32_t numbers[EXHIBIT_GROUPS]; /* the class or code that a group stands for */
    size_t count;
    bool others;
} exhibit_groups;

typedef struct exhibit {
    char *name;
    double at;      /* its place in a series of files (exhibit_series.h); NaN in none */
    char note[320]; /* what a run was: method, data, epochs; "" for a file */
    json_t *figures;
    json_t *final; /* what the run was measured at, as in its run.json; NULL for a file */
    size_t points;
    double *map;         /* (points, 2): principal components */
    double map_share[2]; /* of the variance */
    exhibit_groups by_label, by_cluster;
    bool by_kmeans;
    size_t covariance_side; /* covariances of evenly taken columns over their mean variance; 0 for none */
    double *covariance;
    size_t adjacency_side; /* cosines of evenly taken rows, sorted by cluster or by label (NULL: none) */
    double *adjacency, *adjacency_by_label;
    size_t codes;     /* 0: none */
    double *code_use; /* (codes) mean assignment, descending */
    size_t clusters;
    double *cluster_rows; /* (clusters) descending, of those in use */
    collapse_history history;
    size_t losses;
    double *loss_epoch, *loss; /* (losses) */
    double chance_loss;        /* of outputs that tell nothing; NaN where the run knows none */
} exhibit;

bool exhibit_make(exhibit *e, const exhibit_source *from, error *err);
void exhibit_free(exhibit *e);

/* A figure by its name in --json; NaN when it is not there. */
double exhibit_figure(const exhibit *e, const char *name);
/* A mode's verdict object, or NULL. */
const json_t *exhibit_verdict(const exhibit *e, collapse_mode mode);

#endif

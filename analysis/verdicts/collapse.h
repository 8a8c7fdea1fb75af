/*
 * The four collapses, each with its verdict: a statistic that falls to 0 in a full collapse, what it would be under the
 * null (noise, equally likely codes, a cloud without clusters), an interval by delete-a-group jackknife (a bootstrap
 * repeats rows and biases ranks low), two thresholds and a sentence. Thresholds are constants of the judges, with their
 * reasons; where the evidence cannot tell, the verdict is unknown and the sentence says what is missing.
 */
#ifndef MEWS_ANALYSIS_COLLAPSE_H
#define MEWS_ANALYSIS_COLLAPSE_H

#include "analysis/clusters/clusters.h"
#include "analysis/spectrum/across.h"
#include "analysis/spectrum/spectrum.h"
#include "analysis/clusters/usage.h"
#include "analysis/verdicts/evidence.h"

#include <jansson.h>

typedef enum verdict { VERDICT_UNKNOWN, VERDICT_HEALTHY, VERDICT_WARNING, VERDICT_COLLAPSED } verdict;
typedef enum collapse_mode {
    COLLAPSE_REPRESENTATION, /* all inputs to one point */
    COLLAPSE_DIMENSIONAL,    /* the embeddings span a subspace */
    COLLAPSE_CLUSTER,        /* part of the codes unused, or all rows assigned alike */
    COLLAPSE_INTRACLUSTER,   /* no variation left inside a cluster */
    COLLAPSE_MODES
} collapse_mode;

const char *verdict_name(verdict v);                                         /* "healthy", … */
const char *collapse_mode_name(collapse_mode mode);                          /* "representation", … */
bool collapse_mode_parse(const char *name, collapse_mode *mode, error *err); /* with "did you mean" */

typedef struct collapse_verdict {
    verdict verdict;
    const char *statistic_name;
    double statistic, expected;                    /* NaN when unknown; expected: the statistic under the null */
    double low, high;                              /* 95 % interval; NaN without one */
    double threshold_warning, threshold_collapsed; /* the statistic below them: that verdict */
    bool borderline;  /* the interval crosses the threshold that decided: --fail-on does not act on it */
    const char *rule; /* which rule spoke: "one_point", "gap", "effective_rank", "reference", … */
    char against[96]; /* what it was held against; empty: nothing */
    int64_t onset;    /* epoch it began; −1: unknown. Filled by whoever knows the run's history */
    char sentence[512];
} collapse_verdict;

/* What the rows of `usage` were. */
typedef enum assignments_are {
    ASSIGNMENTS_PROBABILITIES, /* or logits whose temperature is known */
    ASSIGNMENTS_HARD,          /* one code a row */
    ASSIGNMENTS_SCORES         /* logits before a temperature that nobody has said: only their order counts */
} assignments_are;

typedef struct collapse_input {
    matrix embeddings;         /* (n, d) */
    matrix second;             /* (n, d) the other view of each row's input; data NULL: none */
    const row_source *all;     /* where embeddings are a sample of more rows, or a rounding of them: those; clusters are
                                  the sample's, spread and rank (and usage) those of all. NULL: embeddings */
    const int32_t *assignment; /* (n) in [0, codes), or NULL: k-means */
    size_t codes;              /* with an assignment */
    const usage *usage;    /* of the same rows, or NULL: taken from the assignment; without both, cluster: unknown */
    const int32_t *labels; /* (n), or NULL; 0 … classes − 1 */
    int classes;
    size_t clusters; /* of the k-means when there is no assignment; 0: classes if they are two or more, else min(10, n /
                        10) */
    bool quick;      /* no intervals, few rounds of k-means, on a sample of many rows: cheap enough for every epoch */
    uint64_t seed;
    double attainable;                  /* width of the narrowest layer behind the embeddings; 0: their own */
    const collapse_evidence *reference; /* what to hold them against; NULL: nothing */
    const char *reference_name;
    const int64_t *groups; /* (all rows) rows of one value belong together; NULL: each is by itself */
    assignments_are assignments_are;
    double score_range; /* of scores: the median difference of a row's largest and smallest */
    bool codes_guessed; /* nobody said how many codes there are */
} collapse_input;

typedef struct collapse {
    spectrum spectrum;
    collapse_evidence evidence;
    collapse_verdict verdicts[COLLAPSE_MODES];
    across across;         /* of two views; effective_rank NaN without */
    double mean_resultant; /* ‖mean of the L2-normalised rows‖² */
    double spread;         /* 1 − mean_resultant */
    double variance_share; /* total variance over mean squared norm */
    bool has_usage;
    usage_figures usage;
    uint64_t *code_counts; /* argmax counts, descending, the first code_counts_shown of them */
    size_t code_counts_shown;
    bool clusters_by_kmeans;
    size_t cluster_rows, clusters_used;             /* rows that the clusters are of; K */
    double within_share;                            /* [SSW/(n − K)] / [SST/(n − 1)] */
    double point_share, point_size, point_clusters; /* rows in clusters that are points, see points.h */
    int32_t *assignment;                            /* (cluster_rows): the clusters, as given or by k-means */
    cluster_spectra clusters;                       /* the spectra inside them */
    double class_within_share;                      /* the share within labelled classes; NaN without labels */
} collapse;

enum { COLLAPSE_CODES_SHOWN = 4096 };

bool collapse_compute(const collapse_input *input, collapse *out, error *err);
void collapse_free(collapse *c);

/* Whether the dimensional verdict is a collapse that no reference could excuse: one point, one or two directions. */
bool collapse_undisputed(const collapse *c);

/*
 * The object that `mews diagnose --json` prints and diagnosis.json holds, enough to draw a page from: n, d, rankme,
 * rankme_share, rankme_noise_share, effective_rank, …, verdicts: {representation: {verdict, statistic, …}, …}, and the
 * arrays singular_values, singular_values_centred, code_usage. NaN becomes null. NULL when out of memory.
 */
json_t *collapse_to_json(const collapse *c);

/* One verdict of it: {verdict, statistic_name, statistic, …, sentence}. */
json_t *collapse_verdict_json(const collapse_verdict *v);

#endif

/*
 * The trial of the verdicts: matrices of known truth, drawn by fixed seeds, held against the words that they get. A
 * truth is stated only where nobody would dispute it; what lies between is drawn too, and only asked not to flip.
 */
#ifndef MEWS_TESTS_TRIAL_H
#define MEWS_TESTS_TRIAL_H

#include "analysis/verdicts/collapse.h"
#include "engine/rng.h"

#include <stdio.h>

typedef enum truth { TRUTH_OPEN, TRUTH_HEALTHY, TRUTH_COLLAPSED } truth;

/* One drawing with everything that a user would hand over beside it. */
typedef struct drawing {
    char what[160];
    size_t n, d;
    double *values;      /* (n, d), in the precision that it was stored in */
    double *reference;   /* (n, d) or NULL */
    int64_t *groups;     /* (n) or NULL */
    int32_t *assignment; /* (n) or NULL */
    float *scores;       /* (n, codes) or NULL: log-probabilities, or scores before a temperature */
    size_t codes;
    bool are_scores;
    double attainable;
    truth truths[COLLAPSE_MODES];
} drawing;

enum { DRAWINGS = 1296, FLIP_BASES = 40 };

/* Drawing number i < DRAWINGS. */
void drawing_make(drawing *g, uint32_t i);
/* One of the bases that are turned, scaled, shifted, permuted and halved: variant 0 is the base itself. */
enum { VARIANTS = 6 };
void drawing_variant(drawing *g, uint32_t base, int variant);
void drawing_free(drawing *g);

/* What is said of it. */
void trial_judge(const drawing *g, bool quick, verdict out[COLLAPSE_MODES]);

typedef struct trial {
    int said[COLLAPSE_MODES][3][4]; /* by truth and verdict */
    int flips, bases;
} trial;

/* Every step-th drawing from the first-th on; wrong ones are named on `log` (or NULL). */
void trial_run(trial *t, uint32_t first, uint32_t step, bool quick, FILE *log);
void trial_print(const trial *t, FILE *out);

/* Shares, per mode: healthy ones called warning or collapsed; clear collapses not called so; healthy ones unknown. */
double trial_false_alarms(const trial *t, collapse_mode mode);
double trial_misses(const trial *t, collapse_mode mode);
double trial_withheld(const trial *t, collapse_mode mode);

#endif

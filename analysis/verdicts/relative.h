/*
 * What changed: a file's verdicts held against a reference's figures (--reference FILE). A run, whose backbone is known
 * as well, is held against its own network in course.h. Pure functions of evidence: whoever has two sets of figures,
 * fresh or out of records, gets the verdict, its interval and its sentence.
 */
#ifndef MEWS_ANALYSIS_RELATIVE_H
#define MEWS_ANALYSIS_RELATIVE_H

#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/evidence.h"

/*
 * Shares of a reference's rank that are kept, where verdicts turn. Measured on experiments/small (8,192 CIFAR-10
 * images, 4 epochs, seed 0): SimSiam without its stop-gradient, the one run there whose probe fell below the untrained
 * network's (0.27 of 0.38), keeps 0.16 of step 0's effective rank in `embed`. All others, controls whose decorrelation
 * was switched off among them, have 1.3 and more.
 */
#define RELATIVE_KEPT_WARNING 0.5
#define RELATIVE_KEPT_COLLAPSED 0.2

typedef struct relative_input {
    const collapse_evidence *now, *then; /* then NULL: nothing to hold against, the verdicts are unknown and say so */
    const char *against;                 /* the reference's name */
} relative_input;

/*
 * dimensional: collapsed below a fifth of the reference's effective rank, or below half with a cliff behind a quarter
 * of what is possible; below half alone is a warning. A narrower matrix is asked for its width's share only. Rows too
 * few on either side: unknown.
 */
void relative_dimensional(const relative_input *in, collapse_verdict *out);

/* representation, on the variance or its share of the mean squared norm, whichever has kept more: collapsed below a
 * hundred-thousandth of what the reference has, warning below a ten-thousandth. */
void relative_representation(const relative_input *in, collapse_verdict *out);

#endif

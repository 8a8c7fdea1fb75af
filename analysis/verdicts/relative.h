/*
 * What changed: verdicts held against something. A run is held against its own network at step 0 and at its best epoch,
 * a file against --reference FILE. Pure functions of evidence: whoever has two sets of figures, fresh or out of a run's
 * records, gets the verdict, its interval and its sentence.
 */
#ifndef MEWS_ANALYSIS_RELATIVE_H
#define MEWS_ANALYSIS_RELATIVE_H

#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/evidence.h"

typedef struct relative_input {
    const collapse_evidence *now, *then;                   /* of `embed`, or of the file; then NULL: nothing to hold
                                                              against, the verdicts are unknown and say so */
    const collapse_evidence *backbone_now, *backbone_then; /* both, or NULL: a file does not have them */
    const char *against;                                   /* "step 0", "epoch 12", a file's name */
} relative_input;

/*
 * dimensional. With backbones: collapsed when `embed` keeps less than half of the effective rank it had and the
 * backbone has not gained any; the first alone is a warning. Without: collapsed below a fifth of the reference's
 * effective rank, or below half with a cliff behind a quarter of what is possible; below half alone is a warning. A
 * narrower matrix is asked for its width's share only. Rows too few on either side: unknown.
 */
void relative_dimensional(const relative_input *in, collapse_verdict *out);

/* representation, on the variance or its share of the mean squared norm, whichever has kept more: collapsed below a
 * ten-thousandth of what the reference has, warning below a thousandth. */
void relative_representation(const relative_input *in, collapse_verdict *out);

#endif

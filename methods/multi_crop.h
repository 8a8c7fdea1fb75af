/*
 * The sum that multi-crop methods share: one view's assignment held against every other view's prediction.
 */
#ifndef MEWS_MULTI_CROP_H
#define MEWS_MULTI_CROP_H

#include "engine/ops.h"

/*
 * sum + Σ_v −(1/n) Σ_i Σ_k q_ik log p_v,ik over the views of log_p (views·n, c), all but view `skip` (−1: none).
 * log_q (n, c). `sum` is NULL to begin with.
 */
tensor *multi_crop_cross_entropy(tape *t, tensor *sum, tensor *log_q, tensor *log_p, int skip);

#endif

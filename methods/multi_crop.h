/*
 * What multi-crop methods share: the way of both kinds of views through the head, and the sum in which one view's
 * assignment is held against every other view's prediction.
 */
#ifndef MEWS_MULTI_CROP_H
#define MEWS_MULTI_CROP_H

#include "methods/method.h"

enum { MAX_GLOBAL = 2 }; /* global views of a sample */

/*
 * Mean over the global views u and all other views v of −(1/n) Σ_i Σ_k q_u,ik log p_v,ik. log_q: the assignments of
 * each global view (n, c), no gradient; log_p and local: predictions of the global and the local views (views·n, c),
 * local NULL without them.
 */
tensor *multi_crop_cross_entropy(const method_model *m, tape *t, tensor *const *log_q, tensor *log_p, tensor *local);

/* A training head: representations (rows, d), BatchNorm over each of `groups` runs of them → (rows, width). */
typedef tensor *(*multi_crop_head)(method_model *m, tape *t, tensor *representations, int groups);

/* The global views' representations through `head`, and the context's local ones, *local NULL without them: apart, or
   together where BatchNorm's statistics are over all views. */
tensor *multi_crop_project(method_model *m, const method_context *context, tape *t, tensor *representations,
                           multi_crop_head head, tensor **local);

/* Mean over all views, samples and columns of (μ − z_v)², μ the mean of a sample's global views; z (views·n, f) → 1×1.
 */
tensor *multi_crop_center_distance(const method_model *m, tape *t, tensor *global, tensor *local);

#endif

/*
 * A backbone is one file here that reads like its architecture, and a line in engine/backbone.c. README.md walks
 * through one from nothing.
 */
#ifndef MEWS_BACKBONE_KIND_H
#define MEWS_BACKBONE_KIND_H

#include "engine/backbone.h"
#include "engine/ops.h"

typedef struct backbone_kind {
    const char *summary;
    int64_t width; /* its own, where backbone.width is 0 */

    /* Adds its parameters, called "<prefix>.…", and tells d, the columns of its representations. The network comes from
       calloc; NULL with a message, and nothing to free, when it cannot be made or the options do not suit it. */
    void *(*build)(const backbone_options *o, int64_t width, parameters *p, const char *prefix, int *features,
                   error *err);

    /* images (N,H,W,3) → representations (N,d), as backbone_forward says. */
    tensor *(*forward)(const void *net, tape *t, tensor *images, int groups, bool training);

    /* The same for a transformer, instead of `forward`: backbone.patch must divide its images. */
    tensor *(*run)(const void *net, tape *t, tensor *images, const backbone_pass *pass);
} backbone_kind;

#endif

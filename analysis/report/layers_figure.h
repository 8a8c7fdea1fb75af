/*
 * The figure of `mews diagnose RUN --layers`: rank, cosine and, of transformers, tokens and attention by depth.
 */
#ifndef MEWS_LAYERS_FIGURE_H
#define MEWS_LAYERS_FIGURE_H

#include "analysis/layers/layers.h"

/* Draws layers.svg, .pdf, .png and .csv into `folder`, which exists: the trained network's lines, and the untrained
 * one's in grey. Both have the same layers. */
bool layers_figure_draw(const layers *trained, const layers *untrained, const char *folder, error *err);

#endif

/*
 * `mews diagnose RUN --layers`: a run's network by depth, as tables, JSON and a figure.
 */
#ifndef MEWS_DIAGNOSE_LAYERS_H
#define MEWS_DIAGNOSE_LAYERS_H

#include "experiments/commands/command.h"

bool diagnose_layers(const command_context *context, const arguments *args, error *err);

#endif

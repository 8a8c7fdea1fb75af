/*
 * A run's network by depth: its newest checkpoint sees held-out images, and every layer that the backbone tells of is
 * measured (analysis/layers), beside the same layer of the network as the seed draws it. Nothing is written and no
 * lease is taken, so that a run may be looked into while it trains.
 */
#ifndef MEWS_LOOK_LAYERS_H
#define MEWS_LOOK_LAYERS_H

#include "analysis/layers/layers.h"
#include "experiments/run/experiment.h"
#include "experiments/run/look.h"

/* Images whose patches and attention are looked at one by one, and rows of the matrix of all patches. */
enum { LOOK_CLOSE = 256, LOOK_PATCH_ROWS = 8192 };

typedef struct layer_report {
    char run[RUN_ID_SIZE], backbone[32];
    uint64_t step;          /* of the checkpoint */
    bool teacher;           /* eval.network: whose network is looked into */
    uint32_t images, close; /* that all layers, and single patches, are measured on */
    layers trained, untrained;
} layer_report;

/* ERROR_USAGE when `folder` is no run's, ERROR_RUN when it holds no checkpoint that verifies. */
bool look_layers_of_run(const char *folder, const experiment_hooks *hooks, layer_report *out, error *err);
void layer_report_free(layer_report *r);

/* A model's layers on those images; `than`: the layers that verdicts hold them against, or NULL, which judges none. */
bool look_layers(model *m, const look_at *at, const experiment_hooks *hooks, const layers *than, layers *out,
                 error *err);

/* {run, backbone, step, network, images, images_close, layers: [{…, untrained: {…}}]}; NULL when out of memory. */
json_t *layer_report_to_json(const layer_report *r);

#endif

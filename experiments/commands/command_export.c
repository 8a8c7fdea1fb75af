/* `mews export`: a run's history and figures in a form that another program reads. */
#include "analysis/report/tensorboard.h"
#include "experiments/commands/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A sweep's runs become folders of their own, which TensorBoard lists beside each other. */
static bool export_all(const records *all, const char *folder, uint64_t *scalars, error *err) {
    for (size_t i = 0; i < all->count; i++) {
        char place[2300];
        uint64_t count;
        snprintf(place, sizeof place, "%.1100s%s%.1100s", folder, all->single ? "" : "/",
                 all->single ? "" : all->items[i].id);
        if (!tensorboard_write(&all->items[i], place, &count, err)) return false;
        *scalars += count;
    }
    return true;
}

static bool run_export(const command_context *context, const arguments *args, error *err) {
    (void)context;
    const char *folder = arguments_value(args, "--tensorboard", NULL);
    records all;
    uint64_t scalars = 0;
    if (!folder)
        return error_set(err, ERROR_USAGE,
                         "export: say where to: --tensorboard DIR. (CSV: `mews runs --csv`; the index "
                         "results/runs.db is SQLite; checkpoints are safetensors, arrays .npy)");
    if (!records_read(&all, args->words[0], err)) return false;
    bool ok = true;
    if (all.unreadable_count) ok = error_set(err, ERROR_RUN, "%s", all.unreadable[0]);
    ok = ok && export_all(&all, folder, &scalars, err);
    if (ok)
        printf("%zu run%s, %" PRIu64 " scalars: tensorboard --logdir %s\n", all.count, all.count == 1 ? "" : "s",
               scalars, folder);
    records_free(&all);
    return ok;
}

static const option options[] = {
    {"--tensorboard", NULL, "DIR", "event files for TensorBoard, a folder a run"},
    {0},
};

const command command_export = {
    .name = "export",
    .rules = {.words = "RUN|DIR", .min_words = 1, .max_words = 1, .options = options},
    .summary = "a run's or a sweep's history for TensorBoard",
    .details = "Writes every number of a run's history (train/loss, collapse/…) by step, and its final figures "
               "(final/linear).\n",
    .run = run_export,
};

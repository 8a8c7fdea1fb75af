#include "experiments/run/midway.h"
#include "engine/clock.h"
#include "experiments/run/evaluate.h"

#include <stdio.h>

bool midway_is_due(const spec *s, uint64_t step, uint64_t steps_per_epoch) {
    uint64_t every = (uint64_t)s->train.eval_every * steps_per_epoch;
    return every && step % every == 0;
}

/* "ID after epoch 10: linear 0.512, prototype_ami 0.121": those that a reader looks for first. */
static void tell(run *r, const experiment_hooks *hooks, uint64_t epoch, const json_t *figures) {
    static const char *const first[] = {"linear", "knn", "kmeans_ami", "prototype_nmi", "prototype_ami"};
    char line[400];
    size_t used = (size_t)snprintf(line, sizeof line, "after epoch %llu", (unsigned long long)epoch), told = 0;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        const json_t *value = json_object_get(figures, first[i]);
        if (json_is_number(value))
            used += (size_t)snprintf(line + used, sizeof line - used, "%s %s %.3f", told++ ? "," : ":", first[i],
                                     json_number_value(value));
    }
    run_log(r, "%s", line);
    char named[RUN_ID_SIZE + sizeof line];
    snprintf(named, sizeof named, "%s %s", r->id, line);
    if (hooks->note) hooks->note(hooks->context, named);
}

bool midway_measure(model *m, const dataset *data, run *r, const experiment_hooks *hooks, uint64_t step, uint64_t epoch,
                    bool *interrupted, error *err) {
    double before = clock_seconds();
    json_t *figures;
    if (!evaluate_midway(m, data, step, hooks, &figures, interrupted, err))
        return error_prefix(err, "the figures after epoch %llu", (unsigned long long)epoch);
    if (!*interrupted) tell(r, hooks, epoch, figures);
    bool ok = *interrupted || run_metrics_append(r,
                                                 json_pack("{s:I, s:I, s:O, s:{s:o}}", "step", (json_int_t)step,
                                                           "epoch", (json_int_t)epoch, "figures", figures, "time",
                                                           "figures", run_json_number(clock_seconds() - before)),
                                                 err);
    json_decref(figures);
    return ok;
}

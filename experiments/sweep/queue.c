/*
 * The queue opens each distinct data set once: the runs of a sweep mostly share theirs, and a checksum is all that is
 * wanted of it here.
 */
#include "experiments/sweep/queue.h"
#include "experiments/run/extend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void tell_import(void *context, const char *what, uint64_t done, uint64_t total) {
    const experiment_hooks *hooks = context;
    experiment_progress now = {.phase = "data", .what = what, .done = done, .total = total, .loss = NAN, .chance = NAN};
    if (hooks->progress) hooks->progress(hooks->context, &now);
}

static void tell_warning(void *context, const char *line) {
    const experiment_hooks *hooks = context;
    if (hooks->warn) hooks->warn(hooks->context, line);
}

/* What a data set's options come to. */
typedef struct measured_data {
    data_options options;
    char checksum[65], name[64];
    uint32_t images, train, test; /* as in queue_item */
    int classes, size;
} measured_data;

static bool measure_data(measured_data *m, const data_options *options, const experiment_hooks *hooks, error *err) {
    if (*m->checksum && memcmp(&m->options, options, sizeof *options) == 0) return true;
    dataset *data = dataset_open(options, tell_import, tell_warning, (void *)hooks, err);
    if (!data) return false;
    m->options = *options;
    m->images = dataset_count(data, SPLIT_PRETRAIN);
    m->train = dataset_count(data, SPLIT_TRAIN);
    m->test = dataset_count(data, dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST);
    m->classes = dataset_classes(data);
    m->size = dataset_size(data);
    snprintf(m->name, sizeof m->name, "%s", dataset_name(data));
    snprintf(m->checksum, sizeof m->checksum, "%s", dataset_checksum(data));
    dataset_close(data);
    return true;
}

bool queue_again(const arguments *args, run_again *again, error *err) {
    bool redo = arguments_has(args, "--redo"), reuse = arguments_has(args, "--reuse");
    *again = redo ? RUN_REDO : reuse ? RUN_REUSE : RUN_ASK;
    return !(redo && reuse) || error_set(err, ERROR_USAGE, "--redo or --reuse, not both");
}

/* In a sweep --redo is for what other code made: so that it may be stopped and given again. */
static bool is_to_do(const run *r, run_again again) {
    if (!r->other || r->status == RUN_FAILED) return r->status != RUN_FINISHED;
    return again != RUN_ASK;
}

static bool name(queue_item *item, const run_plan *plan, const measured_data *data, const char *results, error *err) {
    run r;
    if (!run_name(&r, results, plan, data->checksum, err)) return false;
    *item = (queue_item){.plan = plan,
                         .images = data->images,
                         .train = data->train,
                         .test = data->test,
                         .classes = data->classes,
                         .size = data->size,
                         .work = (double)plan->spec.train.epochs * data->images};
    memcpy(item->id, r.id, sizeof item->id);
    memcpy(item->folder, r.folder, sizeof item->folder);
    memcpy(item->checksum, data->checksum, sizeof item->checksum);
    memcpy(item->data, data->name, sizeof item->data);
    return true;
}

static bool look(queue_item *item, const char *results, run_again again, error *err) {
    run r;
    if (!run_peek(&r, results, item->plan, item->checksum, err)) return false;
    item->status = r.status;
    item->other = r.other;
    item->to_do = is_to_do(&r, again);
    item->anew = r.other && item->to_do && (again == RUN_REDO || r.status == RUN_FAILED);
    item->seconds = run_seconds(&r, "train") + run_seconds(&r, "eval");
    run_close(&r);
    if (!item->to_do || checkpoint_stands(item->folder) || again == RUN_REDO) return true;
    extension e;
    if (!extension_find(&e, item->plan, item->id, item->folder, item->checksum, again == RUN_REUSE, err)) return false;
    if (e.record && !*e.hinders) item->trained = e.epochs;
    extension_free(&e);
    return true;
}

/* Only the blocks that --block names, if it names any. */
static bool choose_blocks(spec_file *file, const arguments *args, error *err) {
    const char *names[MAX_GIVEN + 1] = {0};
    size_t count = 0;
    while ((names[count] = arguments_nth(args, "--block", count))) count++;
    return count == 0 || spec_file_keep_blocks(file, names, err);
}

bool queue_name(queue *q, const char *spec_path, const arguments *args, const char *results,
                const experiment_hooks *hooks, error *err) {
    *q = (queue){0};
    measured_data data = {0};
    if (!spec_file_read(&q->file, spec_path, err)) return false;
    const char *set;
    for (size_t i = 0; (set = arguments_nth(args, "--base", i)); i++)
        if (!spec_file_base(&q->file, set, err)) goto failed;
    for (size_t i = 0; (set = arguments_nth(args, "--set", i)); i++)
        if (!spec_file_set(&q->file, set, err)) goto failed;
    if (!choose_blocks(&q->file, args, err) || !sweep_expand(&q->sweep, &q->file, err)) goto failed;
    q->items = calloc(q->sweep.count, sizeof *q->items);
    if (!q->items) {
        error_memory(err, q->sweep.count * sizeof *q->items, "the list of runs");
        goto failed;
    }
    for (size_t i = 0; i < q->sweep.count; i++) {
        const run_plan *plan = &q->sweep.runs[i];
        if (!measure_data(&data, &plan->spec.data, hooks, err) || !name(&q->items[i], plan, &data, results, err))
            goto failed;
    }
    return true;

failed:
    queue_close(q);
    return false;
}

bool queue_open(queue *q, const char *spec_path, const arguments *args, const char *results,
                const experiment_hooks *hooks, error *err) {
    run_again again;
    *q = (queue){0};
    if (!queue_again(args, &again, err) || !queue_name(q, spec_path, args, results, hooks, err)) return false;
    for (size_t i = 0; i < q->sweep.count; i++)
        if (!look(&q->items[i], results, again, err)) return queue_close(q), false;
    return true;
}

void queue_close(queue *q) {
    free(q->items);
    sweep_free(&q->sweep);
    spec_file_free(&q->file);
    *q = (queue){0};
}

char *queue_label(const queue_item *item, char out[RUN_ID_SIZE]) {
    return run_label(item->plan->spec.name, item->id, out);
}

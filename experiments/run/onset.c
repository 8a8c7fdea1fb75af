/*
 * A look at a few held-out images after each epoch. One comes out of each stretch of the split (which may be sorted by
 * class), not at one distance (the classes may take turns). They pass the network as in evaluation and leave no trace
 * in it: BatchNorm keeps its running statistics, so a run's bits do not depend on being watched. How many there are
 * follows from the training images: a step of 2 views costs about 6 forward passes an image pair, so one image in 32
 * passes for half a per cent of an epoch, and judging them costs about as much again.
 */
#include "experiments/run/onset.h"
#include "engine/clock.h"
#include "engine/data/loader.h"
#include "engine/rng.h"

#include <stdlib.h>
#include <string.h>

/* Fewer say too little about a rank or a histogram; more are not needed to see a collapse. */
enum { ROWS_LEAST = 64, ROWS_MOST = 512, IMAGES_A_ROW = 32 };

static uint32_t choose_rows(uint32_t training, uint32_t held_out) {
    uint32_t rows = training / IMAGES_A_ROW;
    rows = rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : rows;
    return rows < held_out ? rows : held_out;
}

uint32_t onset_image(uint32_t row, uint32_t rows, uint32_t held_out) {
    uint32_t first = (uint32_t)((uint64_t)row * held_out / rows);
    uint32_t next = (uint32_t)((uint64_t)(row + 1) * held_out / rows);
    rng random = rng_stream(0, RNG_SUBSET, 3, row, 0);
    return first + rng_below(&random, next - first);
}

/* Why the run is to end, if it is: the mode that has been collapsed longest of those the spec names. */
static void decide(onset *o) {
    const train_options *with = &o->model->spec->train;
    size_t longest = (size_t)with->stop_patience - 1, looks = o->history.count;
    if (!looks || o->history.items[looks - 1].epoch >= with->epochs) return; /* at its end it needs no stopping */
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        size_t streak = collapse_history_streak(&o->history, (collapse_mode)mode);
        if (!(with->stop_on_collapse >> mode & 1) || streak <= longest) continue;
        longest = streak;
        snprintf(o->stopped, sizeof o->stopped, "%s collapse since epoch %lld; stopped after epoch %lld of %lld",
                 collapse_mode_name((collapse_mode)mode),
                 (long long)collapse_history_onset(&o->history, (collapse_mode)mode),
                 (long long)o->history.items[looks - 1].epoch, (long long)with->epochs);
    }
}

static bool can_be_seen(const onset *o, error *err) {
    unsigned wanted = o->model->spec->train.stop_on_collapse;
    if (wanted && !o->rows)
        return error_set(err, ERROR_USAGE,
                         "train.stop_on_collapse needs held-out images to see a collapse on: set "
                         "data.validation, or add test images");
    if (wanted >> COLLAPSE_CLUSTER & 1 && !o->model->method->codes)
        return error_set(err, ERROR_USAGE,
                         "train.stop_on_collapse: %s has no codes or prototypes, so `cluster` can "
                         "never be seen",
                         o->model->method->name);
    return true;
}

bool onset_open(onset *o, model *m, const dataset *data, run *r, error *err) {
    char path[1200];
    *o = (onset){.model = m, .data = data, .run = r};
    o->split = dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST;
    o->rows = choose_rows(dataset_count(data, SPLIT_PRETRAIN), dataset_count(data, o->split));
    if (!can_be_seen(o, err) ||
        !collapse_history_read(&o->history, run_path(r, "metrics.jsonl", path, sizeof path), err))
        return false;
    decide(o);
    return true;
}

void onset_close(onset *o) { collapse_history_free(&o->history); }

/* ---- one look ---- */

typedef struct look {
    float *pixels, *z, *embeddings;
    int32_t *labels, *assignment; /* assignment NULL: the method has no codes */
    usage *usage;
    size_t codes;
} look;

static void look_free(look *l) {
    free(l->pixels);
    free(l->z);
    free(l->embeddings);
    free(l->labels);
    free(l->assignment);
    usage_free(l->usage);
}

static bool look_make(look *l, const onset *o, int batch, error *err) {
    const model *m = o->model;
    size_t side = (size_t)dataset_size(o->data), n = o->rows, d = (size_t)m->head.features;
    l->codes = m->method->codes ? (size_t)m->method->codes(&m->head) : 0;
    l->pixels = malloc((size_t)batch * side * side * 3 * sizeof *l->pixels);
    l->z = malloc((size_t)batch * d * sizeof *l->z);
    l->embeddings = malloc(n * (size_t)m->width * sizeof *l->embeddings);
    l->labels = malloc(n * sizeof *l->labels);
    bool ok = l->pixels && l->z && l->embeddings && l->labels;
    if (l->codes) {
        l->assignment = malloc(n * sizeof *l->assignment);
        l->usage = usage_new(l->codes, err);
        ok = ok && l->assignment && l->usage;
    }
    return ok || error_memory(err, n * (size_t)m->width * sizeof(float), "a look at the embeddings");
}

/* Rows [first, first + n) through the network. */
static bool pass(look *l, const onset *o, model *m, uint32_t first, int n, error *err) {
    uint32_t held_out = dataset_count(o->data, o->split);
    size_t side = (size_t)dataset_size(o->data);
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        uint32_t image = onset_image(first + i, o->rows, held_out);
        if (!loader_plain(o->data, o->split, image, 1, l->pixels + i * side * side * 3, err)) return false;
        l->labels[first + i] = dataset_label(o->data, o->split, image);
    }
    float *embeddings = l->embeddings + (size_t)first * (size_t)m->width;
    tape_reset(m->tape);
    model_represent(m, l->pixels, n, (int)side, l->z);
    model_embed(m, l->z, n, embeddings);
    return tape_check(m->tape, err) &&
           (!l->codes || model_assign(m, embeddings, n, l->usage, l->assignment + first, err));
}

static bool measure(onset *o, collapse *c, error *err) {
    /* Statistics of batches, as eval.batchnorm may ask for, would also move the running ones: not while training. */
    spec running = *o->model->spec;
    model quiet = *o->model;
    running.eval.batchnorm = EVAL_BATCHNORM_RUNNING;
    quiet.spec = &running;
    look l = {0};
    int batch = quiet.head.pairs * quiet.head.views;
    batch = batch > 256 ? 256 : batch; /* no more memory than a step takes */
    bool ok = look_make(&l, o, batch, err);
    for (uint32_t first = 0; ok && first < o->rows; first += (uint32_t)batch)
        ok = pass(&l, o, &quiet, first, o->rows - first < (uint32_t)batch ? (int)(o->rows - first) : batch, err);
    tape_reset(quiet.tape);
    collapse_input with = {.embeddings = {l.embeddings, o->rows, (size_t)quiet.width},
                           .assignment = l.assignment,
                           .codes = l.codes,
                           .usage = l.usage,
                           .labels = dataset_is_labelled(o->data) ? l.labels : NULL,
                           .classes = dataset_classes(o->data),
                           .quick = true,
                           .seed = (uint64_t)running.train.seed};
    ok = ok && collapse_compute(&with, c, err);
    look_free(&l);
    return ok;
}

bool onset_epoch(onset *o, uint64_t step, uint64_t epoch, error *err) {
    collapse c;
    double before = clock_seconds();
    if (!o->rows) return true;
    if (!measure(o, &c, err)) return error_prefix(err, "held-out images after epoch %llu", (unsigned long long)epoch);
    double seconds = clock_seconds() - before;
    o->seconds += seconds;
    bool ok = collapse_history_add(&o->history, (int64_t)epoch, &c, err) &&
              run_metrics_append(o->run,
                                 json_pack("{s:I, s:I, s:o, s:{s:o}}", "step", (json_int_t)step, "epoch",
                                           (json_int_t)epoch, "collapse", collapse_history_json(&c), "time", "collapse",
                                           run_json_number(seconds)),
                                 err);
    if (ok) decide(o);
    collapse_free(&c);
    return ok;
}

/*
 * One image comes out of each stretch of the split (which may be sorted by class), not at one distance (the classes may
 * take turns). A training step of two views costs about six forward passes an image pair, so that 2,048 images cost a
 * twenty-fifth of an epoch of 8,192 and less than a hundredth of one of 50,000.
 */
#include "experiments/run/look.h"
#include "engine/rng.h"
#include "engine/threads.h"
#include "experiments/run/represent.h"

#include <math.h>
#include <stdlib.h>

look_at look_choose(const dataset *data) {
    look_at at = {.data = data, .split = dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST};
    uint32_t held_out = dataset_count(data, at.split);
    at.rows = held_out < LOOK_ROWS ? held_out : LOOK_ROWS;
    return at;
}

uint32_t look_image(uint32_t row, uint32_t rows, uint32_t held_out) {
    uint32_t first = (uint32_t)((uint64_t)row * held_out / rows);
    uint32_t next = (uint32_t)((uint64_t)(row + 1) * held_out / rows);
    rng random = rng_stream(0, RNG_SUBSET, 3, row, 0);
    return first + rng_below(&random, next - first);
}

/* What the images become. */
typedef struct view {
    represented rows;
    int32_t *assignment; /* NULL: the method has no codes */
    usage *usage;
    size_t codes;
} view;

static void view_free(view *v) {
    represented_free(&v->rows);
    free(v->assignment);
    usage_free(v->usage);
}

/* A step may throw the weights further than its own loss tells. */
static bool is_finite(const view *v, const model *m) {
    size_t values = v->rows.n * (size_t)m->width;
    for (size_t i = 0; i < values; i++)
        if (!isfinite(v->rows.embeddings[i])) return false;
    return true;
}

/* The codes that the rows take, where the method has any. */
static bool assign(view *v, model *m, uint32_t batch, error *err) {
    uint32_t n = v->rows.n;
    v->codes = m->method->codes ? (size_t)m->method->codes(&m->head) : 0;
    if (!v->codes) return true;
    v->assignment = malloc(n * sizeof *v->assignment);
    v->usage = usage_new(v->codes, err);
    bool ok = (v->assignment && v->usage) || error_memory(err, n * sizeof *v->assignment, "a look at the codes");
    for (uint32_t first = 0; ok && first < n; first += batch) {
        tape_reset(m->tape);
        ok = model_assign(m, v->rows.embeddings + (size_t)first * (size_t)m->width,
                          (int)(n - first < batch ? n - first : batch), v->usage, v->assignment + first, err);
    }
    return ok;
}

static bool measure(const view *v, const model *m, const look_at *at, bool intervals, course_point *point, collapse *c,
                    error *err) {
    matrix representations = {v->rows.representations, at->rows, (size_t)m->head.features};
    matrix embeddings = {v->rows.embeddings, at->rows, (size_t)m->width};
    row_source backbone = rows_of(representations), embed = rows_of(embeddings);
    evidence_options options = {.attainable = m->attainable, .intervals = true};
    collapse_input with = {.embeddings = embeddings,
                           .assignment = v->assignment,
                           .codes = v->codes,
                           .usage = v->usage,
                           .labels = dataset_is_labelled(at->data) ? v->rows.labels : NULL,
                           .classes = dataset_classes(at->data),
                           .attainable = m->attainable,
                           .quick = true,
                           .seed = (uint64_t)m->spec->train.seed};
    if (!evidence_take(&backbone, NULL, &point->backbone, err) || !collapse_compute(&with, c, err)) return false;
    if (v->usage) point->codes = course_codes_of(v->usage);
    point->embed = c->evidence;
    if (!intervals || evidence_with_spectrum(&embed, &c->spectrum, &options, &point->embed, err)) return true;
    collapse_free(c);
    return false;
}

static bool ask_online(const view *v, model *m, const look_at *at, online_figures *figures, error *err) {
    *figures = (online_figures){.linear = (double)NAN, .knn = (double)NAN};
    matrix representations = {v->rows.representations, at->rows, (size_t)m->head.features};
    return !m->online || online_measure(m->online, m->tape, representations, v->rows.labels, figures, err);
}

bool look_take(const model *m, const look_at *at, int64_t epoch, bool intervals, course_point *point, collapse *c,
               online_figures *figures, error *err) {
    model quiet = *m; /* its tape is what works */
    view v = {0};
    uint32_t batch = (uint32_t)(quiet.head.pairs * quiet.head.views);
    images_asked which = {.split = at->split, .count = at->rows, .out_of_all = true, .embeds = true};
    which.batch = batch > 256 ? 256 : batch; /* no more memory than a step takes */
    *point = (course_point){.epoch = epoch};
    bool ok = represent(&quiet, at->data, &which, &v.rows, NULL, NULL, err);
    if (ok && epoch > 0 && !is_finite(&v, &quiet))
        ok = error_set(err, ERROR_RUN, "training diverged: their embeddings are not finite. " LOOK_ADVICE);
    ok = ok && assign(&v, &quiet, which.batch, err);
    tape_reset(quiet.tape);
    ok = ok && (!figures || ask_online(&v, &quiet, at, figures, err));
    ok = ok && measure(&v, &quiet, at, intervals, point, c, err);
    view_free(&v);
    return ok;
}

bool look_take_untrained(const spec *s, const look_at *at, course_point *point, collapse *c, error *err) {
    model m;
    /* the threads stay those that the run has, which need not be the spec's */
    if (!model_create(&m, s, dataset_classes(at->data), threads_in_use(), NULL, err)) return false;
    bool ok = look_take(&m, at, 0, false, point, c, NULL, err);
    model_destroy(&m);
    return ok;
}

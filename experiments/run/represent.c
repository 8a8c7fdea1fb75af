#include "experiments/run/represent.h"
#include "experiments/run/look.h"

#include <stdlib.h>
#include <string.h>

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static size_t features_of(const model *m) { return (size_t)m->head.features; }
static size_t width_of(const model *m, const images_asked *which) { return which->embeds ? (size_t)m->width : 0; }

static uint32_t image_of(const dataset *data, const images_asked *which, uint32_t row) {
    return which->out_of_all ? look_image(row, which->count, dataset_count(data, which->split)) : row;
}

static bool read_pixels(const dataset *data, const images_asked *which, uint32_t first, uint32_t n, float *pixels,
                        error *err) {
    size_t side = (size_t)dataset_size(data);
    bool ok = true;
    if (!which->out_of_all) return loader_plain(data, which->split, first, n, pixels, err);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = loader_plain(data, which->split, image_of(data, which, first + i), 1, pixels + i * side * side * 3, err);
    return ok;
}

/* Rows first … first + n − 1 into z (n, d) and e (n, width). */
static bool one_batch(model *m, const dataset *data, const images_asked *which, uint32_t first, uint32_t n, float *z,
                      float *e, error *err) {
    int side = dataset_size(data);
    size_t bytes = (size_t)n * (size_t)side * (size_t)side * 3 * sizeof(float);
    float *pixels = malloc(bytes);
    if (!pixels) return error_memory(err, bytes, "a batch of images");
    bool ok = read_pixels(data, which, first, n, pixels, err);
    tape_reset(m->tape);
    if (ok) model_represent(m, pixels, (int)n, side, which->by_batch, z);
    if (ok && which->embeds) model_embed(m, z, (int)n, which->by_batch, e);
    free(pixels);
    return ok && tape_check(m->tape, err);
}

/* This process's batch of a round, and everyone's rows where `out` (rank 0's) wants them. */
static bool share_round(model *m, const dataset *data, const images_asked *which, uint32_t first, represented *out,
                        error *err) {
    peers *p = m->backend->peers;
    uint32_t batch = which->batch, own = first + (uint32_t)p->rank * batch;
    size_t d = features_of(m), width = width_of(m, which), values = batch * (d + width);
    float *mine = calloc(values, sizeof *mine), *all = malloc(values * (size_t)p->count * sizeof *all);
    bool ok =
        (mine && all) || error_memory(err, values * (size_t)(p->count + 1) * sizeof *all, "everyone's representations");
    if (ok && own < which->count)
        ok = one_batch(m, data, which, own, least(batch, which->count - own), mine, mine + batch * d, err);
    ok = ok && (p->gather(p, mine, all, values * sizeof *mine) || words_cannot_reach(p, err));
    for (uint32_t r = 0; ok && out && r < (uint32_t)p->count && first + r * batch < which->count; r++) {
        size_t at = first + r * batch, n = least(batch, which->count - (uint32_t)at);
        const float *theirs = all + r * values;
        memcpy(out->representations + at * d, theirs, n * d * sizeof *theirs);
        if (width) memcpy(out->embeddings + at * width, theirs + batch * d, n * width * sizeof *theirs);
    }
    p->broken = p->broken || !ok; /* the others wait for its rows */
    free(mine);
    free(all);
    return ok;
}

bool represent_round(model *m, const dataset *data, const word *w, error *err) {
    return share_round(m, data, &w->images, w->first, NULL, err);
}

static bool make(const model *m, const dataset *data, const images_asked *which, represented *out, error *err) {
    size_t n = which->count, d = features_of(m), width = width_of(m, which);
    *out = (represented){.n = which->count,
                         .representations = malloc(n * d * sizeof(float)),
                         .embeddings = width ? malloc(n * width * sizeof(float)) : NULL,
                         .labels = malloc(n * sizeof *out->labels)};
    if (!out->representations || (width && !out->embeddings) || !out->labels)
        return error_memory(err, n * (d + width) * sizeof(float), "the representations");
    for (uint32_t i = 0; i < which->count; i++)
        out->labels[i] = dataset_label(data, which->split, image_of(data, which, i));
    return true;
}

bool represent(model *m, const dataset *data, const images_asked *which, represented *out, represent_go_on *go_on,
               void *context, error *err) {
    const peers *p = m->backend->peers;
    uint32_t round = which->batch * (uint32_t)(p ? p->count : 1);
    bool ok = make(m, data, which, out, err) && words_let_follow(m, err);
    for (uint32_t first = 0; ok && first < which->count; first += round) {
        uint32_t n = least(round, which->count - first);
        float *z = out->representations + first * features_of(m);
        float *e = which->embeds ? out->embeddings + first * width_of(m, which) : NULL;
        ok = words_tell(m, (word){.order = ORDER_REPRESENT, .images = *which, .first = first}, err) &&
             (p ? share_round(m, data, which, first, out, err) : one_batch(m, data, which, first, n, z, e, err));
        if (ok && go_on && !go_on(context, first + n)) break;
    }
    return ok;
}

void represented_free(represented *r) {
    free(r->representations);
    free(r->embeddings);
    free(r->labels);
    *r = (represented){0};
}

#include "experiments/bench/noise_batch.h"
#include "experiments/bench/bench_measure.h"

#include <stdlib.h>

bool noise_make(noise_batch *b, const model *m, int pairs, int size, int classes, error *err) {
    size_t n = (size_t)pairs, side = (size_t)size, small = (size_t)m->spec->augment.local_size;
    *b = (noise_batch){.labels = malloc(n * sizeof(int))};
    b->pixels = bench_noise(n * (size_t)m->head.views * side * side * 3, err);
    if (m->head.locals) b->local = bench_noise(n * (size_t)m->head.locals * small * small * 3, err);
    if (!b->labels) return error_memory(err, n * sizeof(int), "a batch's labels");
    for (int i = 0; i < pairs; i++) b->labels[i] = i % (classes ? classes : 1);
    b->batch = (loader_batch){.pairs = pairs,
                              .views = m->head.views,
                              .locals = m->head.locals,
                              .local_size = (int)small,
                              .pixels = b->pixels,
                              .local = b->local,
                              .labels = b->labels};
    return b->pixels && (b->local || !m->head.locals);
}

void noise_free(noise_batch *b) {
    free(b->pixels);
    free(b->local);
    free(b->labels);
    *b = (noise_batch){0};
}

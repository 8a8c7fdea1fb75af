/*
 * A ring of batch buffers: one in the caller's hands, the others being filled ahead of him. The unit of work is a slice
 * of a batch, so that several threads share the next batch rather than each making one of its own. Slices are given out
 * in order by number: number → batch → epoch and place in it, all by arithmetic, so nothing depends on who makes what.
 * One mutex guards the counters and nobody spins; pixels are made outside it. A batch not yet handed out keeps its
 * buffer, so the batches in the making are fewer than BUFFERS apart, and so are their epochs: that is why BUFFERS
 * shuffled orders, found by epoch modulo BUFFERS, are enough.
 */
#include "engine/data/loader.h"
#include "engine/clock.h"
#include "engine/data/views/views.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum {
    BUFFERS = 3,
    SLICE = 8, /* samples: short enough to share and to stop soon, long enough for the mutex not to matter */
};

typedef struct buffer {
    float *pixels, *local;
    int *labels;
    uint32_t *samples;
    uint32_t done; /* slices */
} buffer;

typedef struct order {
    uint32_t *samples, epoch;
    bool filled;
} order;

typedef struct worker {
    loader *loader;
    view_maker *maker;
    pthread_t thread;
} worker;

struct loader {
    view_plan plan;
    int whole, first;                    /* samples of a batch, and the first of them that is this loader's */
    int pairs, size, locals, local_size; /* pairs: this loader's samples of a batch */
    uint64_t start;                      /* batches before the first one, counted from epoch 0 */
    uint32_t count, batches, slices;
    worker *workers;
    int threads, started;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t work, ready;
    uint64_t ticket;    /* slices given out */
    uint64_t delivered; /* batches handed to the caller */
    uint64_t released;  /* batches that he is through with */
    bool stopping, failed;
    error failure; /* why the first of the threads to fail did */
    order orders[BUFFERS];
    buffer buffers[BUFFERS];
};

/* The epoch's order, shuffled by the first to need it. Called with the mutex held. */
static const uint32_t *order_of(loader *l, uint32_t epoch) {
    order *o = &l->orders[epoch % BUFFERS];
    if (!o->filled || o->epoch != epoch) {
        for (uint32_t i = 0; i < l->count; i++) o->samples[i] = i;
        rng random = rng_stream(l->plan.seed, RNG_SHUFFLE, epoch, 0, 0);
        rng_shuffle(&random, o->samples, l->count);
        o->epoch = epoch, o->filled = true;
    }
    return o->samples;
}

static bool make_sample(worker *w, buffer *out, uint32_t epoch, uint32_t sample, int place, error *err) {
    const loader *l = w->loader;
    float *views[VIEWS_MOST];
    size_t values = 3 * (size_t)l->size * l->size, local_values = 3 * (size_t)l->local_size * l->local_size;
    out->samples[place] = sample;
    out->labels[place] = dataset_label(l->plan.set, l->plan.split, sample);
    for (int v = 0; v < l->plan.views; v++) views[v] = out->pixels + ((size_t)v * l->pairs + place) * values;
    for (int i = 0; i < l->locals; i++)
        views[l->plan.views + i] = out->local + ((size_t)i * l->pairs + place) * local_values;
    return view_maker_run(w->maker, epoch, sample, views, err);
}

static void *work(void *argument) {
    worker *w = argument;
    loader *l = w->loader;
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (!l->stopping && l->ticket / l->slices >= l->released + BUFFERS) pthread_cond_wait(&l->work, &l->mutex);
        if (l->stopping) break;
        uint64_t number = l->ticket / l->slices, batch = l->start + number;
        int first = (int)(l->ticket % l->slices) * SLICE, end = first + SLICE < l->pairs ? first + SLICE : l->pairs;
        uint32_t epoch = (uint32_t)(batch / l->batches);
        const uint32_t *samples = order_of(l, epoch) + (batch % l->batches) * (uint32_t)l->whole + (uint32_t)l->first;
        buffer *out = &l->buffers[number % BUFFERS];
        l->ticket++;
        pthread_mutex_unlock(&l->mutex);

        error err = {0};
        bool made = true;
        for (int i = first; i < end && made; i++) made = make_sample(w, out, epoch, samples[i], i, &err);

        pthread_mutex_lock(&l->mutex);
        if (!made) {
            if (!l->failed) l->failure = err;
            l->failed = l->stopping = true;
            pthread_cond_broadcast(&l->work);
            pthread_cond_signal(&l->ready);
            break;
        }
        if (++out->done == l->slices) pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* Threads of a library leave signals to the program's own. */
static bool start_workers(loader *l, error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = 0;
    for (; l->started < l->threads && !failed; l->started += !failed)
        failed = pthread_create(&l->workers[l->started].thread, NULL, work, &l->workers[l->started]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return true;
    return error_set(err, ERROR_RUN, "cannot start loader thread %d of %d", l->started + 1, l->threads);
}

static bool allocate(loader *l, error *err) {
    size_t image = 3 * (size_t)l->size * l->size;
    size_t values = (size_t)l->plan.views * l->pairs * image;
    size_t local = 3 * (size_t)l->local_size * l->local_size, local_values = (size_t)l->locals * l->pairs * local;
    for (int i = 0; i < BUFFERS; i++) {
        buffer *b = &l->buffers[i];
        b->pixels = aligned_alloc(64, (values * sizeof(float) + 63) / 64 * 64);
        if (l->locals) b->local = aligned_alloc(64, (local_values * sizeof(float) + 63) / 64 * 64);
        b->labels = malloc((size_t)l->pairs * sizeof *b->labels);
        b->samples = malloc((size_t)l->pairs * sizeof *b->samples);
        l->orders[i].samples = malloc(l->count * sizeof(uint32_t));
        if (!b->pixels || (l->locals && !b->local) || !b->labels || !b->samples || !l->orders[i].samples)
            return error_memory(err, BUFFERS * (values + local_values) * sizeof(float), "batches of augmented images");
    }
    if (!(l->workers = calloc((size_t)l->threads, sizeof *l->workers)))
        return error_memory(err, (size_t)l->threads * sizeof *l->workers, "loader threads");
    for (int i = 0; i < l->threads; i++) {
        worker *w = &l->workers[i];
        w->loader = l;
        if (!(w->maker = view_maker_create(&l->plan, err))) return false;
    }
    return true;
}

loader *loader_open(const dataset *set, dataset_split split, const augment_options *augment, int views, int pairs,
                    uint64_t seed, uint32_t epoch, uint32_t index, int threads, error *err) {
    return loader_open_part(set, split, augment, views, pairs, 0, 1, seed, epoch, index, threads, err);
}

loader *loader_open_part(const dataset *set, dataset_split split, const augment_options *augment, int views, int pairs,
                         int part, int parts, uint64_t seed, uint32_t epoch, uint32_t index, int threads, error *err) {
    uint32_t count = dataset_count(set, split);
    if (views < 1 || views > AUGMENT_VIEWS || pairs < 1 || threads < 1) {
        error_set(err, ERROR_USAGE,
                  "a loader needs one view or two, and at least one pair and one thread (given %d, %d, %d)", views,
                  pairs, threads);
        return NULL;
    }
    if (count < (uint32_t)pairs) {
        error_set(err, ERROR_USAGE, "a batch of %d pairs is more than the %u images of %s that there are to draw from",
                  pairs, count, dataset_name(set));
        return NULL;
    }
    if (!augment_check(augment, err)) return NULL;
    if (augment->local_crops && augment->local_size > dataset_size(set)) {
        error_set(err, ERROR_USAGE, "augment.local_size %lld is larger than the images, whose side is %d (data.size)",
                  (long long)augment->local_size, dataset_size(set));
        return NULL;
    }
    loader *l = calloc(1, sizeof *l);
    if (!l) {
        error_memory(err, sizeof *l, "a loader");
        return NULL;
    }
    l->plan = (view_plan){.set = set, .split = split, .augment = *augment, .views = views, .seed = seed};
    l->whole = pairs, l->pairs = pairs / parts, l->first = part * l->pairs;
    l->size = dataset_size(set), l->threads = threads;
    if ((l->locals = (int)augment->local_crops)) l->local_size = (int)augment->local_size;
    l->count = count, l->batches = count / (uint32_t)pairs;
    l->slices = ((uint32_t)l->pairs + SLICE - 1) / SLICE;
    l->start = (uint64_t)epoch * l->batches + index;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    if (allocate(l, err) && start_workers(l, err)) return l;
    loader_close(l);
    return NULL;
}

uint32_t loader_batches(const loader *l) { return l->batches; }

bool loader_next(loader *l, loader_batch *batch, error *err) {
    double before = clock_seconds();
    pthread_mutex_lock(&l->mutex);
    uint64_t number = l->delivered;
    if (number > l->released) {
        l->buffers[l->released % BUFFERS].done = 0;
        l->released = number;
        pthread_cond_broadcast(&l->work);
    }
    buffer *b = &l->buffers[number % BUFFERS];
    while (b->done < l->slices && !l->failed) pthread_cond_wait(&l->ready, &l->mutex);
    bool failed = l->failed;
    l->delivered++;
    pthread_mutex_unlock(&l->mutex);
    if (failed) return error_set(err, l->failure.code, "%s", l->failure.text);
    *batch = (loader_batch){
        .epoch = (uint32_t)((l->start + number) / l->batches),
        .index = (uint32_t)((l->start + number) % l->batches),
        .pairs = l->pairs,
        .views = l->plan.views,
        .locals = l->locals,
        .local_size = l->local_size,
        .pixels = b->pixels,
        .local = b->local,
        .labels = b->labels,
        .samples = b->samples,
        .waited = clock_seconds() - before,
    };
    return true;
}

void loader_close(loader *l) {
    if (!l) return;
    pthread_mutex_lock(&l->mutex);
    l->stopping = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mutex);
    for (int i = 0; i < l->started; i++) pthread_join(l->workers[i].thread, NULL);
    for (int i = 0; l->workers && i < l->threads; i++) view_maker_destroy(l->workers[i].maker);
    free(l->workers);
    for (int i = 0; i < BUFFERS; i++) {
        free(l->buffers[i].pixels);
        free(l->buffers[i].local);
        free(l->buffers[i].labels);
        free(l->buffers[i].samples);
        free(l->orders[i].samples);
    }
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

bool loader_plain(const dataset *set, dataset_split split, uint32_t first, uint32_t count, float *pixels, error *err) {
    size_t area = (size_t)dataset_size(set) * (size_t)dataset_size(set);
    bool done = true;
#pragma omp parallel if (!dataset_has_pixels(set))
    {
        plain_maker maker = {0};
        error local = {0};
        uint8_t *rgb = malloc(3 * area);
        bool made = rgb || error_memory(&local, 3 * area, "an image");
#pragma omp for schedule(dynamic, 1)
        for (uint32_t i = 0; i < count; i++) {
            made = made && view_plain(&maker, set, split, first + i, rgb, &local);
            if (made) augment_normalize(rgb, (int)area, dataset_mean(set), dataset_std(set), pixels + i * area * 3);
        }
        if (!made)
#pragma omp critical(loader_plain_error)
            done = error_set(err, local.code, "%s", local.text);
        plain_maker_free(&maker);
        free(rgb);
    }
    return done;
}

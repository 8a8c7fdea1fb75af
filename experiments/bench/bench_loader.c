/*
 * One thread of the loader, without the loader: decode, random resized crop, flip, jitter, greyscale, solarise and
 * normalisation of as many images as asked for, under `augment: asymmetric`. Counted in the thread's own processor
 * time, so that whatever else the machine does changes the figure little. tests/reference/loader_torchvision.py does
 * the same with Pillow and torchvision.
 */
#include "experiments/bench/bench_loader.h"
#include "engine/data/views/views.h"
#include "experiments/bench/bench_measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct loader_bench {
    view_maker *maker;
    float *pixels;
    uint32_t images, epoch;
    int64_t count, values; /* images a repetition; of a view */
    int views;
    double seconds, made; /* processor time and images, the unmeasured repetition left out */
} loader_bench;

static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool body(void *context, error *err) {
    loader_bench *b = context;
    float *out[AUGMENT_VIEWS] = {b->pixels, b->pixels + b->values};
    double before = processor_seconds();
    for (int64_t i = 0; i < b->count; i++)
        if (!view_maker_run(b->maker, b->epoch, (uint32_t)(i % b->images), out, err)) return false;
    if (b->epoch++ > 0) b->seconds += processor_seconds() - before, b->made += (double)b->count;
    return true;
}

static int64_t side_of(const bench_options *o) { return o->size ? o->size : 224; }

static bool describe(const bench_options *o, data_options *data, error *err) {
    fields_defaults(&data_fields, data);
    if (!*o->data)
        return error_set(err, ERROR_USAGE, "the loader's yardstick needs --data PATH, a folder or archive of images");
    int kind = dataset_guess(o->data, err);
    if (kind < 0) return false;
    data->name = kind, data->packing = PACKING_FILES, data->decode = o->decode, data->size = side_of(o);
    memcpy(data->path, o->data, sizeof data->path);
    return true;
}

json_t *bench_loader(const bench_options *o, error *err) {
    data_options data;
    loader_bench b = {.count = o->pairs, .views = (int)o->views, .values = 3 * side_of(o) * side_of(o)};
    view_plan plan = {.split = SPLIT_TRAIN, .views = b.views};
    json_t *out = NULL;
    bench_timing t;
    if (!describe(o, &data, err)) return NULL;
    dataset *set = dataset_open(&data, NULL, NULL, NULL, err);
    if (!set) return NULL;
    plan.set = set, b.images = dataset_count(set, SPLIT_TRAIN);
    fields_defaults(&augment_fields, &plan.augment);
    b.maker = view_maker_create(&plan, err);
    b.pixels = malloc((size_t)(AUGMENT_VIEWS * b.values) * sizeof *b.pixels);
    if (!b.pixels) error_memory(err, (size_t)(AUGMENT_VIEWS * b.values) * sizeof *b.pixels, "views");
    if (b.maker && b.pixels && bench_measure(body, &b, o->repeats, &t, err)) {
        out = bench_report("loader", t, 0, false);
        json_object_set_new(out, "size", json_integer(side_of(o)));
        json_object_set_new(out, "views", json_integer(o->views));
        json_object_set_new(out, "decode", json_string(o->decode == DECODE_SCALED ? "scaled" : "exact"));
        json_object_set_new(out, "images", json_integer(o->pairs));
        json_object_set_new(out, "images_per_second_one_core", json_real(b.made / b.seconds));
    }
    view_maker_destroy(b.maker);
    free(b.pixels);
    dataset_close(set);
    return out;
}

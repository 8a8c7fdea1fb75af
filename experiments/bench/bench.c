/*
 * The yardsticks. Each repeats one piece of real work (the code that runs use, not a copy of it), drops the first
 * repetition, which fills caches and pools, and reports median, least and most: on a busy machine the least is what the
 * code can do and the median what one gets.
 */
#include "experiments/bench/bench.h"
#include "engine/codes.h"
#include "engine/data/views/augment.h"
#include "engine/threads.h"
#include "experiments/bench/bench_analysis.h"
#include "experiments/bench/bench_loader.h"
#include "experiments/bench/bench_machine.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/bench/bench_peers.h"
#include "experiments/bench/bench_scaling.h"
#include "experiments/bench/bench_step.h"
#include "experiments/spec/options.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const decodings[] = {"exact", "scaled", NULL};

#define OFFSET(member) offsetof(bench_options, member)
static const field rows[] = {
    {"backbone", FIELD_CHOICE, OFFSET(backbone), "resnet8", 0, 0, backbone_names, false, "step: the network"},
    {"width", FIELD_INT, OFFSET(width), "0", 0, 4096, NULL, false, "step: its width; 0 = its own"},
    {"batch", FIELD_INT, OFFSET(batch), "256", 2, 65536, NULL, false, "step, loss: pairs"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, false,
     "step, loss, peers (falcon): f, width of the projector"},
    {"codes", FIELD_INT, OFFSET(codes), "2048", 2, 1 << 20, NULL, false,
     "step, loss, peers (falcon): c, codes in the dictionary"},
    {"dictionary", FIELD_CHOICE, OFFSET(dictionary), "rademacher", 0, 0, dictionary_names, false,
     "step, loss, peers (falcon): its kind"},
    {"shard", FIELD_BOOL, OFFSET(shard), "false", 0, 0, NULL, false, "peers (falcon): as method.shard_codes"},
    {"precision", FIELD_CHOICE, OFFSET(precision), "float32", 0, 0, precision_names, false,
     "step, loss: as train.precision"},
    {"rows", FIELD_INT, OFFSET(rows), "50000", 2, 1 << 24, NULL, false, "spectrum, kmeans, knn: rows"},
    {"cols", FIELD_INT, OFFSET(cols), "512", 1, 1 << 16, NULL, false, "spectrum, kmeans, knn: columns"},
    {"decades", FIELD_INT, OFFSET(decades), "0", 0, 30, NULL, false, "spectrum: that the columns' scales span"},
    {"clusters", FIELD_INT, OFFSET(clusters), "10", 1, 1 << 20, NULL, false, "kmeans: clusters"},
    {"queries", FIELD_INT, OFFSET(queries), "10000", 1, 1 << 24, NULL, false, "knn: rows looked up"},
    {"pairs", FIELD_INT, OFFSET(pairs), "256", 1, 1 << 20, NULL, false,
     "augment: pairs of 32x32 views; loader: images"},
    {"data", FIELD_TEXT, OFFSET(data), "", 0, 0, NULL, false, "loader: folder or archive of photographs"},
    {"size", FIELD_INT, OFFSET(size), "0", 0, 512, NULL, false,
     "step, loader: side of a view, pixels; 0 = 32 for a step, 224 for the loader"},
    {"patch", FIELD_INT, OFFSET(patch), "0", 0, 64, NULL, false,
     "step: side of a transformer's patches; 0 = 4 for views below 64 pixels, else 16"},
    {"recompute", FIELD_BOOL, OFFSET(recompute), "false", 0, 0, NULL, false,
     "step: as backbone.recompute, less memory for more arithmetic"},
    {"views", FIELD_INT, OFFSET(views), "2", 1, 2, NULL, false, "loader: views of each image"},
    {"decode", FIELD_CHOICE, OFFSET(decode), "exact", 0, 0, decodings, false, "loader: as data.decode"},
    {"threads", FIELD_INT, OFFSET(threads), "0", 0, 1024, NULL, false, "compute threads; 0 = all (augment: always 1)"},
    {"method", FIELD_TEXT, OFFSET(method), "", 0, 0, NULL, false,
     "peers: the method; empty = falcon; scaling --ranks: the method; empty = all"},
    {"ranks", FIELD_INT, OFFSET(ranks), "0", 0, 1024, NULL, false,
     "scaling: over machines instead, up to so many: a model of all methods"},
    {"hidden", FIELD_REAL, OFFSET(hidden), "0", 0, 1, NULL, false,
     "scaling --ranks: share of adding up that is hidden, as `peers` measures it"},
    {"out", FIELD_TEXT, OFFSET(out), "", 0, 0, NULL, false, "scaling: the figure's file: NAME.svg, NAME.png, NAME.csv"},
    {"repeats", FIELD_INT, OFFSET(repeats), "5", 1, 1000, NULL, false, "measured repetitions, after one to warm up"},
};
const field_table bench_fields = {"bench", rows, sizeof rows / sizeof *rows, sizeof(bench_options)};

/* A step: pixels in, parameters moved ------------------------------------------------------------------------------ */

/* One more step, counted. What an update moves is Adam's: its gradient for the norm and again, value and both moments
 * in and out. */
static bool add_traffic(json_t *out, step_bench *s, double seconds, error *err) {
    const double mib = 1 << 20, rate = bench_read_rate(err);
    traffic t = {0};
    double values = (double)parameters_trained(s->parameters) * sizeof(float), moved = 8 * values, least = 7 * values;
    tape_count_traffic(s->tape, &t);
    bool ok = rate > 0 && step_bench_body(s, err);
    tape_count_traffic(s->tape, NULL);
    for (int op = 0; op < OP_COUNT; op++) moved += t.ops[op].moved, least += t.ops[op].least;
    json_object_set_new(out, "traffic_mib", json_real(moved / mib));
    json_object_set_new(out, "least_traffic_mib", json_real(least / mib));
    json_object_set_new(out, "traffic_over_least", json_real(moved / least));
    json_object_set_new(out, "read_gb_per_second", json_real(rate / 1e9));
    json_object_set_new(out, "memory_share", json_real(moved / rate / seconds));
    for (int op = 0; op < OP_COUNT; op++) {
        char key[64];
        if (t.ops[op].moved < 0.01 * moved) continue;
        snprintf(key, sizeof key, "%s_mib", op_rules[op]->name);
        json_object_set_new(out, key, json_real(t.ops[op].moved / mib));
        snprintf(key, sizeof key, "%s_least_mib", op_rules[op]->name);
        json_object_set_new(out, key, json_real(t.ops[op].least / mib));
    }
    return ok;
}

static json_t *bench_step(const bench_options *o, error *err) {
    step_bench s = {0};
    bench_timing t;
    json_t *out = NULL;
    if (step_bench_begin(&s, o, o->batch * BENCH_VIEWS * step_bench_side(o) * step_bench_side(o) * 3, err) &&
        bench_measure(step_bench_body, &s, o->repeats, &t, err)) {
        backend_memory memory = s.backend->memory(s.backend);
        out = bench_report("step", t, s.flops, o->precision == PRECISION_BFLOAT16);
        json_object_set_new(out, "precision", json_string(precision_names[o->precision]));
        json_object_set_new(out, "backbone", json_string(backbone_names[o->backbone]));
        json_object_set_new(out, "width", json_integer(o->width));
        json_object_set_new(out, "size", json_integer(step_bench_side(o)));
        if (s.patch) json_object_set_new(out, "patch", json_integer(s.patch));
        json_object_set_new(out, "batch", json_integer(o->batch));
        json_object_set_new(out, "pairs_per_second", json_real((double)o->batch / t.median));
        json_object_set_new(out, "pool_mib", json_real((double)memory.bytes_peak / (1 << 20)));
        if (o->traffic && !add_traffic(out, &s, t.median, err)) {
            json_decref(out);
            out = NULL;
        }
    }
    step_bench_end(&s);
    return out;
}

static json_t *bench_loss(const bench_options *o, error *err) {
    step_bench s = {.width = o->features};
    bench_timing t;
    json_t *out = NULL;
    if (step_bench_begin(&s, o, o->batch * BENCH_VIEWS * o->features, err)) {
        double whole = bench_resident_mib("VmHWM"), before = bench_resident_mib("VmRSS");
        bench_forget_peak(); /* what drawing the dictionary took for a moment is not the loss' */
        if (bench_measure(step_bench_loss, &s, o->repeats, &t, err)) {
            double most = bench_resident_mib("VmHWM");
            out = bench_report("loss", t, s.flops, o->precision == PRECISION_BFLOAT16);
            json_object_set_new(out, "peak_rss_mib", json_real(fmax(whole, most)));
            json_object_set_new(out, "precision", json_string(precision_names[o->precision]));
            json_object_set_new(out, "dictionary", json_string(dictionary_names[o->dictionary]));
            json_object_set_new(out, "features", json_integer(o->features));
            json_object_set_new(out, "codes", json_integer(o->codes));
            json_object_set_new(out, "batch", json_integer(o->batch));
            json_object_set_new(out, "peak_mib_above_dictionary", json_real(most - before));
        }
    }
    step_bench_end(&s);
    return out;
}

/* Augmentation, on one core ---------------------------------------------------------------------------------------- */

typedef struct augment_bench {
    augmenter *augmenter;
    augment_options options;
    uint8_t *images, *view;
    float *pixels;
    int64_t pairs;
    uint32_t epoch;
} augment_bench;

static bool augment_body(void *context, error *err) {
    static const float mean[3] = {0.4914f, 0.4822f, 0.4465f}, std[3] = {0.247f, 0.243f, 0.261f};
    augment_bench *a = context;
    a->epoch++;
    for (int64_t i = 0; i < a->pairs * BENCH_VIEWS; i++) {
        rng r = rng_stream(0, RNG_AUGMENT, a->epoch, (uint64_t)(i / BENCH_VIEWS), (uint32_t)(i % BENCH_VIEWS));
        augment_draw draw = augment_sample(&a->options, BENCH_SIDE, BENCH_SIDE, (int)(i % BENCH_VIEWS), &r);
        if (!augment_image(a->augmenter, &a->options, &draw, a->images + i / BENCH_VIEWS * BENCH_SIDE * BENCH_SIDE * 3,
                           BENCH_SIDE * 3, a->view, err))
            return false;
        augment_normalize(a->view, BENCH_SIDE * BENCH_SIDE, mean, std, a->pixels);
    }
    return true;
}

static json_t *bench_augment(const bench_options *o, error *err) {
    size_t image = (size_t)BENCH_SIDE * BENCH_SIDE * 3, total = (size_t)o->pairs * image;
    augment_bench a = {.pairs = o->pairs,
                       .images = malloc(total),
                       .view = malloc(image),
                       .pixels = malloc(image * sizeof(float)),
                       .augmenter = augmenter_create(BENCH_SIDE, BENCH_SIDE, RESIZE_BICUBIC, err)};
    json_t *out = NULL;
    bench_timing t;
    if (a.images && a.view && a.pixels && a.augmenter) {
        rng r = rng_stream(0, RNG_NULL, 0, 0, 0);
        for (size_t i = 0; i < total; i++) a.images[i] = (uint8_t)rng_bits(&r);
        fields_defaults(&augment_fields, &a.options);
        if (bench_measure(augment_body, &a, o->repeats, &t, err)) {
            out = bench_report("augment", t, 0, false);
            json_object_set_new(out, "pairs", json_integer(o->pairs));
            json_object_set_new(out, "pairs_per_second_one_core", json_real((double)o->pairs / t.median));
        }
    } else
        error_memory(err, total, "the benchmark's images");
    augmenter_destroy(a.augmenter);
    free(a.images);
    free(a.view);
    free(a.pixels);
    return out;
}

/* The list -------------------------------------------------------------------------------------------------------- */

const char *const bench_names[] = {"step", "loss",    "augment", "loader",  "spectrum", "kmeans",
                                   "knn",  "scaling", "peers",   "machine", NULL};
const char *const bench_summaries[] = {
    "one training step of FALCON, pixels in, parameters moved",
    "FALCON's loss on embeddings and its gradient, without backbone and projector",
    "augmented pairs of 32x32 views on one core",
    "views of photographs on one core, from the JPEG's bytes on",
    "RankMe of a matrix of noise",
    "one restart of k-means on noise",
    "20 nearest neighbours in noise",
    "how the time of a step grows with batch, width and codes",
    "a training step shared by the processes of `mpirun`, and what of adding up is hidden",
    "what this machine can do: products in either precision, memory",
    NULL};
static json_t *(*const benches[])(const bench_options *,
                                  error *) = {bench_step,   bench_loss, bench_augment, bench_loader, bench_spectrum,
                                              bench_kmeans, bench_knn,  bench_scaling, bench_peers,  bench_machine};

json_t *bench_run(const char *name, const bench_options *options, error *err) {
    int threads = threads_use((int)options->threads, err);
    if (!threads) return NULL;
    if (options->peers && strcmp(name, "peers") != 0) {
        error_set(err, ERROR_USAGE, "of the yardsticks, `peers` alone runs as several processes");
        return NULL;
    }
    for (int i = 0; bench_names[i]; i++) {
        if (strcmp(bench_names[i], name) != 0) continue;
        json_t *out = benches[i](options, err);
        if (out) json_object_set_new(out, "threads", json_integer(threads));
        return out;
    }
    const char *near = error_nearest(name, bench_names);
    error_set(err, ERROR_USAGE, "no benchmark is called %s%s%s%s", name, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return NULL;
}

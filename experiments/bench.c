/*
 * The yardsticks. Each repeats one piece of real work (the code that runs use, not a copy of it), drops the first
 * repetition, which fills caches and pools, and reports median, least and most: on a busy machine the least is what the
 * code can do and the median what one gets.
 */
#include "experiments/bench.h"
#include "engine/clock.h"
#include "analysis/spectrum.h"
#include "engine/backbone.h"
#include "engine/data/augment.h"
#include "engine/optimizer.h"
#include "methods/method.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const dictionaries[] = {"rademacher", NULL};

#define OFFSET(member) offsetof(bench_options, member)
static const field rows[] = {
    {"backbone", FIELD_CHOICE, OFFSET(backbone), "resnet8", 0, 0, backbone_names, false, "step: the network"},
    {"width", FIELD_INT, OFFSET(width), "0", 0, 4096, NULL, false, "step: its width; 0 = its own"},
    {"batch", FIELD_INT, OFFSET(batch), "256", 2, 65536, NULL, false, "step, loss: pairs"},
    {"features", FIELD_INT, OFFSET(features), "512", 2, 65536, NULL, false, "step, loss: f, width of the projector"},
    {"codes", FIELD_INT, OFFSET(codes), "2048", 2, 1 << 20, NULL, false, "step, loss: c, codes in the dictionary"},
    {"dictionary", FIELD_CHOICE, OFFSET(dictionary), "rademacher", 0, 0, dictionaries, false, "step, loss: its kind"},
    {"rows", FIELD_INT, OFFSET(rows), "50000", 2, 1 << 24, NULL, false, "spectrum: rows"},
    {"cols", FIELD_INT, OFFSET(cols), "512", 1, 1 << 16, NULL, false, "spectrum: columns"},
    {"pairs", FIELD_INT, OFFSET(pairs), "256", 1, 1 << 20, NULL, false, "augment: pairs of 32x32 views"},
    {"threads", FIELD_INT, OFFSET(threads), "0", 0, 1024, NULL, false, "compute threads; 0 = all (augment: always 1)"},
    {"repeats", FIELD_INT, OFFSET(repeats), "5", 1, 1000, NULL, false, "measured repetitions, after one to warm up"},
};
const field_table bench_fields = {"bench", rows, sizeof rows / sizeof *rows, sizeof(bench_options)};

/* Timing ---------------------------------------------------------------------------------------------------------- */

/* What a benchmark does once per repetition. */
typedef bool (*bench_body)(void *context, error *err);

typedef struct timing {
    double median, least, most;
} timing;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool measure(bench_body body, void *context, int64_t repeats, timing *out, error *err) {
    double *seconds = malloc((size_t)repeats * sizeof *seconds);
    if (!seconds) return error_memory(err, (size_t)repeats * sizeof *seconds, "the timings");
    bool ok = body(context, err);
    for (int64_t i = 0; ok && i < repeats; i++) {
        double before = clock_seconds();
        ok = body(context, err);
        seconds[i] = clock_seconds() - before;
    }
    if (ok) {
        qsort(seconds, (size_t)repeats, sizeof *seconds, ascending);
        *out = (timing){seconds[repeats / 2], seconds[0], seconds[repeats - 1]};
    }
    free(seconds);
    return ok;
}

/* The best of a few large single-precision products: what this machine can do at most, now. */
static double peak_gflops(void) {
    enum { SIDE = 2048, TRIES = 4 };
    size_t count = (size_t)SIDE * SIDE;
    float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b), *c = malloc(count * sizeof *c);
    double best = 0;
    if (a && b && c) {
        for (size_t i = 0; i < count; i++) a[i] = (float)(i % 7) - 3, b[i] = (float)(i % 5) - 2;
        for (int k = 0; k < TRIES; k++) {
            double before = clock_seconds();
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
            double rate = 2e-9 * SIDE * SIDE * SIDE / (clock_seconds() - before);
            if (rate > best) best = rate;
        }
    }
    free(a);
    free(b);
    free(c);
    return best;
}

/* Memory of this process, MiB: VmHWM is the most it ever held, VmRSS what it holds. */
static double resident_mib(const char *key) {
    char line[256];
    double mib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) mib = strtod(line + strlen(key) + 1, NULL) / 1024;
    if (f) fclose(f);
    return mib;
}

/* A step: pixels in, parameters moved ------------------------------------------------------------------------------ */

typedef struct step_bench {
    backend *backend;
    parameters *parameters;
    backbone *net;
    const method *method;
    method_model head;
    optimizer_options optimizer_options;
    optimizer optimizer;
    tape *tape;
    float *input;  /* pixels of both views, or embeddings for the loss alone */
    int64_t width; /* of the embeddings */
    double flops;
} step_bench;

enum { SIDE = 32, VIEWS = 2 };

static void step_end(step_bench *s) {
    if (s->method) s->method->destroy(&s->head);
    tape_destroy(s->tape);
    backbone_destroy(s->net);
    parameters_destroy(s->parameters);
    if (s->backend) s->backend->destroy(s->backend);
    free((void *)s->head.options);
    free(s->input);
}

static float *noise(size_t count, error *err) {
    float *values = malloc(count * sizeof *values);
    rng r = rng_stream(0, RNG_NULL, 0, 0, 0);
    if (!values) error_memory(err, count * sizeof *values, "the benchmark's input");
    for (size_t i = 0; values && i < count; i++) values[i] = (float)rng_normal(&r);
    return values;
}

static bool set_option(const field_table *table, void *options, const char *key, int64_t value, error *err) {
    char text[32];
    const field *row = fields_require(table, key, err);
    snprintf(text, sizeof text, "%lld", (long long)value);
    return row && field_parse(table, row, options, text, err);
}

/* FALCON on `features` columns of representations. */
static bool step_begin(step_bench *s, const bench_options *o, int64_t input_values, error *err) {
    s->backend = backend_cpu((int)o->threads, err);
    if (!s->backend) return false;
    s->parameters = parameters_create(s->backend, 0, err);
    backbone_options network = {.name = o->backbone, .width = o->width, .stem_padding = 1};
    if (s->parameters) s->net = backbone_create(&network, s->parameters, "backbone", err);
    if (s->net) s->tape = tape_create(s->backend, err);
    if (!s->tape) return false;
    s->method = method_find("falcon");
    void *options = calloc(1, s->method->fields.size);
    if (!options) return error_memory(err, s->method->fields.size, "the method's options");
    fields_defaults(&s->method->fields, options);
    s->head = (method_model){.options = options,
                             .parameters = s->parameters,
                             .features = backbone_features(s->net),
                             .pairs = (int)o->batch,
                             .views = VIEWS};
    fields_defaults(&optimizer_fields, &s->optimizer_options);
    s->input = noise((size_t)input_values, err);
    return s->input && set_option(&s->method->fields, options, "features", o->features, err) &&
           set_option(&s->method->fields, options, "codes", o->codes, err) && s->method->build(&s->head, err) &&
           optimizer_create(&s->optimizer, &s->optimizer_options, s->parameters, err);
}

static bool step_body(void *context, error *err) {
    step_bench *s = context;
    method_context training = {0};
    tape_reset(s->tape);
    parameters_clear_grad(s->parameters);
    tensor *x = tape_images(s->tape, s->input, (int64_t)s->head.pairs * VIEWS, SIDE, SIDE, 3);
    tensor *z = backbone_forward(s->net, s->tape, x, VIEWS, true);
    tape_backward(s->tape, s->method->loss(&s->head, &training, s->tape, z));
    s->flops = tape_flops(s->tape);
    if (!tape_check(s->tape, err)) return false;
    optimizer_step(&s->optimizer, 1e-3, 1, optimizer_gradient_norm(s->parameters));
    return true;
}

/* The loss alone: embeddings (2n, f) in, normalised as FALCON's projector does, their gradient out. */
static bool loss_body(void *context, error *err) {
    step_bench *s = context;
    method_context training = {0};
    tape_reset(s->tape);
    tensor *h = tape_matrix(s->tape, s->input, (int64_t)s->head.pairs * VIEWS, s->width);
    tape_require_grad(h);
    tensor *e = op_scale(s->tape, op_l2_normalize(s->tape, h), sqrt((double)s->width / s->head.pairs));
    tape_backward(s->tape, s->method->objective(&s->head, &training, s->tape, e));
    s->flops = tape_flops(s->tape);
    return tape_check(s->tape, err);
}

static json_t *report(const char *name, timing t, double flops, double peak) {
    json_t *out = json_object();
    json_object_set_new(out, "bench", json_string(name));
    json_object_set_new(out, "seconds", json_real(t.median));
    json_object_set_new(out, "min_seconds", json_real(t.least));
    json_object_set_new(out, "max_seconds", json_real(t.most));
    json_object_set_new(out, "gflops", flops > 0 ? json_real(1e-9 * flops / t.median) : json_null());
    json_object_set_new(out, "peak_gflops", json_real(peak));
    json_object_set_new(out, "peak_share", flops > 0 ? json_real(1e-9 * flops / t.median / peak) : json_null());
    json_object_set_new(out, "peak_rss_mib", json_real(resident_mib("VmHWM")));
    return out;
}

static json_t *bench_step(const bench_options *o, error *err) {
    step_bench s = {0};
    timing t;
    json_t *out = NULL;
    if (step_begin(&s, o, o->batch * VIEWS * SIDE * SIDE * 3, err) && measure(step_body, &s, o->repeats, &t, err)) {
        backend_memory memory = s.backend->memory(s.backend);
        double peak_memory = resident_mib("VmHWM");
        out = report("step", t, s.flops, peak_gflops());
        json_object_set_new(out, "peak_rss_mib", json_real(peak_memory)); /* before the peak's own matrices */
        json_object_set_new(out, "backbone", json_string(backbone_names[o->backbone]));
        json_object_set_new(out, "width", json_integer(o->width));
        json_object_set_new(out, "batch", json_integer(o->batch));
        json_object_set_new(out, "pairs_per_second", json_real((double)o->batch / t.median));
        json_object_set_new(out, "pool_mib", json_real((double)memory.bytes_peak / (1 << 20)));
    }
    step_end(&s);
    return out;
}

static json_t *bench_loss(const bench_options *o, error *err) {
    step_bench s = {.width = o->features};
    timing t;
    json_t *out = NULL;
    if (step_begin(&s, o, o->batch * VIEWS * o->features, err)) {
        double before = resident_mib("VmRSS");
        if (measure(loss_body, &s, o->repeats, &t, err)) {
            double memory = resident_mib("VmHWM") - before;
            out = report("loss", t, s.flops, peak_gflops());
            json_object_set_new(out, "features", json_integer(o->features));
            json_object_set_new(out, "codes", json_integer(o->codes));
            json_object_set_new(out, "batch", json_integer(o->batch));
            json_object_set_new(out, "peak_mib_above_dictionary", json_real(memory));
        }
    }
    step_end(&s);
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
    (void)err;
    static const float mean[3] = {0.4914f, 0.4822f, 0.4465f}, std[3] = {0.247f, 0.243f, 0.261f};
    augment_bench *a = context;
    a->epoch++;
    for (int64_t i = 0; i < a->pairs * VIEWS; i++) {
        rng r = rng_stream(0, RNG_AUGMENT, a->epoch, (uint64_t)(i / VIEWS), (uint32_t)(i % VIEWS));
        augment_draw draw = augment_sample(&a->options, SIDE, (int)(i % VIEWS), &r);
        augment_image(a->augmenter, &a->options, &draw, a->images + i / VIEWS * SIDE * SIDE * 3, a->view);
        augment_normalize(a->view, SIDE * SIDE, mean, std, a->pixels);
    }
    return true;
}

static json_t *bench_augment(const bench_options *o, error *err) {
    size_t image = (size_t)SIDE * SIDE * 3, total = (size_t)o->pairs * image;
    augment_bench a = {.pairs = o->pairs,
                       .images = malloc(total),
                       .view = malloc(image),
                       .pixels = malloc(image * sizeof(float)),
                       .augmenter = augmenter_create(SIDE, SIDE, err)};
    json_t *out = NULL;
    timing t;
    if (a.images && a.view && a.pixels && a.augmenter) {
        rng r = rng_stream(0, RNG_NULL, 0, 0, 0);
        for (size_t i = 0; i < total; i++) a.images[i] = (uint8_t)rng_bits(&r);
        fields_defaults(&augment_fields, &a.options);
        if (measure(augment_body, &a, o->repeats, &t, err)) {
            out = report("augment", t, 0, peak_gflops());
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

/* RankMe ---------------------------------------------------------------------------------------------------------- */

typedef struct spectrum_bench {
    matrix x;
    double *sigma, rankme;
} spectrum_bench;

static bool spectrum_body(void *context, error *err) {
    spectrum_bench *s = context;
    size_t count = s->x.rows < s->x.cols ? s->x.rows : s->x.cols;
    if (!spectrum_singular_values(s->x, false, s->sigma, NULL, err)) return false;
    s->rankme = spectrum_rankme(s->sigma, count);
    return true;
}

static json_t *bench_spectrum(const bench_options *o, error *err) {
    size_t n = (size_t)o->rows, d = (size_t)o->cols;
    float *values = noise(n * d, err);
    spectrum_bench s = {.x = {values, n, d}, .sigma = malloc((n < d ? n : d) * sizeof(double))};
    json_t *out = NULL;
    timing t;
    if (values && s.sigma && measure(spectrum_body, &s, o->repeats, &t, err)) {
        out = report("spectrum", t, 0, peak_gflops());
        json_object_set_new(out, "rows", json_integer(o->rows));
        json_object_set_new(out, "cols", json_integer(o->cols));
        json_object_set_new(out, "rankme", json_real(s.rankme));
    }
    free(values);
    free(s.sigma);
    return out;
}

/* The list -------------------------------------------------------------------------------------------------------- */

const char *const bench_names[] = {"step", "loss", "augment", "spectrum", NULL};
const char *const bench_summaries[] = {"one training step of FALCON, pixels in, parameters moved",
                                       "FALCON's loss on embeddings and its gradient, without backbone and projector",
                                       "augmented pairs of 32x32 views on one core", "RankMe of a matrix of noise",
                                       NULL};
static json_t *(*const benches[])(const bench_options *, error *) = {bench_step, bench_loss, bench_augment,
                                                                     bench_spectrum};

json_t *bench_run(const char *name, const bench_options *options, error *err) {
    if (options->threads > 0) {
        omp_set_num_threads((int)options->threads);
        openblas_set_num_threads((int)options->threads);
    }
    for (int i = 0; bench_names[i]; i++) {
        if (strcmp(bench_names[i], name) != 0) continue;
        json_t *out = benches[i](options, err);
        if (out)
            json_object_set_new(out, "threads",
                                json_integer(options->threads ? options->threads : omp_get_num_procs()));
        return out;
    }
    const char *near = error_nearest(name, bench_names);
    error_set(err, ERROR_USAGE, "no benchmark is called %s%s%s%s", name, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return NULL;
}

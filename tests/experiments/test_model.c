/*
 * A whole model under training, teacher, local views and all: after the first steps it asks for no more memory, the
 * same start gives the same bits, what is frozen stays, and the teacher follows at its own pace.
 */
#include "experiments/run/model.h"
#include "tests/golden/golden.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1296 }; /* values of a parameter in the golden models */
enum { PAIRS = 8, SIDE = 16, LOCAL = 15, LOCALS = 2, CLASSES = 5 };

typedef struct bench {
    spec spec;
    model model;
    float *pixels, *local;
    int labels[PAIRS];
    method_context context;
} bench;

static float *noise(size_t count, uint64_t key) {
    float *values = malloc(count * sizeof *values);
    rng r = rng_stream(key, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < count; i++) values[i] = (float)rng_normal(&r);
    return values;
}

/* `lines`: "key=value key=value …" */
static bool bench_try(bench *b, const char *lines, int classes, error *err) {
    settings layer = {0};
    const settings *const layers[] = {&layer};
    char copy[512], *rest = copy;
    *b = (bench){.context = {.steps = 20}};
    snprintf(copy, sizeof copy, "train.batch=8 backbone.width=16 %s", lines);
    for (char *key; (key = strtok_r(rest, "= ", &rest));)
        ck_assert(settings_add(&layer, key, strtok_r(rest, "= ", &rest), false, "test", err));
    bool ok = spec_resolve(&b->spec, "test", layers, 1, "test", err);
    ck_assert_msg(ok, "%s", err->text);
    settings_free(&layer);
    if (model_create(&b->model, &b->spec, classes, 2, NULL, err)) return true;
    spec_free(&b->spec);
    return false;
}

/* On the heap: the model keeps the spec's address. */
static bench *bench_open(const char *lines) {
    bench *b = malloc(sizeof *b);
    error err = {0};
    bool ok = bench_try(b, lines, CLASSES, &err);
    ck_assert_msg(ok, "%s", err.text);
    b->pixels = noise((size_t)2 * PAIRS * SIDE * SIDE * 3, 1);
    b->local = noise((size_t)LOCALS * PAIRS * LOCAL * LOCAL * 3, 2);
    for (int i = 0; i < PAIRS; i++) b->labels[i] = i % CLASSES;
    return b;
}

static void bench_close(bench *b) {
    model_destroy(&b->model);
    spec_free(&b->spec);
    free(b->pixels);
    free(b->local);
    free(b);
}

/* One step, an epoch of its own for every two. */
static double bench_step(bench *b) {
    model *m = &b->model;
    error err = {0};
    loader_batch batch = {.pairs = PAIRS,
                          .views = m->head.views,
                          .locals = m->head.locals,
                          .local_size = (int)b->spec.augment.local_size,
                          .pixels = b->pixels,
                          .local = b->local,
                          .labels = b->labels};
    b->context.epoch = (uint32_t)(b->context.step / 2);
    tape_reset(m->tape);
    parameters_clear_grad(m->parameters);
    double loss = model_loss(m, &batch, SIDE, &b->context);
    optimizer_step(&m->optimizer, 1e-3, 1, optimizer_gradient_norm(m->parameters));
    model_after_step(m, &b->context);
    bool ok = tape_check(m->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
    b->context.step++;
    return loss;
}

static float *values(const bench *b, const char *name) {
    const parameter *one = parameters_find(b->model.parameters, name);
    ck_assert_msg(one != NULL, "no parameter %s", name);
    float *host = malloc((size_t)tensor_count(&one->value) * sizeof *host);
    b->model.backend->read(b->model.backend, &one->value, host);
    return host;
}

static const char *const trained[] = {
    "method.name=dino method.hidden=32 method.features=16 method.prototypes=64 method.batchnorm=true "
    "augment.local_crops=2 augment.local_size=15",
    "method.name=swav method.hidden=32 method.features=16 method.prototypes=64 method.queue=32 method.queue_start=1 "
    "augment.local_crops=2 augment.local_size=15",
    "method.name=falcon method.features=32 method.codes=64 augment.local_crops=2 augment.local_size=15",
    "method.name=byol method.hidden=32 method.features=16 backbone.name=falcon8",
    "method.name=supervised",
    "method.name=supervised augment.global_crops=1",
};
enum { TRAINED = sizeof trained / sizeof *trained };

START_TEST(test_memory_stops_growing_once_the_queue_is_in_use) {
    bench *b = bench_open(trained[_i]);
    backend_memory before = {0};
    for (int step = 1; step <= 12; step++) {
        bench_step(b);
        backend_memory now = b->model.backend->memory(b->model.backend);
        if (step == 6) before = now;
        if (step <= 6) continue;
        ck_assert_uint_eq(now.allocations, before.allocations);
        ck_assert_uint_eq(now.bytes_held, before.bytes_held);
    }
    bench_close(b);
}
END_TEST

START_TEST(test_the_same_start_gives_the_same_bits_and_a_falling_loss) {
    double losses[12];
    for (int run = 0; run < 2; run++) {
        bench *b = bench_open(trained[_i]);
        for (int step = 0; step < 12; step++) {
            double loss = bench_step(b);
            if (run) ck_assert_double_eq(loss, losses[step]);
            losses[step] = loss;
        }
        bench_close(b);
    }
    ck_assert(isfinite(losses[0]));
    ck_assert_msg(losses[11] < losses[4], "from %g to %g", losses[4], losses[11]);
}
END_TEST

START_TEST(test_a_frozen_layer_stays_until_its_epoch) {
    static const struct {
        const char *lines, *layer;
    } cases[] = {
        {"method.name=dino method.hidden=16 method.features=8 method.prototypes=16 method.frozen_epochs=2",
         "head.last_layer.weight"},
        {"method.name=swav method.hidden=16 method.features=8 method.prototypes=16 method.frozen_epochs=2 "
         "method.normalize=weight",
         "head.prototypes.weight"},
    };
    bench *b = bench_open(cases[_i].lines);
    const parameter *one = parameters_find(b->model.parameters, cases[_i].layer);
    size_t bytes = (size_t)tensor_count(&one->value) * sizeof(float);
    float *start = values(b, cases[_i].layer);
    for (int step = 0; step < 5; step++) { /* four steps in the first two epochs */
        bench_step(b);
        float *now = values(b, cases[_i].layer);
        ck_assert_int_eq(memcmp(now, start, bytes) == 0, step < 4);
        free(now);
    }
    free(start);
    bench_close(b);
}
END_TEST

/* In one step w → w', so that the teacher stands at λw + (1−λ)w'; the BatchNorm statistics have moved by themselves. */
START_TEST(test_the_teachers_backbone_follows_the_student) {
    bench *b = bench_open("method.name=byol method.hidden=16 method.features=8 method.momentum=0.75");
    float *before = values(b, "backbone.conv1.weight");
    bench_step(b);
    float *after = values(b, "backbone.conv1.weight"), *teacher = values(b, "teacher.backbone.conv1.weight");
    float *mean = values(b, "teacher.backbone.bn1.running_mean");
    double moved = 0, statistics = 0;
    for (int i = 0; i < 16 * 27; i++) {
        moved += fabs((double)(after[i] - before[i]));
        ck_assert_double_eq_tol((double)teacher[i], 0.75 * (double)before[i] + 0.25 * (double)after[i], 1e-6);
    }
    for (int i = 0; i < 16; i++) statistics += fabs((double)mean[i]);
    ck_assert(moved > 1e-3 && statistics > 1e-4);
    free(before);
    free(after);
    free(teacher);
    free(mean);
    bench_close(b);
}
END_TEST

/* Each size of view is a batch of its own; halving leaves a remainder out. */
START_TEST(test_backbones_take_local_views_of_any_size) {
    static const char *const backbones[] = {"resnet8", "resnet18", "falcon8"};
    static const int sizes[] = {5, 7, 10, 15};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char lines[160];
        snprintf(lines, sizeof lines,
                 "method.name=dino method.hidden=16 method.features=8 method.prototypes=16 backbone.name=%s "
                 "augment.local_crops=2 augment.local_size=%d",
                 backbones[_i], sizes[i]);
        bench *b = bench_open(lines);
        ck_assert(isfinite(bench_step(b)) && isfinite(bench_step(b)));
        bench_close(b);
    }
}
END_TEST

/* Its activations are given back before the student's come. */
START_TEST(test_a_teacher_takes_no_memory_beside_the_students_activations) {
    static const char *const methods[] = {"simsiam", "byol"};
    uint64_t peak[2];
    for (int i = 0; i < 2; i++) {
        char lines[96];
        snprintf(lines, sizeof lines, "method.name=%s method.hidden=8 method.features=8 backbone.width=32", methods[i]);
        bench *b = bench_open(lines);
        bench_step(b);
        bench_step(b);
        peak[i] = b->model.backend->memory(b->model.backend).bytes_peak;
        bench_close(b);
    }
    ck_assert_msg((double)peak[1] < 1.25 * (double)peak[0], "%llu without, %llu with", (unsigned long long)peak[0],
                  (unsigned long long)peak[1]);
}
END_TEST

START_TEST(test_settings_that_cannot_work_are_refused_by_their_keys) {
    static const struct {
        const char *lines;
        int classes;
        const char *keys[3];
    } cases[] = {
        {"method.name=swav method.queue=20", 5, {"method.queue", "train.batch"}},
        {"method.name=barlow_twins augment.local_crops=2 augment.local_size=15",
         5,
         {"augment.local_crops", "swav, dino"}},
        {"method.name=dino augment.local_crops=2", 5, {"augment.local_crops", "augment.local_size"}},
        {"method.name=dino augment.global_crops=1", 5, {"augment.global_crops"}},
        {"method.name=swav train.accumulate=2", 5, {"train.accumulate", "train.batch"}},
        {"method.name=supervised", 0, {"supervised", "data.name"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        error err = {0};
        ck_assert_msg(!bench_try(&b, cases[i].lines, cases[i].classes, &err), "%s", cases[i].lines);
        ck_assert_int_eq(err.code, ERROR_USAGE);
        for (int k = 0; cases[i].keys[k]; k++)
            ck_assert_msg(strstr(err.text, cases[i].keys[k]) != NULL, "%s: %s", cases[i].lines, err.text);
    }
}
END_TEST

/* Whole steps beside PyTorch (tests/golden/make_models.py) ----------------------------------------------------------
 */

static const struct {
    const char *name, *lines;
} golden_models[] = {
    {"dino", "method.name=dino method.hidden=10 method.features=6 method.prototypes=12 method.batchnorm=true "
             "method.frozen_epochs=0 method.momentum=0.8 augment.local_crops=2 augment.local_size=6"},
    {"byol", "method.name=byol method.hidden=10 method.features=6 method.predictor_hidden=8 method.momentum=0.9"},
    {"swav", "method.name=swav method.hidden=10 method.features=6 method.prototypes=9 method.frozen_epochs=0 "
             "augment.local_crops=2 augment.local_size=6"},
};

static void load_start(const model *m, const safetensors *file, const char *name) {
    error err = {0};
    char key[160];
    for (size_t i = 0; i < m->parameters->count; i++) {
        parameter *one = m->parameters->items[i];
        snprintf(key, sizeof key, "init.%s", one->name);
        if (one->value.requires_grad) m->backend->write(m->backend, &one->value, golden(file, name, key).values);
    }
    bool copied = teacher_copy(m->parameters, &err);
    ck_assert_msg(copied, "%s", err.text);
}

/* The gradients of BatchNorm's scales and shifts are sums over all pixels in which most cancels, and a bias before a
   BatchNorm has none but rounding: what such sums round to goes by their terms, of which the largest gradient is the
   measure (it rounds to some 5e-6 of it after three steps on the kernels of any processor). The images are such that no
   ReLU stands within rounding of zero: one that fell on the other side there would turn gradients by per cents. */
static void compare_gradients(const model *m, const safetensors *file, const char *name, int step) {
    char key[160];
    float host[LARGEST];
    double largest = 0;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < m->parameters->count; i++) {
            const tensor *x = &m->parameters->items[i]->value;
            if (!x->requires_grad) continue;
            snprintf(key, sizeof key, "grad.%d.%s", step, m->parameters->items[i]->name);
            array expected = golden(file, name, key);
            double norm = 0, difference = 0;
            ck_assert_int_eq(tensor_count(x), expected.count);
            ck_assert_int_le(expected.count, LARGEST);
            tape_read_grad(m->tape, x, host);
            for (int64_t k = 0; k < expected.count; k++) {
                double e = (double)expected.values[k], d = (double)host[k] - e;
                norm += e * e, difference += d * d;
            }
            largest = fmax(largest, sqrt(norm));
            double most = 1e-4 * sqrt(norm) + 1e-5 * largest;
            if (round)
                ck_assert_msg(sqrt(difference) <= most, "%s %s: off by %.3g, allowed %.3g", name, key, sqrt(difference),
                              most);
        }
}

static void compare_statistics(const model *m, const safetensors *file, const char *name) {
    char key[160];
    float host[LARGEST];
    int compared = 0;
    for (size_t i = 0; i < m->parameters->count; i++) {
        const parameter *one = m->parameters->items[i];
        if (!strstr(one->name, ".running_")) continue;
        snprintf(key, sizeof key, "end.%s", one->name);
        m->backend->read(m->backend, &one->value, host);
        if (strstr(one->name, "predictor")) continue;
        assert_close(host, golden(file, name, key), 1e-4, name, one->name);
        compared++;
    }
    ck_assert_int_ge(compared, 16);
}

START_TEST(test_three_whole_steps_match_pytorch) {
    enum { STEPS = 3 };
    const char *name = golden_models[_i].name;
    char lines[400], key[32];
    safetensors *file = golden_file("models");
    snprintf(lines, sizeof lines, "backbone.width=3 train.batch=12 optimizer.name=sgd %s", golden_models[_i].lines);
    bench *b = bench_open(lines);
    model *m = &b->model;
    error err = {0};
    load_start(m, file, name);
    array losses = golden(file, name, "losses");
    for (int step = 0; step < STEPS; step++) {
        snprintf(key, sizeof key, "global.%d", step);
        array global = golden(file, "images", key);
        snprintf(key, sizeof key, "local.%d", step);
        array local = golden(file, "images", key);
        loader_batch batch = {.pairs = 12,
                              .views = 2,
                              .locals = m->head.locals,
                              .local_size = (int)local.shape[1],
                              .pixels = global.values,
                              .local = local.values};
        method_context context = {.step = (uint64_t)step, .steps = STEPS};
        tape_reset(m->tape);
        parameters_clear_grad(m->parameters);
        double loss = model_loss(m, &batch, (int)global.shape[1], &context);
        ck_assert_msg(fabs(loss / (double)losses.values[step] - 1) < 1e-4, "%s: loss %.8g at step %d, expected %.8g",
                      name, loss, step, (double)losses.values[step]);
        compare_gradients(m, file, name, step);
        optimizer_step(&m->optimizer, 0.02, 1, optimizer_gradient_norm(m->parameters));
        model_after_step(m, &context);
        bool ok = tape_check(m->tape, &err);
        ck_assert_msg(ok, "%s", err.text);
    }
    compare_statistics(m, file, name);
    safetensors_close(file);
    bench_close(b);
}
END_TEST

Suite *suite_model(void) {
    Suite *s = suite_create("model");
    TCase *t = tcase_create("training");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_memory_stops_growing_once_the_queue_is_in_use, 0, TRAINED);
    tcase_add_loop_test(t, test_the_same_start_gives_the_same_bits_and_a_falling_loss, 0, TRAINED);
    tcase_add_loop_test(t, test_a_frozen_layer_stays_until_its_epoch, 0, 2);
    tcase_add_test(t, test_the_teachers_backbone_follows_the_student);
    tcase_add_loop_test(t, test_backbones_take_local_views_of_any_size, 0, 3);
    tcase_add_test(t, test_a_teacher_takes_no_memory_beside_the_students_activations);
    tcase_add_loop_test(t, test_three_whole_steps_match_pytorch, 0, 3);
    tcase_add_test(t, test_settings_that_cannot_work_are_refused_by_their_keys);
    suite_add_tcase(s, t);
    return s;
}

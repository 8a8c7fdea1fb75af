/*
 * The engine's half of a replay: from PyTorch's initial weights, dictionary and batches (tests/reference/
 * falcon_replay.py) it takes the same steps of FALCON and prints how far the losses come apart. Exit code 1 when they
 * differ by more than a thousandth. Not part of the tests, which need no Python: `make build/release/falcon-replay`.
 */
#include "engine/backbone.h"
#include "engine/optimizer.h"
#include "engine/files/safetensors.h"
#include "methods/method.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 32, PAIRS = 256, SIDE = 32, CHANNELS = 3, PIXELS = 2 * PAIRS * SIDE * SIDE * CHANNELS };

typedef struct replay {
    safetensors *file;
    backend *backend;
    parameters *parameters;
    backbone *net;
    tape *tape;
    method_model model;
    const method *method;
    void *options;
    optimizer_options with;
    optimizer optimizer;
    float *pixels;
    double *losses;
    uint64_t steps;
} replay;

static bool load_parameters(replay *r, error *err) {
    for (size_t i = 0; i < r->parameters->count; i++) {
        const parameter *one = r->parameters->items[i];
        int64_t count = tensor_count(&one->value);
        float *host = malloc((size_t)count * sizeof *host);
        bool ok = host && safetensors_read_float(r->file, one->name, host, (uint64_t)count, err);
        if (ok) r->backend->write(r->backend, (tensor *)&one->value, host);
        free(host);
        if (!ok) return false;
    }
    return true;
}

static bool open_replay(replay *r, const char *path, int threads, error *err) {
    r->file = safetensors_open(path, err);
    const safetensors_entry *losses = r->file ? safetensors_find(r->file, "losses") : NULL;
    if (!losses) return error_set(err, ERROR_RUN, "%s holds no losses", path);
    r->steps = losses->count;
    r->losses = malloc(r->steps * sizeof *r->losses);
    r->pixels = malloc(PIXELS * sizeof *r->pixels);
    r->backend = backend_cpu(threads, err);
    if (!r->losses || !r->pixels || !r->backend) return error_memory(err, PIXELS * sizeof *r->pixels, "a batch");
    if (!safetensors_read_double(r->file, "losses", r->losses, r->steps, err)) return false;

    backbone_options shape;
    fields_defaults(&backbone_fields, &shape); /* resnet8 */
    shape.width = WIDTH;
    r->parameters = parameters_create(r->backend, 0, err);
    r->net = r->parameters ? backbone_create(&shape, r->parameters, "backbone", err) : NULL;
    r->tape = tape_create(r->backend, err);
    r->method = method_find("falcon");
    r->options = calloc(1, r->method->fields.size);
    if (!r->net || !r->tape || !r->options) return error_set(err, ERROR_RUN, "out of memory");
    fields_defaults(&r->method->fields, r->options); /* l2, reverse, symmetric, f 512, c 2048 */
    r->model = (method_model){.options = r->options,
                              .parameters = r->parameters,
                              .features = backbone_features(r->net),
                              .pairs = PAIRS,
                              .views = 2};
    fields_defaults(&optimizer_fields, &r->with); /* adam 1e-3, weight decay 1e-4 */
    return r->method->build(&r->model, err) && load_parameters(r, err) &&
           optimizer_create(&r->optimizer, &r->with, r->parameters, err);
}

/* Bytes to normalised pixels in single precision, by torchvision's operations in torchvision's order. */
static bool load_views(replay *r, uint64_t step, error *err) {
    static const float mean[CHANNELS] = {0.4914F, 0.4822F, 0.4465F}, std[CHANNELS] = {0.247F, 0.243F, 0.261F};
    char name[32];
    snprintf(name, sizeof name, "views.%llu", (unsigned long long)step);
    if (!safetensors_read_float(r->file, name, r->pixels, PIXELS, err)) return false;
    for (int64_t i = 0; i < PIXELS; i++) r->pixels[i] = (r->pixels[i] / 255 - mean[i % CHANNELS]) / std[i % CHANNELS];
    return true;
}

static bool take_step(replay *r, uint64_t step, double *loss, error *err) {
    if (!load_views(r, step, err)) return false;
    tape_reset(r->tape);
    parameters_clear_grad(r->parameters);
    method_context context = {.step = step, .steps = r->steps};
    tensor *images = tape_images(r->tape, r->pixels, (int64_t)2 * PAIRS, SIDE, SIDE, CHANNELS);
    tensor *features = backbone_forward(r->net, r->tape, images, 2, true);
    tensor *value = r->method->loss(&r->model, &context, r->tape, features);
    tape_backward(r->tape, value);
    optimizer_step(&r->optimizer, r->with.lr, 1, optimizer_gradient_norm(r->parameters));
    *loss = tape_scalar(r->tape, value);
    return tape_check(r->tape, err);
}

static void close_replay(replay *r) {
    if (r->model.state) r->method->destroy(&r->model);
    tape_destroy(r->tape);
    backbone_destroy(r->net);
    parameters_destroy(r->parameters);
    if (r->backend) r->backend->destroy(r->backend);
    safetensors_close(r->file);
    free(r->options);
    free(r->pixels);
    free(r->losses);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: falcon-replay FOLDER/replay.safetensors [THREADS]\n");
        return 2;
    }
    replay r = {0};
    error err = {0};
    double worst = 0;
    bool ok = open_replay(&r, argv[1], argc > 2 ? atoi(argv[2]) : 0, &err);
    for (uint64_t step = 0; ok && step < r.steps; step++) {
        double loss = NAN;
        ok = take_step(&r, step, &loss, &err);
        double difference = fabs(loss - r.losses[step]) / fabs(r.losses[step]);
        if (!(difference <= worst)) worst = difference;
        printf("step %2llu: %.6f, PyTorch %.6f, relative difference %.2e\n", (unsigned long long)step, loss,
               r.losses[step], difference);
    }
    if (ok)
        printf("largest relative difference of %llu losses: %.2e\n", (unsigned long long)r.steps, worst);
    else
        fprintf(stderr, "%s\n", err.text);
    close_replay(&r);
    return ok && worst <= 1e-3 ? 0 : 1;
}

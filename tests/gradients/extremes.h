/*
 * Losses at the edge of what floats hold: logits of ±10,000, batches without variance, two samples, two codes, codes by
 * the thousand. The same arithmetic in single and in double precision, on inputs that both hold exactly; the double
 * program's values stand in tests/golden/extremes.txt (MEWS_WRITE_EXTREMES=FILE build/double/run-gradients writes
 * them).
 */
#ifndef MEWS_TESTS_EXTREMES_H
#define MEWS_TESTS_EXTREMES_H

#include "engine/rng.h"
#include "methods/method.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTREME_CASES = 96, EXTREME_FEATURES = 5, EXTREME_CLASSES = 3, EXTREME_NUMBERS = 5 };

/* `loss`: on representations through the projector; `objective`: on what is behind it, `width` columns. */
typedef struct extreme {
    const char *method, *settings;
    int pairs, width; /* width 0: representations */
    double scale;     /* of what goes in */
    bool constant;    /* all rows alike */
    double logits;    /* about the largest there are: how far rounding is magnified */
} extreme;

static const extreme extremes[] = {
    /* logits of ±10,000 */
    {"falcon", "features 8 codes 16 prior forward", 6, 8, 128, false, 1e4},
    {"falcon", "features 8 codes 16 prior reverse", 6, 8, 128, false, 1e4},
    {"falcon", "projector tanh dictionary hadamard features 8 codes 16 prior forward", 6, 8, 256, false, 1e4},
    {"gedi", "hidden 8 clusters 16", 6, 8, 1024, false, 1e4},
    {"self_classifier", "hidden 8 features 4 classes 9", 6, 4, 512, false, 1e4},
    {"simclr", "hidden 7 features 8 temperature 1e-3", 6, 0, 1, false, 1e3},
    {"swav", "hidden 7 features 4 prototypes 9 temperature 1e-4 frozen_epochs 0", 6, 0, 1, false, 1e4},
    {"dino", "hidden 7 features 4 prototypes 9 temperature 1e-4 teacher_temperature 1e-4", 6, 0, 1, false, 1e4},
    {"supervised", "", 6, 0, 4096, false, 1e4},
    {"barlow_twins", "hidden 7 features 4 scale 1", 6, 0, 1e4, false, 1},
    {"vicreg", "hidden 7 features 4", 6, 0, 1e4, false, 1},
    {"byol", "hidden 7 features 4 predictor_hidden 6", 6, 0, 1e4, false, 1},
    {"simsiam", "hidden 7 features 4 predictor_hidden 6", 6, 0, 1e4, false, 1},
    {"wmse", "hidden 7 features 2 whitening_size 6", 6, 0, 1e4, false, 10},
    /* batches without variance: every image the same (what FroSSL, MMCR and MSN bring to length 1 then has none) */
    {"falcon", "features 8 codes 16 prior forward", 6, 0, 1, true, 20},
    {"falcon", "projector tanh features 8 codes 16 prior reverse", 6, 0, 1, true, 20},
    {"gedi", "hidden 7 clusters 5", 6, 0, 1, true, 10},
    {"self_classifier", "hidden 7 features 4 classes 5", 6, 0, 1, true, 20},
    {"simclr", "hidden 7 features 8", 6, 0, 1, true, 10},
    {"swav", "hidden 7 features 4 prototypes 9 frozen_epochs 0", 6, 0, 1, true, 20},
    {"dino", "hidden 7 features 4 prototypes 9", 6, 0, 1, true, 20},
    {"supervised", "", 6, 0, 1, true, 10},
    {"barlow_twins", "hidden 7 features 4", 6, 0, 1, true, 1},
    {"vicreg", "hidden 7 features 4", 6, 0, 1, true, 1},
    {"byol", "hidden 7 features 4 predictor_hidden 6", 6, 0, 1, true, 1},
    {"simsiam", "hidden 7 features 4 predictor_hidden 6", 6, 0, 1, true, 1},
    {"wmse", "hidden 7 features 2 whitening_size 3", 6, 0, 1, true, 1},
    {"lejepa", "hidden 7 features 4 slices 8", 6, 0, 1, true, 1},
    {"tico", "hidden 7 features 4", 6, 0, 1, true, 1},
    {"visreg", "hidden 7 features 4 slices 8", 6, 0, 1, true, 1},
    {"zero_cl", "hidden 7 features 4", 6, 0, 1, true, 1},
    {"corinfomax", "hidden 7 features 4", 6, 0, 1, true, 1},
    /* two samples */
    {"falcon", "features 8 codes 16", 2, 0, 1, false, 20},
    {"falcon", "features 8 codes 2 epsilon 1e-4", 2, 0, 1, false, 20},
    {"gedi", "hidden 7 clusters 2", 2, 0, 1, false, 10},
    {"self_classifier", "hidden 7 features 4 classes 2", 2, 0, 1, false, 20},
    {"simclr", "hidden 7 features 8", 2, 0, 1, false, 10},
    {"swav", "hidden 7 features 4 prototypes 2 frozen_epochs 0", 2, 0, 1, false, 20},
    {"dino", "hidden 7 features 4 prototypes 2", 2, 0, 1, false, 20},
    {"supervised", "", 2, 0, 1, false, 10},
    {"barlow_twins", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"vicreg", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"byol", "hidden 7 features 4 predictor_hidden 6", 2, 0, 1, false, 1},
    {"simsiam", "hidden 7 features 4 predictor_hidden 6", 2, 0, 1, false, 1},
    {"wmse", "hidden 7 features 2 whitening_size 2", 2, 0, 1, false, 1},
    {"wmse", "hidden 7 features 2 whitening_size 2 epsilon 0.1", 2, 0, 1, false, 10},
    {"lejepa", "hidden 7 features 4 slices 8", 2, 0, 1, false, 1},
    {"tico", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"visreg", "hidden 7 features 4 slices 8", 2, 0, 1, false, 1},
    {"mmcr", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"frossl", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"zero_cl", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"corinfomax", "hidden 7 features 4", 2, 0, 1, false, 1},
    {"msn", "hidden 7 features 4 prototypes 9", 2, 0, 1, false, 20},
    /* two codes; and many more codes than samples */
    {"falcon", "features 8 codes 2 prior forward epsilon 1e-4", 6, 0, 1, false, 20},
    {"swav", "hidden 7 features 4 prototypes 2 frozen_epochs 0", 6, 0, 1, false, 20},
    {"dino", "hidden 7 features 4 prototypes 2", 6, 0, 1, false, 20},
    {"falcon", "features 16 codes 20000 prior forward", 4, 0, 1, false, 40},
    {"falcon", "features 16 codes 20000 prior reverse dictionary hadamard", 4, 0, 1, false, 40},
    {"gedi", "hidden 7 clusters 20000", 4, 0, 1, false, 10},
    {"self_classifier", "hidden 7 features 4 classes 20000", 4, 0, 1, false, 20},
    {"swav", "hidden 7 features 4 prototypes 20000 frozen_epochs 0", 4, 0, 1, false, 20},
    {"dino", "hidden 7 features 4 prototypes 20000", 4, 0, 1, false, 20},
};
enum { EXTREMES = sizeof extremes / sizeof *extremes };

/* What came of one: loss, norm of the gradient of what went in, its sums by two patterns of signs, norm of the
 * parameters' gradients. Or why there is no such loss. */
typedef struct extreme_outcome {
    bool refused;
    char why[512];
    double numbers[EXTREME_NUMBERS];
} extreme_outcome;

/* A number that floats and doubles hold alike. */
static inline double extreme_draw(rng *r) { return ((double)(rng_bits(r) & 255) - 127.5) / 64; }

static inline void extreme_add(const tensor *x, double *square, double sums[2]) {
    rng r = rng_stream(9, RNG_TEST, 0, 0, 0);
    for (int64_t i = 0; i < tensor_count(x); i++) {
        double g = x->grad_ready ? (double)x->grad[i] : 0;
        *square += g * g;
        if (!sums) continue;
        uint32_t bits = rng_bits(&r);
        sums[0] += bits & 1 ? g : -g;
        sums[1] += bits & 2 ? g : -g;
    }
}

static inline bool extreme_model(const extreme *e, method_model *m, const method *with, void *options, error *err) {
    char copy[256], *rest = copy;
    fields_defaults(&with->fields, options);
    snprintf(copy, sizeof copy, "%s", e->settings);
    for (char *key; (key = strtok_r(rest, " ", &rest));) {
        const field *row = fields_require(&with->fields, key, err);
        if (!row || !field_parse(&with->fields, row, options, strtok_r(rest, " ", &rest), err)) return false;
    }
    if (!with->build(m, err) || !teacher_copy(m->parameters, err)) return false;
    rng r = rng_stream(8, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < m->parameters->count; i++) {
        tensor *value = &m->parameters->items[i]->value;
        bool matrix = value->rank == 2 && value->shape[0] > 1 && value->requires_grad;
        for (int64_t k = 0; matrix && k < tensor_count(value); k++) value->data[k] = (real)(extreme_draw(&r) / 2);
    }
    return true;
}

/* ck_assert is the caller's: this only computes. */
static inline extreme_outcome extreme_compute(const extreme *e) {
    extreme_outcome out = {0};
    error err = {0};
    const method *with = method_find(e->method);
    void *options = calloc(1, with->fields.size ? with->fields.size : 1);
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 3, &err);
    tape *t = tape_create(b, &err);
    method_model m = {.options = options, .parameters = p, .features = EXTREME_FEATURES, .pairs = e->pairs, .views = 2};
    m.classes = with->labels ? EXTREME_CLASSES : 0;
    int rows = 2 * e->pairs, cols = e->width ? e->width : EXTREME_FEATURES;
    tensor z = {.rank = 2, .shape = {rows, cols}, .lasting = true, .requires_grad = true};
    z.data = b->allocate(b, (size_t)(rows * cols) * sizeof(real));
    z.grad = b->allocate(b, (size_t)(rows * cols) * sizeof(real));
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < rows * cols; i++)
        z.data[i] = e->constant && i >= cols ? z.data[i % cols] : (real)(e->scale * extreme_draw(&r));
    float *teacher = calloc((size_t)(rows * EXTREME_FEATURES), sizeof *teacher), labels[64] = {0};
    for (int i = 0; i < rows * EXTREME_FEATURES; i++)
        teacher[i] = e->constant && i >= EXTREME_FEATURES ? teacher[i % EXTREME_FEATURES] : (float)extreme_draw(&r);
    for (int i = 0; i < e->pairs; i++) labels[i * EXTREME_CLASSES + i % EXTREME_CLASSES] = 1;
    bool ok = extreme_model(e, &m, with, options, &err);
    if (ok) {
        method_context context = {.steps = 100, .step = 1, .epochs = 2};
        if (with->teacher) context.teacher = tape_matrix(t, teacher, rows, EXTREME_FEATURES);
        if (m.classes) context.labels = tape_matrix(t, labels, e->pairs, EXTREME_CLASSES);
        tensor *loss = e->width ? with->objective(&m, &context, t, &z) : with->loss(&m, &context, t, &z);
        if (loss) tape_backward(t, loss);
        out.numbers[0] = loss ? tape_scalar(t, loss) : NAN;
        ok = tape_check(t, &err);
    }
    out.refused = !ok;
    snprintf(out.why, sizeof out.why, "%.511s", err.text);
    extreme_add(&z, &out.numbers[1], &out.numbers[2]);
    for (size_t i = 0; ok && i < p->count; i++)
        if (p->items[i]->value.requires_grad) extreme_add(&p->items[i]->value, &out.numbers[4], NULL);
    out.numbers[1] = sqrt(out.numbers[1]), out.numbers[4] = sqrt(out.numbers[4]);
    b->release(b, z.data);
    b->release(b, z.grad);
    if (m.state || ok) with->destroy(&m);
    tape_destroy(t);
    parameters_destroy(p);
    b->destroy(b);
    free(options);
    free(teacher);
    return out;
}

/* The golden line of case i; false when there is none. */
static inline bool extreme_golden(int i, extreme_outcome *out) {
    FILE *file = fopen("tests/golden/extremes.txt", "r");
    char line[1024];
    bool found = false;
    *out = (extreme_outcome){0};
    for (int k = 0; file && !found && fgets(line, sizeof line, file);) {
        if (*line == '#' || k++ != i) continue;
        found = true;
        char *numbers = strstr(line, " | ");
        out->refused = numbers && strncmp(numbers, " | refused", 10) == 0;
        for (int n = 0; numbers && !out->refused && n < EXTREME_NUMBERS; n++)
            out->numbers[n] = strtod(n ? numbers : numbers + 3, &numbers);
        found = numbers != NULL;
    }
    if (file) fclose(file);
    return found;
}

#endif

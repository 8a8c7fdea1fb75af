/*
 * Golden values for the tests of analysis/: whole arrays by name, and matrices of noise. A missing one
 * fails the test that asked for it. Arrays are allocated and left to the test's process to end with.
 */
#ifndef MEWS_TESTS_GOLDEN_H
#define MEWS_TESTS_GOLDEN_H

#include "engine/rng.h"
#include "analysis/matrix.h"
#include "engine/files/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
    safetensors *file;
    const char *prefix;
} golden;

/* Opens tests/golden/NAME.safetensors for one case's values. */
static inline golden golden_open_in(const char *name, const char *prefix) {
    error err = {0};
    char path[128];
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    golden g = {safetensors_open(path, &err), prefix};
    ck_assert_msg(g.file != NULL, "%s", err.text);
    return g;
}

static inline golden golden_open(const char *prefix) { return golden_open_in("analysis", prefix); }

static inline const safetensors_entry *golden_find(golden g, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s.%s", g.prefix, name);
    const safetensors_entry *entry = safetensors_find(g.file, full);
    ck_assert_msg(entry != NULL, "no golden %s", full);
    return entry;
}

static inline double *golden_doubles(golden g, const char *name) {
    const safetensors_entry *entry = golden_find(g, name);
    error err = {0};
    double *x = malloc((entry->count + 1) * sizeof *x);
    ck_assert_msg(safetensors_read_double(g.file, entry->name, x, entry->count, &err), "%s", err.text);
    return x;
}

static inline matrix golden_matrix(golden g, const char *name) {
    const safetensors_entry *entry = golden_find(g, name);
    error err = {0};
    float *x = malloc((entry->count + 1) * sizeof *x);
    ck_assert_msg(safetensors_read_float(g.file, entry->name, x, entry->count, &err), "%s", err.text);
    return (matrix){x, entry->shape[0], entry->dims > 1 ? entry->shape[1] : 1};
}

static inline int32_t *golden_ints(golden g, const char *name, size_t *count) {
    const safetensors_entry *entry = golden_find(g, name);
    ck_assert_int_eq(entry->dtype, ST_I32);
    int32_t *x = malloc((entry->count + 1) * sizeof *x);
    memcpy(x, entry->data, entry->bytes);
    if (count) *count = entry->count;
    return x;
}

/* |a − b| ≤ tolerance · max(1, |b|). */
static inline void assert_near(double a, double b, double tolerance, const char *what) {
    ck_assert_msg(fabs(a - b) <= tolerance * fmax(1, fabs(b)), "%s: %.12g, expected %.12g", what, a, b);
}

/* Standard normal values; the caller frees them. */
static inline matrix noise(size_t rows, size_t cols, uint64_t seed) {
    float *x = malloc(rows * cols * sizeof *x);
    rng r = rng_stream(seed, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < rows * cols; i++) x[i] = (float)rng_normal(&r);
    return (matrix){x, rows, cols};
}

#endif

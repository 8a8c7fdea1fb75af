/*
 * Golden values for the tests of the engine and the methods: arrays of tests/golden/<file>.safetensors by name. A
 * missing one fails the test that asked for it. Arrays last as long as the test's process.
 */
#ifndef MEWS_TESTS_GOLDEN_GOLDEN_H
#define MEWS_TESTS_GOLDEN_GOLDEN_H

#include "engine/files/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct array {
    float *values;
    int64_t count;
    int dims;
    int64_t shape[SAFETENSORS_MAX_DIMS];
} array;

static inline safetensors *golden_file(const char *subject) {
    char path[128];
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", subject);
    error err = {0};
    safetensors *file = safetensors_open(path, &err);
    ck_assert_msg(file != NULL, "%s", err.text);
    return file;
}

/* Every array hangs on this chain, so that a sanitizer does not take it for lost. */
typedef struct golden_link {
    struct golden_link *next;
    float values[];
} golden_link;

static inline float *golden_values(uint64_t count) {
    static golden_link *last;
    golden_link *link = malloc(sizeof *link + (count + 1) * sizeof *link->values);
    link->next = last;
    last = link;
    return link->values;
}

/* "<group>.<name>", or an array without values when there is none. */
static inline array golden_maybe(const safetensors *file, const char *group, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s.%s", group, name);
    const safetensors_entry *entry = safetensors_find(file, full);
    if (!entry) return (array){0};
    array a = {golden_values(entry->count), (int64_t)entry->count, entry->dims, {0}};
    for (int i = 0; i < entry->dims; i++) a.shape[i] = (int64_t)entry->shape[i];
    error err = {0};
    ck_assert_msg(safetensors_read_float(file, full, a.values, entry->count, &err), "%s", err.text);
    return a;
}

static inline array golden(const safetensors *file, const char *group, const char *name) {
    array a = golden_maybe(file, group, name);
    ck_assert_msg(a.values != NULL, "no golden %s.%s", group, name);
    return a;
}

/* ‖got − expected‖ / ‖expected‖, or the absolute difference where nothing is expected. NaN counts as infinite. */
static inline double relative_difference(const float *got, const float *expected, int64_t count) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)expected[i];
        difference += d * d;
        norm += (double)expected[i] * (double)expected[i];
    }
    double ratio = sqrt(difference) / (norm > 0 ? sqrt(norm) : 1);
    return isnan(ratio) ? INFINITY : ratio;
}

static inline void assert_close(const float *got, array expected, double tolerance, const char *group,
                                const char *what) {
    double difference = relative_difference(got, expected.values, expected.count);
    ck_assert_msg(difference <= tolerance, "%s: %s differs by %.3g of its norm (at most %.3g)", group, what, difference,
                  tolerance);
}

#endif

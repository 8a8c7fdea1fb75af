/*
 * What tests of values in bfloat16 share: numbers that it has, tensors of them, the kernels of every instruction set,
 * and bounds in units of rounding, u = 2⁻⁸: the nearest number with 8 significant bits is at most that part of a value
 * away.
 */
#ifndef MEWS_BFLOAT16_BENCH_H
#define MEWS_BFLOAT16_BENCH_H

#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"
#include "engine/isa.h"
#include "engine/ops.h"
#include "engine/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double UNIT = 1.0 / 256;

static inline float rounded(float x) { return (float)bfloat_value(bfloat_round(x)); }

/* `count` numbers that bfloat16 has, normally distributed. */
static inline float *normals(int64_t count, int key, double scale) {
    float *v = malloc((size_t)count * sizeof *v);
    rng r = rng_stream(0, RNG_TEST, 1, (uint64_t)key, 0);
    for (int64_t i = 0; i < count; i++) v[i] = rounded((float)(rng_normal(&r) * scale));
    return v;
}

/* A tensor that lasts, of values from the host. */
static inline tensor leaf(backend *b, tensor_kind kind, int rank, const int64_t *shape, const float *host, bool brief) {
    tensor t = {.kind = kind, .rank = rank, .lasting = true, .requires_grad = true};
    memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    int64_t count = b->layout(b, &t);
    t.data = b->allocate(b, (size_t)count * sizeof(real));
    t.grad = b->allocate(b, (size_t)count * sizeof(real));
    b->write(b, &t, host);
    if (!brief) return t;
    for (int64_t i = 0; i < count; i++) ((bfloat *)t.grad)[i] = bfloat_round(t.data[i]);
    memcpy(t.data, t.grad, (size_t)count * sizeof(bfloat));
    t.bfloat16 = true;
    return t;
}

static inline void leaf_free(backend *b, tensor *t) {
    b->release(b, t->data);
    b->release(b, t->grad);
}

/* Each element within `units` roundings, and `slack` of the largest for sums in floats. */
static inline void compare(const float *got, const double *expected, int64_t count, double units, double slack,
                           const char *what) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - expected[i]);
        ck_assert_msg(off <= units * UNIT * fabs(expected[i]) + slack * most, "%s[%d]: %.9g where %.9g was expected",
                      what, (int)i, (double)got[i], expected[i]);
    }
}

/* The whole of it within a share of its length, and no number off by more than `single` times the usual one. */
static inline void compare_whole(const float *got, const double *expected, int64_t count, double share, double single,
                                 const char *what) {
    double off = 0, all = 0, most = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        double here = fabs((double)got[i] - expected[i]);
        if (!(here <= most)) most = here, at = i;
        off += here * here;
        all += expected[i] * expected[i];
    }
    ck_assert_msg(sqrt(off / all) < share, "%s is off by %.4f of its length", what, sqrt(off / all));
    ck_assert_msg(most <= single * sqrt(all / (double)count), "%s[%d]: %.9g where %.9g was expected", what, (int)at,
                  (double)got[at], expected[at]);
}

static const char *const isas[] = {"v2", "v3", "v4", "v4_bf16", "v4_amx"};
enum { ISAS = sizeof isas / sizeof *isas };

static inline int level_of(const char *isa) {
    return strcmp(isa, "v4_amx") == 0 ? ISA_TILES : strcmp(isa, "v4_bf16") == 0 ? ISA_BFLOAT16 : atoi(isa + 1);
}

/* The CPU's, held to an instruction set; NULL where this processor has not that. Each test is a process of its own. */
static inline backend *kernels_with(const char *isa, int threads) {
    if (level_of(isa) > isa_processor_level()) return NULL;
    setenv("MEWS_ISA", isa, 1);
    error err = {0};
    if (!isa_choose(&err)) unsetenv("MEWS_ISA"); /* a build for one processor has its own set alone */
    backend *b = backend_cpu(threads, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    b->bfloat16 = true;
    return b;
}

/* Whether products are made of bfloat16: not in floats by a build for a level of x86-64. */
static inline bool multiplies_brief(const backend *b) { return b->isa[0] != 'v' || b->isa[2] != '\0'; }

static inline backend *kernels_of(const char *isa) { return kernels_with(isa, 2); }

/* Random shapes that a test draws: MEWS_SHAPES=5000 asks for so many. */
static inline int shapes_asked(void) {
    const char *asked = getenv("MEWS_SHAPES");
    return asked ? atoi(asked) : 40;
}

#endif

#include "experiments/bench/bench_machine.h"
#include "engine/clock.h"
#include "engine/ops.h"
#include "engine/tokens.h"
#include "experiments/bench/bench_measure.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 2048, TRIES = 4 };

/* GFLOP/s of `rows` times SIDE by SIDE. */
static double rate(int64_t rows, double seconds) { return 2e-9 * (double)rows * SIDE * SIDE / seconds; }

static double float_peak(void) {
    size_t count = (size_t)SIDE * SIDE;
    float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b), *c = malloc(count * sizeof *c);
    double best = 0;
    if (a && b && c) {
        for (size_t i = 0; i < count; i++) a[i] = (float)(i % 7) - 3, b[i] = (float)(i % 5) - 2;
        for (int k = 0; k < TRIES; k++) {
            double before = clock_seconds();
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
            double now = rate(SIDE, clock_seconds() - before);
            if (now > best) best = now;
        }
    }
    free(a);
    free(b);
    free(c);
    return best;
}

/* A layer of a transformer, whose input LayerNorm has stored in bfloat16; four times as many rows, so that rounding the
   weights shows less. */
static double brief_peak(void) {
    enum { ROWS = 4 * SIDE };
    error err = {0};
    double best = 0;
    backend *b = backend_cpu(omp_get_max_threads(), &err);
    tape *t = b ? tape_create(b, &err) : NULL;
    float *values = calloc((size_t)ROWS * SIDE, sizeof *values);
    for (size_t i = 0; values && i < (size_t)ROWS * SIDE; i++) values[i] = (float)(i % 7) - 3;
    if (b) b->bfloat16 = true;
    for (int k = 0; t && values && k < TRIES; k++) {
        tape_reset(t);
        tensor *w = tape_matrix(t, values, SIDE, SIDE), *row = tape_matrix(t, values, 1, SIDE);
        tensor *x = op_branch_norm(t, tape_matrix(t, values, ROWS, SIDE), row, row, 1e-6);
        double before = clock_seconds();
        op_linear(t, x, w, row);
        double now = rate(ROWS, clock_seconds() - before);
        if (tape_check(t, &err) && now > best) best = now;
    }
    free(values);
    tape_destroy(t);
    if (b) b->destroy(b);
    return best;
}

double bench_peak_gflops(bool brief) { return brief ? brief_peak() : float_peak(); }

/* Bytes a second of a pass over far more than the caches hold: read alone, or read here and written there, both of
   which count. */
static double bandwidth(bool copy, error *err) {
    const size_t count = (size_t)1 << 24; /* 128 MiB */
    uint64_t *from = malloc(count * sizeof *from), *to = malloc(count * sizeof *to), sum = 0;
    double best = 0;
    if (!from || !to) error_memory(err, 2 * count * sizeof *from, "the memory to be read");
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < (from && to ? count : 0); i++) from[i] = i, to[i] = 0;
    for (int k = 0; from && to && k < TRIES; k++) {
        double before = clock_seconds();
        if (copy) {
#pragma omp parallel
            {
                size_t me = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();
                size_t first = count * me / all, end = count * (me + 1) / all;
                memcpy(to + first, from + first, (end - first) * sizeof *to);
            }
        } else {
#pragma omp parallel for simd schedule(static) reduction(+ : sum)
            for (size_t i = 0; i < count; i++) sum += from[i];
        }
        double now = (double)((copy ? 2 : 1) * count * sizeof *from) / (clock_seconds() - before);
        if (now > best) best = now;
    }
    if (from && to && !copy && sum != TRIES * (count / 2 * (count - 1))) best = 0; /* and so the sum is wanted */
    free(from);
    free(to);
    return best;
}

double bench_read_rate(error *err) { return bandwidth(false, err); }

/* What Linux calls the first processor; families and models tell apart those of one name. */
static void processor_name(char *to, size_t size) {
    static const char *const keys[] = {"model name", "cpu family", "model\t"};
    char line[256], said[3][100] = {""};
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f) && line[0] != '\n')
        for (int i = 0; i < 3; i++) {
            const char *value = strchr(line, ':');
            if (strncmp(line, keys[i], strlen(keys[i])) != 0 || !value) continue;
            value += 1 + strspn(value + 1, " \t");
            snprintf(said[i], sizeof *said, "%.*s", (int)strcspn(value, "\n"), value);
        }
    if (f) fclose(f);
    snprintf(to, size, "%s%s%s%s%s", *said[0] ? said[0] : "unknown", *said[1] ? ", family " : "", said[1],
             *said[2] ? ", model " : "", said[2]);
}

json_t *bench_machine(const bench_options *o, error *err) {
    (void)o;
    char name[320];
    const double read = bandwidth(false, err), copied = read > 0 ? bandwidth(true, err) : 0;
    if (!(copied > 0)) return NULL;
    const double product = bench_peak_gflops(false), brief = bench_peak_gflops(true);
    if (!(product > 0 && brief > 0)) {
        error_memory(err, 3 * sizeof(float) * SIDE * SIDE, "the matrices to be multiplied");
        return NULL;
    }
    processor_name(name, sizeof name);
    json_t *out = json_object();
    json_object_set_new(out, "bench", json_string("machine"));
    json_object_set_new(out, "processor", json_string(name));
    json_object_set_new(out, "product_gflops", json_real(product));
    json_object_set_new(out, "product_gflops_bfloat16", json_real(brief));
    json_object_set_new(out, "read_gb_per_second", json_real(1e-9 * read));
    json_object_set_new(out, "copy_gb_per_second", json_real(1e-9 * copied));
    return out;
}

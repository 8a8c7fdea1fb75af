#include "experiments/bench/bench_measure.h"
#include "engine/clock.h"
#include "engine/rng.h"
#include "experiments/bench/bench_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bench_timing bench_summary(double *seconds, int64_t count) {
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    return (bench_timing){seconds[count / 2], seconds[0], seconds[count - 1]};
}

bool bench_measure(bench_body body, void *context, int64_t repeats, bench_timing *out, error *err) {
    double *seconds = malloc((size_t)repeats * sizeof *seconds);
    if (!seconds) return error_memory(err, (size_t)repeats * sizeof *seconds, "the timings");
    bool ok = body(context, err);
    for (int64_t i = 0; ok && i < repeats; i++) {
        double before = clock_seconds();
        ok = body(context, err);
        seconds[i] = clock_seconds() - before;
    }
    if (ok) *out = bench_summary(seconds, repeats);
    free(seconds);
    return ok;
}

double bench_resident_mib(const char *key) {
    char line[256];
    double mib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) mib = strtod(line + strlen(key) + 1, NULL) / 1024;
    if (f) fclose(f);
    return mib;
}

void bench_forget_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f); /* proc(5): sets VmHWM to VmRSS */
    fclose(f);
}

float *bench_noise(size_t count, error *err) {
    float *values = malloc(count * sizeof *values);
    rng r = rng_stream(0, RNG_NULL, 0, 0, 0);
    if (!values) error_memory(err, count * sizeof *values, "the benchmark's input");
    for (size_t i = 0; values && i < count; i++) values[i] = (float)rng_normal(&r);
    return values;
}

json_t *bench_report(const char *name, bench_timing t, double flops, bool brief) {
    double memory = bench_resident_mib("VmHWM"), peak = bench_peak_gflops(brief);
    json_t *out = json_object();
    json_object_set_new(out, "bench", json_string(name));
    json_object_set_new(out, "seconds", json_real(t.median));
    json_object_set_new(out, "min_seconds", json_real(t.least));
    json_object_set_new(out, "max_seconds", json_real(t.most));
    json_object_set_new(out, "gflops", flops > 0 ? json_real(1e-9 * flops / t.median) : json_null());
    json_object_set_new(out, "peak_gflops", peak > 0 ? json_real(peak) : json_null());
    json_object_set_new(out, "peak_share",
                        flops > 0 && peak > 0 ? json_real(1e-9 * flops / t.median / peak) : json_null());
    json_object_set_new(out, "peak_rss_mib", json_real(memory));
    return out;
}

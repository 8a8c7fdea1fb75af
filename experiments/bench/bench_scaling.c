/*
 * One size grows, the others stay small, so that all of it takes a minute. A slope of 1 means proportional; a fixed
 * cost shows as a slope below 1 over small sizes, hence the slope between the last two as well.
 */
#include "experiments/bench/bench_scaling.h"
#include "analysis/report/plots/plot.h"
#include "engine/clock.h"
#include "engine/codes.h"
#include "experiments/bench/bench_measure.h"
#include "experiments/bench/bench_ranks.h"
#include "experiments/bench/bench_step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 5, BATCH = 64, WIDTH = 16, CODES = 2048 };

typedef enum grows { GROWS_BATCH, GROWS_WIDTH, GROWS_CODES } grows;

typedef struct series {
    const char *name, *words; /* of a line in the figure; before "time grows as" */
    grows what;
    bool loss; /* the loss alone */
    dictionary_law dictionary;
    int64_t size[SIZES]; /* ends with a 0 when there are fewer */
} series;

static const series all[] = {
    {"step", "a step", GROWS_BATCH, false, DICTIONARY_RADEMACHER, {32, 64, 128, 256}},
    {"step", "a step", GROWS_WIDTH, false, DICTIONARY_RADEMACHER, {16, 32, 48, 64}},
    {"step, signs",
     "a step with random signs",
     GROWS_CODES,
     false,
     DICTIONARY_RADEMACHER,
     {1024, 4096, 16384, 65536, 262144}},
    {"step, Hadamard",
     "a step with Hadamard codes",
     GROWS_CODES,
     false,
     DICTIONARY_HADAMARD,
     {1024, 4096, 16384, 65536, 262144}},
    {"loss, signs",
     "the loss with random signs",
     GROWS_CODES,
     true,
     DICTIONARY_RADEMACHER,
     {1024, 4096, 16384, 65536, 262144}},
    {"loss, Hadamard",
     "the loss with Hadamard codes",
     GROWS_CODES,
     true,
     DICTIONARY_HADAMARD,
     {1024, 4096, 16384, 65536, 262144}},
};
enum { SERIES = sizeof all / sizeof *all };

static const char *const keys[] = {"batch", "width", "codes"};
static const char *const axes[] = {"pairs a batch", "width of the backbone", "codes"};

static int sizes(const series *s) {
    int n = 0;
    while (n < SIZES && s->size[n]) n++;
    return n;
}

static bool time_one(const series *s, int k, const bench_options *options, double *seconds, error *err) {
    bench_options o = *options;
    int64_t *const grown[] = {&o.batch, &o.width, &o.codes};
    o.batch = BATCH, o.width = WIDTH, o.codes = CODES, o.dictionary = (int)s->dictionary;
    *grown[s->what] = s->size[k];
    int64_t values = s->loss ? o.features : (int64_t)BENCH_SIDE * BENCH_SIDE * 3;
    step_bench bench = {.width = o.features};
    bench_timing t;
    bool ok = step_bench_begin(&bench, &o, o.batch * BENCH_VIEWS * values, err) &&
              bench_measure(s->loss ? step_bench_loss : step_bench_body, &bench, o.repeats, &t, err);
    if (ok) *seconds = t.median;
    step_bench_end(&bench);
    return ok;
}

/* Least squares of log y on log x. */
static double slope(const int64_t *x, const double *y, int n) {
    double mean_x = 0, mean_y = 0, along = 0, square = 0;
    for (int i = 0; i < n; i++) mean_x += log((double)x[i]) / n, mean_y += log(y[i]) / n;
    for (int i = 0; i < n; i++) {
        double d = log((double)x[i]) - mean_x;
        along += d * (log(y[i]) - mean_y), square += d * d;
    }
    return along / square;
}

static json_t *series_json(const series *s, const double *seconds, char *sentence, size_t size) {
    int n = sizes(s);
    double whole = slope(s->size, seconds, n), last = slope(s->size + n - 2, seconds + n - 2, 2);
    json_t *at = json_array(), *times = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(at, json_integer(s->size[i]));
        json_array_append_new(times, json_real(seconds[i]));
    }
    snprintf(sentence, size, "%s takes %s^%.2f from %lld to %lld (%.3g s to %.3g s), %s^%.2f between the last two",
             s->words, keys[s->what], whole, (long long)s->size[0], (long long)s->size[n - 1], seconds[0],
             seconds[n - 1], keys[s->what], last);
    return json_pack("{s:s, s:s, s:o, s:o, s:f, s:f}", "name", s->name, "over", keys[s->what], "at", at, "seconds",
                     times, "slope", whole, "last_slope", last);
}

/* One panel for each thing that grows, with a grey line that is proportional to it. */
static bool draw(const char *out, double seconds[SERIES][SIZES], error *err) {
    char folder[FIELD_TEXT_SIZE];
    plot_pictures pictures = {0};
    plot p = {.columns = 3, .width = 400, .height = 280};
    snprintf(folder, sizeof folder, "%s", out);
    char *slash = strrchr(folder, '/');
    snprintf(p.name, sizeof p.name, "%.150s", slash ? slash + 1 : folder);
    char *dot = strrchr(p.name, '.');
    if (dot && (strcmp(dot, ".svg") == 0 || strcmp(dot, ".png") == 0)) *dot = 0;
    if (slash)
        slash[slash == folder] = 0;
    else
        strcpy(folder, ".");
    plot_panel *panel = NULL;
    bool ok = true;
    for (int i = 0; ok && i < SERIES; i++) {
        const series *s = &all[i];
        int n = sizes(s);
        if (i == 0 || all[i - 1].what != s->what) {
            char title[96];
            snprintf(title, sizeof title, "Time over %s", axes[s->what]);
            panel = plot_add_panel(&p, title, axes[s->what], "seconds");
            plot_line *grey = panel ? plot_add_line(panel, PLOT_REFERENCE, "proportional", (size_t)n) : NULL;
            for (int k = 0; grey && k < n; k++) {
                double y = seconds[i][n - 1] * (double)s->size[k] / (double)s->size[n - 1];
                plot_put(grey, (double)s->size[k], y, y, y);
            }
            if (panel) panel->x_log = panel->y_log = true;
            for (int k = 0; panel && k < n; k++) {
                char label[32];
                snprintf(label, sizeof label, s->size[k] % 1024 ? "%lld" : "%lldK",
                         (long long)(s->size[k] % 1024 ? s->size[k] : s->size[k] / 1024));
                plot_add_tick(panel, (double)s->size[k], label);
            }
        }
        plot_line *line = panel ? plot_add_line(panel, PLOT_NAMED, s->name, (size_t)n) : NULL;
        ok = line != NULL || error_memory(err, sizeof *panel, "the figure");
        for (int k = 0; ok && k < n; k++)
            plot_put(line, (double)s->size[k], seconds[i][k], seconds[i][k], seconds[i][k]);
        if (ok) line->style = (int)s->dictionary + 2 * s->loss;
    }
    ok = ok && plot_draw(&p, folder, 0, &pictures, err);
    plot_pictures_free(&pictures);
    plot_free(&p);
    return ok;
}

json_t *bench_scaling(const bench_options *o, error *err) {
    if (o->ranks) return bench_ranks(o, err);
    double seconds[SERIES][SIZES], began = clock_seconds();
    json_t *list = json_array(), *findings = json_array(), *out = NULL;
    bool ok = true;
    for (int i = 0; ok && i < SERIES; i++) {
        for (int k = 0; ok && k < sizes(&all[i]); k++) ok = time_one(&all[i], k, o, &seconds[i][k], err);
        if (!ok) break;
        char sentence[240];
        json_array_append_new(list, series_json(&all[i], seconds[i], sentence, sizeof sentence));
        json_array_append_new(findings, json_string(sentence));
    }
    bench_timing whole = {.median = clock_seconds() - began};
    whole.least = whole.most = whole.median;
    ok = ok && (!o->out[0] || draw(o->out, seconds, err));
    if (ok && (out = bench_report("scaling", whole, 0, false))) {
        json_object_set(out, "series", list);
        json_object_set(out, "findings", findings);
        if (o->out[0]) json_object_set_new(out, "figure", json_string(o->out));
    }
    json_decref(list);
    json_decref(findings);
    return out;
}

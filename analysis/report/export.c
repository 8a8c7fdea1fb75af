/*
 * Long tables have one number a line, which pandas and R like best; the runs are a wide one, as people read it.
 */
#include "analysis/report/export.h"

#include "analysis/report/csv.h"
#include "analysis/report/study/effects_words.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool begin(file_writer *w, const char *folder, const char *name, error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_begin(w, path, err);
}

/* The keys that vary in any block, each once. */
static size_t all_keys(const study *s, const char **keys, size_t room) {
    size_t count = 0;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].key_count; k++) {
            bool known = count == room;
            for (size_t i = 0; i < count && !known; i++) known = strcmp(keys[i], s->blocks[b].keys[k].key) == 0;
            if (!known) keys[count++] = s->blocks[b].keys[k].key;
        }
    return count;
}

static void write_run(FILE *out, const record *r, size_t number, const char **keys, size_t key_count,
                      const char **metrics, size_t metric_count) {
    char text[256];
    fprintf(out, "%zu,", number);
    csv_text(out, r->id);
    fputc(',', out);
    csv_text(out, r->method);
    for (size_t k = 0; k < key_count; k++) fputc(',', out), csv_text(out, record_text(r, keys[k], text, sizeof text));
    fputc(',', out);
    csv_text(out, record_text(r, "train.seed", text, sizeof text));
    for (size_t m = 0; m < metric_count; m++) fputc(',', out), csv_number(out, record_metric(r, metrics[m]));
    for (const char *const *mode = study_modes; *mode; mode++)
        fprintf(out, ",%s", study_verdict_names[study_run_verdict(r, *mode)]);
    fputc(',', out);
    csv_number(out, record_seconds(r, "train"));
    fputc(',', out);
    csv_number(out, record_seconds(r, "eval"));
    fputc('\n', out);
}

static bool export_runs(const study *s, const char **metrics, size_t metric_count, const char *folder, error *err) {
    enum { MOST_KEYS = 64 };
    const char *keys[MOST_KEYS];
    size_t key_count = all_keys(s, keys, MOST_KEYS);
    file_writer w;
    bool ok = begin(&w, folder, "runs.csv", err);
    if (ok) {
        fputs("number,run,method", w.stream);
        for (size_t k = 0; k < key_count; k++) fprintf(w.stream, ",%s", keys[k]);
        fputs(",train.seed", w.stream);
        for (size_t m = 0; m < metric_count; m++) fputc(',', w.stream), csv_text(w.stream, metrics[m]);
        for (const char *const *mode = study_modes; *mode; mode++) fprintf(w.stream, ",%s_verdict", *mode);
        fputs(",seconds_train,seconds_eval\n", w.stream);
        for (size_t i = 0; i < s->run_count; i++)
            write_run(w.stream, s->runs[i], i + 1, keys, key_count, metrics, metric_count);
        ok = file_commit(&w, err);
    }
    return ok;
}

static void write_setting(FILE *out, const study_block *b, const study_series *series, const study_point *p,
                          const char *metric) {
    study_figure figure = study_measure(p, metric);
    const double numbers[] = {figure.mean, figure.sd, figure.min, figure.max};
    char setting[300];
    if (!figure.n) return;
    csv_text(out, b->name);
    fputc(',', out);
    csv_text(out, series->label);
    fputc(',', out);
    csv_text(out, study_setting(b, p, setting, sizeof setting));
    fprintf(out, ",");
    csv_text(out, metric);
    fprintf(out, ",%zu", figure.n);
    for (int i = 0; i < 4; i++) fputc(',', out), csv_number(out, numbers[i]);
    fputc('\n', out);
}

static bool export_settings(const study *s, const char **metrics, size_t metric_count, const char *folder, error *err) {
    file_writer w;
    if (!begin(&w, folder, "settings.csv", err)) return false;
    fputs("block,series,setting,figure,n,mean,sd,min,max\n", w.stream);
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t i = 0; i < s->blocks[b].series[k].count; i++)
                for (size_t m = 0; m < metric_count; m++)
                    write_setting(w.stream, &s->blocks[b], &s->blocks[b].series[k], &s->blocks[b].series[k].points[i],
                                  metrics[m]);
    return file_commit(&w, err);
}

static void write_effect(FILE *out, const block_effects *b, const effect *e) {
    char units[160];
    effects_say_units(e, units, sizeof units);
    for (size_t l = 0; l < e->count; l++) {
        const effect_level *level = &e->levels[l];
        const double numbers[] = {level->mean,
                                  l ? level->difference : (double)NAN,
                                  level->difference - level->half_width,
                                  level->difference + level->half_width,
                                  e->p,
                                  e->p_holm};
        csv_text(out, b->block->name);
        fputc(',', out);
        csv_text(out, e->factor->key);
        fputc(',', out);
        csv_text(out, e->metric);
        fputc(',', out);
        csv_text(out, e->factor->levels[level->of].label);
        for (int i = 0; i < 6; i++) fputc(',', out), csv_number(out, numbers[i]);
        fputc(',', out);
        csv_text(out, units);
        fputc('\n', out);
    }
}

static bool export_effects(const effects *e, const char *folder, error *err) {
    file_writer w;
    if (!begin(&w, folder, "effects.csv", err)) return false;
    fputs("block,key,figure,value,mean,difference,low,high,p,p_holm,interval\n", w.stream);
    for (size_t b = 0; b < e->count; b++)
        for (size_t i = 0; i < e->blocks[b].metric_count * e->blocks[b].factors.factor_count; i++)
            write_effect(w.stream, &e->blocks[b], &e->blocks[b].items[i]);
    return file_commit(&w, err);
}

bool export_numbers(const study *s, const effects *e, const char *folder, error *err) {
    return export_runs(s, s->metrics, s->metric_count, folder, err) &&
           export_settings(s, s->metrics, s->metric_count, folder, err) && export_effects(e, folder, err);
}

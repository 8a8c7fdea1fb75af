/*
 * Reading verdicts back from metrics.jsonl and asking when they began. A verdict that could not be given breaks a row
 * of collapsed ones: what is not known does not count as collapsed.
 */
#include "analysis/verdicts/collapse_history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static verdict verdict_of(const json_t *mode) {
    const char *name = json_string_value(json_object_get(mode, "verdict"));
    for (int v = VERDICT_HEALTHY; name && v <= VERDICT_COLLAPSED; v++)
        if (strcmp(name, verdict_name((verdict)v)) == 0) return (verdict)v;
    return VERDICT_UNKNOWN;
}

static collapse_epoch *grow(collapse_history *h, error *err) {
    collapse_epoch *items = realloc(h->items, (h->count + 1) * sizeof *items);
    if (!items) return error_memory(err, (h->count + 1) * sizeof *items, "a run's history"), NULL;
    h->items = items;
    return &items[h->count++];
}

static bool take_line(collapse_history *h, const json_t *line, error *err) {
    const json_t *found = json_object_get(line, "collapse");
    if (!json_is_object(found)) return true;
    collapse_epoch *e = grow(h, err);
    if (!e) return false;
    e->epoch = (int64_t)llround(number(line, "epoch"));
    h->rows = json_integer_value(json_object_get(found, "rows"));
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const json_t *m = json_object_get(found, collapse_mode_name((collapse_mode)mode));
        e->modes[mode] = (collapse_moment){verdict_of(m), number(m, "statistic"), number(m, "expected"),
                                           number(m, "threshold_warning"), number(m, "threshold_collapsed")};
    }
    return true;
}

bool collapse_history_read(collapse_history *h, const char *path, error *err) {
    *h = (collapse_history){0};
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    bool ok = true;
    while (file && ok && getline(&text, &room, file) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        if (!line) break;
        ok = take_line(h, line, err);
        json_decref(line);
    }
    free(text);
    if (file) fclose(file);
    if (!ok) collapse_history_free(h);
    return ok;
}

void collapse_history_free(collapse_history *h) {
    free(h->items);
    *h = (collapse_history){0};
}

bool collapse_history_add(collapse_history *h, int64_t epoch, const collapse *c, error *err) {
    collapse_epoch *e = grow(h, err);
    if (!e) return false;
    e->epoch = epoch;
    h->rows = (int64_t)c->spectrum.n;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const collapse_verdict *v = &c->verdicts[mode];
        e->modes[mode] =
            (collapse_moment){v->verdict, v->statistic, v->expected, v->threshold_warning, v->threshold_collapsed};
    }
    return true;
}

static void put(json_t *to, const char *key, double x) {
    json_object_set_new(to, key, isfinite(x) ? json_real(x) : json_null());
}

json_t *collapse_history_json(const collapse *c) {
    json_t *root = json_object();
    json_object_set_new(root, "rows", json_integer((json_int_t)c->spectrum.n));
    put(root, "rankme", c->spectrum.rankme.value);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const collapse_verdict *v = &c->verdicts[mode];
        json_t *m = json_object();
        json_object_set_new(m, "verdict", json_string(verdict_name(v->verdict)));
        json_object_set_new(m, "statistic_name", json_string(v->statistic_name));
        put(m, "statistic", v->statistic);
        put(m, "expected", v->expected);
        put(m, "threshold_warning", v->threshold_warning);
        put(m, "threshold_collapsed", v->threshold_collapsed);
        json_object_set_new(root, collapse_mode_name((collapse_mode)mode), m);
    }
    return root;
}

size_t collapse_history_streak(const collapse_history *h, collapse_mode mode) {
    size_t streak = 0;
    while (streak < h->count && h->items[h->count - 1 - streak].modes[mode].verdict == VERDICT_COLLAPSED) streak++;
    return streak;
}

int64_t collapse_history_onset(const collapse_history *h, collapse_mode mode) {
    size_t streak = collapse_history_streak(h, mode);
    return streak ? h->items[h->count - streak].epoch : -1;
}

void collapse_history_note(const collapse_history *h, collapse *c) {
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        if (c->verdicts[mode].verdict == VERDICT_COLLAPSED)
            c->verdicts[mode].onset = collapse_history_onset(h, (collapse_mode)mode);
}

double collapse_gauge(double statistic, double collapsed, double warning, double expected) {
    if (!isfinite(statistic) || !(collapsed > 0) || !(warning > collapsed)) return NAN;
    double above = fmax(isfinite(expected) ? expected : statistic, 1.001 * warning);
    if (statistic < collapsed) return fmax(statistic, 0) / collapsed / 3;
    if (statistic < warning) return (1 + (statistic - collapsed) / (warning - collapsed)) / 3;
    return (2 + fmin((statistic - warning) / (above - warning), 1)) / 3;
}

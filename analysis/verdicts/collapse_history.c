/*
 * Reading verdicts back from metrics.jsonl and asking when they began. A verdict that could not be given breaks a row
 * of collapsed ones: what is not known does not count as collapsed.
 */
#include "analysis/verdicts/collapse_history.h"
#include "engine/files/record.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void put(json_t *to, const char *key, double x) {
    json_object_set_new(to, key, isfinite(x) ? json_real(x) : json_null());
}

static verdict verdict_of(const json_t *mode) {
    const char *name = json_string_value(json_object_get(mode, "verdict"));
    for (int v = VERDICT_HEALTHY; name && v <= VERDICT_COLLAPSED; v++)
        if (strcmp(name, verdict_name((verdict)v)) == 0) return (verdict)v;
    return VERDICT_UNKNOWN;
}

/* A place for an epoch. Step 0 comes first, whenever it was measured: a run that an earlier version began has it later.
 */
static collapse_epoch *grow(collapse_history *h, int64_t epoch, error *err) {
    collapse_epoch *items = realloc(h->items, (h->count + 1) * sizeof *items);
    if (!items) return error_memory(err, (h->count + 1) * sizeof *items, "a run's history"), NULL;
    h->items = items;
    size_t at = epoch == 0 ? 0 : h->count;
    memmove(items + at + 1, items + at, (h->count++ - at) * sizeof *items);
    items[at] = (collapse_epoch){.epoch = epoch};
    return &items[at];
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

static bool take_line(collapse_history *h, const json_t *line, error *err) {
    const json_t *found = json_object_get(line, "collapse");
    if (!json_is_object(found)) return true;
    collapse_epoch *e = grow(h, (int64_t)llround(number(line, "epoch")), err);
    if (!e) return false;
    e->kept = course_point_from_json(found, e->epoch, &e->point);
    h->rows = json_integer_value(json_object_get(found, "rows"));
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const json_t *m = json_object_get(found, collapse_mode_name((collapse_mode)mode));
        e->modes[mode] = (collapse_moment){verdict_of(m),
                                           number(m, "statistic"),
                                           number(m, "expected"),
                                           number(m, "threshold_warning"),
                                           number(m, "threshold_collapsed"),
                                           json_is_true(json_object_get(m, "borderline"))};
    }
    return true;
}

bool collapse_history_read(collapse_history *h, const char *path, error *err) {
    *h = (collapse_history){0};
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    bool ok = file || errno == ENOENT || error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
    ssize_t length;
    for (int number = 1; file && ok && (length = getline(&text, &room, file)) > 0; number++) {
        json_t *line = json_loadb(text, (size_t)length, 0, NULL);
        if (!line && text[length - 1] != '\n') break; /* the end of a run that was killed while it wrote */
        ok = line
                 ? take_line(h, line, err)
                 : error_set(err, ERROR_RUN, "%s:%d: is no line of a history; the file has been damaged", path, number);
        json_decref(line);
    }
    if (ok && file && ferror(file)) ok = error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
    free(text);
    if (file) fclose(file);
    if (!ok) collapse_history_free(h);
    return ok;
}

/* Adds a point that stands in diagnosis.json, unless the history has it. */
static bool take_point(collapse_history *h, const json_t *from, error *err) {
    int64_t epoch = json_integer_value(json_object_get(from, "epoch"));
    course_point p;
    size_t at = 0;
    if (!course_point_from_json(from, epoch, &p)) return true;
    while (at < h->count && h->items[at].epoch != epoch) at++;
    collapse_epoch *e = at < h->count ? &h->items[at] : grow(h, epoch, err);
    if (e && !e->kept) e->kept = true, e->point = p;
    return e != NULL;
}

bool collapse_history_read_run(collapse_history *h, const char *folder, error *err) {
    static const char *const points[] = {"untrained", "best", "now"};
    char path[1200];
    snprintf(path, sizeof path, "%.1100s/metrics.jsonl", folder);
    if (!collapse_history_read(h, path, err)) return false;
    snprintf(path, sizeof path, "%.1100s/diagnosis.json", folder);
    json_t *diagnosis, *course;
    bool ok = record_peek(path, &diagnosis, err);
    course = json_object_get(diagnosis, "course");
    for (int i = 0; ok && i < 3; i++) ok = take_point(h, json_object_get(course, points[i]), err);
    json_decref(diagnosis);
    if (!ok) collapse_history_free(h);
    return ok;
}

void collapse_history_free(collapse_history *h) {
    free(h->items);
    *h = (collapse_history){0};
}

/* ---- judging --------------------------------------------------------------------------------------------------- */

course collapse_history_course(const collapse_history *h, const course_point *now) {
    course c = {.now = now};
    if (h->count && h->items[0].epoch == 0 && h->items[0].kept) c.untrained = &h->items[0].point;
    for (size_t i = 0; i < h->count; i++) {
        const course_point *p = &h->items[i].point;
        if (!h->items[i].kept || p->epoch == 0 || p->epoch > now->epoch) continue;
        if (!c.best || p->backbone.rankme > c.best->backbone.rankme) c.best = p;
    }
    return c;
}

void collapse_history_judge(const collapse_history *h, const course_point *now, collapse *c) {
    course at = collapse_history_course(h, now);
    collapse_verdict *v = c->verdicts, changed;
    if (now->epoch == 0) at.untrained = now;
    course_dimensional(&at, &changed);
    /* One point, one or two directions: nobody needs to know where a run came from to call that. */
    if (changed.verdict != VERDICT_UNKNOWN || !collapse_undisputed(c)) v[COLLAPSE_DIMENSIONAL] = changed;
    course_cluster(&at, &v[COLLAPSE_CLUSTER]);
    course_representation(&at, &changed);
    if (changed.verdict >= v[COLLAPSE_REPRESENTATION].verdict) v[COLLAPSE_REPRESENTATION] = changed;
}

bool collapse_history_add(collapse_history *h, const course_point *now, const collapse *c, error *err) {
    collapse_epoch *e = grow(h, now->epoch, err);
    if (!e) return false;
    e->point = *now, e->kept = true;
    h->rows = (int64_t)now->embed.rows;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const collapse_verdict *v = &c->verdicts[mode];
        e->modes[mode] = (collapse_moment){v->verdict,           v->statistic,           v->expected,
                                           v->threshold_warning, v->threshold_collapsed, v->borderline};
    }
    return true;
}

json_t *collapse_history_json(const course_point *now, const collapse *c) {
    json_t *root = course_point_to_json(now);
    json_object_set_new(root, "rows", json_integer((json_int_t)now->embed.rows));
    put(root, "rankme", now->embed.rankme);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const collapse_verdict *v = &c->verdicts[mode];
        json_t *m = json_object();
        json_object_set_new(m, "verdict", json_string(verdict_name(v->verdict)));
        json_object_set_new(m, "statistic_name", json_string(v->statistic_name));
        put(m, "statistic", v->statistic);
        put(m, "expected", v->expected);
        put(m, "low", v->low);
        put(m, "high", v->high);
        put(m, "threshold_warning", v->threshold_warning);
        put(m, "threshold_collapsed", v->threshold_collapsed);
        if (v->borderline) json_object_set_new(m, "borderline", json_true());
        json_object_set_new(root, collapse_mode_name((collapse_mode)mode), m);
    }
    return root;
}

/* ---- since when ------------------------------------------------------------------------------------------------ */

static size_t streak_of(const collapse_history *h, collapse_mode mode, bool sure) {
    size_t streak = 0;
    for (size_t i = h->count; i-- > 0 && h->items[i].epoch > 0; streak++) {
        const collapse_moment *m = &h->items[i].modes[mode];
        if (m->verdict != VERDICT_COLLAPSED || (sure && m->borderline)) break;
    }
    return streak;
}

size_t collapse_history_streak(const collapse_history *h, collapse_mode mode) { return streak_of(h, mode, true); }

int64_t collapse_history_onset(const collapse_history *h, collapse_mode mode) {
    size_t streak = streak_of(h, mode, false);
    return streak ? h->items[h->count - streak].epoch : -1;
}

void collapse_history_note(const collapse_history *h, collapse *c) {
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        if (c->verdicts[mode].verdict == VERDICT_COLLAPSED)
            c->verdicts[mode].onset = collapse_history_onset(h, (collapse_mode)mode);
}

void collapse_history_conclude(const collapse_history *h, collapse *c) {
    course_point none = {.epoch = 1};
    if (c->has_usage) none.codes = (course_codes){.codes = (double)c->usage.codes, .rows = (double)c->usage.n};
    const collapse_epoch *last = h->count ? &h->items[h->count - 1] : NULL;
    collapse_history_judge(h, last && last->kept ? &last->point : &none, c);
    collapse_history_note(h, c);
}

double collapse_gauge(double statistic, double collapsed, double warning, double expected) {
    if (!isfinite(statistic) || !(collapsed > 0) || !(warning > collapsed)) return NAN;
    double above = fmax(isfinite(expected) ? expected : statistic, 1.001 * warning);
    if (statistic < collapsed) return fmax(statistic, 0) / collapsed / 3;
    if (statistic < warning) return (1 + (statistic - collapsed) / (warning - collapsed)) / 3;
    return (2 + fmin((statistic - warning) / (above - warning), 1)) / 3;
}

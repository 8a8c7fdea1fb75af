/*
 * The verdicts of each look, and whether they end a run.
 */
#include "experiments/run/onset.h"
#include "engine/clock.h"

#include <math.h>
#include <stdio.h>

/* Why the run is to end, if it is: the mode that has been collapsed longest of those the spec names. */
static void decide(onset *o) {
    const train_options *with = &o->model->spec->train;
    size_t longest = (size_t)with->stop_patience - 1, looks = o->history.count;
    if (!looks || o->history.items[looks - 1].epoch >= with->epochs) return; /* at its end it needs no stopping */
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        size_t streak = collapse_history_streak(&o->history, (collapse_mode)mode);
        if (!(with->stop_on_collapse >> mode & 1) || streak <= longest) continue;
        longest = streak;
        snprintf(o->stopped, sizeof o->stopped, "%s collapse since epoch %lld; stopped after epoch %lld of %lld",
                 collapse_mode_name((collapse_mode)mode),
                 (long long)collapse_history_onset(&o->history, (collapse_mode)mode),
                 (long long)o->history.items[looks - 1].epoch, (long long)with->epochs);
    }
}

static bool can_be_seen(const onset *o, error *err) {
    unsigned wanted = o->model->spec->train.stop_on_collapse;
    if (wanted && !o->at.rows)
        return error_set(err, ERROR_USAGE,
                         "train.stop_on_collapse needs held-out images to see a collapse on: set "
                         "data.validation, or add test images");
    if (wanted >> COLLAPSE_CLUSTER & 1 && !o->model->method->codes)
        return error_set(err, ERROR_USAGE,
                         "train.stop_on_collapse: %s has no codes or prototypes, so `cluster` can "
                         "never be seen",
                         o->model->method->name);
    return true;
}

bool onset_open(onset *o, model *m, const dataset *data, run *r, error *err) {
    char path[1200];
    *o = (onset){.model = m, .run = r, .at = look_choose(data)};
    if (!can_be_seen(o, err) ||
        !collapse_history_read(&o->history, run_path(r, "metrics.jsonl", path, sizeof path), err))
        return false;
    decide(o);
    return true;
}

void onset_close(onset *o) { collapse_history_free(&o->history); }

/* ---- looks ---- */

static bool write_line(onset *o, uint64_t step, const course_point *now, const collapse *c,
                       const online_figures *figures, double seconds, error *err) {
    json_t *line = json_pack("{s:I, s:I, s:o, s:{s:o}}", "step", (json_int_t)step, "epoch", (json_int_t)now->epoch,
                             "collapse", collapse_history_json(now, c), "time", "collapse", run_json_number(seconds));
    o->seconds += seconds;
    if (isfinite(figures->linear)) json_object_set_new(line, "online_linear", json_real(figures->linear));
    if (isfinite(figures->knn)) json_object_set_new(line, "online_knn", json_real(figures->knn));
    if (collapse_history_add(&o->history, now, c, err)) return run_metrics_append(o->run, line, err);
    json_decref(line);
    return false;
}

bool onset_begin(onset *o, uint64_t step, error *err) {
    collapse c;
    course_point now;
    double before = clock_seconds();
    if (!o->at.rows || (o->history.count && o->history.items[0].epoch == 0)) return true;
    bool seen = step == 0 ? look_take(o->model, &o->at, 0, false, &now, &c, NULL, err)
                          : look_take_untrained(o->model->spec, &o->at, &now, &c, err);
    if (!seen) return error_prefix(err, "held-out images before the first step");
    collapse_history_judge(&o->history, &now, &c);
    const online_figures none = {.linear = (double)NAN, .knn = (double)NAN};
    bool ok = write_line(o, 0, &now, &c, &none, clock_seconds() - before, err);
    collapse_free(&c);
    return ok;
}

/* Whether a verdict that may end the run wants its interval. */
static bool wants_interval(const onset *o, const collapse *c) {
    const collapse_verdict *v = &c->verdicts[COLLAPSE_DIMENSIONAL];
    return o->model->spec->train.stop_on_collapse >> COLLAPSE_DIMENSIONAL & 1 && v->verdict == VERDICT_COLLAPSED;
}

static bool judge(onset *o, int64_t epoch, bool intervals, course_point *now, collapse *c, online_figures *figures,
                  error *err) {
    if (!look_take(o->model, &o->at, epoch, intervals, now, c, figures, err)) return false;
    collapse_history_judge(&o->history, now, c);
    return true;
}

bool onset_epoch(onset *o, uint64_t step, uint64_t epoch, error *err) {
    collapse c;
    course_point now;
    online_figures figures;
    double before = clock_seconds();
    if (!o->at.rows) return true;
    bool ok = judge(o, (int64_t)epoch, false, &now, &c, &figures, err);
    if (ok && wants_interval(o, &c)) {
        collapse_free(&c);
        ok = judge(o, (int64_t)epoch, true, &now, &c, &figures, err);
    }
    if (!ok) return error_prefix(err, "held-out images after epoch %llu", (unsigned long long)epoch);
    ok = write_line(o, step, &now, &c, &figures, clock_seconds() - before, err);
    if (ok) decide(o);
    collapse_free(&c);
    return ok;
}

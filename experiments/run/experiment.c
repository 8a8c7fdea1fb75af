/*
 * One run from spec to figures: open the data, open the run's folder, train, evaluate, and write how it ended. A run
 * that fails keeps its reason in run.json; only "finished" lets a sweep skip it. `mews eval` enters halfway: the same
 * spec with another `eval:`, measured on the weights that are there.
 */
#include "experiments/run/experiment.h"
#include "engine/clock.h"
#include "engine/files/checkpoint.h"
#include "engine/files/record.h"
#include "experiments/run/evaluate.h"
#include "experiments/run/landing.h"
#include "experiments/run/sitting.h"
#include "experiments/store/store.h"
#include "experiments/run/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The data set's progress, told as the run's. */
static void data_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    const experiment_hooks *hooks = context;
    experiment_progress p = {.phase = "data", .what = what, .done = done, .total = total, .loss = NAN, .chance = NAN};
    if (hooks->progress) hooks->progress(hooks->context, &p);
}

static void data_warn(void *context, const char *line) {
    const experiment_hooks *hooks = context;
    if (hooks->warn) hooks->warn(hooks->context, line);
}

dataset *experiment_data(const spec *s, const experiment_hooks *hooks, error *err) {
    return dataset_open(&s->data, data_progress, data_warn, (void *)hooks, err);
}

/* The index repeats what the run's directory says; a run goes on without it, and the next reader mends it. */
static void note_in_index(const run *r, bool make, const experiment_hooks *hooks) {
    error why = {0};
    char line[1100];
    if (hooks->unindexed || store_note_run(r->folder, make, &why)) return;
    snprintf(line, sizeof line, "the index of runs is behind: %s", why.text);
    if (hooks->warn) hooks->warn(hooks->context, line);
}

/* The classes' names by label; JSON is UTF-8, and a folder's name may be anything. */
static json_t *class_names(const dataset *data) {
    json_t *names = json_array();
    for (int c = 0; c < dataset_classes(data); c++) {
        json_t *name = json_string(dataset_class_name(data, c));
        json_array_append_new(names, name ? name : json_sprintf("(class %d, whose name is not UTF-8)", c));
    }
    return names;
}

/* What images are normalised by, and what their labels mean: whoever takes the weights elsewhere needs it. */
static void note_data(const run *r, const dataset *data) {
    const float *mean = dataset_mean(data), *std = dataset_std(data);
    json_t *own = json_object_get(r->record, "data");
    json_object_set_new(own, "classes", class_names(data));
    json_object_set_new(own, "mean", json_pack("[f, f, f]", (double)mean[0], (double)mean[1], (double)mean[2]));
    json_object_set_new(own, "std", json_pack("[f, f, f]", (double)std[0], (double)std[1], (double)std[2]));
}

/* Told before the training rather than after it. */
static bool can_be_measured(const spec *s, const dataset *data, error *err) {
    uint32_t held_out = dataset_count(data, SPLIT_VALIDATION), classes = (uint32_t)dataset_classes(data);
    if (!held_out) held_out = dataset_count(data, SPLIT_TEST);
    int64_t rows = s->eval.sample && s->eval.sample < held_out ? s->eval.sample : held_out;
    if (held_out && dataset_is_labelled(data) && s->eval.metrics & EVAL_KMEANS && rows < classes)
        return error_set(err, ERROR_USAGE,
                         "%s %lld: k-means into %u classes needs as many images to measure on; take more, or leave "
                         "`kmeans` out of eval",
                         s->eval.sample ? "eval.sample" : "test images", (long long)rows, classes);
    if (!(s->eval.metrics || s->eval.online) || held_out) return true;
    return error_set(err, ERROR_USAGE,
                     "%s holds no test images to measure on: add test/<class>/ beside train/<class>/, or name the "
                     "classes' folders alone and a tenth is set apart",
                     s->data.path);
}

/* Images without labels, or of one class, are trained on as any others; what needs labels is named before that. */
static bool can_do_without_labels(const spec *s, const dataset *data, const experiment_hooks *hooks, error *err) {
    char line[512], why[256] = "the images have no labels";
    if (dataset_is_labelled(data)) return true;
    if (dataset_classes(data) == 1)
        snprintf(why, sizeof why, "all images are of one class, %.200s", dataset_class_name(data, 0));
    if (strcmp(s->method->name, "supervised") == 0)
        return error_set(err, ERROR_USAGE, "%s: %s, and `supervised` learns from labels; it takes two classes or more",
                         dataset_name(data), why);
    evaluate_without_labels(&s->eval, line, sizeof line);
    if (*line && hooks->warn) {
        char all[1024];
        snprintf(all, sizeof all, "%s: %s: %s", dataset_name(data), why, line);
        hooks->warn(hooks->context, all);
    }
    return true;
}

static void note_outcome(run_outcome *out, const run *r, run_end end) {
    out->end = end;
    snprintf(out->id, sizeof out->id, "%s", r->id);
    snprintf(out->folder, sizeof out->folder, "%s", r->folder);
    const char *stopped = json_string_value(json_object_get(r->record, end == RUN_END_STOPPED ? "reason" : "stopped"));
    snprintf(out->stopped, sizeof out->stopped, "%s", stopped ? stopped : "");
    if (end != RUN_END_FINISHED && end != RUN_END_FOUND) return;
    char path[1200];
    json_t *diagnosis = json_load_file(run_path(r, "diagnosis.json", path, sizeof path), 0, NULL);
    out->final = json_incref(json_object_get(r->record, "final"));
    out->verdicts = json_incref(json_object_get(diagnosis, "verdicts"));
    json_decref(diagnosis);
}

static bool evaluate_and_finish(model *m, const dataset *data, run *r, const experiment_hooks *hooks, run_end *end,
                                error *err) {
    bool interrupted;
    double before = clock_seconds();
    if (!evaluate_model(m, data, r, hooks, &interrupted, err)) return false;
    *end = interrupted ? RUN_END_INTERRUPTED : RUN_END_FINISHED;
    return interrupted || (run_set_seconds(r, "eval", clock_seconds() - before, err) && run_finish(r, m->spec, err));
}

static bool train_and_evaluate(const spec *s, const dataset *data, run *r, const experiment_hooks *hooks, run_end *end,
                               error *err) {
    model m;
    bool interrupted = false;
    char line[RUN_ID_SIZE + sizeof r->extends];
    if (*r->extends) {
        snprintf(line, sizeof line, "%s %s", r->id, r->extends);
        run_log(r, "%s", r->extends);
        if (hooks->note) hooks->note(hooks->context, line);
    }
    if (*r->told) {
        snprintf(line, sizeof line, "%s %s", r->id, r->told);
        run_log(r, "%s", r->told);
        if (hooks->warn) hooks->warn(hooks->context, line);
    }
    if (!model_create(&m, s, dataset_classes(data), r->threads, hooks->peers, err)) return false;
    bool ok = train_model(&m, data, r, hooks, &interrupted, err);
    *end = RUN_END_INTERRUPTED;
    if (ok && !interrupted) ok = evaluate_and_finish(&m, data, r, hooks, end, err);
    model_destroy(&m);
    return ok;
}

/* Ends a sitting that left something to do. */
static bool leave_off(run *r, const spec *s, run_end *end, error *err) {
    char reason[96];
    if (!r->until) return run_pause(r, err);
    *end = RUN_END_STOPPED;
    snprintf(reason, sizeof reason, "after epoch %lld of %lld", (long long)r->until, (long long)s->train.epochs);
    return run_stop(r, reason, err);
}

bool experiment_run(const run_plan *plan, const char *results, run_again again, const experiment_hooks *hooks,
                    run_outcome *out, error *err) {
    const spec *s = &plan->spec;
    *out = (run_outcome){0};
    dataset *data = experiment_data(s, hooks, err);
    if (!data) return false;
    run r;
    if (!can_be_measured(s, data, err) || !can_do_without_labels(s, data, hooks, err) ||
        !run_open(&r, results, plan, dataset_name(data), dataset_checksum(data), again, err)) {
        dataset_close(data);
        return false;
    }
    run_end end = RUN_END_FOUND;
    char line[600];
    snprintf(line, sizeof line, "%s; made anew from what else there is", r.damaged);
    if (*r.damaged && hooks->warn) hooks->warn(hooks->context, line);
    note_data(&r, data);
    note_in_index(&r, true, hooks);
    bool ok = r.status == RUN_FINISHED || train_and_evaluate(s, data, &r, hooks, &end, err);
    if (ok && end == RUN_END_INTERRUPTED) ok = leave_off(&r, s, &end, err);
    if (!ok) {
        error ignored = {0}; /* the reason that counts is the run's own */
        run_fail(&r, err->text, &ignored);
    }
    note_outcome(out, &r, ok ? end : RUN_END_INTERRUPTED);
    run_close(&r);
    if (r.status != RUN_FINISHED) note_in_index(&r, true, hooks);
    dataset_close(data);
    return ok;
}

bool experiment_follow(const run_plan *plan, const experiment_hooks *hooks, error *err) {
    dataset *data = experiment_data(&plan->spec, hooks, err);
    bool done = data && train_follow(&plan->spec, data, hooks, err);
    dataset_close(data);
    return done;
}

/* Evaluating again ------------------------------------------------------------------------------------------------- */

/* Keys of eval that decide what is trained beside the method are the training's. */
static bool only_eval(const settings *overrides, error *err) {
    for (size_t i = 0; i < overrides->count; i++) {
        bool eval = strncmp(overrides->items[i].key, "eval.", 5) == 0;
        const field *row = eval ? fields_find(&eval_fields, overrides->items[i].key + 5) : NULL;
        if (!eval || (row && row->identity != IDENTITY_NO))
            return error_set(err, ERROR_USAGE,
                             "%s: `mews eval` changes only keys of eval; `%s` decides the training, so train another "
                             "run with it",
                             overrides->items[i].where, overrides->items[i].key);
    }
    return true;
}

/* What an evaluation that was killed had decided takes its place before anything is read. */
static bool finish_landing(const char *folder, error *err) {
    run r;
    if (!landing_is_pending(folder)) return true;
    if (!run_open_folder(&r, folder, err)) return false;
    run_close(&r);
    return true;
}

/* Whether a file is the one that the run's record, if it has one, speaks of. */
static bool is_the_runs_own(const char *folder, const char *name, error *err) {
    char path[1200];
    snprintf(path, sizeof path, "%.1100s/run.json", folder);
    if (access(path, F_OK) != 0) return true; /* told by who opens it */
    json_t *record = record_read(path, err);
    bool own = record && record_check_file(record, folder, name, err);
    json_decref(record);
    return own;
}

bool experiment_plan(const char *folder, const settings *overrides, spec_file *file, sweep *plan, error *err) {
    char path[1200];
    snprintf(path, sizeof path, "%s/spec.yaml", folder);
    if (access(path, F_OK) != 0)
        return error_set(err, ERROR_USAGE, "%s is no run's folder: it holds no spec.yaml", folder);
    if (!is_the_runs_own(folder, "spec.yaml", err)) return false;
    if (!only_eval(overrides, err) || !spec_file_read(file, path, err)) return false;
    for (size_t i = 0; i < overrides->count; i++) {
        const setting *o = &overrides->items[i];
        if (!settings_add(&file->overrides, o->key, o->value, o->list, o->where, err)) return false;
    }
    if (!sweep_expand(plan, file, err)) return false;
    return plan->count == 1 || error_set(err, ERROR_USAGE, "%s is not the spec of one run", path);
}

static bool restore(model *m, const run *r, const experiment_hooks *hooks, error *err) {
    char line[1200];
    if (r->other && hooks->warn) {
        snprintf(line, sizeof line, "%s was trained by other code (%s)", r->folder, r->other);
        hooks->warn(hooks->context, line);
    }
    checkpoint_place place = run_checkpoints(r, hooks->warn, hooks->context);
    checkpoint_position at;
    bool found;
    place.newest_only = true;
    place.history = NULL; /* the weights alone are wanted */
    if (!checkpoint_load(&place, m->parameters, NULL, &at, &found, err)) return false;
    json_int_t steps = json_integer_value(json_object_get(r->record, "steps"));
    if (!found) return error_set(err, ERROR_RUN, "%s holds no checkpoint to evaluate; train the run first", r->folder);
    if (!json_object_get(r->record, "steps") && !run_ends_at(r->record, at.step))
        return error_set(err, ERROR_USAGE, "%s has not been trained to its end; `mews train` goes on with it",
                         r->folder);
    return run_ends_at(r->record, at.step) ||
           error_set(err, ERROR_RUN, "%s holds no checkpoint of its last step, %lld; `mews train` makes it again",
                     r->folder, (long long)steps);
}

static bool evaluate_plan(const spec *s, const char *folder, const experiment_hooks *hooks, run_outcome *out,
                          error *err) {
    model m = {0};
    run r = {0};
    run_end end = RUN_END_INTERRUPTED;
    dataset *data = experiment_data(s, hooks, err);
    bool opened = data && run_open_folder(&r, folder, err);
    bool made = opened && can_be_measured(s, data, err) &&
                model_create(&m, s, dataset_classes(data), sitting_threads(r.record, run_threads(s)), NULL, err);
    bool ok = made && can_do_without_labels(s, data, hooks, err) && restore(&m, &r, hooks, err) &&
              evaluate_and_finish(&m, data, &r, hooks, &end, err);
    if (opened) {
        note_outcome(out, &r, end);
        run_close(&r);
        if (ok) note_in_index(&r, false, hooks);
    }
    if (made) model_destroy(&m);
    dataset_close(data);
    return ok;
}

bool experiment_evaluate(const char *folder, const settings *overrides, const experiment_hooks *hooks, run_outcome *out,
                         error *err) {
    spec_file file = {0};
    sweep plan = {0};
    *out = (run_outcome){0};
    bool ok = finish_landing(folder, err) && experiment_plan(folder, overrides, &file, &plan, err) &&
              evaluate_plan(&plan.runs[0].spec, folder, hooks, out, err);
    sweep_free(&plan);
    spec_file_free(&file);
    return ok;
}

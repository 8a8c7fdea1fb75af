#include "experiments/run/judgement.h"
#include "experiments/run/landing.h"
#include "analysis/diagnose/diagnose.h"
#include "engine/files/file.h"
#include "engine/files/record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- taking ---- */

static const course_point *last_of(const collapse_history *h) {
    return h->count && h->items[h->count - 1].kept ? &h->items[h->count - 1].point : NULL;
}

/* Adds to the history what it lacks: runs of earlier versions kept no evidence, and looked first after an epoch. */
static bool complete(collapse_history *h, const model *m, const dataset *data, error *err) {
    look_at at = look_choose(data);
    collapse c;
    course_point p;
    bool untrained = h->count && h->items[0].epoch == 0 && h->items[0].kept, ok = true;
    int64_t epochs = h->count && h->items[h->count - 1].epoch ? h->items[h->count - 1].epoch : m->spec->train.epochs;
    const course_point *last = last_of(h);
    bool trained = last && last->epoch > 0;
    if (!at.rows) return true;
    if (!untrained) {
        ok = look_take_untrained(m->spec, &at, &p, &c, err) && (collapse_history_judge(h, &p, &c), true) &&
             collapse_history_add(h, &p, &c, err);
        if (ok) collapse_free(&c);
    }
    if (ok && !trained && epochs > 0) {
        ok = look_take(m, &at, epochs, false, &p, &c, NULL, err) && (collapse_history_judge(h, &p, &c), true) &&
             collapse_history_add(h, &p, &c, err);
        if (ok) collapse_free(&c);
    }
    return ok;
}

static json_t *course_json(const course *c) {
    json_t *root = json_object();
    const course_point *const points[] = {c->untrained, c->best, c->now};
    static const char *const names[] = {"untrained", "best", "now"};
    for (int i = 0; i < 3; i++) {
        if (!points[i]) continue;
        json_t *point = course_point_to_json(points[i]);
        json_object_set_new(point, "epoch", json_integer(points[i]->epoch));
        json_object_set_new(root, names[i], point);
    }
    return root;
}

bool judgement_take(run *r, const model *m, const dataset *data, collapse *c, json_t **record, error *err) {
    collapse_history h;
    *record = NULL;
    if (!collapse_history_read_run(&h, r->folder, err)) return false;
    bool ok = complete(&h, m, data, err);
    if (ok) {
        const course_point *now = last_of(&h);
        course at = {0};
        if (now) at = collapse_history_course(&h, now);
        collapse_history_conclude(&h, c);
        *record = course_json(&at);
    }
    collapse_history_free(&h);
    return ok;
}

bool judgement_write(const char *folder, const json_t *root, error *err) {
    char path[1200];
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    landing_path(folder, "diagnosis.json", path, sizeof path);
    bool ok = text ? file_write(path, text, strlen(text), err) : error_memory(err, 1 << 12, path);
    free(text);
    return ok;
}

json_t *judgement_words(const collapse *c) {
    json_t *words = json_object();
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        json_object_set_new(words, collapse_mode_name((collapse_mode)mode),
                            json_string(verdict_name(c->verdicts[mode].verdict)));
    return words;
}

/* ---- judging again ---- */

/* The four verdicts from the run's arrays and its history. */
static bool from_arrays(const char *folder, const json_t *diagnosis, uint64_t seed, collapse *c, error *err) {
    diagnose_options options = {.source = folder};
    subject s;
    collapse_history h;
    if (!subject_load(&s, &options, err)) return false;
    collapse_input with = {.embeddings = s.embeddings,
                           .all = s.all.rows ? &s.all : NULL,
                           .assignment = s.assignment,
                           .codes = s.usage ? usage_codes(s.usage) : 0,
                           .usage = s.usage,
                           .labels = s.labels,
                           .classes = s.classes,
                           .attainable = json_number_value(json_object_get(diagnosis, "attainable")),
                           .seed = seed};
    bool ok = collapse_compute(&with, c, err);
    subject_free(&s);
    if (!ok || !collapse_history_read_run(&h, folder, err)) {
        if (ok) collapse_free(c);
        return false;
    }
    collapse_history_conclude(&h, c);
    collapse_history_free(&h);
    return true;
}

bool judgement_again(const char *folder, bool *kept, bool *changed, error *err) {
    char path[1200];
    run r = {0};
    collapse c;
    *changed = *kept = false;
    snprintf(path, sizeof path, "%.1100s/embeddings.npy", folder);
    if (access(path, F_OK) != 0) return true;
    snprintf(path, sizeof path, "%.1100s/diagnosis.json", folder);
    json_t *diagnosis;
    if (!record_peek(path, &diagnosis, err)) return false;
    if (!json_is_object(diagnosis)) return json_decref(diagnosis), true;
    *kept = true;
    bool ok = run_open_folder(&r, folder, err), opened = ok, judged = false;
    const json_t *seed = opened ? json_object_get(json_object_get(r.record, "spec"), "train.seed") : NULL;
    if (ok) ok = judged = from_arrays(folder, diagnosis, (uint64_t)json_integer_value(seed), &c, err);
    if (ok) {
        json_t *whole = collapse_to_json(&c), *words = judgement_words(&c);
        json_object_set(diagnosis, "verdicts", json_object_get(whole, "verdicts"));
        *changed = !json_equal(words, json_object_get(r.record, "verdicts"));
        json_object_set_new(r.record, "verdicts", words);
        json_decref(whole);
        ok = landing_begin(folder, err) && judgement_write(folder, diagnosis, err) && run_land(&r, err);
    }
    if (judged) collapse_free(&c);
    if (opened) run_close(&r);
    json_decref(diagnosis);
    return ok;
}

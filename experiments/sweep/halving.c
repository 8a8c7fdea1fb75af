/*
 * Settings and their groups are found once; what runs have recorded is read when they come further; and all rungs are
 * judged anew each time, from the first on, so that nothing depends on the order in which runs ended.
 */
#include "experiments/sweep/halving_parts.h"
#include "analysis/verdicts/collapse.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Who belongs together ---- */

static const spec_halving *halving_of(const queue *q, const run_plan *plan) {
    for (size_t b = 0; b < q->file.block_count; b++)
        if (strcmp(q->file.blocks[b].name, plan->block) == 0) return spec_file_halving(&q->file, &q->file.blocks[b]);
    return spec_file_halving(&q->file, NULL);
}

/* Of its group, or with the swept values of its setting. The caller's to free; NULL when out of memory. */
static char *key_of(const queue_item *item, bool whole) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    fprintf(stream, "%s %s %s", item->plan->block, item->plan->spec.method->name, item->checksum);
    for (size_t i = 0; whole && i < item->plan->swept_count; i++) {
        const swept_value *swept = &item->plan->swept[i];
        if (strcmp(swept->key, "train.seed") != 0) fprintf(stream, "\n%s=%s", swept->key, swept->value);
    }
    if (fclose(stream) == 0) return text;
    free(text);
    return NULL;
}

/* Room for as many as there are runs was made. */
static bool join(halving *h, const queue *q, size_t run, const spec_halving *how, error *err) {
    char *whole = key_of(&q->items[run], true), *part = key_of(&q->items[run], false);
    size_t g = 0, s = 0;
    if (!whole || !part) return free(whole), free(part), error_memory(err, 256, "a setting");
    while (g < h->group_count && strcmp(h->groups[g].key, part) != 0) g++;
    if (g == h->group_count) h->groups[h->group_count++] = (group){.key = part, .how = how, .first = run};
    while (s < h->setting_count && strcmp(h->settings[s].key, whole) != 0) s++;
    if (s == h->setting_count) {
        h->settings[h->setting_count++] = (contender){.key = whole, .group = g};
        h->groups[g].settings++;
    }
    if (h->groups[g].key != part) free(part);
    if (h->settings[s].key != whole) free(whole);
    h->settings[s].runs++;
    h->groups[g].runs++;
    h->runs[run] = (halved_run){
        .halved = true, .setting = s, .epochs = q->items[run].plan->spec.train.epochs, .to_do = q->items[run].to_do};
    return true;
}

static const spec_halving *how(const halving *h, size_t run) {
    return h->groups[h->settings[h->runs[run].setting].group].how;
}

int64_t halving_epoch(const halving *h, const queue *q, size_t run, size_t rung) {
    return spec_halving_epoch(how(h, run), rung, q->items[run].plan->spec.train.epochs);
}

/* ---- What is recorded ---- */

static const char *collapsed_mode(const json_t *collapse) {
    for (int m = 0; m < COLLAPSE_MODES; m++) {
        const char *mode = collapse_mode_name((collapse_mode)m);
        const char *word = json_string_value(json_object_get(json_object_get(collapse, mode), "verdict"));
        if (word && strcmp(word, verdict_name(VERDICT_COLLAPSED)) == 0) return mode;
    }
    return NULL;
}

/* Notes a line of metrics.jsonl if it is a look at the epoch of a rung. */
static void note_line(halving *h, const queue *q, size_t run, const char *line, size_t length) {
    static const char mark[] = "\"epoch\":";
    const char *at = memmem(line, length, mark, strlen(mark));
    const spec_halving *by = how(h, run);
    size_t rung = 0;
    if (!at || !memmem(line, length, "\"collapse\":{", 12)) return;
    double epoch = strtod(at + strlen(mark), NULL);
    while (rung < by->count && (double)halving_epoch(h, q, run, rung) != epoch) rung++;
    if (rung == by->count) return;
    json_t *look = json_loadb(line, length, 0, NULL), *collapse = json_object_get(look, "collapse"), *value = look;
    if (by->figure->part) value = json_object_get(collapse, by->figure->part);
    value = json_object_get(value, by->figure->key);
    if (look)
        h->runs[run].rungs[rung] = (seen){.there = true,
                                          .value = json_is_number(value) ? json_number_value(value) : (double)NAN,
                                          .collapsed = collapsed_mode(collapse)};
    json_decref(look);
}

static void read_history(halving *h, const queue *q, size_t run) {
    char path[1200];
    size_t size;
    error ignored = {0}; /* a run that has none yet */
    snprintf(path, sizeof path, "%s/metrics.jsonl", q->items[run].folder);
    char *text = file_read(path, &size, &ignored);
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1)
        note_line(h, q, run, line, (size_t)(end - line));
    free(text);
}

bool halving_look(halving *h, const queue *q, size_t run, halving_end end) {
    halved_run *r = &h->runs[run];
    if (!r->halved) return true;
    r->failed = end == HALVING_FAILED;
    r->over = end == HALVING_OVER;
    read_history(h, q, run);
    for (size_t rung = 0; rung < how(h, run)->count; rung++)
        if (halving_epoch(h, q, run, rung) == q->items[run].until) return r->rungs[rung].there;
    return true;
}

/* ---- Judging ---- */

/* Adds a run to what its setting comes to at a rung. */
static void add_run(halving *h, size_t run, size_t rung) {
    const halved_run *r = &h->runs[run];
    contender *s = &h->settings[r->setting];
    const seen *now = &r->rungs[rung];
    bool kept = !r->to_do && !r->over; /* what other code made, and is left as it is */
    if (now->there && now->collapsed)
        snprintf(s->lost, sizeof s->lost, "%s collapsed", now->collapsed);
    else if (now->there && isfinite(now->value))
        s->sum += now->value;
    else if (now->there)
        snprintf(s->lost, sizeof s->lost, "no figure");
    else if (r->failed)
        snprintf(s->lost, sizeof s->lost, "failed");
    else if (r->over || kept)
        snprintf(s->lost, sizeof s->lost, "%s", r->over ? "ended before" : "made by other code");
    else
        s->open = true;
}

/* The best first; of equal ones, that which comes first in the spec. */
static int by_mean(const void *a, const void *b) {
    const standing *x = a, *y = b;
    return x->mean != y->mean ? (x->mean < y->mean) - (x->mean > y->mean) : (x->setting > y->setting) ? 1 : -1;
}

/* A share is written in decimals: 0.1 of 10 is one. */
size_t halving_quota(const spec_halving *by, size_t n) {
    double share = ceil(by->keep * (double)n - 1e-9);
    return share < 1 ? 1 : (size_t)share;
}

static void stop(contender *s, size_t rung, size_t place, size_t of, size_t kept) {
    s->stopped = true;
    s->rung = rung + 1, s->place = place, s->of = of, s->kept = kept;
    s->mean = s->sum / (double)s->runs;
}

/* Everyone has come to the rung: the settings of a group in their order, and who goes on. */
static void judge_group(halving *h, size_t g, size_t rung) {
    group *all = &h->groups[g];
    standing *order = h->order;
    size_t n = 0, of = all->alive, most = halving_quota(all->how, of);
    for (size_t s = 0; s < h->setting_count; s++) {
        const contender *one = &h->settings[s];
        if (one->group == g && !one->stopped && !*one->lost) order[n++] = (standing){one->sum / (double)one->runs, s};
    }
    qsort(order, n, sizeof *order, by_mean);
    size_t kept = n < most ? n : most;
    for (size_t i = kept; i < n; i++) stop(&h->settings[order[i].setting], rung, i + 1, of, kept);
    for (size_t s = 0; s < h->setting_count; s++)
        if (h->settings[s].group == g && !h->settings[s].stopped && *h->settings[s].lost)
            stop(&h->settings[s], rung, 0, of, kept);
    all->alive = kept;
    all->rung = rung + 1;
}

/* One rung of every group that has come to it. */
static void judge_rung(halving *h, const queue *q, size_t rung) {
    for (size_t s = 0; s < h->setting_count; s++)
        if (!h->settings[s].stopped) h->settings[s].open = false, h->settings[s].sum = 0, *h->settings[s].lost = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (!h->runs[i].halved || h->settings[h->runs[i].setting].stopped) continue;
        const group *g = &h->groups[h->settings[h->runs[i].setting].group];
        if (!g->open && rung < g->how->count) add_run(h, i, rung);
    }
    for (size_t s = 0; s < h->setting_count; s++) {
        const contender *one = &h->settings[s];
        if (!one->stopped && one->open && !*one->lost) h->groups[one->group].open = true;
    }
    for (size_t i = 0; i < h->count; i++) { /* of an open rung: up to it, or waiting there */
        if (!h->runs[i].halved) continue;
        const contender *s = &h->settings[h->runs[i].setting];
        if (s->stopped || !h->groups[s->group].open || q->items[i].until || q->items[i].waits) continue;
        if (h->runs[i].rungs[rung].there || *s->lost)
            q->items[i].waits = true;
        else
            q->items[i].until = halving_epoch(h, q, i, rung);
    }
    for (size_t g = 0; g < h->group_count; g++)
        if (!h->groups[g].open && rung < h->groups[g].how->count) judge_group(h, g, rung);
}

void halving_judge(halving *h, queue *q) {
    for (size_t s = 0; s < h->setting_count; s++) h->settings[s].stopped = false;
    for (size_t g = 0; g < h->group_count; g++) {
        group *one = &h->groups[g];
        one->open = false, one->rung = 0, one->alive = one->settings;
    }
    for (size_t i = 0; i < h->count; i++)
        if (h->runs[i].halved) q->items[i].until = 0, q->items[i].waits = false;
    for (size_t rung = 0; rung < HALVING_MOST_RUNGS; rung++) judge_rung(h, q, rung);
    for (size_t i = 0; i < h->count; i++) {
        if (!h->runs[i].halved) continue;
        q->items[i].stopped = h->settings[h->runs[i].setting].stopped && !h->runs[i].over;
        q->items[i].to_do = h->runs[i].to_do && !q->items[i].stopped;
    }
}

bool halving_open(halving **out, queue *q, error *err) {
    halving *h = calloc(1, sizeof *h);
    size_t n = q->sweep.count + 1;
    *out = h;
    if (h) h->runs = calloc(n, sizeof *h->runs), h->settings = calloc(n, sizeof *h->settings);
    if (h) h->groups = calloc(n, sizeof *h->groups), h->order = calloc(n, sizeof *h->order);
    bool done = h && h->runs && h->settings && h->groups && h->order;
    if (h) h->count = q->sweep.count;
    if (!done) error_memory(err, n * sizeof *h->runs, "the settings of a sweep");
    for (size_t i = 0; done && i < q->sweep.count; i++) {
        const queue_item *item = &q->items[i];
        const spec_halving *by = halving_of(q, item->plan);
        if (!by) continue;
        if (!item->test)
            done = error_set(err, ERROR_USAGE, "%s: `halving` judges by held-out images, and %s holds none", by->where,
                             item->data);
        done = done && join(h, q, i, by, err);
        if (!done) break;
        if (item->anew) continue; /* whatever is there is not its own */
        h->runs[i].over = item->status == RUN_FINISHED || item->status == RUN_TRAINED;
        read_history(h, q, i);
    }
    if (done && h->group_count) return halving_judge(h, q), true;
    halving_close(h);
    *out = NULL;
    return done;
}

void halving_close(halving *h) {
    if (!h) return;
    for (size_t g = 0; g < h->group_count; g++) free(h->groups[g].key);
    for (size_t s = 0; s < h->setting_count; s++) free(h->settings[s].key);
    free(h->order);
    free(h->groups);
    free(h->settings);
    free(h->runs);
    free(h);
}

/*
 * What halving says: of a run that was stopped, and of how far the settings of a sweep are to go.
 */
#include "experiments/sweep/halving_parts.h"
#include "experiments/store/store.h"

#include <math.h>
#include <string.h>

char *halving_words(const halving *h, const queue *q, size_t run, char *out, size_t size) {
    const contender *s = &h->settings[h->runs[run].setting];
    const spec_halving *by = h->groups[s->group].how;
    size_t used = (size_t)snprintf(out, size, "rung %zu of %zu (epoch %lld of %lld): ", s->rung, by->count,
                                   (long long)halving_epoch(h, q, run, s->rung - 1),
                                   (long long)q->items[run].plan->spec.train.epochs);
    if (used >= size) return out;
    if (!s->place)
        snprintf(out + used, size - used, "%s%s; %zu of %zu settings go on", s->lost, s->runs > 1 ? " with a seed" : "",
                 s->kept, s->of);
    else
        snprintf(out + used, size - used, "%s%s %.4g, place %zu of %zu; %zu go%s on", s->runs > 1 ? "mean " : "",
                 by->figure->name, s->mean, s->place, s->of, s->kept, s->kept == 1 ? "es" : "");
    return out;
}

static json_t *record_of(const halving *h, const queue *q, size_t run) {
    const contender *s = &h->settings[h->runs[run].setting];
    const spec_halving *by = h->groups[s->group].how;
    json_t *place = json_pack("{s:I, s:I, s:I, s:s, s:I, s:I}", "rung", (json_int_t)s->rung, "rungs",
                              (json_int_t)by->count, "epoch", (json_int_t)halving_epoch(h, q, run, s->rung - 1),
                              "figure", by->figure->name, "settings", (json_int_t)s->of, "go_on", (json_int_t)s->kept);
    if (s->place) json_object_set_new(place, "place", json_integer((json_int_t)s->place));
    if (s->place) json_object_set_new(place, "value", json_real(s->mean));
    if (!s->place) json_object_set_new(place, "lost", json_string(s->lost));
    return place;
}

void halving_record(const halving *h, const queue *q, size_t run, bool indexed) {
    struct run r;
    char words[256];
    error ignored = {0}; /* the next sweep says it again */
    halving_words(h, q, run, words, sizeof words);
    if (!run_open_folder(&r, q->items[run].folder, &ignored)) return;
    const char *reason = json_string_value(json_object_get(r.record, "reason"));
    bool begun = r.status == RUN_UNFINISHED || r.status == RUN_STOPPED, said = reason && strcmp(reason, words) == 0;
    if (begun && !(said && r.status == RUN_STOPPED)) {
        json_object_set_new(r.record, "halving", record_of(h, q, run));
        run_stop(&r, words, &ignored);
    }
    run_close(&r);
    if (begun && indexed) store_note_run(q->items[run].folder, false, &ignored);
}

/* ---- How far ---- */

/* Settings that enter rung `to`, all going well, where n enter rung `from`; beyond the last, those that train to the
   end. */
static size_t entering(const group *g, size_t n, size_t from, size_t to) {
    for (size_t k = from; k < to; k++) n = halving_quota(g->how, n);
    return n;
}

/* What of a training of so many epochs is to be expected from rung `from` on, which n settings enter. */
static double train_share(const group *g, double epochs, size_t n, size_t from) {
    double before = from ? (double)spec_halving_epoch(g->how, from - 1, (int64_t)epochs) : 0, sum = 0;
    for (size_t k = from; k <= g->how->count; k++) {
        double until = k < g->how->count ? (double)spec_halving_epoch(g->how, k, (int64_t)epochs) : epochs;
        sum += (double)entering(g, n, from, k) * (until - before);
        before = until;
    }
    return n ? sum / ((double)n * epochs) : 0;
}

void halving_share(const halving *h, size_t run, double *train, double *eval) {
    *train = *eval = 1;
    if (!h || !h->runs[run].halved) return;
    const group *g = &h->groups[h->settings[h->runs[run].setting].group];
    *train = train_share(g, (double)h->runs[run].epochs, g->alive, g->rung);
    *eval = g->alive ? (double)entering(g, g->alive, g->rung, g->how->count) / (double)g->alive : 0;
}

bool halving_begun(const halving *h) {
    for (size_t i = 0; h && i < h->count; i++)
        if (h->runs[i].halved && (h->runs[i].over || h->runs[i].rungs[0].there)) return true;
    return false;
}

void halving_print(const halving *h, const queue *q, FILE *out) {
    for (size_t i = 0; h && i < h->group_count; i++) {
        const group *g = &h->groups[i];
        const run_plan *plan = q->items[g->first].plan;
        double epochs = (double)plan->spec.train.epochs;
        fprintf(out, "halving of %s%s%s%s by %s: %zu setting%s", plan->spec.method->name, *plan->block ? " (" : "",
                plan->block, *plan->block ? ")" : "", g->how->figure->name, g->settings, g->settings == 1 ? "" : "s");
        if (g->runs > g->settings) fprintf(out, " of %zu runs in all", g->runs);
        for (size_t k = 0; k < g->how->count; k++)
            fprintf(out, "%s %zu to epoch %lld", k ? "," : ":", entering(g, g->settings, 0, k),
                    (long long)halving_epoch(h, q, g->first, k));
        fprintf(out, ", %zu to the end, epoch %lld: %.0f %% of all epochs\n",
                entering(g, g->settings, 0, g->how->count), (long long)plan->spec.train.epochs,
                100 * train_share(g, epochs, g->settings, 0));
    }
}

/*
 * The rules. Each looks at one thing, says the numbers that made it speak, and gives a command where one line does it;
 * commands start from a run's own spec.yaml, whose result a new run joins. Nothing is advised on differences that
 * chance explains.
 */
#include "analysis/report/study/advice_parts.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool advice_add(advice *a, const words *text, const words *command) {
    advice_item *grown = realloc(a->items, (a->count + 1) * sizeof *grown);
    if (!grown) return false;
    a->items = grown;
    bool commands = command && *command->text;
    advice_item *item = &grown[a->count++];
    *item = (advice_item){.text = strdup(text->text), .command = commands ? strdup(command->text) : NULL};
    return item->text && (item->command || !commands);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

/* A word as a shell reads it. */
static void say_word(words *w, const char *text) {
    bool plain = *text != 0;
    for (const char *c = text; *c; c++) plain = plain && (isalnum((unsigned char)*c) || strchr("_./=-,:@+", *c));
    if (!plain) words_say(w, "'");
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            words_say(w, "'\\''");
        else
            words_say(w, "%c", *c);
    }
    if (!plain) words_say(w, "'");
}

/* The folder that a path stands in. */
static void parent_of(const char *path, char *out, size_t size) {
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(out, size, strcmp(path, ".") == 0 ? ".." : ".");
}

bool advice_say_command(words *w, const char *verb, const record *r) {
    char sweep[1024], results[1024], path[1100];
    const char *name = json_string_value(json_object_get(r->run, "name"));
    parent_of(r->folder, sweep, sizeof sweep);
    parent_of(sweep, results, sizeof results);
    const char *slash = strrchr(sweep, '/');
    if (!name || strcmp(slash ? slash + 1 : sweep, name) != 0) return false;
    snprintf(path, sizeof path, "%.1000s/spec.yaml", r->folder);
    words_say(w, "mews %s ", verb);
    say_word(w, path);
    if (strcmp(results, "results") == 0) return true;
    words_say(w, " --out ");
    say_word(w, results);
    return true;
}

/* ---- runs that did not finish ----------------------------------------------------------------------------------- */

static bool advise_unfinished(advice *a, const study *s) {
    size_t said = 0, missing = s->records.count - s->finished - s->halved;
    for (size_t i = 0; i < s->records.count && said < MOST_OF_A_KIND; i++) {
        const record *r = &s->records.items[i];
        words text = {""}, command = {""};
        bool failed = strcmp(r->status, "failed") == 0, stopped = strcmp(r->status, "stopped") == 0;
        if (r->finished || r->halved || strcmp(r->status, "running") == 0 || strcmp(r->status, "queued") == 0) continue;
        words_say(&text, "%s %s", r->id, failed ? "failed" : stopped ? "was stopped" : "was interrupted");
        if (*r->reason) words_say(&text, ": %.300s", r->reason);
        words_say(&text, failed ? ". This tries it again." : ". This goes on with it.");
        if (++said == MOST_OF_A_KIND && missing > said)
            words_say(&text, " So do %zu more; the sweep's own command, given again, takes up all of them.",
                      missing - said);
        advice_say_command(&command, "train", r);
        if (!advice_add(a, &text, &command)) return false;
    }
    return true;
}

/* ---- settings beside each other --------------------------------------------------------------------------------- */

/* What is told the labels is there to compare with, not to choose: it has no figure. */
static candidate *list_candidates(const study_block *b, const char *metric, size_t *count) {
    size_t all = 0;
    for (size_t s = 0; s < b->count; s++) all += b->series[s].count;
    candidate *list = malloc((all + 1) * sizeof *list);
    *count = 0;
    for (size_t s = 0; list && s < b->count; s++)
        for (size_t p = 0; p < b->series[s].count; p++) {
            const study_point *point = &b->series[s].points[p];
            study_figure figure = study_measure(point, metric);
            if (strcmp(point->records[0]->method, "supervised") == 0) figure = (study_figure){.mean = NAN};
            list[(*count)++] = (candidate){&b->series[s], point, figure.mean, figure.n};
        }
    return list;
}

void advice_say_setting(words *w, const study_block *b, const candidate *c) {
    char setting[300];
    study_setting(b, c->point, setting, sizeof setting);
    words_say(w, "%.160s%s%.160s", setting, *c->series->label ? ", " : "", c->series->label);
}

/* ---- the edge of a range ---------------------------------------------------------------------------------------- */

/* Two values beyond an end, as the values before it run: by factors on a logarithmic axis, else by steps. Returns how
 * many there are. */
static int beyond(const factor *f, bool above, double out[2]) {
    size_t n = f->count;
    double edge = f->levels[above ? n - 1 : 0].x, inner = f->levels[above ? n - 2 : 1].x;
    bool whole = true, ratio = edge > 0 && inner > 0 && (f->log || n == 2);
    int found = 0;
    for (size_t l = 0; l < n; l++) whole = whole && f->levels[l].x == floor(f->levels[l].x);
    for (int k = 1; k <= 2; k++) {
        double value = ratio ? edge * pow(edge / inner, k) : edge + k * (edge - inner);
        if (whole) value = round(value);
        if (value < edge && f->levels[0].x > 0 && value <= 0) break;
        if (value == (found ? out[found - 1] : edge)) break;
        out[found++] = value;
    }
    return found;
}

static bool advise_edge(advice *a, const block_effects *e, size_t k, const candidate *list, size_t count) {
    const effect *x = effects_at(e, 0, k);
    const factor *f = x->factor;
    words text = {""}, command = {""};
    double values[2];
    bool above = x->count && x->best == x->count - 1;
    if (!f->numeric || x->count < 2 || !effect_matters(x) || (!above && x->best != 0)) return true;
    size_t inner = above ? x->best - 1 : 1;
    double gain = x->levels[x->best].mean - x->levels[inner].mean;
    words_say(&text, "%s is best at the %s end of what was tried, %s: ", f->key, above ? "upper" : "lower",
              f->levels[x->levels[x->best].of].label);
    words_say(&text, "%s is better there by ", study_metric_title(x->metric));
    words_number(&text, x->metric, gain);
    words_say(&text, " than at %s. ", f->levels[x->levels[inner].of].label);
    if (!(gain > effect_interval(x, x->best, inner))) {
        words_say(&text, "The two are not told apart, so whether values beyond do better is not known.");
        return advice_add(a, &text, NULL);
    }
    int found = f->ranges || x->count < f->count ? 0 : beyond(f, above, values);
    words_say(&text, found ? "Extend it:" : "Look beyond it.");
    const candidate *best = &list[0];
    for (size_t c = 1; c < count; c++)
        if (list[c].mean > best->mean || isnan(best->mean)) best = &list[c];
    if (found && !*f->with && advice_say_command(&command, "sweep", best->point->records[0])) {
        words_say(&command, " --set 'sweep.%s=[", f->key);
        for (int i = 0; i < found; i++) words_say(&command, "%s%.6g", i ? ", " : "", values[i]);
        words_say(&command, "]'");
        long seeds[MOST_SEEDS];
        size_t had = advice_list_seeds(&e->factors, seeds);
        if (had > 1) words_say(&command, " --set 'sweep.train.seed=[");
        for (size_t i = 0; had > 1 && i < had; i++) words_say(&command, "%s%ld", i ? ", " : "", seeds[i]);
        if (had > 1) words_say(&command, "]'");
    }
    for (int i = 0; i < found; i++) words_say(&text, "%s %.6g", i ? "," : "", values[i]);
    if (found) words_say(&text, "%s", *f->with ? " (and the keys that move with it)." : ".");
    return advice_add(a, &text, &command);
}

/* ---- collapses -------------------------------------------------------------------------------------------------- */

static bool collapsed(const study_point *p) {
    size_t counts[STUDY_VERDICTS];
    for (const char *const *mode = study_modes; *mode; mode++)
        if (study_verdict(p, *mode, counts) == STUDY_COLLAPSED) return true;
    return false;
}

/* How far two runs lie apart: keys that differ, and then by how many values. */
static double distance(const factors *f, size_t i, size_t j) {
    double apart = 0;
    for (size_t k = 0; k < f->factor_count; k++) {
        double steps = fabs((double)f->items[k].level[i] - (double)f->items[k].level[j]);
        apart += steps > 0 ? 1000 + (f->items[k].numeric ? steps : 0) : 0;
    }
    return apart;
}

static size_t first_run(const factors *f, size_t setting) {
    size_t i = 0;
    while (i + 1 < f->count && f->setting[i] != setting) i++;
    return i;
}

static void say_changes(words *w, const factors *f, size_t from, size_t to) {
    bool said = false;
    char value[64];
    for (size_t k = 0; k < f->factor_count; k++) {
        const char *key = f->items[k].key;
        if (f->items[k].level[from] == f->items[k].level[to]) continue;
        words_say(w, "%s%s = %s", said ? ", " : "", key, record_text(f->runs[to], key, value, sizeof value));
        said = true;
    }
}

static bool advise_collapse(advice *a, const block_effects *e, const candidate *list, size_t count) {
    const factors *f = &e->factors;
    size_t sick = 0, said = 0;
    words text = {""};
    for (size_t c = 0; c < count; c++) sick += collapsed(list[c].point);
    if (!sick || count < 2) return true;
    if (sick == count) {
        words_say(&text, "Every setting collapsed in some mode, so the sweep holds no healthy neighbour to go to: "
                         "look for one with other keys, or with more epochs.");
        return advice_add(a, &text, NULL);
    }
    words_say(&text, "%zu of %zu settings collapsed in some mode. The nearest that did not: ", sick, count);
    for (size_t c = 0; c < count && said < MOST_OF_A_KIND; c++) {
        size_t nearest = count;
        double least = INFINITY;
        if (!collapsed(list[c].point)) continue;
        for (size_t d = 0; d < count; d++) {
            double apart = distance(f, first_run(f, c), first_run(f, d));
            if (!collapsed(list[d].point) && apart < least) least = apart, nearest = d;
        }
        words_say(&text, "%sfor ", said++ ? "; " : "");
        advice_say_setting(&text, e->block, &list[c]);
        words_say(&text, " it has ");
        say_changes(&text, f, first_run(f, c), first_run(f, nearest));
    }
    words_say(&text, sick > said ? "; the grid of verdicts shows the others." : ".");
    return advice_add(a, &text, NULL);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

/* Of several blocks each is named before what is said of it. */
static bool name_block(advice *a, size_t first, const char *name) {
    for (size_t i = first; i < a->count; i++) {
        words text = {""};
        words_say(&text, "%s: %s", name, a->items[i].text);
        char *named = strdup(text.text);
        if (!named) return false;
        free(a->items[i].text);
        a->items[i].text = named;
    }
    return true;
}

bool advice_give(advice *a, const study *s, const effects *e, error *err) {
    *a = (advice){0};
    bool told, done = advise_unfinished(a, s) && advise_seeds_of_all(a, e, &told);
    for (size_t b = 0; b < e->count && done; b++) {
        const block_effects *own = &e->blocks[b];
        size_t count, before = a->count;
        candidate *list = list_candidates(own->block, own->metrics[0], &count);
        done = list && advise_seeds(a, own, list, count, told);
        for (size_t k = 0; k < own->factors.factor_count && done; k++) done = advise_edge(a, own, k, list, count);
        done = done && advise_collapse(a, own, list, count);
        if (done && e->count > 1) done = name_block(a, before, own->block->name);
        free(list);
    }
    if (done) return true;
    advice_free(a);
    return error_memory(err, sizeof *a, "what to run next");
}

void advice_free(advice *a) {
    for (size_t i = 0; i < a->count; i++) {
        free(a->items[i].text);
        free(a->items[i].command);
    }
    free(a->items);
    *a = (advice){0};
}

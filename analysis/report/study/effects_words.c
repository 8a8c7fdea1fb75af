/*
 * Main effects in words: which keys matter, by how much, and how sure that is. Where no effect is shown, the largest
 * one that the interval leaves open is named instead, so that "nothing seen" is not taken for "nothing there".
 */
#include "analysis/report/study/effects_words.h"

#include "analysis/report/study/words.h"
#include "analysis/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void say_p(words *w, double p) {
    if (p < 0.001)
        words_say(w, "p < 0.001");
    else
        words_say(w, "p = %.*f", p < 0.1 ? 3 : 2, p);
}

void effects_say_units(const effect *e, char *out, size_t size) {
    switch (e->units) {
    case EFFECT_SEEDS: snprintf(out, size, "over %zu seeds", e->unit_count); break;
    case EFFECT_SETTINGS:
        snprintf(out, size, "over %zu settings of the other keys with one seed each; another seed may differ",
                 e->unit_count);
        break;
    case EFFECT_RUNS:
        snprintf(out, size, "over %zu settings, the influence of whose other keys is in the interval", e->unit_count);
        break;
    case EFFECT_NO_UNITS: snprintf(out, size, "one run each: there is no interval"); break;
    }
}

static const char *level_label(const effect *e, size_t l) { return e->factor->levels[e->levels[l].of].label; }

static void say_level(words *w, const effect *e, size_t l) {
    words_say(w, "%s (", level_label(e, l));
    words_number(w, e->metric, e->levels[l].mean);
    words_say(w, ")");
}

static void say_signed(words *w, const char *metric, double value) {
    char number[32];
    study_format(metric, fabs(value), number, sizeof number);
    bool nothing = strspn(number, "0.") == strlen(number);
    words_say(w, "%s%s", nothing ? "" : value < 0 ? "−" : "+", number);
}

/* "+0.140, 95 % interval +0.120 to +0.160" */
static void say_difference(words *w, const effect *e, size_t from, size_t to) {
    double difference = e->levels[to].mean - e->levels[from].mean, half = effect_interval(e, from, to);
    say_signed(w, e->metric, difference);
    if (isnan(half)) return;
    words_say(w, ", 95 %% interval ");
    say_signed(w, e->metric, difference - half);
    words_say(w, " to ");
    say_signed(w, e->metric, difference + half);
}

static void say_others(words *w, const block_effects *b, size_t k) {
    bool any = false;
    for (size_t m = 1; m < b->metric_count; m++) {
        const effect *e = effects_at(b, m, k);
        if (!e->count || !effect_matters(e)) continue;
        words_say(w, "%s%s (", any ? ", " : " It also moves ", study_metric_title(e->metric));
        say_p(w, e->p_holm);
        words_say(w, "), whose mean is highest at %s", level_label(e, e->best));
        any = true;
    }
    if (any) words_say(w, ".");
}

/* What was tested, and how; or why nothing was. */
static void say_test(words *w, const block_effects *b, const effect *e) {
    const char *title = study_metric_title(e->metric);
    if (e->units == EFFECT_NO_UNITS) {
        words_say(w, "has one run for each value%s, so there is no interval and chance may explain all of it: ",
                  e->unit_count > 1 ? " and setting" : "");
    } else if (isnan(e->p_holm)) {
        if (e->unit_count < STATISTICS_LEAST)
            words_say(w, "has %zu seeds, too few for a test (from %d on there is one): ", e->unit_count,
                      STATISTICS_LEAST);
        else
            words_say(w, "cannot be tested, its repetitions leave no spread to hold differences against: ");
    } else {
        words_say(w, effect_matters(e) ? "matters for %s (" : "is not shown to matter for %s (", title);
        say_p(w, e->p_holm);
        if (b->tests > 1) words_say(w, " after Holm's correction for %zu tests", b->tests);
        words_say(w, "): ");
    }
}

void effects_say(words *w, const block_effects *b, size_t k) {
    const effect *e = effects_at(b, 0, k);
    char units[160];
    effects_say_units(e, units, sizeof units);
    words_say(w, "%s%s%s%s ", e->factor->key, *e->factor->with ? " (with it moves " : "", e->factor->with,
              *e->factor->with ? ")" : "");
    if (e->count < 2) {
        words_say(w, "cannot be judged: no two of its values have %s.", study_metric_title(e->metric));
        return;
    }
    say_test(w, b, e);
    if (isnan(e->p_holm) || effect_matters(e)) {
        words_say(w, "its mean is highest at ");
        say_level(w, e, e->best);
        words_say(w, " and lowest at ");
        say_level(w, e, e->worst);
        if (e->units != EFFECT_NO_UNITS) {
            words_say(w, ", a difference of ");
            say_difference(w, e, e->worst, e->best);
            words_say(w, " %s", units);
        }
    } else {
        double open = 0;
        for (size_t l = 1; l < e->count; l++)
            open = fmax(open, fabs(e->levels[l].difference) + e->levels[l].half_width);
        words_say(w, "means lie between ");
        words_number(w, e->metric, e->levels[e->worst].mean);
        words_say(w, " and ");
        words_number(w, e->metric, e->levels[e->best].mean);
        words_say(w, "; differences from %s of up to ", level_label(e, 0));
        words_number(w, e->metric, open);
        words_say(w, " stay possible (%s)", units);
    }
    words_say(w, ".");
    if (e->runs < e->runs_there)
        words_say(w, " %zu of %zu runs take part: those whose setting was run at every value.", e->runs, e->runs_there);
    say_others(w, b, k);
}

void effects_say_varied(words *w, const block_effects *b, size_t k) {
    const factor *f = &b->factors.items[k];
    size_t values = b->block->keys[k].values;
    words_say(w, "%zu values", values);
    if (f->ranges) {
        words_say(w, ", taken as %zu ranges", f->count);
    } else {
        for (size_t l = 0; l < f->count && l < 12; l++) words_say(w, "%s%s", l ? ", " : ": ", f->levels[l].label);
        if (f->count > 12) words_say(w, " and %zu more", f->count - 12);
    }
}

/*
 * Building sentences. Everything here is about language and none of it about judgement, which is findings.c's.
 */
#include "analysis/report/study/words.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool words_add(const scene *at, bool on_paper, const words *w) {
    finding *f = at->out;
    char **sentences = realloc(f->sentences, (f->count + 1) * sizeof *sentences);
    if (sentences) f->sentences = sentences;
    bool *flags = realloc(f->on_paper, (f->count + 1) * sizeof *flags);
    if (flags) f->on_paper = flags;
    char *copy = strdup(w->text);
    if (!sentences || !flags || !copy) {
        free(copy);
        return false;
    }
    f->on_paper[f->count] = on_paper;
    f->sentences[f->count++] = copy;
    return true;
}

void words_say(words *w, const char *format, ...) {
    size_t used = strlen(w->text);
    va_list args;
    va_start(args, format);
    vsnprintf(w->text + used, sizeof w->text - used, format, args);
    va_end(args);
}

void words_number(words *w, const char *metric, double value) {
    char number[32];
    words_say(w, "%s", study_format(metric, value, number, sizeof number));
}

void words_setting(words *w, const scene *at, const study_point *p) {
    char setting[200];
    words_say(w, "%s", study_setting(at->block, p, setting, sizeof setting));
}

static void say_at(words *w, const scene *at, const char *metric, double value, const study_point *p) {
    words_number(w, metric, value);
    words_say(w, " at ");
    words_setting(w, at, p);
}

/* What was not tested: where it goes, and no word for it. */
static void say_untested(words *w, const scene *at, const char *metric, const trend *t) {
    words_say(w, "goes from ");
    say_at(w, at, metric, t->from, t->first);
    if (t->turn) {
        words_say(w, " over ");
        say_at(w, at, metric, t->at_turn, t->turn);
    }
    words_say(w, " to ");
    say_at(w, at, metric, t->to, t->last);
    if (!t->turn && t->shape == TREND_NONE && t->settings > 2) {
        words_say(w, ", and over all settings lies between ");
        words_number(w, metric, t->lowest);
        words_say(w, " and ");
        words_number(w, metric, t->highest);
    }
}

void words_trend(words *w, const scene *at, const char *metric, const trend *t) {
    static const char *const verbs[] = {
        [TREND_RISES] = "rises", [TREND_FALLS] = "falls", [TREND_PEAKS] = "rises", [TREND_DIPS] = "falls"};
    if (!t->tested) {
        say_untested(w, at, metric, t);
        return;
    }
    if (t->shape == TREND_NONE) {
        words_say(w, "shows no trend that stands out from its seeds: it runs from ");
        say_at(w, at, metric, t->from, t->first);
        words_say(w, " to ");
        say_at(w, at, metric, t->to, t->last);
        words_say(w, ", and over all settings between ");
        words_number(w, metric, t->lowest);
        words_say(w, " and ");
        words_number(w, metric, t->highest);
        return;
    }
    words_say(w, "%s from ", verbs[t->shape]);
    say_at(w, at, metric, t->from, t->first);
    words_say(w, " to ");
    if (t->turn) {
        say_at(w, at, metric, t->at_turn, t->turn);
        words_say(w, ", then %s to ", t->shape == TREND_PEAKS ? "falls" : "rises");
    }
    say_at(w, at, metric, t->to, t->last);
    if (!t->level) return;
    words_say(w, t->levels ? "; it levels off from " : "; settings from ");
    words_setting(w, at, t->level);
    if (t->levels)
        words_say(w, " on, beyond which changes of a quarter of the whole are excluded");
    else
        words_say(w, " on are not told apart from the last");
}

void words_trend_short(words *w, const char *metric, const trend *t) {
    static const char *const shapes[] = {[TREND_UNKNOWN] = "is not known",
                                         [TREND_NONE] = "shows no trend that stands out",
                                         [TREND_RISES] = "rises",
                                         [TREND_FALLS] = "falls",
                                         [TREND_PEAKS] = "rises, then falls",
                                         [TREND_DIPS] = "falls, then rises"};
    words_say(w, "%s", t->tested || t->shape == TREND_UNKNOWN ? shapes[t->shape] : "goes");
    if (t->shape == TREND_UNKNOWN) return;
    words_say(w, t->tested ? " (" : " ");
    words_number(w, metric, t->from);
    words_say(w, " → ");
    if (t->turn) {
        words_number(w, metric, t->at_turn);
        words_say(w, " → ");
    }
    words_number(w, metric, t->to);
    if (t->tested) words_say(w, ")");
}

/* "16, 64 and 256 codes", "beta = 0.5 and 1"; three or more neighbours are "16 to 256". */
void words_points(words *w, const scene *at, const char *mode, int wanted) {
    const study_point *points = at->series->points;
    size_t counts[STUDY_VERDICTS], last = 0;
    bool said = false;
    char setting[200];
    for (size_t i = 0; i < at->series->count; i++)
        if (study_verdict(&points[i], mode, counts) == wanted) last = i;
    for (size_t i = 0; i <= last; i++) {
        if (study_verdict(&points[i], mode, counts) != wanted) continue;
        size_t end = i;
        while (at->block->numeric && end < last && study_verdict(&points[end + 1], mode, counts) == wanted) end++;
        if (end < i + 2) end = i;
        study_setting(at->block, &points[end], setting, sizeof setting);
        bool named = strncmp(setting, points[end].label, strlen(points[end].label)) != 0; /* "beta = 1" */
        if (named) study_setting(at->block, &points[i], setting, sizeof setting);
        words_say(w, "%s%s",
                  !said         ? ""
                  : end == last ? " and "
                                : ", ",
                  (named && !said) || (!named && end == i && end == last) ? setting : points[i].label);
        if (end > i) words_say(w, " to %s", !named && end == last ? setting : points[end].label);
        said = true;
        i = end;
    }
}

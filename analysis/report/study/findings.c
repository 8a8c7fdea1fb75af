/*
 * Sentences from numbers. A sentence names the ends it compares, so that a reader can disagree with it; where the rules
 * find no trend it says so rather than describe noise. NMI is never judged by itself, because labels drawn at random
 * score more of it the more clusters there are: AMI decides, with the chance level beside it.
 */
#include "analysis/report/study/findings.h"

#include "analysis/report/study/twins.h"
#include "analysis/report/study/words.h"
#include "analysis/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a difference had to exceed; or that none was tested. */
static void say_margin(words *w, const char *metric, const trend *t) {
    if (t->tested) {
        words_say(w, " (seeds alone explain differences of up to ");
        words_number(w, metric, t->margin);
        words_say(w, ")");
    } else {
        words_say(w, " (%zu seed%s a setting: not tested)", t->seeds, t->seeds == 1 ? "" : "s");
    }
}

/* A categorical axis has no direction: its best and its worst setting, when they differ. */
static bool add_extremes(const scene *at, const char *metric) {
    const study_point *best = NULL, *worst = NULL;
    double high = -INFINITY, low = INFINITY;
    words w = {""};
    trend t = trend_measure(at->series, metric);
    for (size_t i = 0; i < at->series->count; i++) {
        study_figure figure = study_measure(&at->series->points[i], metric);
        if (!figure.n) continue;
        if (figure.mean > high) high = figure.mean, best = &at->series->points[i];
        if (figure.mean < low) low = figure.mean, worst = &at->series->points[i];
    }
    if (!best || best == worst) return true;
    words_say(&w, "%s is highest with ", study_metric_title(metric));
    words_setting(&w, at, best);
    words_say(&w, " (");
    words_number(&w, metric, high);
    words_say(&w, ") and lowest with ");
    words_setting(&w, at, worst);
    words_say(&w, " (");
    words_number(&w, metric, low);
    words_say(&w, ")");
    if (t.tested && high - low <= t.margin) words_say(&w, ", which are not told apart");
    say_margin(&w, metric, &t);
    words_say(&w, ".");
    return words_add(at, false, &w);
}

static bool add_metric(const scene *at, const char *metric) {
    words w = {""};
    if (!at->block->numeric) return add_extremes(at, metric);
    trend t = trend_measure(at->series, metric);
    if (t.shape == TREND_UNKNOWN) return true;
    words_say(&w, "%s ", study_metric_title(metric));
    words_trend(&w, at, metric, &t);
    say_margin(&w, metric, &t);
    words_say(&w, ".");
    if (w.text[0] >= 'a' && w.text[0] <= 'z' && w.text[1] != 'N') w.text[0] = (char)(w.text[0] - 'a' + 'A');
    return words_add(at, false, &w);
}

/* ---- what only some axes have ----------------------------------------------------------------------------------- */

static bool over_codes(const study_block *b) { return strcmp(b->axis, "method.codes") == 0; }

/* Few codes bound the rank: said only of settings with fewer codes than dimensions. */
static bool add_bound(const scene *at) {
    size_t few = 0, within = 0;
    const study_point *closest = NULL;
    double share = 0;
    words w = {""};
    for (size_t i = 0; over_codes(at->block) && i < at->series->count; i++) {
        const study_point *p = &at->series->points[i];
        double rank = study_measure(p, "rankme").mean, d = study_measure(p, "d").mean;
        if (!isfinite(rank) || (isfinite(d) && p->x >= d)) continue;
        few++;
        within += rank <= p->x;
        if (rank / p->x > share) share = rank / p->x, closest = p;
    }
    if (!few) return true;
    words_say(&w, "RankMe is at most the number of codes at %zu of the %zu setting%s with fewer codes than dimensions",
              within, few, few == 1 ? "" : "s");
    words_say(&w, "; %s ", few == 1 ? "that is" : share > 1 ? "it exceeds it most at" : "it comes nearest to it at");
    words_setting(&w, at, closest);
    words_say(&w, " (");
    words_number(&w, "rankme", study_measure(closest, "rankme").mean);
    words_say(&w, ", %.0f %% of the codes). ", 100 * share);
    if (within == few)
        words_say(&w, "No setting here passes that bound.");
    else
        words_say(&w, "So the codes are no strict bound: the embeddings do not sit on them.");
    return words_add(at, false, &w);
}

/* The directions that the embeddings have at all, when they are fewer than their dimensions. */
static bool add_directions(const scene *at) {
    double most = 0, dimensions = 0;
    words w = {""};
    for (size_t i = 0; i < at->series->count; i++) {
        study_figure rank = study_measure(&at->series->points[i], "numerical_rank");
        study_figure d = study_measure(&at->series->points[i], "d"), n = study_measure(&at->series->points[i], "n");
        if (!rank.n || !d.n || !n.n || rank.max >= fmin(n.mean - 1, d.mean)) continue;
        most = fmax(most, rank.max), dimensions = fmax(dimensions, d.max);
    }
    if (!(most > 0)) return true;
    words_say(
        &w,
        "Where the embeddings do not fill their dimensions, they have at most %.0f independent directions (numerical "
        "rank), of up to %.0f dimensions",
        most, dimensions);
    study_figure attainable = study_measure(&at->series->points[0], "attainable");
    if (attainable.n && attainable.max < dimensions)
        words_say(&w, "; the narrowest layer below them has %.0f columns, and what follows it adds no direction",
                  attainable.max);
    words_say(&w, ".");
    return words_add(at, false, &w);
}

/* NMI beside its chance level, and what AMI leaves of it. */
static bool add_chance(const scene *at, const char *prefix, const char *what) {
    char nmi[64], chance[64], ami[64];
    snprintf(nmi, sizeof nmi, "%s_nmi", prefix);
    snprintf(chance, sizeof chance, "%s_nmi_chance", prefix);
    snprintf(ami, sizeof ami, "%s_ami", prefix);
    trend n = trend_measure(at->series, nmi), c = trend_measure(at->series, chance), a = trend_measure(at->series, ami);
    words w = {""};
    if (!at->block->numeric || n.shape == TREND_UNKNOWN || c.shape == TREND_UNKNOWN) return true;
    double gain = n.to - n.from, by_chance = c.to - c.from;
    if (n.shape == TREND_NONE && fabs(by_chance) <= TREND_MARGIN) {
        words_say(&w, "NMI of %s stands at ", what);
        words_number(&w, nmi, n.to);
        words_say(&w, ", where the same assignment against permuted labels scores ");
        words_number(&w, chance, c.to);
        words_say(&w, ".");
        return words_add(at, false, &w);
    }
    words_say(&w, "NMI of %s goes from ", what);
    words_number(&w, nmi, n.from);
    words_say(&w, " to ");
    words_number(&w, nmi, n.to);
    words_say(&w, ", but it is not adjusted for chance: the same assignments against permuted labels go from ");
    words_number(&w, chance, c.from);
    words_say(&w, " to ");
    words_number(&w, chance, c.to);
    if (gain > n.margin && by_chance >= gain)
        words_say(&w, ", which is more than the whole rise");
    else if (gain > n.margin && by_chance > 0)
        words_say(&w, ", which is %.0f %% of the rise", 100 * by_chance / gain);
    words_say(&w, ". ");
    if (!a.tested && a.shape != TREND_UNKNOWN) {
        words_say(&w, "AMI, which is adjusted for chance, ");
        words_trend_short(&w, ami, &a);
        words_say(&w, ".");
    } else if (a.shape == TREND_RISES)
        words_say(&w, "AMI, which is adjusted for chance, rises as well.");
    else if (a.shape == TREND_FALLS)
        words_say(&w, "AMI, which is adjusted for chance, falls.");
    else if (a.shape == TREND_PEAKS)
        words_say(&w, "AMI, which is adjusted for chance, is highest in between.");
    else if (a.shape == TREND_DIPS)
        words_say(&w, "AMI, which is adjusted for chance, is lowest in between.");
    else if (a.shape == TREND_NONE)
        words_say(&w, "AMI, which is adjusted for chance, shows no trend that stands out from its seeds.");
    return words_add(at, false, &w);
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

static size_t with_verdict(const scene *at, const char *mode, int wanted) {
    size_t counts[STUDY_VERDICTS], found = 0;
    for (size_t i = 0; i < at->series->count; i++)
        found += study_verdict(&at->series->points[i], mode, counts) == wanted;
    return found;
}

static bool healthy_throughout(const scene *at, const char *mode) {
    return with_verdict(at, mode, STUDY_HEALTHY) == at->series->count;
}

/* Lower than a setting of the same method: no verdict. */
static bool add_twins(const scene *at) {
    char text[300];
    words w = {""};
    for (size_t i = 0; i < at->series->count; i++) {
        twin t = twin_of(at->study, &at->series->points[i]);
        if (!*twin_text(&t, text, sizeof text)) continue;
        words_say(&w, "%s", *w.text ? "; " : "Lower than a twin, the nearest setting of the same method: ");
        words_setting(&w, at, &at->series->points[i]);
        words_say(&w, " has %s", text);
    }
    if (!*w.text) return true;
    words_say(&w, ". A lower rank than another setting's is by itself no collapse.");
    return words_add(at, false, &w);
}

static bool add_verdicts(const scene *at) {
    words fine = {""};
    for (const char *const *mode = study_modes; *mode; mode++) {
        words w = {""};
        if (with_verdict(at, *mode, STUDY_UNKNOWN) == at->series->count) continue;
        if (healthy_throughout(at, *mode)) {
            words_say(&fine, "%s%s", *fine.text ? ", " : "", *mode);
            continue;
        }
        words_say(&w, "%c%s collapse: ", *mode[0] - 'a' + 'A', *mode + 1);
        bool said = false;
        for (int v = STUDY_COLLAPSED; v >= STUDY_UNKNOWN; v--) {
            size_t count = with_verdict(at, *mode, v);
            if (!count) continue;
            words_say(&w, "%s%s", said ? "; " : "", study_verdict_names[v]);
            said = true;
            if (count == at->series->count) {
                words_say(&w, " throughout");
            } else {
                words_say(&w, " at ");
                words_points(&w, at, *mode, v);
            }
        }
        words_say(&w, ".");
        if (!words_add(at, false, &w)) return false;
    }
    if (!*fine.text) return true;
    words_say(&fine, " collapse: healthy throughout.");
    fine.text[0] = (char)(fine.text[0] - 'a' + 'A');
    return words_add(at, false, &fine);
}

/* ---- in short --------------------------------------------------------------------------------------------------- */

/* "RankMe rises (12.3 → 161.8), …; dimensional collapse at 16 and 64 codes." */
static bool summarise(const scene *at) {
    static const char *const metrics[] = {"rankme", "rankme_noise_share", "prototype_ami", "linear", NULL};
    words w = {""};
    const char *separator = "";
    bool untested = false;
    size_t seeds = 0;
    for (const char *const *metric = metrics; *metric; metric++) {
        const char *name = *metric;
        trend t = trend_measure(at->series, name);
        if (t.shape == TREND_UNKNOWN && strcmp(name, "prototype_ami") == 0) {
            name = "kmeans_ami";
            t = trend_measure(at->series, name);
        }
        if (!at->block->numeric || t.shape == TREND_UNKNOWN) continue;
        words_say(&w, "%s%s ", separator, study_metric_title(name));
        words_trend_short(&w, name, &t);
        separator = ", ", untested = untested || !t.tested, seeds = t.seeds;
    }
    if (untested) words_say(&w, " (%zu seed%s a setting: not tested)", seeds, seeds == 1 ? "" : "s");
    separator = *w.text ? ". " : "";
    for (int v = STUDY_COLLAPSED; v >= STUDY_WARNING; v--)
        for (const char *const *mode = study_modes; *mode; mode++) {
            size_t count = with_verdict(at, *mode, v);
            if (!count) continue;
            words_say(&w, "%s%s collapse%s", separator, *mode, v == STUDY_WARNING ? " (warning)" : "");
            if (count == at->series->count) {
                words_say(&w, at->series->count > 1 ? " at every setting" : "");
            } else {
                words_say(&w, " at ");
                words_points(&w, at, *mode, v);
            }
            separator = "; ";
        }
    if (strcmp(separator, "; ") != 0) words_say(&w, "%sno collapse found", separator);
    words_say(&w, ".");
    for (char *c = w.text; *c; c++) /* a sentence after the first begins large */
        if ((c == w.text || (c - w.text > 1 && c[-1] == ' ' && c[-2] == '.')) && *c >= 'a' && *c <= 'z' && c[1] != 'N')
            *c = (char)(*c - 'a' + 'A');
    at->out->summary = strdup(w.text);
    return at->out->summary != NULL;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static bool describe(const scene *at) {
    static const char *const metrics[] = {
        "rankme", "rankme_noise_share", "correlation_off_diagonal", "prototype_ami", "kmeans_ami", "linear", "knn",
        NULL};
    const study_series *s = at->series;
    char first[200], last[200];
    if (s->count > 1 && *at->block->axis) {
        study_setting(at->block, &s->points[s->count - 1], last, sizeof last);
        snprintf(first, sizeof first, "%s", s->points[0].label);
        if (strncmp(last, at->block->axis_name, strlen(at->block->axis_name)) == 0) { /* "beta = 1" */
            study_setting(at->block, &s->points[0], first, sizeof first);
            snprintf(last, sizeof last, "%s", s->points[s->count - 1].label);
        }
        snprintf(at->out->title, sizeof at->out->title, "%.90s%s%.60s: %.60s %s %.60s", at->block->name,
                 *s->label ? ", " : "", s->label, first, s->count == 2 ? "and" : "to", last);
    } else {
        snprintf(at->out->title, sizeof at->out->title, "%.90s%s%.160s", at->block->name, *s->label ? ", " : "",
                 s->label);
    }
    bool ok = true;
    for (const char *const *metric = metrics; *metric && ok; metric++) {
        ok = add_metric(at, *metric);
        if (ok && strcmp(*metric, "rankme_noise_share") == 0) ok = add_directions(at) && add_bound(at);
        if (ok && strcmp(*metric, "prototype_ami") == 0) ok = add_chance(at, "prototype", "the codes");
    }
    return ok && summarise(at) && add_verdicts(at) && add_twins(at) && findings_add_claims(at);
}

static char *evidence_of(const study *s) {
    words w = {""};
    if (s->seeds_min < s->seeds_max)
        words_say(&w, "Between %zu and %zu seeds a setting. ", s->seeds_min, s->seeds_max);
    else
        words_say(&w, s->seeds_max == 1 ? "One seed a setting. " : "%zu seeds a setting. ", s->seeds_max);
    if (s->seeds_max > 1) words_say(&w, "Figures are means over seeds. ");
    if (s->seeds_max >= STATISTICS_LEAST)
        words_say(
            &w,
            "Where every setting of a series has %d seeds or more, differences are tested: one counts when it "
            "exceeds what the seeds' own spread explains (two-sided t on the pooled standard deviation, 5 %% "
            "divided by the pairs of settings and the %d figures looked at), and a rise or fall is named when the "
            "order of the settings bears it out, too (rank correlation of at least %g). ",
            STATISTICS_LEAST, TREND_FIGURES, TREND_CORRELATION);
    if (s->seeds_min < STATISTICS_LEAST)
        words_say(&w,
                  "With fewer than %d seeds nothing is tested: how much a figure would change with other seeds is not "
                  "known, and \"goes from … to …\" says what these runs did, not what others would do.",
                  STATISTICS_LEAST);
    return strdup(w.text);
}

bool findings_make(findings *all, const study *s, error *err) {
    size_t series = 0;
    for (size_t b = 0; b < s->count; b++) series += s->blocks[b].count;
    *all = (findings){.evidence = evidence_of(s), .items = calloc(series + 1, sizeof *all->items)};
    bool ok = all->evidence && all->items;
    for (size_t b = 0; b < s->count && ok; b++)
        for (size_t k = 0; k < s->blocks[b].count && ok; k++) {
            scene at = {s, &s->blocks[b], &s->blocks[b].series[k], &all->items[all->count++]};
            ok = describe(&at);
        }
    if (ok) return true;
    findings_free(all);
    return error_memory(err, series * sizeof *all->items, "the findings");
}

void findings_free(findings *all) {
    for (size_t i = 0; all->items && i < all->count; i++) {
        for (size_t k = 0; k < all->items[i].count; k++) free(all->items[i].sentences[k]);
        free(all->items[i].sentences);
        free(all->items[i].summary);
        free(all->items[i].on_paper);
    }
    free(all->items);
    free(all->evidence);
    *all = (findings){0};
}

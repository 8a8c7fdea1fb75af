/*
 * Codes unused, or all rows assigned alike. Two figures: dead, how many codes no row will ever fall on, and uneven, how
 * much of the use a few codes take. Natural categories are uneven (codes in use as 1/i have 0.18 of an even use at
 * 1,000 codes) and no collapse. A code that these rows do not show may be rare: from the codes seen once and twice,
 * Chao's estimate says how many more there are at most, so that few rows call no code dead.
 */
#include "analysis/verdicts/judge.h"

#include <math.h>

/* Of the codes there are, those alive. A quarter: three in four are wasted. */
static const double ALIVE_COLLAPSED = 0.25, ALIVE_WARNING = 0.5;
/* One code with nine rows in ten (of two or three codes: nearly all); perplexity over that of even use. */
static const double TOP_COLLAPSED = 0.9, TOP_FEW_CODES = 0.98, EVEN_COLLAPSED = 0.003, EVEN_WARNING = 0.01;
enum { FEW_CODES = 4 };
/* Mutual information of row and code over log min(c, n), of probabilities. Logits that vary by s from row to row leave
 * s²/2 nats: s = 0.1 lies below the first at ten codes and more, s = 0.5 above the second at up to a million. */
static const double INFORMATION_COLLAPSED = 0.003, INFORMATION_WARNING = 0.009;
/* Scores of all codes this near each other are one number; cosines with 128-wide prototypes vary by 0.4. */
static const double RANGE_ALIKE = 0.02;

static double alive_share(const usage_figures *f) { return f->alive_most / (double)f->codes; }
static double even_share(const usage_figures *f) { return f->hard_perplexity / f->hard_perplexity_expected; }
static double information_share(const usage_figures *f) { return f->information_share; }

static jackknife usage_jackknife(const usage *u, bool quick, double figure(const usage_figures *)) {
    usage_figures f = usage_summary(u, -1);
    jackknife e = jackknife_alone(figure(&f));
    for (int b = 0; !quick && b < JACKKNIFE_BLOCKS; b++) {
        f = usage_summary(u, b);
        e.without[b] = f.n ? figure(&f) : NAN;
    }
    return e;
}

static void say_use(collapse_verdict *v, const judging *j, const usage_figures *f) {
    const char *guess =
        j->in->codes_guessed ? " How many codes there are is a guess from the largest; --codes says." : "";
    if (v->verdict == VERDICT_HEALTHY)
        judge_say(v,
                  "The codes are in use: %.0f of %zu are some row's best, where %zu rows of equally likely codes would "
                  "hit %.0f; as many as %.0f are alive, and the use is as even as that of %.0f codes.%s",
                  f->used, f->codes, f->n, f->used_expected, f->alive, f->hard_perplexity, guess);
    else
        judge_say(v,
                  "%s of the codes are dead: %.0f of %zu are some row's best, where %zu rows of equally likely codes "
                  "would hit %.0f, and no more than about %.0f are alive. Usual without a prior on the mean assignment "
                  "and with small batches.%s",
                  v->verdict == VERDICT_COLLAPSED ? "Most" : "Many", f->used, f->codes, f->n, f->used_expected,
                  f->alive_most, guess);
}

/* What speaks worse than the dead codes do: nearly all rows on one code, rows that are all alike. */
static void judge_uneven(const judging *j, const usage *u, collapse_verdict *v) {
    const usage_figures *f = &j->c->usage;
    jackknife even = usage_jackknife(u, j->in->quick, even_share);
    collapse_verdict w = judge_figure("even_share", &even, 1, EVEN_WARNING, EVEN_COLLAPSED);
    bool one = f->top >= (f->codes < FEW_CODES ? TOP_FEW_CODES : TOP_COLLAPSED);
    if (one) w.verdict = VERDICT_COLLAPSED, w.borderline = false, w.rule = "one_code";
    if (w.verdict > v->verdict) {
        *v = w;
        judge_say(
            v,
            "%s: the most frequent of %zu codes has %.1f %% of the rows, and the use is as even as that of %.1f codes.",
            one ? "Nearly all rows are on one code" : "A few codes take nearly all rows", f->codes, 100 * f->top,
            f->hard_perplexity);
    }
    if (j->in->assignments_are == ASSIGNMENTS_HARD) return;
    jackknife information = usage_jackknife(u, j->in->quick, information_share);
    double expected = log(f->hard_perplexity_expected) / log(fmin((double)f->codes, (double)f->n));
    w = judge_figure("information_share", &information, expected, INFORMATION_WARNING, INFORMATION_COLLAPSED);
    bool scores = j->in->assignments_are == ASSIGNMENTS_SCORES;
    if (scores) w.verdict = j->in->score_range < RANGE_ALIKE ? VERDICT_COLLAPSED : VERDICT_HEALTHY;
    if (w.verdict <= v->verdict) return;
    *v = w;
    judge_say(
        v,
        "All rows are assigned alike: a row's assignment tells next to nothing about the row (%.3f nats of %.2f). "
        "Usual with a high temperature or an entropy term without an invariance term.%s",
        f->information, log(fmin((double)f->codes, (double)f->n)),
        scores ? " The scores of a row differ by less than 0.02." : "");
}

void judge_cluster(const judging *j, const usage *u) {
    collapse *c = j->c;
    collapse_verdict *v = &c->verdicts[COLLAPSE_CLUSTER];
    const usage_figures *f = &c->usage;
    jackknife none = jackknife_alone(NAN);
    *v = judge_figure("codes_alive_share", &none, 1, ALIVE_WARNING, ALIVE_COLLAPSED);
    v->rule = "no_codes";
    if (!u) {
        judge_say(v, "The method has no codes or prototypes, so there is no code to leave unused.");
        return;
    }
    if (f->n < JUDGE_ROWS) {
        v->rule = "rows";
        judge_say(v, "%zu rows are too few to say which of %zu codes are dead.", f->n, f->codes);
        return;
    }
    if (f->codes < 2 && !j->in->codes_guessed) {
        judge_say(v, "There is one code: it cannot be left unused.");
        return;
    }
    if (f->codes < 2) {
        v->verdict = VERDICT_COLLAPSED, v->rule = "one_code", v->statistic = 0;
        judge_say(v,
                  "All %zu rows are on code 0. How many codes there are is not said (--codes); with more than one, "
                  "all others are dead.",
                  f->n);
        return;
    }
    jackknife alive = usage_jackknife(u, j->in->quick, alive_share);
    *v = judge_figure("codes_alive_share", &alive, 1, ALIVE_WARNING, ALIVE_COLLAPSED);
    v->rule = "dead_codes";
    /* Beyond chance: equally likely codes would have shown more of them. */
    if (f->used > 0.75 * f->used_expected) v->verdict = VERDICT_HEALTHY, v->borderline = false;
    say_use(v, j, f);
    judge_uneven(j, u, v);
    if (v->verdict == VERDICT_COLLAPSED || f->n >= f->codes) return;
    v->verdict = VERDICT_UNKNOWN, v->borderline = false, v->rule = "rows";
    judge_say(v,
              "%zu rows cannot show the use of %zu codes: %.0f are some row's best, where equally likely codes would "
              "show %.0f. Give more rows than codes.",
              f->n, f->codes, f->used, f->used_expected);
}

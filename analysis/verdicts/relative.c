#include "analysis/verdicts/relative.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A cliff behind at most this share of what is possible makes less than half of the reference's rank a collapse. */
static const double CLIFF_SHARE = 0.25;
/* Of variance: a standard deviation a three hundredth, a hundredth of the reference's. */
static const double SHARE_COLLAPSED = 1e-5, SHARE_WARNING = 1e-4;
/* An effective rank asks for twice as many rows. */
static const double ROWS_PER_RANK = 2;

__attribute__((format(printf, 2, 3))) static void say(collapse_verdict *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(v->sentence, sizeof v->sentence, format, args);
    va_end(args);
}

static collapse_verdict start(const relative_input *in, const char *statistic, double warning, double collapsed) {
    collapse_verdict v = {.statistic_name = statistic, .statistic = NAN, .expected = 1, .low = NAN, .high = NAN};
    v.threshold_warning = warning, v.threshold_collapsed = collapsed, v.onset = -1, v.rule = "reference";
    if (in->then) snprintf(v.against, sizeof v.against, "%s", in->against ? in->against : "a reference");
    return v;
}

/* Half the interval's width over the value: 0 where there is none. */
static double margin(const collapse_evidence *e) {
    double half = (e->effective_rank_high - e->effective_rank_low) / 2;
    return isfinite(half) && e->trimmed_effective_rank > 0 ? half / e->trimmed_effective_rank : 0;
}

/* Both without their outlier columns, and the narrower asked for its width's share only. */
static double kept(const collapse_evidence *now, const collapse_evidence *then) {
    double width = fmin(now->attainable / then->attainable, 1);
    return now->trimmed_effective_rank / (then->trimmed_effective_rank * width);
}

static bool few_rows(const collapse_evidence *e) {
    return e->independent < ROWS_PER_RANK * e->trimmed_effective_rank || e->independent < 10;
}

void relative_dimensional(const relative_input *in, collapse_verdict *v) {
    const collapse_evidence *now = in->now, *then = in->then;
    *v = start(in, "effective_rank_kept", RELATIVE_KEPT_WARNING, RELATIVE_KEPT_COLLAPSED);
    if (!then || !(then->trimmed_effective_rank > 0)) {
        v->rule = "no_reference";
        say(v, then ? "The reference is one point: there is no rank to hold this against."
                    : "There is nothing to hold the rank against.");
        return;
    }
    v->statistic = kept(now, then);
    double spread = hypot(margin(now), margin(then)) * v->statistic;
    if (spread > 0) v->low = fmax(v->statistic - spread, 0), v->high = v->statistic + spread;
    bool low = v->statistic < RELATIVE_KEPT_WARNING,
         cliff = spectrum_clear_gap(now->trimmed_gap_place, now->cols, now->trimmed_gap_factor,
                                    now->trimmed_gap_variance) &&
                 now->trimmed_gap_place <= CLIFF_SHARE * now->possible;
    bool lost = v->statistic < RELATIVE_KEPT_COLLAPSED || (low && cliff);
    v->verdict = lost ? VERDICT_COLLAPSED : low ? VERDICT_WARNING : VERDICT_HEALTHY;
    if (!lost && (few_rows(now) || few_rows(then))) {
        v->verdict = VERDICT_UNKNOWN;
        say(v, "%.0f rows are too few to compare effective ranks of %.1f and %.1f (%s): give at least twice as many.",
            now->independent, now->trimmed_effective_rank, then->trimmed_effective_rank, v->against);
        return;
    }
    double threshold = v->verdict == VERDICT_COLLAPSED && !cliff ? RELATIVE_KEPT_COLLAPSED : RELATIVE_KEPT_WARNING;
    v->borderline = isfinite(v->low) && v->low < threshold && v->high >= threshold;
    say(v, "The effective rank is %.1f of %.0f possible directions, where %s has %.1f of %.0f: %s.%s",
        now->trimmed_effective_rank, now->possible, v->against, then->trimmed_effective_rank, then->possible,
        lost  ? "most of what there was is lost"
        : low ? "less than half of it is left"
              : "it is kept",
        low ? " Of a file alone, nothing tells whether the network below has lost it too." : "");
}

void relative_representation(const relative_input *in, collapse_verdict *v) {
    *v = start(in, "variance_kept", SHARE_WARNING, SHARE_COLLAPSED);
    if (!in->then || !(in->then->variance_share > 0)) {
        v->rule = "no_reference";
        say(v, in->then ? "The reference is one point itself." : "There is nothing to hold the variance against.");
        return;
    }
    /* An offset leaves the variance as it was, a change of units its share of the mean square: a collapse neither. */
    double share = in->now->variance_share / in->then->variance_share, all = in->now->variance / in->then->variance;
    v->statistic = fmax(share, all);
    v->verdict = v->statistic < SHARE_COLLAPSED ? VERDICT_COLLAPSED
                 : v->statistic < SHARE_WARNING ? VERDICT_WARNING
                                                : VERDICT_HEALTHY;
    say(v,
        "Differences between rows carry %.2g of their mean squared norm, where those of %s carry %.2g; their variance "
        "is %.2g times its.",
        in->now->variance_share, v->against, in->then->variance_share, all);
}

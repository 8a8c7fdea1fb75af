#include "analysis/verdicts/judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void judge_say(collapse_verdict *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(v->sentence, sizeof v->sentence, format, args);
    va_end(args);
}

static bool crosses(const collapse_verdict *v, double threshold) { return v->low < threshold && v->high >= threshold; }

void judge_borderline(collapse_verdict *v) {
    v->borderline = false;
    if (isnan(v->low)) return;
    v->borderline = v->verdict == VERDICT_COLLAPSED ? v->high >= v->threshold_collapsed
                    : v->verdict == VERDICT_WARNING
                        ? crosses(v, v->threshold_warning) || crosses(v, v->threshold_collapsed)
                    : v->verdict == VERDICT_HEALTHY ? v->low < v->threshold_warning
                                                    : false;
}

collapse_verdict judge_figure(const char *name, const jackknife *figure, double expected, double warning,
                              double collapsed) {
    collapse_verdict v = {.statistic_name = name, .statistic = figure->value, .expected = expected, .onset = -1};
    v.threshold_warning = warning, v.threshold_collapsed = collapsed, v.rule = name;
    v.verdict = isnan(figure->value)        ? VERDICT_UNKNOWN
                : figure->value < collapsed ? VERDICT_COLLAPSED
                : figure->value < warning   ? VERDICT_WARNING
                                            : VERDICT_HEALTHY;
    jackknife_interval(figure, &v.low, &v.high);
    judge_borderline(&v);
    return v;
}

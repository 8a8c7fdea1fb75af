/*
 * Trends over the settings of a series. Two questions are asked: is the difference between the ends (or between the
 * ends and an extreme between them) larger than chance makes it, and does the order of the means follow the order of
 * the settings. Only when both say yes is a direction named.
 */
#include "analysis/report/study/trend.h"

#include "analysis/statistics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SETTINGS = 256 };

static double rank_among(const double *x, size_t n, size_t i) {
    double below = 0, same = 0;
    for (size_t j = 0; j < n; j++) below += x[j] < x[i], same += x[j] == x[i];
    return below + (same + 1) / 2;
}

double trend_spearman(const double *x, const double *y, size_t n) {
    double mean = ((double)n + 1) / 2, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        double a = rank_among(x, n, i) - mean, b = rank_among(y, n, i) - mean;
        xy += a * b, xx += a * a, yy += b * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}

/* The margin where seeds are enough. */
static void set_margin(trend *t, const study_figure *figures) {
    double squares = 0, inverse = 0, n = (double)t->settings;
    size_t degrees = 0;
    for (size_t i = 0; i < t->settings; i++) {
        if (figures[i].n > 1) squares += figures[i].sd * figures[i].sd * (double)(figures[i].n - 1);
        degrees += figures[i].n - 1;
        inverse += 1 / (double)figures[i].n;
    }
    t->tested = t->seeds >= STATISTICS_LEAST && squares > 0;
    if (!t->tested) return;
    double tests = TREND_FIGURES * n * (n - 1) / 2;
    /* standard error of a difference of two means, at the average number of repetitions */
    t->margin =
        statistics_student_quantile(0.05 / tests, (double)degrees) * sqrt(squares / (double)degrees * 2 * inverse / n);
}

/* From where on no setting is told from the last, and whether more than that can be said. */
static void find_level(trend *t, const study_point **points, const double *means) {
    size_t n = t->settings, level = n - 1;
    double most = 0;
    while (level > 0 && fabs(means[level - 1] - t->to) <= t->margin) level--;
    if (!t->tested || level + 2 > n - 1) return;
    for (size_t i = level; i < n; i++) most = fmax(most, fabs(means[i] - t->to));
    t->level = points[level];
    t->levels = most + t->margin < TREND_LEVEL * fabs(t->to - t->from);
}

static void find_shape(trend *t, const study_point **points, const double *x, const double *means) {
    size_t n = t->settings, low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        if (means[i] < means[low]) low = i;
        if (means[i] > means[high]) high = i;
    }
    t->lowest = means[low], t->highest = means[high];
    t->correlation = trend_spearman(x, means, n);
    double change = t->to - t->from, towards = fmax(t->from, t->to), away = fmin(t->from, t->to);
    bool directed = n == 2 || t->correlation * (change > 0 ? 1 : -1) >= TREND_CORRELATION;
    t->shape = TREND_NONE;
    if (t->highest > towards + t->margin)
        t->shape = TREND_PEAKS, t->turn = points[high], t->at_turn = means[high];
    else if (t->lowest < away - t->margin)
        t->shape = TREND_DIPS, t->turn = points[low], t->at_turn = means[low];
    else if (fabs(change) > t->margin && directed)
        t->shape = change > 0 ? TREND_RISES : TREND_FALLS;
    if (t->shape == TREND_RISES || t->shape == TREND_FALLS) find_level(t, points, means);
}

trend trend_measure(const study_series *series, const char *metric) {
    const study_point *points[MOST_SETTINGS];
    study_figure figures[MOST_SETTINGS];
    double x[MOST_SETTINGS], means[MOST_SETTINGS];
    trend t = {.shape = TREND_UNKNOWN, .seeds = SIZE_MAX};
    for (size_t i = 0; i < series->count && t.settings < MOST_SETTINGS; i++) {
        study_figure figure = study_measure(&series->points[i], metric);
        if (!figure.n) continue;
        size_t k = t.settings++;
        points[k] = &series->points[i], figures[k] = figure;
        x[k] = series->points[i].x, means[k] = figure.mean;
        if (figure.n < t.seeds) t.seeds = figure.n;
    }
    if (t.settings < 2) return t;
    t.first = points[0], t.last = points[t.settings - 1];
    t.from = means[0], t.to = means[t.settings - 1];
    t.margin = study_is_rank(metric) ? TREND_MARGIN_RANK * fmax(fabs(t.from), fabs(t.to)) : TREND_MARGIN;
    set_margin(&t, figures);
    find_shape(&t, points, x, means);
    return t;
}

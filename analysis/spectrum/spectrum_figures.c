/*
 * What is read off singular values: the ranks, the power law, the cliff.
 */
#include "analysis/spectrum/moments.h"

#include <math.h>

static double total(const double *sigma, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += sigma[i];
    return sum;
}

double spectrum_rankme(const double *sigma, size_t count) {
    double sum = total(sigma, count), entropy = 0;
    if (!(sum > 0)) return 0;
    for (size_t i = 0; i < count; i++) {
        double p = sigma[i] / sum + 1e-7; /* the paper's ε */
        entropy -= p * log(p);
    }
    return exp(entropy);
}

double spectrum_effective_rank(const double *sigma, size_t count) {
    double sum = total(sigma, count), entropy = 0;
    if (!(sum > 0)) return 0;
    for (size_t i = 0; i < count; i++)
        if (sigma[i] > 0) entropy -= sigma[i] / sum * log(sigma[i] / sum);
    return exp(entropy);
}

double spectrum_participation_ratio(const double *sigma, size_t count) {
    double sum = 0, squares = 0;
    if (count == 0 || !(sigma[0] > 0)) return 0;
    for (size_t i = 0; i < count; i++) {
        double lambda = (sigma[i] / sigma[0]) * (sigma[i] / sigma[0]);
        sum += lambda, squares += lambda * lambda;
    }
    return sum * sum / squares;
}

/* Least squares of log λ on log rank over ranks first … last, each weighing 1 or 1/rank. */
static power_law fit(const double *sigma, size_t first, size_t last, bool by_rank) {
    if (last < first + 2) return (power_law){.alpha = NAN, .r2 = NAN};
    double w = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = first; i <= last; i++) {
        double u = log((double)i), v = 2 * log(sigma[i - 1] / sigma[0]), weight = by_rank ? 1 / (double)i : 1;
        w += weight, x += weight * u, y += weight * v;
        xx += weight * u * u, xy += weight * u * v, yy += weight * v * v;
    }
    double cov = xy - x * y / w, var = xx - x * x / w, all = yy - y * y / w;
    return (power_law){-cov / var, all > 0 ? cov * cov / (var * all) : 1, first, last};
}

/* Left out are the first ranks, which stand for the largest clusters rather than the tail, and the lower half, where
 * the finite sample bends any spectrum down; short spectra are fitted whole. */
power_law spectrum_fit_power_law(const double *sigma, size_t rank) {
    return rank < 20 ? fit(sigma, 1, rank, false) : fit(sigma, 5, rank / 2, false);
}

/* Ranks 11 to 100. The authors' code asks for a hundred values that are not zero; where there are fewer, the fit ends
 * with them. */
power_law spectrum_fit_power_law_as_authors(const double *sigma, size_t rank) {
    return fit(sigma, 11, rank < 100 ? rank : 100, true);
}

size_t spectrum_directions(const double *sigma, size_t count, double share) {
    double all = 0, sum = 0;
    for (size_t i = 0; i < count; i++) all += sigma[i] * sigma[i];
    for (size_t i = 0; i < count; i++) {
        sum += sigma[i] * sigma[i];
        if (sum >= share * all) return all > 0 ? i + 1 : 0;
    }
    return all > 0 ? count : 0;
}

size_t spectrum_dead_columns(const spectrum *s, double precision, uint32_t *out, size_t most) {
    double typical = sqrt(s->mean_squared_norm / (double)s->d);
    size_t count = 0;
    for (size_t j = 0; j < s->d; j++) {
        if (sqrt(s->column_variances[j]) > precision * fmax(typical, fabs(s->column_means[j]))) continue;
        if (count < most) out[count] = (uint32_t)j;
        count++;
    }
    return count;
}

double spectrum_explained_area(const double *sigma, size_t count) {
    double all = 0, sum = 0, area = 0;
    for (size_t i = 0; i < count; i++) all += sigma[i] * sigma[i];
    for (size_t i = 0; i < count; i++) sum += sigma[i] * sigma[i], area += sum / all / (double)count;
    return all > 0 ? area : NAN;
}

/*
 * Two or three directions, or one in a hundred, may stand out of any spectrum (a common direction, an outlier column
 * once the axes are turned): they are a cliff only where next to nothing is behind it. For more, 3 is beyond what the
 * smoothest steep spectra do from one value to the next (i^-2 falls by 1.8 at most from the second on).
 */
static const double GAP_FACTOR = 3, GAP_VARIANCE = 0.8, FEW_FACTOR = 4, FEW_VARIANCE = 0.97;
enum { FEW = 3 };

bool spectrum_clear_gap(double place, double cols, double factor, double variance) {
    bool few = place <= fmax(FEW, cols / 100);
    return place >= 1 && factor >= (few ? FEW_FACTOR : GAP_FACTOR) && variance >= (few ? FEW_VARIANCE : GAP_VARIANCE);
}

spectrum_gap spectrum_find_gap(const double *sigma, size_t count, double cols, double floor) {
    enum { SEEN_LEAST = 3 }; /* values behind the cliff that were there to be seen: one may be small by chance */
    spectrum_gap gap = {0};
    double all = 0, sum = 0;
    for (size_t i = 0; i < count; i++) all += sigma[i] * sigma[i];
    for (size_t k = 1; k < count && sigma[k - 1] > floor; k++) {
        double factor = sigma[k - 1] / fmax(sigma[k], floor);
        sum += sigma[k - 1] * sigma[k - 1];
        size_t seen = count - k;
        if (seen < SEEN_LEAST || 4 * seen < k || !(factor > gap.factor)) continue;
        gap = (spectrum_gap){.place = k, .factor = factor, .variance = fmin(sum / all, 1)};
        if (spectrum_clear_gap((double)k, cols, factor, gap.variance)) break;
    }
    return gap;
}

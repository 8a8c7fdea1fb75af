/*
 * Student's and Fisher's distributions by the incomplete beta function: Student's p = I_x(ν/2, 1/2) at x = ν/(ν + t²),
 * Fisher's p = I_x(ν₂/2, ν₁/2) at x = ν₂/(ν₂ + ν₁F), whose continued fraction
 * (Lentz's way of evaluating it) converges in some tens of terms for the few degrees of freedom that seeds give.
 */
#include "analysis/statistics.h"

#include <math.h>

double statistics_mean(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return n ? sum / (double)n : (double)NAN;
}

double statistics_sd(const double *x, size_t n) {
    double mean = statistics_mean(x, n), squares = 0;
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(squares / (double)(n - 1)) : (double)NAN;
}

/* ---- The incomplete beta function ---- */

static double away_from_zero(double x) { return fabs(x) < 1e-300 ? 1e-300 : x; }

/* The continued fraction of I_x(a, b); converges quickly for x < (a + 1)/(a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        value *= c * d;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        value *= c * d;
        if (fabs(c * d - 1) < 1e-15) break;
    }
    return value;
}

static double incomplete_beta(double a, double b, double x) {
    if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* ---- Tests ---- */

/* Beside the sum of squares about 0, squares below this share of it are rounding. */
static const double ROUNDING = 1e-24;

double statistics_student_p(double t, double degrees) {
    if (isnan(t)) return t;
    return isinf(t) ? 0 : incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

double statistics_student_quantile(double p, double degrees) {
    double low = 0, high = 1;
    while (statistics_student_p(high, degrees) > p) low = high, high *= 2;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (middle <= low || middle >= high) break;
        if (statistics_student_p(middle, degrees) > p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

double statistics_f_p(double f, double above, double below) {
    if (isnan(f) || f < 0) return (double)NAN;
    return isinf(f) ? 0 : incomplete_beta(below / 2, above / 2, below / (below + above * f));
}

double statistics_paired_p(const double *a, const double *b, size_t n) {
    if (n < STATISTICS_LEAST) return (double)NAN;
    double mean = 0, left = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += (a[i] - b[i]) / (double)n;
    for (size_t i = 0; i < n; i++) left += (a[i] - b[i] - mean) * (a[i] - b[i] - mean);
    for (size_t i = 0; i < n; i++) squares += a[i] * a[i] + b[i] * b[i];
    if (left <= ROUNDING * squares) return mean * mean * (double)n <= ROUNDING * squares ? 1 : (double)NAN;
    double error = sqrt(left / (double)(n - 1) / (double)n);
    return statistics_student_p(mean / error, (double)(n - 1));
}

/* ---- Analysis of variance ---- */

/* The p of what `between` (a sum of squares on `above` degrees) makes of the error; `squares` is what squares about 0
 * sum up to, beside which rounding is no difference. */
static variance judge(double between, double above, double left, double degrees, double squares) {
    variance v = {(double)NAN, degrees, (double)NAN};
    if (above < 1 || degrees < 1) return v;
    if (between <= ROUNDING * squares) between = 0;
    if (left <= ROUNDING * squares) left = 0;
    v.error = left / degrees;
    v.p = v.error > 0 ? statistics_f_p(between / above / v.error, above, degrees) : between > 0 ? (double)NAN : 1;
    return v;
}

variance statistics_blocks(const double *table, size_t rows, size_t cols) {
    double mean = statistics_mean(table, rows * cols), between = 0, left = 0;
    for (size_t j = 0; j < cols; j++) {
        double column = 0;
        for (size_t i = 0; i < rows; i++) column += table[i * cols + j] / (double)rows;
        between += (double)rows * (column - mean) * (column - mean);
        for (size_t i = 0; i < rows; i++) {
            double rest = table[i * cols + j] - column - statistics_mean(table + i * cols, cols) + mean;
            left += rest * rest;
        }
    }
    return judge(between, (double)cols - 1, left, ((double)rows - 1) * ((double)cols - 1),
                 mean * mean * (double)(rows * cols));
}

variance statistics_groups(const double *x, const size_t *group, size_t n, size_t groups) {
    double mean = statistics_mean(x, n), between = 0, left = 0;
    for (size_t g = 0; g < groups; g++) {
        double sum = 0, members = 0;
        for (size_t i = 0; i < n; i++)
            if (group[i] == g) sum += x[i], members++;
        between += members * (sum / members - mean) * (sum / members - mean);
        for (size_t i = 0; i < n; i++)
            if (group[i] == g) left += (x[i] - sum / members) * (x[i] - sum / members);
    }
    return judge(between, (double)groups - 1, left, (double)n - (double)groups, mean * mean * (double)n);
}

/* ---- How many repetitions ---- */

static double normal_below(double z) { return erfc(-z / sqrt(2)) / 2; }

/* χ² below which a fifth of its distribution lies (Wilson and Hilferty 1931). */
static double low_chi_square(double degrees) {
    double part = 2 / (9 * degrees), z = -0.841621;
    return degrees * pow(1 - part + z * sqrt(part), 3);
}

/* The chance that |T| of a noncentral t exceeds t, by Johnson and Welch's normal approximation (1940). */
static double chance_beyond(double t, double degrees, double noncentral) {
    double scale = sqrt(1 + t * t / (2 * degrees)), at = t * (1 - 1 / (4 * degrees));
    return normal_below((noncentral - at) / scale) + normal_below((-noncentral - at) / scale);
}

size_t statistics_repetitions(double difference, double error, double degrees) {
    const size_t most = 1000000;
    if (!(fabs(difference) > 0) || !(error >= 0) || !(degrees >= 1)) return 0;
    double variance = error * degrees / low_chi_square(degrees);
    for (size_t n = STATISTICS_LEAST; n < most; n += n < 100 ? 1 : n / 100) {
        double left = (double)n - 1, noncentral = fabs(difference) / sqrt(2 * variance / (double)n);
        if (chance_beyond(statistics_student_quantile(0.05, left), left, noncentral) >= 0.8) return n;
    }
    return most;
}

/* ---- Many tests ---- */

void statistics_holm(double *p, size_t n) {
    size_t tests = 0;
    double floor = 0;
    for (size_t i = 0; i < n; i++) tests += !isnan(p[i]);
    /* in ascending order, each p is multiplied by how many are not smaller, and never ends below the one before;
     * a p that is done is kept as its negative */
    for (size_t left = tests; left > 0; left--) {
        size_t at = n;
        for (size_t i = 0; i < n; i++)
            if (!isnan(p[i]) && !signbit(p[i]) && (at == n || p[i] < p[at])) at = i;
        floor = fmax(floor, fmin(1, p[at] * (double)left));
        p[at] = -floor;
    }
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i])) p[i] = fabs(p[i]);
}

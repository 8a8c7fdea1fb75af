#include "analysis/clusters/usage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* exp(−50) is 2e-22: a million such entries still vanish beside the largest. */
static const double NEGLIGIBLE = -50;

typedef struct fold {
    size_t rows;
    double *sum;      /* (codes) of the rows' probabilities */
    uint32_t *counts; /* (codes) argmax */
    double row_entropy;
} fold;

struct usage {
    size_t codes, rows;
    const uint8_t *dealt; /* (all rows to come) or NULL */
    fold folds[USAGE_FOLDS];
};

usage *usage_new(size_t codes, error *err) {
    if (codes == 0) {
        error_set(err, ERROR_RUN, "an assignment needs at least one code");
        return NULL;
    }
    usage *u = calloc(1, sizeof *u);
    if (!u) {
        error_memory(err, sizeof *u, "code usage");
        return NULL;
    }
    u->codes = codes;
    for (int f = 0; f < USAGE_FOLDS; f++) {
        u->folds[f].sum = calloc(codes, sizeof *u->folds[f].sum);
        u->folds[f].counts = calloc(codes, sizeof *u->folds[f].counts);
        if (u->folds[f].sum && u->folds[f].counts) continue;
        error_memory(err, USAGE_FOLDS * codes * (sizeof(double) + sizeof(uint32_t)), "code usage");
        usage_free(u);
        return NULL;
    }
    return u;
}

void usage_free(usage *u) {
    for (int f = 0; u && f < USAGE_FOLDS; f++) {
        free(u->folds[f].sum);
        free(u->folds[f].counts);
    }
    free(u);
}

/* e^x for NEGLIGIBLE ≤ x ≤ 0, else 0: a power of two times Taylor's polynomial on ±ln 2 / 2, good to 1e-15, in a form
 * that whole rows are computed in at once. */
static inline double exp_below_one(double x) {
    const double log2_e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-1,
                 ln2_low = 1.90821492927058770002e-10;
    const double round = 0x1.8p52; /* added to a number, it leaves its nearest integer in the lowest bits */
    double shifted = (x > NEGLIGIBLE ? x : NEGLIGIBLE) * log2_e + round, power = shifted - round;
    double r = (x > NEGLIGIBLE ? x : NEGLIGIBLE) - power * ln2_high - power * ln2_low, p = 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1;
    p = p * r + 1;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (int64_t)((uint64_t)(bits + 1023) << 52);
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < NEGLIGIBLE ? 0 : p * scale;
}

/* One row into its fold. Returns the argmax, −1 when a logit is not finite. */
static int32_t add_row(fold *f, const float *logits, size_t codes) {
    float poison = 0, top = logits[0];
#pragma omp simd reduction(+ : poison) reduction(max : top)
    for (size_t j = 0; j < codes; j++) {
        poison += logits[j] * 0.0f; /* NaN for NaN and infinity */
        top = logits[j] > top ? logits[j] : top;
    }
    if (poison != 0) return -1;
    size_t best = 0;
    while (logits[best] < top) best++;
    double sum = 0, weighted = 0, *total = f->sum;
#pragma omp simd reduction(+ : sum, weighted)
    for (size_t j = 0; j < codes; j++) {
        double x = (double)logits[j] - (double)top, p = exp_below_one(x);
        sum += p, weighted += p * x;
    }
    const double scale = 1 / sum;
#pragma omp simd
    for (size_t j = 0; j < codes; j++) total[j] += scale * exp_below_one((double)logits[j] - (double)top);
    f->row_entropy += log(sum) - weighted / sum; /* −Σ p log p with log p = x − log Σ */
    f->counts[best]++;
    f->rows++;
    return (int32_t)best;
}

void usage_deal(usage *u, const uint8_t *folds) { u->dealt = folds; }

/* Rows that come beside each other, views of one image or a class, are no one fold's. */
static size_t fold_of(const usage *u, size_t row) {
    uint64_t x = (uint64_t)row + 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u, x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return u->dealt ? u->dealt[row] : (size_t)((x ^ (x >> 31)) % USAGE_FOLDS);
}

/* A fold belongs to one thread at a time and takes its rows in order: the thread count decides no bit. */
bool usage_add(usage *u, const float *logits, size_t rows, int32_t *argmax, error *err) {
    size_t bad = rows;
#pragma omp parallel for schedule(static) reduction(min : bad)
    for (size_t f = 0; f < USAGE_FOLDS; f++)
        for (size_t i = 0; i < rows; i++) {
            if (fold_of(u, u->rows + i) != f) continue;
            int32_t best = add_row(&u->folds[f], logits + i * u->codes, u->codes);
            if (best < 0 && i < bad) bad = i;
            if (argmax) argmax[i] = best;
        }
    if (bad < rows) return error_set(err, ERROR_RUN, "assignments: a logit of row %zu is not finite", u->rows + bad);
    u->rows += rows;
    return true;
}

bool usage_add_hard(usage *u, const int32_t *assignment, size_t rows, error *err) {
    for (size_t i = 0; i < rows; i++) {
        fold *f = &u->folds[fold_of(u, u->rows + i)];
        if (assignment[i] < 0 || (size_t)assignment[i] >= u->codes)
            return error_set(err, ERROR_RUN, "assignments: row %zu is assigned to code %d; codes are 0 to %zu",
                             u->rows + i, assignment[i], u->codes - 1);
        f->sum[assignment[i]]++;
        f->counts[assignment[i]]++;
        f->rows++;
    }
    u->rows += rows;
    return true;
}

/* exp of the expected entropy of n draws of c equally likely codes: counts are Binomial(n, 1/c). */
static double uniform_perplexity(double n, double c) {
    double q = 1 / c, mean = n * q, spread = 12 * sqrt(mean) + 30, sum = 0;
    double first = fmax(1, floor(mean - spread)), last = fmin(n, ceil(mean + spread));
    for (double k = first; k <= last; k++) {
        double tail = n > k ? (n - k) * log1p(-q) : 0;
        sum += k * log(k) * exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(q) + tail);
    }
    return exp(log(n) - c / n * sum);
}

static double plogp(double p) { return p > 0 ? p * log(p) : 0; }

/* The codes that there are to be found, of those that rows have found: Chao's estimate of 1984, and the upper end of
 * its log-normal interval of 1987. */
static void estimate_alive(usage_figures *s) {
    double c = (double)s->codes, once = s->once, twice = s->twice;
    double unseen = twice > 0 ? once * once / (2 * twice) : once * (once - 1) / 2, ratio = once / twice, variance;
    if (twice > 0)
        variance = twice * (ratio * ratio / 2 + ratio * ratio * ratio + ratio * ratio * ratio * ratio / 4);
    else
        variance =
            unseen + once * (2 * once - 1) * (2 * once - 1) / 4 - once * once * once * once / (4 * (s->used + unseen));
    double factor = unseen > 0 ? exp(1.96 * sqrt(log1p(fmax(variance, 0) / (unseen * unseen)))) : 1;
    s->alive = fmin(s->used + unseen, c), s->alive_most = fmin(s->used + unseen * factor, c);
}

usage_figures usage_summary(const usage *u, int without) {
    double n = 0, rows_entropy = 0, soft = 0, hard = 0, used = 0, c = (double)u->codes;
    for (int f = 0; f < USAGE_FOLDS; f++)
        if (f != without) n += (double)u->folds[f].rows, rows_entropy += u->folds[f].row_entropy;
    usage_figures s = {.n = (size_t)n, .codes = u->codes};
    if (n == 0) return s;
    for (size_t j = 0; j < u->codes; j++) {
        double sum = 0, count = 0;
        for (int f = 0; f < USAGE_FOLDS; f++)
            if (f != without) sum += u->folds[f].sum[j], count += u->folds[f].counts[j];
        soft -= plogp(sum / n), hard -= plogp(count / n), used += count > 0;
        s.once += count == 1, s.twice += count == 2;
        s.top = fmax(s.top, count / n);
    }
    double most = fmin(c, n);
    s.perplexity = exp(soft), s.perplexity_share = s.perplexity / most;
    s.used = used, estimate_alive(&s);
    s.used_share = used / most;
    s.used_expected = c > 1 ? -c * expm1(n * log1p(-1 / c)) : 1;
    s.used_of_expected = used / s.used_expected;
    s.hard_perplexity = exp(hard), s.hard_perplexity_expected = c > 1 ? uniform_perplexity(n, c) : 1;
    s.entropy_mean = soft, s.row_entropy = rows_entropy / n;
    s.information = fmax(soft - s.row_entropy, 0);
    s.information_share = most > 1 ? s.information / log(most) : 0;
    return s;
}

size_t usage_codes(const usage *u) { return u->codes; }

void usage_counts(const usage *u, uint64_t *counts) {
    for (size_t j = 0; j < u->codes; j++) {
        counts[j] = 0;
        for (int f = 0; f < USAGE_FOLDS; f++) counts[j] += u->folds[f].counts[j];
    }
}

void usage_mean(const usage *u, double *mean) {
    for (size_t j = 0; j < u->codes; j++) {
        mean[j] = 0;
        for (int f = 0; f < USAGE_FOLDS; f++) mean[j] += u->folds[f].sum[j] / (double)u->rows;
    }
}

#include "analysis/usage.h"

#include <math.h>
#include <stdlib.h>

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

/* One row into its fold; p (codes) is scratch. Returns the argmax, −1 when a logit is not finite. */
static int32_t add_row(fold *f, const float *logits, size_t codes, double *p) {
    size_t best = 0;
    float poison = 0;
    for (size_t j = 0; j < codes; j++) {
        poison += logits[j] * 0.0f; /* NaN for NaN and infinity */
        if (logits[j] > logits[best]) best = j;
    }
    if (poison != 0) return -1;
    double sum = 0, weighted = 0, top = logits[best];
    for (size_t j = 0; j < codes; j++) {
        double x = logits[j] - top;
        p[j] = x < NEGLIGIBLE ? 0 : exp(x);
        sum += p[j], weighted += p[j] * x;
    }
    double scale = 1 / sum;
    for (size_t j = 0; j < codes; j++) f->sum[j] += scale * p[j];
    f->row_entropy += log(sum) - weighted / sum; /* −Σ p log p with log p = x − log Σ */
    f->counts[best]++;
    f->rows++;
    return (int32_t)best;
}

/* A fold belongs to one thread at a time and takes its rows in order: the thread count decides no bit. */
bool usage_add(usage *u, const float *logits, size_t rows, int32_t *argmax, error *err) {
    double *scratch = malloc(USAGE_FOLDS * u->codes * sizeof *scratch);
    if (!scratch) return error_memory(err, USAGE_FOLDS * u->codes * sizeof *scratch, "code usage");
    size_t bad = rows;
#pragma omp parallel for schedule(static) reduction(min : bad)
    for (size_t f = 0; f < USAGE_FOLDS; f++)
        for (size_t i = (f + USAGE_FOLDS - u->rows % USAGE_FOLDS) % USAGE_FOLDS; i < rows; i += USAGE_FOLDS) {
            int32_t best = add_row(&u->folds[f], logits + i * u->codes, u->codes, scratch + f * u->codes);
            if (best < 0 && i < bad) bad = i;
            if (argmax) argmax[i] = best;
        }
    free(scratch);
    if (bad < rows) return error_set(err, ERROR_RUN, "assignments: a logit of row %zu is not finite", u->rows + bad);
    u->rows += rows;
    return true;
}

bool usage_add_hard(usage *u, const int32_t *assignment, size_t rows, error *err) {
    for (size_t i = 0; i < rows; i++) {
        fold *f = &u->folds[(u->rows + i) % USAGE_FOLDS];
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
    }
    double most = fmin(c, n);
    s.perplexity = exp(soft), s.perplexity_share = s.perplexity / most;
    s.used = used, s.used_share = used / most;
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

/*
 * Files of assignments. One integer a row is a code; with a column a code a row is probabilities, or scores before a
 * softmax. Which of the two is read off the rows' sums, and what nobody can read off, the temperature, is asked for.
 */
#include "analysis/diagnose/diagnose_load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK_VALUES = 1 << 20 };
/* What rows of half-precision probabilities may miss 1 by; how many rows may be no probabilities in a file of them. */
static const double SUM_SLACK = 0.02, ODD_ROWS = 0.01;

/* Where the value of the i-th row stands that is looked at, and how many rows from it on have theirs behind it, `most`
 * at the most. Rows that are tokens of one input share its value. */
static size_t run_at(const subject *s, size_t i, size_t most, uint64_t *first) {
    size_t length = 1;
    *first = s->rows[i] / s->file.tokens;
    if (s->file.tokens > 1) return 1;
    while (length < most && i + length < s->count && s->rows[i + length] == s->rows[i] + length) length++;
    return length;
}

int64_t *subject_ints(const subject *s, const array_file *a, error *err) {
    size_t n = s->count;
    int64_t *values = malloc(n * sizeof *values);
    bool ok = values || error_memory(err, n * sizeof *values, a->name);
    uint64_t first;
    for (size_t i = 0, run; ok && i < n; i += run) {
        run = run_at(s, i, n, &first);
        ok = array_read_int(a, first, run, values + i, err);
    }
    if (ok) return values;
    free(values);
    return NULL;
}

static bool hard_assignments(subject *s, const array_file *a, size_t codes, error *err) {
    size_t n = s->count, most = codes ? codes : DIAGNOSE_CODES, largest = 0;
    int64_t *values = subject_ints(s, a, err);
    bool ok = values != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        if (values[i] < 0 || (uint64_t)values[i] >= most)
            ok = error_set(err, ERROR_RUN, "%s: row %" PRIu64 " is assigned to code %" PRId64 "; codes are 0 to %zu",
                           a->name, s->rows[i], values[i], most - 1);
        else if ((size_t)values[i] > largest)
            largest = (size_t)values[i];
    }
    if (ok && !(s->assignment = malloc(n * sizeof *s->assignment)))
        ok = error_memory(err, n * sizeof *s->assignment, "assignments");
    for (size_t i = 0; ok && i < n; i++) s->assignment[i] = (int32_t)values[i];
    free(values);
    s->assignments_are = ASSIGNMENTS_HARD, s->codes_guessed = codes == 0;
    if (!ok || !(s->usage = usage_new(codes ? codes : largest + 1, err))) return false;
    usage_deal(s->usage, s->blocks);
    return usage_add_hard(s->usage, s->assignment, n, err);
}

/* Rows of probabilities: none below 0, each row's sum 1. Logits are hardly ever so. */
static bool is_simplex(const float *row, size_t codes) {
    double sum = 0;
    for (size_t j = 0; j < codes; j++) {
        if (row[j] < 0) return false;
        sum += row[j];
    }
    return fabs(sum - 1) <= SUM_SLACK;
}

static int rising(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What a pass over soft assignments finds out: how many rows are no probabilities, how many of these only zeros, and
 * the difference of each row's largest and smallest: range (n). */
static bool look_at_soft(subject *s, const array_file *a, float *block, size_t height, float *range, size_t *odd,
                         error *err) {
    size_t n = s->count, codes = a->cols;
    uint64_t first;
    for (size_t i = 0, run; i < n; i += run) {
        run = run_at(s, i, height, &first);
        array_read_float(a, first, run, block);
        for (size_t r = 0; r < run; r++) {
            const float *row = block + r * codes;
            float low = row[0], high = row[0];
            for (size_t j = 0; j < codes; j++) {
                if (!isfinite(row[j]))
                    return error_set(err, ERROR_RUN, "%s: row %" PRIu64 " holds NaN or infinity", a->name,
                                     s->rows[i + r]);
                low = fminf(low, row[j]), high = fmaxf(high, row[j]);
            }
            range[i + r] = high - low;
            if (is_simplex(row, codes)) continue;
            ++*odd;
            s->unassigned += low == 0 && high == 0;
        }
    }
    return true;
}

/* Rows of probabilities, with here and there one of zeros; or scores, of a temperature that is given or not known. */
static bool soft_assignments(subject *s, const array_file *a, double temperature, error *err) {
    size_t n = s->count, codes = a->cols, height = codes < BLOCK_VALUES ? BLOCK_VALUES / codes : 1, odd = 0;
    float *block = malloc(height * codes * sizeof *block), *range = malloc(n * sizeof *range);
    s->assignment = malloc(n * sizeof *s->assignment);
    bool ok = (block && range && s->assignment) ||
              error_memory(err, height * codes * sizeof *block + 2 * n * sizeof *range, "assignments");
    ok = ok && look_at_soft(s, a, block, height, range, &odd, err) && (s->usage = usage_new(codes, err));
    bool simplex = ok && odd == s->unassigned && (double)odd <= ODD_ROWS * (double)n;
    if (ok && simplex && temperature > 0)
        ok = error_set(err, ERROR_USAGE, "%s: holds probabilities; --temperature is of scores", a->name);
    if (ok && !simplex) {
        qsort(range, n, sizeof *range, rising);
        s->score_range = (double)range[n / 2], s->unassigned = 0;
        s->assignments_are = temperature > 0 ? ASSIGNMENTS_PROBABILITIES : ASSIGNMENTS_SCORES;
        s->temperature = temperature;
    }
    if (ok) usage_deal(s->usage, s->blocks);
    uint64_t first;
    for (size_t i = 0, run; ok && i < n; i += run) {
        run = run_at(s, i, height, &first);
        array_read_float(a, first, run, block);
        for (size_t k = 0; simplex && k < run * codes; k++) block[k] = logf(fmaxf(block[k], 1e-37f));
        for (size_t k = 0; temperature > 0 && k < run * codes; k++) block[k] /= (float)temperature;
        ok = usage_add(s->usage, block, run, s->assignment + i, err);
    }
    free(block);
    free(range);
    return ok;
}

bool assignments_take(subject *s, const array_file *a, size_t codes, double temperature, error *err) {
    if (temperature > 0 && a->integers && a->cols == 1)
        return error_set(err, ERROR_USAGE, "%s: holds one code a row; --temperature is of scores", a->name);
    if (a->integers && a->cols == 1) return hard_assignments(s, a, codes, err);
    if (a->cols < 2)
        return error_set(err, ERROR_RUN,
                         "%s: is %" PRIu64 " × %" PRIu64
                         " floats; assignments are integers, or logits or probabilities with a column a code",
                         a->name, a->rows, a->cols);
    if (a->cols > DIAGNOSE_CODES)
        return error_set(err, ERROR_RUN, "%s: has %" PRIu64 " codes; at most %d can be counted", a->name, a->cols,
                         DIAGNOSE_CODES);
    if (codes && codes != a->cols)
        return error_set(err, ERROR_USAGE, "%s: has %" PRIu64 " codes, not %zu", a->name, a->cols, codes);
    return soft_assignments(s, a, temperature, err);
}

/*
 * Outlier columns. A network may keep one or a few columns of huge activations beside hundreds of ordinary ones; every
 * figure of the spectrum then tells of them alone. Where the largest hundredth of the columns (three at least, in wide
 * enough a matrix) stands far out of the rest, the spectrum is taken once more without them.
 */
#include "analysis/spectrum/moments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In standard deviations of the median column. Below 5 a column weighs no more than a few others do; from 300 on the
 * others are a noise floor beside it. */
static const double OUTLIER_LEAST = 5, OUTLIER_MOST = 300;
enum { FEW_COLUMNS = 48, OUTLIERS_LEAST = 3 };

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Tall: the Gram matrix's rows and columns that stay. Returns its size. */
static size_t columns_left(const moments *mo, const bool *out, double *a, size_t *active) {
    size_t d = mo->m.cols, kept = 0;
    for (size_t j = 0; j < d; j++)
        if (!out[j] && mo->variances[j] > 0) active[kept++] = j;
    for (size_t p = 0; p < kept; p++)
        for (size_t q = 0; q < kept; q++) a[p * kept + q] = mo->gram[active[p] * d + active[q]];
    return kept;
}

/* Wide: the rows' Gram matrix less what the columns put into it. */
static size_t rows_left(const moments *mo, const bool *out, double *a, double *column) {
    size_t n = mo->m.rows, d = mo->m.cols;
    memcpy(a, mo->gram, n * n * sizeof *a);
    for (size_t j = 0; j < d; j++) {
        if (!out[j]) continue;
        rows_tile(&mo->m, 0, n, j, 1, mo->means, column, 1);
        for (size_t p = 0; p < n; p++)
            for (size_t q = 0; q < n; q++) a[p * n + q] -= column[p] * column[q];
    }
    return n;
}

bool spectrum_outliers(const moments *mo, spectrum *s, error *err) {
    size_t d = mo->m.cols, most = (d + 99) / 100, varying = d - mo->constant;
    if (d >= FEW_COLUMNS && most < OUTLIERS_LEAST) most = OUTLIERS_LEAST;
    double *sorted = malloc(d * sizeof *sorted);
    bool *out = calloc(d, sizeof *out), ok = sorted && out;
    if (!ok) error_memory(err, d * sizeof *sorted, "columns' variances");
    if (ok) {
        memcpy(sorted, mo->variances, d * sizeof *sorted);
        qsort(sorted, d, sizeof *sorted, descending);
        double median = sqrt(sorted[varying / 2 < d ? varying / 2 : 0]);
        s->outlier_ratio = median > 0 ? sqrt(sorted[0]) / median : NAN;
        for (size_t j = 0; j < most && varying > 2 * most; j++)
            s->outliers += sqrt(sorted[j]) > OUTLIER_LEAST * median && sqrt(sorted[j]) < OUTLIER_MOST * median;
        if (sqrt(sorted[0]) >= OUTLIER_MOST * median) s->outliers = 0;
        if (s->outliers) s->outlier_variance = sorted[s->outliers - 1];
        for (size_t j = 0; s->outliers && j < d; j++) out[j] = mo->variances[j] >= s->outlier_variance;
    }
    if (ok && s->outliers) {
        size_t side = mo->side, kept, *active = malloc(d * sizeof *active);
        double *gram = malloc(side * side * sizeof *gram), *column = malloc(mo->m.rows * sizeof *column);
        s->trimmed = calloc(side, sizeof *s->trimmed);
        ok = (gram && column && active && s->trimmed) || error_memory(err, side * side * sizeof *gram, "a Gram matrix");
        if (ok) kept = mo->tall ? columns_left(mo, out, gram, active) : rows_left(mo, out, gram, column);
        ok = ok && spectrum_of_gram(gram, kept, s->trimmed, err);
        if (ok) s->trimmed_count = kept;
        free(gram);
        free(column);
        free(active);
    }
    free(sorted);
    free(out);
    return ok;
}
